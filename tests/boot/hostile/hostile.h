/*
 * hostile: the firmware's boot services with one distortion at a time, for the loader to meet.
 *
 * main.c says how it works. This header holds what a case asks for and what the parts offer to main.c.
 */
#pragma once

#include <ashlar/types.h>
#include <efi.h>

enum sweep {
    SWEEP_NONE,    /* one run */
    SWEEP_CALLS,   /* fail the 1st, 2nd, 3rd ... call of the chosen services until none is left to fail */
    SWEEP_MEMORY,  /* leave 0, 1, 2, 4 ... pages free until the loader gets to the exit */
    SWEEP_STRETCH, /* the same in small equal steps */
};

enum map_order { MAP_AS_IT_IS, MAP_REVERSED, MAP_SHUFFLED };

/* What the map says about the quarry, a block of pages of our own (memory_map.c). */
enum quarry {
    QUARRY_NONE,
    QUARRY_PLAIN,
    QUARRY_LATE,
    QUARRY_NESTED,
    QUARRY_OVERLAP,
    QUARRY_DUPLICATE,
    QUARRY_ZERO,
    QUARRY_WRAP,
    QUARRY_OEM,
    QUARRY_TYPES,
    QUARRY_SUBPAGE,
    QUARRY_SPECIAL,
    QUARRY_FAR,
    QUARRY_RESERVED,
    QUARRY_DEVICE,
    QUARRY_HOLE,
};

/* What is done to the ACPI tables, which go to the quarry (acpi.c). */
enum acpi {
    ACPI_AS_IT_IS,
    ACPI_RSDP,
    ACPI_XSDT,
    ACPI_MADT,
    ACPI_WAET,
    ACPI_DSDT,
    ACPI_EVERYTHING,
    ACPI_EXTENDED_CHECKSUM,
    ACPI_STRAY_BYTES,
    ACPI_BOGUS_PROCESSORS,
    ACPI_ABSENT_PROCESSORS,
    ACPI_BROKEN_MADT,
};

/* Where what is moved goes: to the quarry, wherever that lies, or in RAM above 4 GiB; or to ROM (rom.c). */
enum place { PLACE_ANY, PLACE_HIGH, PLACE_ROM };

enum graphics {
    GRAPHICS_AS_IT_IS,
    GRAPHICS_NONE,
    GRAPHICS_BLT_ONLY,
    GRAPHICS_BASE_ZERO,
    GRAPHICS_IN_RAM,
    GRAPHICS_NO_MODE,
    GRAPHICS_FAKE_FIRST,
    GRAPHICS_RGB,
    GRAPHICS_WIDE,
    GRAPHICS_MASK_565,
    GRAPHICS_MASK_555,
    GRAPHICS_MASK_888,
    GRAPHICS_MASK_2101010,
    GRAPHICS_MASK_ODD,
    GRAPHICS_MASK_BROKEN,
};

enum load_options {
    OPTIONS_NONE,
    OPTIONS_PLAIN,
    OPTIONS_BINARY,
    OPTIONS_UNTERMINATED,
    OPTIONS_ODD_BYTES,
    OPTIONS_BYTE_ORDER_MARK,
    OPTIONS_PROGRAM_NAME,
    OPTIONS_WHOLE_LOAD_OPTION,
    OPTIONS_HUGE,
};

enum tables { TABLES_ALL, TABLES_NO_ACPI, TABLES_NO_SMBIOS, TABLES_NONE, TABLES_ENDLESS_ATTRIBUTES };

enum random { RANDOM_AS_IT_IS, RANDOM_GOOD, RANDOM_BROKEN };

/* EFI_MEMORY_ATTRIBUTE_PROTOCOL: none, one that works, one that lets no page become executable. */
enum attributes { ATTRIBUTES_NONE, ATTRIBUTES_GOOD, ATTRIBUTES_FIXED };

enum hidden { HIDE_NOTHING, HIDE_FILE_SYSTEM, HIDE_LOADED_IMAGE };

/* AllocatePages calls of one kind that fail, whatever their number. */
enum refused { REFUSE_NOTHING, REFUSE_ADDRESS, REFUSE_LIMIT };

#define FOR_EVER        UINT32_MAX
#define ALL_SERVICES    UINT32_MAX
#define NO_SERVICE      (UINT32_MAX - 1)
#define CASE_NAME_BYTES 40
#define ALL_MEMORY      UINT32_MAX
#define SERVICES_MAX    44

/* Calls that fail without reaching the firmware. */
struct injection {
    uint32_t service;  /* index in the boot services table, ALL_SERVICES or NO_SERVICE */
    uint32_t first;    /* 1-based number of the first call that fails */
    uint32_t count;    /* how many fail, FOR_EVER for the rest */
    EFI_STATUS status; /* what they return */
};

/* One line of hostile.txt. */
struct hostile_case {
    char name[CASE_NAME_BYTES]; /* first word */
    uint32_t dry;               /* 1: ExitBootServices never succeeds, so the loader has to come back */
    uint32_t stale;             /* ExitBootServices calls that meet a stale key, FOR_EVER for all */
    uint32_t sweep;             /* enum sweep */
    uint32_t order;             /* enum map_order */
    uint32_t quarry;            /* enum quarry */
    uint32_t place;             /* enum place */
    uint32_t acpi;              /* enum acpi */
    uint32_t descriptors;       /* least number of descriptors; 0: as many as there are */
    uint32_t stride;            /* bytes from one descriptor to the next; 0: the firmware's */
    uint32_t growth;            /* descriptors the map grows by with each call */
    uint32_t runtime_attribute; /* 1: taken away from the runtime regions */
    uint32_t write_back;        /* 1: taken away from all memory */
    uint32_t graphics;          /* enum graphics */
    uint32_t options;           /* enum load_options */
    uint32_t tables;            /* enum tables */
    uint32_t random;            /* enum random */
    uint32_t hidden;            /* enum hidden */
    uint32_t refused;           /* enum refused */
    uint32_t attributes;        /* enum attributes */
    uint32_t zero_page;         /* 1: pages at address 0 are given out while they are free */
    uint32_t low_memory;        /* 1: pages below 1 MiB are given out first */
    uint32_t levels;            /* 5: the firmware runs with 5-level paging; 0: with what it has */
    uint32_t spare_pages;       /* pages left free in one piece, ALL_MEMORY for as many as there are */
    uint32_t single_pages;      /* pages left free besides, no two of them neighbours */
    struct injection injection;
};

/* What the run of a child left behind. */
struct gate_report {
    uint32_t calls;         /* calls the injection could have failed */
    uint32_t injected;      /* calls that were failed */
    uint32_t exits;         /* calls of ExitBootServices */
    uint32_t live_pools;    /* pool buffers not freed */
    uint32_t live_pages;    /* pages not freed */
    uint32_t wild_frees;    /* frees of what was never allocated */
    uint32_t between_exits; /* forbidden calls between two ExitBootServices */
};

/* The firmware's own services, for our own use. */
extern EFI_BOOT_SERVICES *firmware;
extern EFI_SYSTEM_TABLE *firmware_table;
extern const struct hostile_case *current;

/* serial.c: the first serial port, driven directly: it works before and after ExitBootServices. */
void say(const char *text, ...) __attribute__((format(printf, 1, 2)));
void machine_end(uint8_t value);

/* cases.c: reads one line into `into`. Returns false for an empty line, a comment, or (said) an error. */
bool case_parse(char *line, struct hostile_case *into);
/* The name of a boot service by its index in the table. */
const char *service_name(uint32_t service);

/* services.c: the table the child gets, and what the child did with it. */
/* Allocates the child's tables, once. Returns EFI_SUCCESS or the firmware's error. */
EFI_STATUS services_init(void);
/*
 * Fills them as the case wants them. The configuration tables are read now and not before: allocating runtime
 * memory makes the firmware replace one of them (memory attributes, UEFI 2.10, 4.6.4).
 */
EFI_SYSTEM_TABLE *services_make(void);
/* The configuration tables that the child sees; returns their number. */
UINTN services_tables(EFI_CONFIGURATION_TABLE **tables);
/* Starts counting, with `injection` to be done; and ends it. */
void services_begin(const struct injection *wanted);
struct gate_report services_end(void);

/* memory_map.c: GetMemoryMap as the case wants it, and ExitBootServices. */
EFI_STATUS quarry_make(void);
void quarry_free(void);
uint8_t *quarry_memory(void);
uint64_t map_free_pages(void);
EFI_STATUS EFIAPI hostile_get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *stride,
                                         UINT32 *version);
EFI_STATUS EFIAPI hostile_exit_boot_services(EFI_HANDLE image, UINTN key);
/* Starts counting exits, and frees what made keys stale. */
void map_begin(void);
void map_end(void);
uint32_t map_exits(void);

/*
 * rom.c: ROM from 0xc0000 on, as firmware makes it. rom_open() gives its first byte while it can be written
 * to, rom_close() ends that: what is written afterwards is lost.
 */
uint8_t *rom_open(void);
void rom_close(void);

/* exhaust.c: takes all free memory but what the case leaves; gives it back. */
EFI_STATUS memory_take(void);
void memory_give_back(void);

/* levels.c: turns 5-level paging on, if the case wants it, at the child's first call; goes back to 4 levels
 * where there are 5 meanwhile, and on to 5 again. */
void levels_begin(void);
void levels_change(void);

/* protocols.c: who can be found. */
EFI_STATUS EFIAPI hostile_handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface);
EFI_STATUS EFIAPI hostile_open_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface, EFI_HANDLE agent,
                                        EFI_HANDLE controller, UINT32 attributes);
EFI_STATUS EFIAPI hostile_locate_protocol(EFI_GUID *guid, VOID *registration, VOID **interface);
EFI_STATUS EFIAPI hostile_locate_handle(EFI_LOCATE_SEARCH_TYPE search, EFI_GUID *guid, VOID *key,
                                        UINTN *bytes, EFI_HANDLE *handles);
EFI_STATUS EFIAPI hostile_locate_handle_buffer(EFI_LOCATE_SEARCH_TYPE search, EFI_GUID *guid, VOID *key,
                                               UINTN *count, EFI_HANDLE **handles);
EFI_STATUS protocols_begin(void);
void protocols_end(void);
bool guid_equal(const EFI_GUID *a, const EFI_GUID *b);

/* attributes.c: a firmware whose pages do not execute until it is asked. */
EFI_STATUS attributes_begin(void);
void attributes_at_exit(void);
void attributes_end(void);

/* graphics.c */
/* The output the child sees in place of `real`. */
EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics_distort(EFI_GRAPHICS_OUTPUT_PROTOCOL *real);
/* The output that shows nothing and is listed before the real ones. */
extern EFI_GRAPHICS_OUTPUT_PROTOCOL graphics_fake;
void graphics_begin(void);
/* Sets the display adapter to the mode that was promised. After ExitBootServices. */
void graphics_at_exit(void);

/* options.c: what LoadedImage->LoadOptions points to. */
void options_make(uint32_t kind, EFI_LOADED_IMAGE *image);

/* configuration.c: copies the configuration tables the case leaves; returns their number. */
UINTN configuration_copy(EFI_CONFIGURATION_TABLE *into, UINTN room);

/* acpi.c: moves tables of the child's to where the case wants them, and distorts them as it says. */
void acpi_distort(EFI_CONFIGURATION_TABLE *tables, UINTN count);

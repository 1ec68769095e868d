/*
 * The loader's own: one `struct loader` is its whole state, passed along the steps that main.c lists in
 * order.
 *
 * A step returns true, or false with `loader->error` and `loader->status` set, as step_fail() does; main.c
 * then reports the line, gives every page back to the firmware and returns the status. After
 * exit_boot_services() only those functions may be called that say so.
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>
#include <ashlar/boot_info.h>
#include <efi.h>

#include "efi_compat.h"
#include "hand_off.h"
#include "loader/portable/kernel_elf.h"
#include "loader/portable/loader_error.h"
#include "loader/portable/memory_map.h"
#include "loader/portable/page_tables.h"

#define LOADER_ALLOCATIONS_MAX 64 /* a small machine takes 11, and 30 if page tables come one by one */
#define COMMAND_LINE_BYTES     8192
#define BOOT_STACK_BYTES       KIB(64)

/* The firmware's memory map as GetMemoryMap gave it. */
struct firmware_map {
    void *buffer;          /* descriptors */
    uint64_t capacity;     /* bytes of buffer */
    UINTN bytes;           /* bytes in use */
    UINTN key;             /* for ExitBootServices: the firmware's number for this state of the map */
    UINTN descriptor_size; /* from one descriptor to the next */
    UINT32 descriptor_version;
};

/* The trampoline's page as the firmware protects it; see code_page.c. */
struct code_page {
    struct memory_attribute_protocol *protocol; /* NULL: the firmware has none */
    EFI_PHYSICAL_ADDRESS base;                  /* of the page */
    UINT64 attributes;                          /* XP and RO as they were before */
    bool changed;                               /* the attributes may be others now */
};

struct loader {
    EFI_HANDLE image_handle;        /* ours */
    EFI_SYSTEM_TABLE *system;       /* the firmware's root */
    EFI_BOOT_SERVICES *boot;        /* system->BootServices */
    EFI_LOADED_IMAGE *loaded_image; /* where we lie, from which volume, with which options */
    EFI_STATUS status;              /* what main returns when a step fails */
    struct loader_error error;      /* and the line it prints */

    struct memory_claim claims[LOADER_ALLOCATIONS_MAX]; /* pages allocated, as the kernel shall see them */
    size_t claim_count;                                 /* entries used in `claims` */

    struct boot_info *info;      /* being filled; in memory of type MEMORY_BOOT_INFO */
    phys_addr_t info_base;       /* first byte of that memory */
    char *command_line;          /* NUL-terminated, in the same memory */
    struct firmware_map map;     /* buffer in the same memory */
    struct memory_range *ranges; /* normalised map, in the same memory */
    size_t range_capacity;       /* entries `ranges` has room for */
    size_t range_count;          /* entries used */
    void *workspace;             /* for memory_map_normalise() */
    uint64_t workspace_bytes;    /* length of workspace */

    struct kernel_elf kernel; /* the embedded file, checked */
    void *stack_memory;       /* boot stack */
    uint64_t seed_state[4];   /* generator for the loader's own random choices */

    struct page_table_builder tables;  /* page tables the kernel starts with */
    struct page_table_builder runtime; /* page tables for UEFI runtime calls */
    phys_addr_t frames_next;           /* next free frame of the newest page-table chunk */
    uint64_t frames_left;              /* frames free there */
    uint64_t chunk_frames;             /* size of that chunk; 0 before the first */
    bool five_levels_now;              /* the CPU runs with 5 levels already */
    bool five_levels;                  /* the CPU shall run with 5 levels when the kernel starts */
    void *trampoline; /* page below 4 GiB to switch to 5 levels in, never page 0; NULL when not needed */
    struct code_page code_page; /* how that page is protected */
    struct hand_off hand_off;   /* what kernel_enter() needs */
};

/* memory.c: pages from the firmware, each claimed with the type the kernel shall see. */

/*
 * Allocates zeroed pages for `bytes` bytes, below `limit` (exclusive; 0: physmap_limit()), and above 1 MiB if
 * there are any. Stores the address of the first in *base. On failure the error names `what`. The pages are
 * claimed as `type` in the map the kernel gets.
 */
bool loader_allocate(struct loader *loader, uint64_t bytes, enum memory_type type, uint64_t limit,
                     const char *what, phys_addr_t *base);

/*
 * Claims `bytes` bytes at `base` as `type` in the map the kernel gets, whatever the firmware's map says of
 * them. False when there are LOADER_ALLOCATIONS_MAX claims already. May be called after boot services.
 */
bool loader_claim(struct loader *loader, phys_addr_t base, uint64_t bytes, enum memory_type type);

/*
 * Allocates one page below 4 GiB for code, claimed as page-tables. It is writable until code_page_protect()
 * makes it executable.
 */
bool loader_allocate_code(struct loader *loader, const char *what, void **page);

/* Gives the tail of the newest allocation back, from `first` (page-aligned) on. */
void loader_trim(struct loader *loader, phys_addr_t first);

/*
 * Makes the trampoline's page read-only and executable in the firmware's own page tables, where these can be
 * changed; the second undoes it. Fails when the firmware refuses.
 */
bool code_page_protect(struct loader *loader);
void code_page_restore(struct loader *loader);

/* Gives all pages back to the firmware, with the attributes they had. */
void loader_free_all(struct loader *loader);

/* Reads the firmware's map into map->buffer; false with loader->status EFI_BUFFER_TOO_SMALL when it does not
 * fit. */
bool firmware_map_read(struct loader *loader);

/* Allocates boot_info with room for all it refers to, and the workspace of normalisation. */
bool boot_info_allocate(struct loader *loader);

/* Normalises the map just read into loader->ranges. May be called after boot services. */
bool memory_normalise(struct loader *loader);

/* Reads the map and normalises it, for the steps that follow: what is RAM does not change any more, whoever
 * has it. */
bool memory_survey(struct loader *loader);

/*
 * volume.c: opens the file at `path` on the volume that the loader was started from, and tells its length (0
 * when the firmware does not). EFI_NOT_FOUND when there is none, or no volume; EFI_INVALID_PARAMETER for a
 * directory.
 */
EFI_STATUS volume_open(const struct loader *loader, const CHAR16 *path, EFI_FILE_HANDLE *file, UINT64 *bytes);

/* The steps, each in the file of its name. */
bool processor_check(struct loader *loader);
bool settings_collect(struct loader *loader);
void firmware_describe(struct loader *loader);
void video_describe(struct loader *loader);
void seed_collect(struct loader *loader);
bool kernel_image_load(struct loader *loader);
/* An initrd that cannot be had is a warning: the kernel starts without. */
void initrd_read(struct loader *loader);
bool acpi_tables_copy(struct loader *loader);
/* Without memory for it, or with a framebuffer in RAM, there is a warning and no screen. */
void screen_prepare(struct loader *loader);
/* After boot services: the file that the kernel was loaded from is free memory. */
void kernel_image_release(struct loader *loader);
/* After boot services: frames of theirs that hold SMBIOS's entry point and table stay as they are. */
void smbios_keep(struct loader *loader);
bool address_space_build(struct loader *loader);
bool hand_off_prepare(struct loader *loader);
bool exit_boot_services(struct loader *loader);

/* After boot services: normalises the final map and completes boot_info. */
bool boot_info_complete(struct loader *loader);

/*
 * The first physical address that the physmap of this CPU cannot show. The loader allocates only below it.
 */
uint64_t physmap_limit(void);

/* A random number below `bound` from the loader's generator; bound > 0. */
uint64_t seed_random(struct loader *loader, uint64_t bound);

/* A table of the firmware's configuration table list, or NULL. */
void *firmware_table(const struct loader *loader, const EFI_GUID *guid);

/* step.c: what every step uses. */

/* Adds a point to the timeline. May be called after boot services. */
void stage_mark(struct loader *loader, const char *name);

/* Sets status and error, returns false. format: as in printf. */
bool step_fail(struct loader *loader, EFI_STATUS status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What an EFI status is called in the specification ("out of resources"), for error lines. */
const char *efi_status_name(EFI_STATUS status);

/*
 * boot_info: all that the loader hands to the kernel.
 *
 * The loader calls the kernel's entry point with the virtual address of one `struct boot_info` in RDI (System
 * V calling convention), interrupts off, on a stack with an unmapped page below it, with the page tables
 * described here in force. Everything the structure refers to by physical address lies in memory of type
 * MEMORY_BOOT_INFO unless the field says otherwise, and can be read through the physmap.
 *
 * The layout is the contract (docs/boot.md): a kernel checks `magic`, `version` and `size` before anything
 * else. The version goes up whenever a field changes its meaning or place; fields added at the end only make
 * `size` larger.
 */
#pragma once

#include <ashlar/types.h>

#define BOOT_INFO_MAGIC   0x52414c4853410a00ULL /* "\0\nASHLAR" read as a little-endian number */
#define BOOT_INFO_VERSION 5

/*
 * What a byte of physical memory is, from least to most reserved: where descriptors overlap the larger value
 * wins. The order is part of the contract.
 */
enum memory_type {
    MEMORY_USABLE,           /* ordinary RAM, free from the first instruction */
    MEMORY_BOOT_RECLAIMABLE, /* RAM the firmware's boot services and the loader used; free once the kernel has
                                dropped the identity map and uses a GDT and IDT of its own */
    MEMORY_BOOT_INFO,        /* this structure and all it refers to */
    MEMORY_INITRD,           /* the initrd: RAM that is free once it has been unpacked */
    MEMORY_PAGE_TABLES,      /* the page tables the loader built */
    MEMORY_KERNEL,           /* kernel image and boot stack */
    MEMORY_PERSISTENT,       /* byte-addressable persistent memory */
    MEMORY_ACPI_RECLAIMABLE, /* ACPI tables: RAM that is free once they have been read */
    MEMORY_ACPI_NVS,         /* kept for the firmware across sleep states */
    MEMORY_RUNTIME,          /* code and data of the UEFI runtime services */
    MEMORY_MMIO,             /* device registers named by the firmware's map */
    MEMORY_RESERVED,         /* not ours, including kinds this version does not know */
    MEMORY_UNUSABLE,         /* RAM in which errors were found */
    MEMORY_TYPE_COUNT
};

/* One range of the normalised map. base and bytes are multiples of FRAME_BYTES; bytes is never 0. */
struct memory_range {
    phys_addr_t base; /* first byte */
    uint64_t bytes;   /* length */
    uint32_t type;    /* enum memory_type */
    uint32_t unused;  /* 0 */
};

/* An array of fixed-size records in physical memory. */
struct boot_table {
    phys_addr_t base;    /* first record */
    uint64_t bytes;      /* length of all records */
    uint32_t count;      /* records */
    uint32_t entry_size; /* bytes from one record to the next */
};

enum boot_segment_flags {
    BOOT_SEGMENT_WRITE = 1 << 0,
    BOOT_SEGMENT_EXECUTE = 1 << 1,
};

/*
 * One loaded segment of the kernel. Always readable; never both writable and executable. Each lies in one
 * stretch of physical memory, in any order and at any distance. Nothing is mapped between segments.
 */
struct boot_segment {
    virt_addr_t virtual_base;  /* where it runs, FRAME_BYTES aligned */
    phys_addr_t physical_base; /* where it lies */
    uint64_t bytes;            /* rounded up to FRAME_BYTES */
    uint32_t flags;            /* enum boot_segment_flags */
    uint32_t unused;           /* 0 */
};

#define BOOT_SEGMENTS_MAX 10

struct boot_kernel {
    virt_addr_t virtual_base; /* run-time address of the lowest segment */
    uint64_t bytes;           /* from there to the end of the highest segment, gaps included */
    uint64_t slide;           /* run-time minus link-time address */
    virt_addr_t stack_bottom; /* lowest usable byte of the boot stack; the page below is unmapped */
    uint64_t stack_bytes;     /* length of the boot stack */
    uint32_t segment_count;   /* entries used in `segments`: those that are in memory */
    uint32_t unused;          /* 0 */
    struct boot_segment segments[BOOT_SEGMENTS_MAX]; /* ascending, no two in one page */
};

/* Where a colour channel lies in a pixel. */
struct boot_channel {
    uint8_t shift; /* lowest bit */
    uint8_t bits;  /* width; 0 where the channel does not exist */
};

struct boot_framebuffer {
    phys_addr_t physical_base; /* first pixel; device memory */
    virt_addr_t virtual_base;  /* mapped write-combining by the loader; never read from it */
    uint64_t bytes;            /* length of the mapping; 0 when there is no framebuffer */
    uint32_t width;            /* pixels in a row */
    uint32_t height;           /* rows */
    uint32_t pitch;            /* bytes from one row to the next; may be more than width needs */
    uint32_t bytes_per_pixel;  /* 2, 3 or 4 */
    struct boot_channel red;   /* where the red lies */
    struct boot_channel green; /* the green */
    struct boot_channel blue;  /* the blue */
    uint8_t unused[2];         /* 0 */
};

/*
 * What the kernel needs to show text in the framebuffer: a font that suits it, and ordinary memory for what
 * stands on it, both kept for as long as the kernel writes there. All 0 when there is no framebuffer, or no
 * font that fits into it.
 */
struct boot_screen {
    phys_addr_t cells;   /* zeroed memory for its cells (<ashlar/screen_grid.h>), FRAME_BYTES aligned */
    uint64_t cell_bytes; /* length */
    phys_addr_t font;    /* first byte of a PC screen font file */
    uint64_t font_bytes; /* length */
};

enum boot_seed_source {
    BOOT_SEED_EFI_RNG,    /* EFI_RNG_PROTOCOL */
    BOOT_SEED_RDSEED,     /* the CPU's entropy source */
    BOOT_SEED_RDRAND,     /* the CPU's random generator */
    BOOT_SEED_TIMESTAMPS, /* mixed time stamps: not unpredictable, and the kernel says so */
};

#define BOOT_SEED_BYTES 32

struct boot_seed {
    uint8_t bytes[BOOT_SEED_BYTES]; /* as hard to predict as `source` is */
    uint32_t source;                /* enum boot_seed_source */
    uint32_t unused;                /* 0 */
};

struct boot_paging {
    phys_addr_t root;           /* PML4 or PML5 in force on entry */
    virt_addr_t physmap;        /* virtual address of physical address 0 */
    uint64_t physmap_bytes;     /* from physical 0 to the end of the highest mapped range */
    phys_addr_t runtime_root;   /* page tables for UEFI runtime calls (kernel half shared), or 0 */
    uint32_t levels;            /* 4 or 5 */
    uint32_t largest_page_size; /* bytes of the largest page the physmap uses: 2 MiB or 1 GiB */
};

/*
 * What the kernel has to read and the firmware keeps outside RAM, where the physmap does not show it, or in
 * RAM that the kernel takes over.
 */
struct boot_copy {
    phys_addr_t original; /* first byte, as the firmware's tables name it */
    uint64_t bytes;       /* length */
    phys_addr_t copy;     /* first byte of the copy */
};

#define BOOT_STAGE_NAME_BYTES 24
#define BOOT_STAGES_MAX       24

/* A point in the loader's work that was reached. The first is "loader.entry". */
struct boot_stage {
    char name[BOOT_STAGE_NAME_BYTES]; /* NUL-terminated */
    uint64_t ticks;                   /* time-stamp counter */
};

#define BOOT_VENDOR_BYTES 64

struct boot_firmware {
    phys_addr_t system_table;       /* EFI_SYSTEM_TABLE, in runtime memory */
    phys_addr_t acpi_rsdp;          /* ACPI root pointer, any memory type; 0 when there is none */
    phys_addr_t smbios;             /* SMBIOS entry point (3.x preferred); 0 when there is none */
    uint32_t smbios_major;          /* 3 for an SMBIOS 3 entry point, 2 for the older, 0 for none */
    uint32_t uefi_revision;         /* of the system table: major << 16 | minor */
    uint32_t firmware_revision;     /* vendor's own */
    uint32_t secure_boot;           /* 1 when Secure Boot is enforced */
    char vendor[BOOT_VENDOR_BYTES]; /* ASCII; other characters become '?' */
};

struct boot_info {
    uint64_t magic;                 /* BOOT_INFO_MAGIC */
    uint32_t version;               /* BOOT_INFO_VERSION */
    uint32_t size;                  /* sizeof(struct boot_info) as the loader knows it */
    struct boot_table memory_map;   /* struct memory_range, normalised: sorted, merged, disjoint */
    struct boot_table firmware_map; /* raw EFI_MEMORY_DESCRIPTORs as the firmware gave them at exit */
    struct boot_table runtime_map;  /* EFI_MEMORY_DESCRIPTORs with the RUNTIME attribute or a runtime type */
    struct boot_table command_line; /* NUL-terminated bytes; `bytes` counts the NUL */
    struct boot_kernel kernel;      /* the image as it was loaded */
    struct boot_framebuffer framebuffer;       /* the screen, or none */
    struct boot_screen screen;                 /* what is needed to show text there */
    struct boot_paging paging;                 /* the page tables in force */
    struct boot_firmware firmware;             /* who started the loader, and its tables */
    struct boot_seed seed;                     /* for the kernel's random choices */
    phys_addr_t loader_base;                   /* BOOTX64.EFI in memory (reclaimable), for the debugger */
    uint64_t loader_bytes;                     /* its length */
    uint32_t exit_attempts;                    /* calls of ExitBootServices until it succeeded */
    uint32_t stage_count;                      /* entries used in `stages` */
    struct boot_stage stages[BOOT_STAGES_MAX]; /* the loader's timeline, oldest first */
    struct boot_table firmware_copies;         /* struct boot_copy: of ACPI tables */
    phys_addr_t initrd_base; /* \EFI\BOOT\initrd.cpio as it was read, in memory of type MEMORY_INITRD */
    uint64_t initrd_bytes;   /* its length; 0 when there is none */
};

_Static_assert(sizeof(struct memory_range) == 24, "part of the contract");
_Static_assert(sizeof(struct boot_table) == 24, "part of the contract");
_Static_assert(offsetof(struct boot_info, memory_map) == 16, "part of the contract");

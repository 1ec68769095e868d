/*
 * ACPI: the tables in which the firmware describes the machine (ACPI specification 6.5, chapter 5).
 *
 * The parser is pure: it reads the tables through a function that the caller gives, trusts nothing in them,
 * and puts what the kernel needs into one `struct acpi_info`. A malformed table is refused as a whole and
 * named in a report; the other tables are still used.
 */
#pragma once

#include <ashlar/types.h>

#define ACPI_TABLES_MAX        64 /* tables remembered by name */
#define ACPI_TABLE_BYTES_MAX   MIB(8)
#define ACPI_APIC_IDS          32768 /* a processor with a larger APIC number is left out and reported */
#define ACPI_IO_APICS_MAX      16
#define ACPI_OVERRIDES_MAX     16 /* legacy interrupts that are wired differently: there are 16 */
#define ACPI_PCI_SEGMENTS_MAX  16
#define ACPI_MEMORY_RANGES_MAX 128

/* Where the parser reads and where it complains. */
struct acpi_source {
    /*
     * Makes `bytes` bytes of physical memory readable and returns where, or NULL when that cannot be. They
     * stay readable as long as what the parser found is used.
     */
    const void *(*map)(void *context, phys_addr_t address, uint64_t bytes);
    /* Takes one complaint: a line without "acpi: " and newline, valid during the call only. */
    void (*report)(void *context, const char *text);
    void *context; /* passed to both */
};

/* One table that was found and is sound. */
struct acpi_table {
    char signature[5];   /* four characters and NUL */
    uint8_t revision;    /* of the table */
    uint32_t bytes;      /* with its header */
    phys_addr_t address; /* first byte */
    char oem[7];         /* maker, without trailing blanks; NUL-terminated */
    char oem_table[9];   /* maker's name for it, likewise */
};

struct acpi_cpu {
    uint32_t apic_id;      /* local APIC or x2APIC identifier, below ACPI_APIC_IDS */
    uint32_t processor_id; /* ACPI's own number */
    bool enabled;          /* can be used now; if not, it may become so while the machine runs */
};

struct acpi_io_apic {
    uint8_t id;              /* its APIC identifier */
    phys_addr_t address;     /* registers */
    uint32_t interrupt_base; /* global number of its first input */
};

/* A legacy (ISA) interrupt that does not arrive at the input of the same number, active high and
 * edge-triggered. */
struct acpi_override {
    uint8_t irq;        /* 0 .. 15 */
    uint32_t interrupt; /* global number */
    bool active_low;
    bool level_triggered;
};

/* The entries of a sound table that is made of them; they lie in the table itself. */
struct acpi_entries {
    const uint8_t *first; /* NULL: there is no such table */
    uint32_t bytes;       /* of all entries */
};

/* Multiple APIC description table (5.2.12). */
struct acpi_madt {
    bool present;
    bool legacy_pics;       /* there is a pair of 8259s, which must be masked */
    phys_addr_t local_apic; /* registers of every CPU's local APIC */
    struct acpi_entries entries;
    uint32_t cpu_count;      /* processors that acpi_cpus_next() gives */
    uint32_t io_apic_count;  /* entries of `io_apics` */
    uint32_t override_count; /* entries of `overrides` */
    struct acpi_io_apic io_apics[ACPI_IO_APICS_MAX];
    struct acpi_override overrides[ACPI_OVERRIDES_MAX];
};

enum acpi_space {
    ACPI_SPACE_MEMORY = 0,
    ACPI_SPACE_PORT = 1,
    ACPI_SPACE_PCI = 2,
};

/* A register somewhere: generic address structure (5.2.3.2). bits 0: there is no such register. */
struct acpi_register {
    uint8_t space;    /* enum acpi_space, or a kind that we do not use */
    uint8_t bits;     /* width */
    uint64_t address; /* in that space */
};

/* Fixed ACPI description table (5.2.9). */
struct acpi_fadt {
    bool present;
    bool hardware_reduced;    /* no fixed hardware: no power-management block, no PM timer */
    bool legacy_devices;      /* there may be ISA-like devices: the table says so, or is too old to say */
    bool keyboard_controller; /* there may be an 8042: likewise */
    bool no_cmos_clock;       /* must not touch the CMOS clock */
    bool pm_timer_32_bits;    /* the PM timer has 32 bits, else 24 */
    bool reset_supported;     /* `reset` with `reset_value` reboots */
    uint8_t reset_value;
    uint8_t acpi_enable;    /* value that, written to smi_command, turns ACPI mode on; 0: it is always on */
    uint16_t sci_interrupt; /* system control interrupt */
    uint32_t smi_command;   /* port; 0: none */
    uint8_t century;        /* index of the century in the CMOS clock; 0: none */
    phys_addr_t dsdt;       /* 0 when the table names none */
    struct acpi_register pm1a_control;
    struct acpi_register pm1b_control;
    struct acpi_register pm_timer;
    struct acpi_register reset;
    struct acpi_register sleep_control; /* hardware-reduced machines sleep through this */
};

/* High-precision event timer (IA-PC HPET specification 1.0a, 3.2.4). */
struct acpi_hpet {
    bool present;
    phys_addr_t address;   /* registers */
    uint8_t number;        /* of this timer block */
    uint16_t minimum_tick; /* shortest period that loses no interrupts, in ticks of the timer */
};

/* PCI configuration space in memory for one group of buses (PCI firmware specification 3.3, 4.1.2). */
struct acpi_pci_segment {
    phys_addr_t base; /* of bus 0, even where first_bus is not 0 */
    uint16_t segment;
    uint8_t first_bus;
    uint8_t last_bus;
};

struct acpi_mcfg {
    bool present;
    uint32_t count; /* entries of `segments` */
    struct acpi_pci_segment segments[ACPI_PCI_SEGMENTS_MAX];
};

/* Memory and the node it belongs to. */
struct acpi_memory {
    phys_addr_t base;
    uint64_t bytes;
    uint32_t node; /* proximity domain */
    bool hot_pluggable;
    bool non_volatile;
};

/* System resource affinity table (5.2.16). */
struct acpi_srat {
    bool present;
    uint8_t revision; /* of the table */
    struct acpi_entries entries;
    uint32_t count; /* entries of `ranges` */
    struct acpi_memory ranges[ACPI_MEMORY_RANGES_MAX];
};

/* What to write to switch the machine off: the \_S5 package (7.4.2.6). */
struct acpi_soft_off {
    bool known;
    uint8_t type_a; /* SLP_TYP for PM1a, 0 .. 7 */
    uint8_t type_b; /* for PM1b */
};

struct acpi_info {
    bool present;         /* a sound root pointer and root table were found */
    uint8_t revision;     /* of the root pointer: 0 for ACPI 1.0, 2 or more after it */
    char oem[7];          /* maker, from the root pointer */
    phys_addr_t root;     /* the XSDT or RSDT that was used */
    bool extended;        /* it is an XSDT */
    uint32_t refused;     /* complaints made */
    uint32_t table_count; /* entries of `tables` */
    struct acpi_table tables[ACPI_TABLES_MAX];
    struct acpi_madt madt;
    struct acpi_fadt fadt;
    struct acpi_hpet hpet;
    struct acpi_mcfg mcfg;
    struct acpi_srat srat;
    struct acpi_soft_off soft_off;
};

/*
 * Reads all tables reachable from the root pointer at `rsdp` (0: none) into *info. Every table's place,
 * length and checksum are checked before anything in it is used; every complaint goes to source->report.
 * Returns info->present. No locks: it works on *info alone.
 */
bool acpi_parse(struct acpi_info *info, const struct acpi_source *source, phys_addr_t rsdp);

/*
 * Where a legacy interrupt (0 .. 15) arrives, by the MADT's overrides: global number, polarity and trigger.
 * Without an override: the same number, active high, edge-triggered.
 */
struct acpi_override acpi_legacy_interrupt(const struct acpi_madt *madt, uint8_t irq);

/*
 * Walks the processors of a MADT, in its order, those with local APIC entries first: all that are there or
 * can be switched on, each once. The walk remembers which APIC numbers it has met, so it takes 4 KiB of
 * stack.
 */
struct acpi_cpus {
    const struct acpi_madt *madt;
    uint32_t at;                      /* offset of the next entry to look at */
    bool extended;                    /* it is after x2APIC entries now, after local APIC entries before */
    bool only_large;                  /* a local APIC entry has given one */
    uint64_t met[ACPI_APIC_IDS / 64]; /* bit n: the processor with APIC number n has been given */
};

/* Begins a walk. The second gives the next processor, or returns false when there is no other. */
void acpi_cpus_start(struct acpi_cpus *cpus, const struct acpi_madt *madt);
bool acpi_cpus_next(struct acpi_cpus *cpus, struct acpi_cpu *cpu);

/* The node (proximity domain) of the processor with this APIC number; 0 when the SRAT does not name it. */
uint32_t acpi_node_of_cpu(const struct acpi_srat *srat, uint32_t apic_id);

/*
 * Finds the \_S5 package in AML (bytes after a table's header) without interpreting it: it must be written
 * out as a name definition with a package of small constants. Returns false when there is none, or when there
 * are two that disagree.
 */
bool acpi_find_soft_off(const uint8_t *aml, uint64_t bytes, struct acpi_soft_off *soft_off);

/*
 * Reads the tables that boot_info leads to, for acpi_info(). Once, by the boot CPU, before memory_start():
 * it allocates and maps nothing. The tables, or the loader's copies of them, stay where they are.
 */
struct boot_info;
void acpi_initialise(const struct boot_info *info);

/* What acpi_initialise() has read, not before. It does not change afterwards: no locks, any context. */
const struct acpi_info *acpi_info(void);

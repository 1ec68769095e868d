/* The tables made of entries: MADT (processors and interrupt controllers) and SRAT (NUMA nodes). */
#include "private.h"

#define MADT_ENTRIES_AT 44
#define SRAT_ENTRIES_AT 48

/* Entry types of the MADT (5.2.12, table 5.21). Entries of other types are skipped. */
enum madt_type {
    MADT_LOCAL_APIC = 0,
    MADT_IO_APIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LOCAL_APIC_ADDRESS = 5,
    MADT_LOCAL_X2APIC = 9,
};

#define MADT_LEGACY_PICS   (1u << 0) /* flag of the table */
#define MADT_CPU_ENABLED   (1u << 0) /* flags of a processor */
#define MADT_CPU_CAPABLE   (1u << 1)
#define MADT_ACTIVE_LOW    3 /* values of the polarity and trigger fields; else as the bus has it */
#define MADT_LEVEL_TRIGGER 3

/* Entry types of the SRAT (5.2.16). */
enum srat_type {
    SRAT_LOCAL_APIC = 0,
    SRAT_MEMORY = 1,
    SRAT_LOCAL_X2APIC = 2,
};

#define SRAT_ENABLED       (1u << 0)
#define SRAT_HOT_PLUGGABLE (1u << 1)
#define SRAT_NON_VOLATILE  (1u << 2)

/* No entry that is read is shorter. A shorter rest at a table's end that is no entry does no harm. */
#define SMALLEST_ENTRY_READ 8

const uint8_t *acpi_next_entry(const struct acpi_view *view, uint64_t end, uint64_t *at)
{
    if (*at == end) {
        return NULL;
    }
    const uint8_t *entry = view->bytes + *at;
    *at += entry[1];
    return entry;
}

bool acpi_entries_are_sound(const struct acpi_view *view, uint64_t at, uint8_t (*minimum)(uint8_t type),
                            uint64_t *end)
{
    if (view->length < at) {
        acpi_complain(view, "length %" PRIu64 ", expected %" PRIu64 " or more", view->length, at);
        return false;
    }
    for (; at < view->length; at += view->bytes[at + 1]) {
        const uint8_t *entry = view->bytes + at;
        uint64_t left = view->length - at;
        uint8_t needed = left >= 2 ? minimum(entry[0]) : 2;
        if (left >= needed && entry[1] >= needed && entry[1] <= left) {
            continue;
        }
        if (left < SMALLEST_ENTRY_READ) {
            acpi_complain(view, "%" PRIu64 " stray bytes at its end, ignored", left);
            break;
        }
        acpi_complain(view, "entry at %" PRIu64 ": type %u, length %u, expected %u to %" PRIu64, at, entry[0],
                      entry[1], needed, left);
        return false;
    }
    *end = at;
    return true;
}

static uint8_t madt_entry_minimum(uint8_t type)
{
    switch (type) {
    case MADT_LOCAL_APIC:
        return 8;
    case MADT_IO_APIC:
    case MADT_LOCAL_APIC_ADDRESS:
        return 12;
    case MADT_OVERRIDE:
        return 10;
    case MADT_LOCAL_X2APIC:
        return 16;
    default:
        return 2;
    }
}

/* What is left out of the processors while a MADT is read, to be complained of once. */
struct left_out {
    uint32_t reserved; /* numbers that address all processors, and none */
    uint32_t twice;    /* numbers that other entries have, or must have */
    uint32_t no_room;  /* entries for which there was no room */
};

static bool cpu_is_known(const struct acpi_madt *madt, uint32_t apic_id)
{
    for (uint32_t i = 0; i < madt->cpu_count; i++) {
        if (madt->cpus[i].apic_id == apic_id) {
            return true;
        }
    }
    return false;
}

/* Adds a processor that is there or can be switched on. */
static void add_cpu(struct acpi_madt *madt, const struct acpi_cpu *cpu, struct left_out *left_out)
{
    if (cpu_is_known(madt, cpu->apic_id)) {
        left_out->twice++;
    } else if (madt->cpu_count == ACPI_CPUS_MAX) {
        left_out->no_room++;
    } else {
        madt->cpus[madt->cpu_count++] = *cpu;
    }
}

#define APIC_ALL   0xffU /* the numbers that address all processors: SDM volume 3, 11.6.2.1 */
#define X2APIC_ALL 0xffffffffU

/* What a processor's entry, of either kind, says; false when that one cannot be used. */
static bool read_cpu(const uint8_t *entry, struct acpi_cpu *cpu)
{
    bool extended = entry[0] == MADT_LOCAL_X2APIC;
    uint32_t flags = acpi_read32(entry + (extended ? 8 : 4));
    *cpu = (struct acpi_cpu){.apic_id = extended ? acpi_read32(entry + 4) : entry[3],
                             .processor_id = extended ? acpi_read32(entry + 12) : entry[2],
                             .enabled = flags & MADT_CPU_ENABLED};
    return flags & (MADT_CPU_ENABLED | MADT_CPU_CAPABLE);
}

/*
 * Takes the processors of one kind of entry. Where there are local APIC entries, all numbers below 255 must
 * be in these (5.2.12.12): an x2APIC entry with such a number repeats one of them, or is left over from a
 * machine with more processors.
 */
static void add_cpus(const struct acpi_view *view, uint64_t end, uint8_t type, struct left_out *left_out)
{
    struct acpi_madt *madt = &view->info->madt;
    bool only_large = type == MADT_LOCAL_X2APIC && madt->cpu_count != 0;
    uint32_t all = type == MADT_LOCAL_X2APIC ? X2APIC_ALL : APIC_ALL;
    uint64_t at = MADT_ENTRIES_AT;
    for (const uint8_t *entry; (entry = acpi_next_entry(view, end, &at)) != NULL;) {
        struct acpi_cpu cpu;
        if (entry[0] != type || !read_cpu(entry, &cpu)) {
            continue;
        }
        if (cpu.apic_id == all) {
            left_out->reserved++;
        } else if (only_large && cpu.apic_id < APIC_ALL) {
            left_out->twice++;
        } else {
            add_cpu(madt, &cpu, left_out);
        }
    }
}

static bool add_io_apic(const struct acpi_view *view, const uint8_t *entry)
{
    struct acpi_madt *madt = &view->info->madt;
    struct acpi_io_apic io_apic = {.id = entry[2],
                                   .address = phys_addr(acpi_read32(entry + 4)),
                                   .interrupt_base = acpi_read32(entry + 8)};
    if (io_apic.address.raw == 0 || !is_aligned(io_apic.address.raw, 16)) {
        acpi_complain(view, "IO-APIC %u at %#" PRIx64 ", ignored", io_apic.id, io_apic.address.raw);
        return true;
    }
    if (madt->io_apic_count == ACPI_IO_APICS_MAX) {
        return false;
    }
    madt->io_apics[madt->io_apic_count++] = io_apic;
    return true;
}

static bool add_override(const struct acpi_view *view, const uint8_t *entry)
{
    struct acpi_madt *madt = &view->info->madt;
    uint16_t flags = acpi_read16(entry + 8);
    if (entry[2] != 0 || entry[3] >= 16) { /* the only bus is ISA, and it has 16 interrupts */
        acpi_complain(view, "override of bus %u, interrupt %u, ignored", entry[2], entry[3]);
        return true;
    }
    if (madt->override_count == ACPI_OVERRIDES_MAX) {
        return false;
    }
    madt->overrides[madt->override_count++] =
        (struct acpi_override){.irq = entry[3],
                               .interrupt = acpi_read32(entry + 4),
                               .active_low = (flags & 3) == MADT_ACTIVE_LOW,
                               .level_triggered = (flags >> 2 & 3) == MADT_LEVEL_TRIGGER};
    return true;
}

/* Takes one entry that is not a processor's; returns false when there is no room for what it says. */
static bool add_madt_entry(const struct acpi_view *view, const uint8_t *entry)
{
    struct acpi_madt *madt = &view->info->madt;
    switch (entry[0]) {
    case MADT_IO_APIC:
        return add_io_apic(view, entry);
    case MADT_OVERRIDE:
        return add_override(view, entry);
    case MADT_LOCAL_APIC_ADDRESS:
        madt->local_apic = phys_addr(acpi_read64(entry + 4));
        return true;
    default:
        return true;
    }
}

static void complain_of(const struct acpi_view *view, const struct left_out *left_out)
{
    if (left_out->reserved != 0) {
        acpi_complain(view, "%u processors with the number that addresses all, ignored", left_out->reserved);
    }
    if (left_out->twice != 0) {
        acpi_complain(view, "%u processors that other entries describe, ignored", left_out->twice);
    }
    if (left_out->no_room != 0) {
        acpi_complain(view, "%u entries left out, more than %u processors, %u IO-APICs or %u overrides",
                      left_out->no_room, ACPI_CPUS_MAX, ACPI_IO_APICS_MAX, ACPI_OVERRIDES_MAX);
    }
}

void acpi_parse_madt(const struct acpi_view *view)
{
    uint64_t end;
    if (!acpi_entries_are_sound(view, MADT_ENTRIES_AT, madt_entry_minimum, &end)) {
        return;
    }
    struct acpi_madt *madt = &view->info->madt;
    struct left_out left_out = {0};
    madt->present = true;
    madt->local_apic = phys_addr(acpi_read32(view->bytes + 36));
    madt->legacy_pics = acpi_read32(view->bytes + 40) & MADT_LEGACY_PICS;
    add_cpus(view, end, MADT_LOCAL_APIC, &left_out);
    add_cpus(view, end, MADT_LOCAL_X2APIC, &left_out);
    uint64_t at = MADT_ENTRIES_AT;
    for (const uint8_t *entry; (entry = acpi_next_entry(view, end, &at)) != NULL;) {
        left_out.no_room += !add_madt_entry(view, entry);
    }
    complain_of(view, &left_out);
}

struct acpi_override acpi_legacy_interrupt(const struct acpi_madt *madt, uint8_t irq)
{
    for (uint32_t i = 0; i < madt->override_count; i++) {
        if (madt->overrides[i].irq == irq) {
            return madt->overrides[i];
        }
    }
    return (struct acpi_override){.irq = irq, .interrupt = irq};
}

static uint8_t srat_entry_minimum(uint8_t type)
{
    switch (type) {
    case SRAT_LOCAL_APIC:
        return 16;
    case SRAT_MEMORY:
        return 40;
    case SRAT_LOCAL_X2APIC:
        return 24;
    default:
        return 2;
    }
}

/* Remembers the node of a processor; the node is kept apart from the MADT, which may come later. */
static bool add_cpu_node(struct acpi_srat *srat, uint32_t apic_id, uint32_t node, uint32_t flags)
{
    if (!(flags & SRAT_ENABLED)) {
        return true;
    }
    if (srat->cpu_count == ACPI_CPUS_MAX) {
        return false;
    }
    srat->cpus[srat->cpu_count++] = (struct acpi_cpu_node){.apic_id = apic_id, .node = node};
    return true;
}

static bool add_memory(const struct acpi_view *view, const uint8_t *entry, uint32_t node)
{
    struct acpi_srat *srat = &view->info->srat;
    uint32_t flags = acpi_read32(entry + 28);
    struct acpi_memory range = {.base = phys_addr(acpi_read64(entry + 8)),
                                .bytes = acpi_read64(entry + 16),
                                .node = node,
                                .hot_pluggable = flags & SRAT_HOT_PLUGGABLE,
                                .non_volatile = flags & SRAT_NON_VOLATILE};
    if (!(flags & SRAT_ENABLED) || range.bytes == 0) {
        return true;
    }
    if (range.base.raw + (range.bytes - 1) < range.base.raw) {
        acpi_complain(view, "memory at %#" PRIx64 ", %#" PRIx64 " bytes: wraps, ignored", range.base.raw,
                      range.bytes);
        return true;
    }
    if (srat->count == ACPI_MEMORY_RANGES_MAX) {
        return false;
    }
    srat->ranges[srat->count++] = range;
    return true;
}

/* In the first revision of the table a node is a number of 8 bits and the bytes beside it mean nothing. */
static uint32_t srat_node(const struct acpi_view *view, uint32_t node)
{
    return view->revision < 2 ? node & 0xff : node;
}

static bool add_srat_entry(const struct acpi_view *view, const uint8_t *entry)
{
    struct acpi_srat *srat = &view->info->srat;
    switch (entry[0]) {
    case SRAT_LOCAL_APIC: /* the node's lowest byte lies apart from the others */
        return add_cpu_node(srat, entry[3], srat_node(view, entry[2] | (acpi_read32(entry + 8) & 0xffffff00)),
                            acpi_read32(entry + 4));
    case SRAT_LOCAL_X2APIC:
        return add_cpu_node(srat, acpi_read32(entry + 8), acpi_read32(entry + 4), acpi_read32(entry + 12));
    case SRAT_MEMORY:
        return add_memory(view, entry, srat_node(view, acpi_read32(entry + 2)));
    default:
        return true;
    }
}

void acpi_parse_srat(const struct acpi_view *view)
{
    uint64_t end;
    if (!acpi_entries_are_sound(view, SRAT_ENTRIES_AT, srat_entry_minimum, &end)) {
        return;
    }
    view->info->srat.present = true;
    uint32_t without_room = 0;
    uint64_t at = SRAT_ENTRIES_AT;
    for (const uint8_t *entry; (entry = acpi_next_entry(view, end, &at)) != NULL;) {
        without_room += !add_srat_entry(view, entry);
    }
    if (without_room != 0) {
        acpi_complain(view, "%u entries left out, more than %u processors or %u memory ranges", without_room,
                      ACPI_CPUS_MAX, ACPI_MEMORY_RANGES_MAX);
    }
}

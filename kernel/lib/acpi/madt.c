/* The MADT: processors and interrupt controllers. */
#include "private.h"

#define ENTRIES_AT 44

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

static uint8_t entry_minimum(uint8_t type)
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

/* ---- Processors ---- */

#define APIC_ALL   0xffU /* the numbers that address all processors: SDM volume 3, 10.6.2.1 */
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

/* What is left out of the processors, to be complained of. */
struct left_out {
    uint32_t reserved; /* the number that addresses all processors, and so is nobody's */
    uint32_t twice;    /* numbers that other entries have, or must have */
    uint32_t large;    /* numbers from ACPI_APIC_IDS on */
};

/*
 * Whether the walk gives this processor, found in an entry of the kind that it is after; counts why not.
 * Where there are local APIC entries, all numbers below 255 must be in these (5.2.12.12): an x2APIC entry
 * with such a number repeats one of them, or is left over from a machine with more processors.
 */
static bool is_given(struct acpi_cpus *cpus, uint32_t apic_id, struct left_out *left_out)
{
    if (apic_id == (cpus->extended ? X2APIC_ALL : APIC_ALL)) {
        left_out->reserved++;
    } else if (apic_id >= ACPI_APIC_IDS) {
        left_out->large++;
    } else if ((cpus->extended && cpus->only_large && apic_id < APIC_ALL) ||
               (cpus->met[apic_id / 64] >> apic_id % 64 & 1)) {
        left_out->twice++;
    } else {
        cpus->met[apic_id / 64] |= (uint64_t)1 << apic_id % 64;
        return true;
    }
    return false;
}

/* The next processor in entries of the kind that the walk is after. */
static bool next_of_kind(struct acpi_cpus *cpus, struct acpi_cpu *cpu, struct left_out *left_out)
{
    uint8_t type = cpus->extended ? MADT_LOCAL_X2APIC : MADT_LOCAL_APIC;
    for (const uint8_t *entry; (entry = acpi_next_entry(&cpus->madt->entries, &cpus->at)) != NULL;) {
        if (entry[0] == type && read_cpu(entry, cpu) && is_given(cpus, cpu->apic_id, left_out)) {
            return true;
        }
    }
    return false;
}

static bool next_cpu(struct acpi_cpus *cpus, struct acpi_cpu *cpu, struct left_out *left_out)
{
    if (!cpus->extended) {
        if (next_of_kind(cpus, cpu, left_out)) {
            cpus->only_large = true;
            return true;
        }
        cpus->extended = true;
        cpus->at = 0;
    }
    return next_of_kind(cpus, cpu, left_out);
}

void acpi_cpus_start(struct acpi_cpus *cpus, const struct acpi_madt *madt)
{
    *cpus = (struct acpi_cpus){.madt = madt};
}

bool acpi_cpus_next(struct acpi_cpus *cpus, struct acpi_cpu *cpu)
{
    struct left_out ignored = {0};
    return next_cpu(cpus, cpu, &ignored);
}

static void count_cpus(const struct acpi_view *view)
{
    struct acpi_madt *madt = &view->info->madt;
    struct left_out left_out = {0};
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    acpi_cpus_start(&cpus, madt);
    while (next_cpu(&cpus, &cpu, &left_out)) {
        madt->cpu_count++;
    }
    if (left_out.reserved != 0) {
        acpi_complain(view, "%u processors with the number that addresses all, ignored", left_out.reserved);
    }
    if (left_out.twice != 0) {
        acpi_complain(view, "%u processors that other entries describe, ignored", left_out.twice);
    }
    if (left_out.large != 0) {
        acpi_complain(view, "%u processors with APIC numbers of %u or more, left out", left_out.large,
                      ACPI_APIC_IDS);
    }
}

/* ---- Interrupt controllers ---- */

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
static bool add_entry(const struct acpi_view *view, const uint8_t *entry)
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

void acpi_parse_madt(const struct acpi_view *view)
{
    struct acpi_madt *madt = &view->info->madt;
    if (madt->present || !acpi_entries_are_sound(view, ENTRIES_AT, entry_minimum, &madt->entries)) {
        return; /* a second table is listed, not used */
    }
    madt->present = true;
    madt->local_apic = phys_addr(acpi_read32(view->bytes + 36));
    madt->legacy_pics = acpi_read32(view->bytes + 40) & MADT_LEGACY_PICS;
    count_cpus(view);
    uint32_t at = 0;
    uint32_t no_room = 0;
    for (const uint8_t *entry; (entry = acpi_next_entry(&madt->entries, &at)) != NULL;) {
        no_room += !add_entry(view, entry);
    }
    if (no_room != 0) {
        acpi_complain(view, "%u entries left out, more than %u IO-APICs or %u overrides", no_room,
                      ACPI_IO_APICS_MAX, ACPI_OVERRIDES_MAX);
    }
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

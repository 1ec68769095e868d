/* The tables of fixed form: FADT, HPET and MCFG. */
#include "private.h"

/* FADT flags (5.2.9, table 5.10) and boot architecture flags (table 5.11). */
#define FADT_TIMER_32_BITS    (1u << 8)
#define FADT_RESET_SUPPORTED  (1u << 10)
#define FADT_HARDWARE_REDUCED (1u << 20)
#define BOOT_LEGACY_DEVICES   (1u << 0)
#define BOOT_8042             (1u << 1)
#define BOOT_NO_CMOS_CLOCK    (1u << 5)

#define FADT_BYTES_MIN   116 /* ACPI 1.0 */
#define HPET_BYTES       56
#define MCFG_ENTRIES_AT  44
#define MCFG_ENTRY_BYTES 16

/* Offsets in the FADT. */
enum fadt_field {
    FADT_DSDT = 40,
    FADT_SCI_INTERRUPT = 46,
    FADT_SMI_COMMAND = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_PM_TIMER = 76,
    FADT_PM_TIMER_LENGTH = 91,
    FADT_CENTURY = 108,
    FADT_BOOT_FLAGS = 109,
    FADT_FLAGS = 112,
    FADT_RESET = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM1B_CONTROL = 184,
    FADT_X_PM_TIMER = 208,
    FADT_SLEEP_CONTROL = 244,
};

#define REGISTER_BYTES 12

/* The register at `offset`; {0} when the table is too short to hold one, or its address is 0. */
static struct acpi_register read_register(const struct acpi_view *view, uint64_t offset)
{
    if (view->length < offset + REGISTER_BYTES || acpi_read64(view->bytes + offset + 4) == 0) {
        return (struct acpi_register){0};
    }
    const uint8_t *at = view->bytes + offset;
    uint8_t bits = at[1] != 0 ? at[1] : 8; /* some firmware leaves the width of the reset register out */
    return (struct acpi_register){.space = at[0], .bits = bits, .address = acpi_read64(at + 4)};
}

/* The extended register where there is one, else the port of ACPI 1.0, `bits` wide. */
static struct acpi_register either_register(const struct acpi_view *view, uint64_t extended, uint64_t port_at,
                                            uint8_t bits)
{
    struct acpi_register found = read_register(view, extended);
    uint32_t port = acpi_read32(view->bytes + port_at);
    if (found.bits == 0 && port != 0) {
        found = (struct acpi_register){.space = ACPI_SPACE_PORT, .bits = bits, .address = port};
    }
    return found;
}

/*
 * The register, or {0} with a complaint when it cannot be one: a port above 0xffff, or a width that is not
 * made of whole bytes or is beyond 64 bits.
 */
static struct acpi_register checked_register(const struct acpi_view *view, struct acpi_register found,
                                             const char *name)
{
    bool sound = found.bits == 0 || (found.bits % 8 == 0 && found.bits <= 64 &&
                                     (found.space != ACPI_SPACE_PORT || found.address <= 0xffff));
    if (!sound) {
        acpi_complain(view, "%s register: space %u, %u bits at %#" PRIx64 ", ignored", name, found.space,
                      found.bits, found.address);
        return (struct acpi_register){0};
    }
    return found;
}

static void read_registers(const struct acpi_view *view, struct acpi_fadt *fadt)
{
    struct acpi_register pm1a = either_register(view, FADT_X_PM1A_CONTROL, FADT_PM1A_CONTROL, 16);
    struct acpi_register pm1b = either_register(view, FADT_X_PM1B_CONTROL, FADT_PM1B_CONTROL, 16);
    fadt->pm1a_control = checked_register(view, pm1a, "PM1a control");
    fadt->pm1b_control = checked_register(view, pm1b, "PM1b control");
    if (view->bytes[FADT_PM_TIMER_LENGTH] == 4) {
        struct acpi_register timer = either_register(view, FADT_X_PM_TIMER, FADT_PM_TIMER, 32);
        fadt->pm_timer = checked_register(view, timer, "PM timer");
    }
    fadt->reset = checked_register(view, read_register(view, FADT_RESET), "reset");
    fadt->sleep_control = checked_register(view, read_register(view, FADT_SLEEP_CONTROL), "sleep control");
}

static void read_flags(const struct acpi_view *view, struct acpi_fadt *fadt)
{
    uint32_t flags = acpi_read32(view->bytes + FADT_FLAGS);
    uint16_t boot = acpi_read16(view->bytes + FADT_BOOT_FLAGS);
    bool boot_flags_exist = view->revision >= 2; /* in ACPI 1.0 the two bytes are reserved */
    fadt->hardware_reduced = view->revision >= 5 && (flags & FADT_HARDWARE_REDUCED);
    fadt->pm_timer_32_bits = flags & FADT_TIMER_32_BITS;
    fadt->legacy_devices = !boot_flags_exist || (boot & BOOT_LEGACY_DEVICES);
    fadt->keyboard_controller = !boot_flags_exist || (boot & BOOT_8042);
    fadt->no_cmos_clock = boot_flags_exist && (boot & BOOT_NO_CMOS_CLOCK);
    fadt->reset_supported = (flags & FADT_RESET_SUPPORTED) && fadt->reset.bits != 0;
    fadt->reset_value = fadt->reset_supported ? view->bytes[FADT_RESET_VALUE] : 0;
}

static phys_addr_t read_dsdt(const struct acpi_view *view)
{
    uint64_t extended = view->length >= FADT_X_DSDT + 8 ? acpi_read64(view->bytes + FADT_X_DSDT) : 0;
    return phys_addr(extended != 0 ? extended : acpi_read32(view->bytes + FADT_DSDT));
}

void acpi_parse_fadt(const struct acpi_view *view)
{
    if (view->length < FADT_BYTES_MIN) {
        acpi_complain(view, "length %" PRIu64 ", expected %u or more", view->length, FADT_BYTES_MIN);
        return;
    }
    struct acpi_fadt *fadt = &view->info->fadt;
    fadt->present = true;
    fadt->dsdt = read_dsdt(view);
    fadt->sci_interrupt = acpi_read16(view->bytes + FADT_SCI_INTERRUPT);
    fadt->smi_command = acpi_read32(view->bytes + FADT_SMI_COMMAND);
    fadt->acpi_enable = view->bytes[FADT_ACPI_ENABLE];
    fadt->century = view->bytes[FADT_CENTURY];
    read_registers(view, fadt);
    read_flags(view, fadt);
}

void acpi_parse_hpet(const struct acpi_view *view)
{
    struct acpi_hpet *hpet = &view->info->hpet;
    if (view->length < HPET_BYTES) {
        acpi_complain(view, "length %" PRIu64 ", expected %u", view->length, HPET_BYTES);
        return;
    }
    uint64_t address = acpi_read64(view->bytes + 44);
    if (view->bytes[40] != ACPI_SPACE_MEMORY || address == 0 || !is_aligned(address, 8)) {
        acpi_complain(view, "registers in space %u at %#" PRIx64 ", expected memory", view->bytes[40],
                      address);
        return;
    }
    if (!hpet->present) { /* further timer blocks are listed, not used */
        *hpet = (struct acpi_hpet){.present = true,
                                   .address = phys_addr(address),
                                   .number = view->bytes[52],
                                   .minimum_tick = acpi_read16(view->bytes + 53)};
    }
}

static struct acpi_pci_segment mcfg_entry(const struct acpi_view *view, uint64_t at)
{
    const uint8_t *entry = view->bytes + at;
    return (struct acpi_pci_segment){.base = phys_addr(acpi_read64(entry)),
                                     .segment = acpi_read16(entry + 8),
                                     .first_bus = entry[10],
                                     .last_bus = entry[11]};
}

/* A bus has 1 MiB of configuration space; the window must not wrap. */
static bool mcfg_entry_is_sound(const struct acpi_pci_segment *entry)
{
    return entry->base.raw != 0 && is_aligned(entry->base.raw, MIB(1)) &&
           entry->first_bus <= entry->last_bus && entry->base.raw + MIB(256) > entry->base.raw;
}

void acpi_parse_mcfg(const struct acpi_view *view)
{
    if (view->length < MCFG_ENTRIES_AT || (view->length - MCFG_ENTRIES_AT) % MCFG_ENTRY_BYTES != 0) {
        acpi_complain(view, "length %" PRIu64 ", expected %u and a multiple of %u", view->length,
                      MCFG_ENTRIES_AT, MCFG_ENTRY_BYTES);
        return;
    }
    struct acpi_mcfg *mcfg = &view->info->mcfg;
    mcfg->present = true;
    for (uint64_t at = MCFG_ENTRIES_AT; at < view->length; at += MCFG_ENTRY_BYTES) {
        struct acpi_pci_segment entry = mcfg_entry(view, at);
        if (!mcfg_entry_is_sound(&entry)) {
            acpi_complain(view, "segment %u, buses %u to %u at %#" PRIx64 ", ignored", entry.segment,
                          entry.first_bus, entry.last_bus, entry.base.raw);
        } else if (mcfg->count == ACPI_PCI_SEGMENTS_MAX) {
            acpi_complain(view, "segment %u left out, more than %u", entry.segment, ACPI_PCI_SEGMENTS_MAX);
        } else {
            mcfg->segments[mcfg->count++] = entry;
        }
    }
}

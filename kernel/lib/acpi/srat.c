/* The SRAT: which node a processor or a range of memory belongs to. */
#include "private.h"

#define ENTRIES_AT 48

/* Entry types of the SRAT (5.2.16). */
enum srat_type {
    SRAT_LOCAL_APIC = 0,
    SRAT_MEMORY = 1,
    SRAT_LOCAL_X2APIC = 2,
};

#define SRAT_ENABLED       (1u << 0)
#define SRAT_HOT_PLUGGABLE (1u << 1)
#define SRAT_NON_VOLATILE  (1u << 2)

static uint8_t entry_minimum(uint8_t type)
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
static uint32_t srat_node(uint8_t revision, uint32_t node)
{
    return revision < 2 ? node & 0xff : node;
}

/* Whether an entry is a processor's that is enabled; its APIC number and node. */
static bool read_cpu(const struct acpi_srat *srat, const uint8_t *entry, uint32_t *apic_id, uint32_t *node)
{
    if (entry[0] == SRAT_LOCAL_APIC && (acpi_read32(entry + 4) & SRAT_ENABLED)) {
        *apic_id = entry[3]; /* the node's lowest byte lies apart from the others */
        *node = srat_node(srat->revision, entry[2] | (acpi_read32(entry + 8) & 0xffffff00));
        return true;
    }
    if (entry[0] == SRAT_LOCAL_X2APIC && (acpi_read32(entry + 12) & SRAT_ENABLED)) {
        *apic_id = acpi_read32(entry + 8);
        *node = srat_node(srat->revision, acpi_read32(entry + 4));
        return true;
    }
    return false;
}

uint32_t acpi_node_of_cpu(const struct acpi_srat *srat, uint32_t apic_id)
{
    uint32_t at = 0;
    for (const uint8_t *entry; (entry = acpi_next_entry(&srat->entries, &at)) != NULL;) {
        uint32_t found;
        uint32_t node;
        if (read_cpu(srat, entry, &found, &node) && found == apic_id) {
            return node;
        }
    }
    return 0;
}

void acpi_parse_srat(const struct acpi_view *view)
{
    struct acpi_srat *srat = &view->info->srat;
    if (srat->present || !acpi_entries_are_sound(view, ENTRIES_AT, entry_minimum, &srat->entries)) {
        return; /* a second table is listed, not used */
    }
    srat->present = true;
    srat->revision = view->revision;
    uint32_t without_room = 0;
    uint32_t at = 0;
    for (const uint8_t *entry; (entry = acpi_next_entry(&srat->entries, &at)) != NULL;) {
        without_room += entry[0] == SRAT_MEMORY &&
                        !add_memory(view, entry, srat_node(view->revision, acpi_read32(entry + 2)));
    }
    if (without_room != 0) {
        acpi_complain(view, "%u entries left out, more than %u memory ranges", without_room,
                      ACPI_MEMORY_RANGES_MAX);
    }
}

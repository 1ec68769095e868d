/* Tables made of entries: what the MADT and the SRAT have in common. */
#include "private.h"

/* No entry that is read is shorter. A shorter rest at a table's end that is no entry does no harm. */
#define SMALLEST_ENTRY_READ 8

const uint8_t *acpi_next_entry(const struct acpi_entries *entries, uint32_t *at)
{
    if (*at == entries->bytes) {
        return NULL;
    }
    const uint8_t *entry = entries->first + *at;
    *at += entry[1];
    return entry;
}

bool acpi_entries_are_sound(const struct acpi_view *view, uint64_t at, uint8_t (*minimum)(uint8_t type),
                            struct acpi_entries *entries)
{
    uint64_t first = at;
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
    *entries = (struct acpi_entries){view->bytes + first, (uint32_t)(at - first)};
    return true;
}

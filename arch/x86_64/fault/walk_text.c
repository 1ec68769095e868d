/* A page-table walk in words, for reports. */
#include "decode.h"

#include <ashlar/format.h>

static const char *const level_names[] = {"", "PT", "PD", "PDPT", "PML4", "PML5"};

/* What lies there that the CPU does not find. */
static size_t absent_text(const struct page_walk_step *last, char *buffer, size_t bytes)
{
    switch (page_entry_kind(last->entry, last->level)) {
    case ENTRY_INACCESSIBLE:
        return format(buffer, bytes, ": not present, a page that is kept inaccessible");
    case ENTRY_SWAPPED:
        return format(buffer, bytes, ": not present, a page on disk, slot %u", page_entry_slot(last->entry));
    case ENTRY_HELD:
        return format(buffer, bytes, ": not present, held for temporary mappings");
    case ENTRY_ABSENT:
    case ENTRY_TABLE: /* these two are present */
    case ENTRY_LEAF:
        break;
    }
    return format(buffer, bytes, ": not present");
}

static size_t end_text(const struct page_walk *walk, char *buffer, size_t bytes)
{
    switch (walk->end) {
    case WALK_MAPPED:
        return format(buffer, bytes, " -> physical %#" PRIx64 ", %s%s%s", walk->target.raw,
                      walk->access & PAGE_WRITE ? "writable" : "read-only",
                      walk->access & PAGE_EXECUTE ? ", executable" : ", no-execute",
                      walk->access & PAGE_USER ? ", user" : "");
    case WALK_NOT_PRESENT:
        return absent_text(&walk->steps[walk->step_count - 1], buffer, bytes);
    case WALK_RESERVED:
        return format(buffer, bytes, ": reserved bits set");
    case WALK_UNREADABLE:
        return format(buffer, bytes, ": the next table cannot be read");
    case WALK_NON_CANONICAL:
        return format(buffer, bytes, "none: the address is not canonical");
    }
    return 0;
}

const char *page_walk_text(const struct page_walk *walk, char buffer[PAGE_WALK_TEXT_BYTES])
{
    size_t used = 0;
    buffer[0] = '\0';
    for (unsigned i = 0; i < walk->step_count; i++) {
        const struct page_walk_step *step = &walk->steps[i];
        used += format(buffer + used, PAGE_WALK_TEXT_BYTES - used, "%s%s[%u] %#" PRIx64, i ? " > " : "",
                       level_names[step->level], step->index, step->entry.raw);
    }
    end_text(walk, buffer + used, PAGE_WALK_TEXT_BYTES - used);
    return buffer;
}

/* The page-table walk behind a fault, as the CPU does it (SDM volume 3, 4.5), with every entry kept to be
 * shown. */
#include "decode.h"

#include <ashlar/format.h>

static void note_step(struct page_walk *walk, unsigned level, phys_addr_t at, uint64_t raw)
{
    walk->steps[walk->step_count++] = (struct page_walk_step){level, at, raw};
    unsigned allowed = page_entry_access((page_table_entry_t){raw});
    /* Global is the leaf's own; the others must be granted by every level (4.6). */
    walk->access = (walk->access & allowed) | (allowed & PAGE_GLOBAL);
}

/* Notes one entry; returns true when the walk goes on to the table it names. */
static bool walk_step(struct page_walk *walk, unsigned level, unsigned physical_bits, phys_addr_t at,
                      uint64_t raw, virt_addr_t address)
{
    page_table_entry_t entry = {raw};
    note_step(walk, level, at, raw);
    if (!page_entry_present(entry)) {
        walk->end = WALK_NOT_PRESENT;
        return false;
    }
    if (page_entry_reserved(entry, level, physical_bits) != 0) {
        walk->end = WALK_RESERVED;
        return false;
    }
    if (!page_entry_is_leaf(entry, level)) {
        return true;
    }
    walk->end = WALK_MAPPED;
    uint64_t offset = address.raw & (page_level_bytes(level) - 1);
    walk->target = phys_add(page_entry_leaf_address(entry, level), offset);
    return false;
}

struct page_walk page_walk(page_table_reader *read, void *context, phys_addr_t root, unsigned levels,
                           unsigned physical_bits, virt_addr_t address)
{
    struct page_walk walk = {.access = PAGE_WRITE | PAGE_EXECUTE | PAGE_USER};
    if (!virt_is_canonical(address, levels)) {
        walk.end = WALK_NON_CANONICAL;
        return walk;
    }
    phys_addr_t table = root;
    for (unsigned level = levels; level > 0; level--) {
        phys_addr_t at = phys_add(table, page_table_index(address, level) * sizeof(uint64_t));
        uint64_t raw;
        if (!read(context, at, &raw)) {
            walk.end = WALK_UNREADABLE;
            return walk;
        }
        if (!walk_step(&walk, level, physical_bits, at, raw, address)) {
            return walk;
        }
        table = page_entry_table_address((page_table_entry_t){raw});
    }
    return walk; /* not reached: level 1 always ends the walk */
}

static const char *const level_names[] = {"", "PT", "PD", "PDPT", "PML4", "PML5"};

static size_t end_text(const struct page_walk *walk, char *buffer, size_t bytes)
{
    switch (walk->end) {
    case WALK_MAPPED:
        return format(buffer, bytes, " -> physical %#" PRIx64 ", %s%s%s", walk->target.raw,
                      walk->access & PAGE_WRITE ? "writable" : "read-only",
                      walk->access & PAGE_EXECUTE ? ", executable" : ", no-execute",
                      walk->access & PAGE_USER ? ", user" : "");
    case WALK_NOT_PRESENT:
        return format(buffer, bytes, ": not present");
    case WALK_RESERVED:
        return format(buffer, bytes, ": reserved bits set");
    case WALK_UNREADABLE:
        return format(buffer, bytes, ": the next table cannot be read");
    case WALK_NON_CANONICAL:
        return format(buffer, bytes, "none: the address is not canonical");
    }
    return 0;
}

const char *page_walk_text(const struct page_walk *walk, virt_addr_t address,
                           char buffer[PAGE_WALK_TEXT_BYTES])
{
    size_t used = 0;
    buffer[0] = '\0';
    for (unsigned i = 0; i < walk->step_count; i++) {
        const struct page_walk_step *step = &walk->steps[i];
        used += format(buffer + used, PAGE_WALK_TEXT_BYTES - used, "%s%s[%u] %#" PRIx64, i ? " > " : "",
                       level_names[step->level], page_table_index(address, step->level), step->entry);
    }
    end_text(walk, buffer + used, PAGE_WALK_TEXT_BYTES - used);
    return buffer;
}

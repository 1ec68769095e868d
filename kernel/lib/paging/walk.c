/* The walk through page tables; see <ashlar/page_walk.h>. */
#include <ashlar/page_walk.h>

const char *page_entry_kind_name(enum page_entry_kind kind)
{
    switch (kind) {
    case ENTRY_ABSENT:
        return "absent";
    case ENTRY_TABLE:
        return "table";
    case ENTRY_LEAF:
        return "leaf";
    case ENTRY_INACCESSIBLE:
        return "inaccessible";
    case ENTRY_SWAPPED:
        return "swapped";
    case ENTRY_HELD:
        return "held";
    }
    return "unknown";
}

/* Notes one entry; returns true when the walk goes on to the table it names. */
static bool walk_step(struct page_walk *walk, const struct page_walk_step *step, unsigned physical_bits,
                      virt_addr_t address)
{
    page_table_entry_t entry = step->entry;
    unsigned allowed = page_entry_access(entry);
    walk->steps[walk->step_count++] = *step;
    /* Global is the leaf's own; the others must be granted by every level (4.6). */
    walk->access = (walk->access & allowed) | (allowed & PAGE_GLOBAL);
    if (page_entry_present(entry) && page_entry_reserved(entry, step->level, physical_bits) != 0) {
        walk->end = WALK_RESERVED;
        return false;
    }
    switch (page_entry_kind(entry, step->level)) {
    case ENTRY_TABLE:
        return true;
    case ENTRY_LEAF:
        walk->end = WALK_MAPPED;
        walk->target = phys_add(page_entry_leaf_address(entry, step->level),
                                address.raw & (page_level_bytes(step->level) - 1));
        return false;
    case ENTRY_ABSENT:
    case ENTRY_INACCESSIBLE:
    case ENTRY_SWAPPED:
    case ENTRY_HELD:
        break;
    }
    walk->end = WALK_NOT_PRESENT;
    return false;
}

struct page_walk page_walk(page_table_reader *read, void *context, phys_addr_t root, unsigned levels,
                           unsigned physical_bits, virt_addr_t address)
{
    struct page_walk walk = {.access = PAGE_WRITE | PAGE_EXECUTE | PAGE_USER};
    struct page_walk_step step = {.table = root};
    if (!virt_is_canonical(address, levels)) {
        walk.end = WALK_NON_CANONICAL;
        return walk;
    }
    for (step.level = levels; step.level >= PAGE_LEVEL_4K; step.level--) {
        step.index = page_table_index(address, step.level);
        if (!read(context, address, &step)) {
            walk.end = WALK_UNREADABLE;
            return walk;
        }
        if (!walk_step(&walk, &step, physical_bits, address)) {
            return walk;
        }
        step.table = page_entry_table_address(step.entry);
    }
    return walk; /* not reached: level 1 always ends the walk */
}

/* Building and walking page tables; see page_tables.h. */
#include <ashlar/page_build.h>

#include "page_tables.h"

static page_table_entry_t *entry_of(const struct page_table_builder *builder,
                                    const struct page_walk_step *step)
{
    return (page_table_entry_t *)(uintptr_t)(page_walk_entry_at(step).raw + builder->access_offset);
}

static bool read_entry(void *builder, virt_addr_t address, struct page_walk_step *step)
{
    (void)address;
    step->entry = *entry_of(builder, step);
    return true;
}

static bool make_table(void *context, virt_addr_t address, struct page_walk_step *step)
{
    struct page_table_builder *builder = context;
    phys_addr_t table;
    (void)address;
    if (!builder->take_frame(builder->context, &table)) {
        return false;
    }
    builder->table_frames++;
    step->entry = page_entry_table(table, false);
    *entry_of(builder, step) = step->entry;
    return true;
}

enum page_tables_result page_tables_init(struct page_table_builder *builder)
{
    builder->table_frames = 1;
    return builder->take_frame(builder->context, &builder->root) ? PAGE_TABLES_OK : PAGE_TABLES_NO_MEMORY;
}

static enum page_tables_result map_leaf(struct page_table_builder *builder, virt_addr_t virtual,
                                        unsigned level, page_table_entry_t leaf)
{
    const struct page_walk_step step =
        page_build_way(read_entry, make_table, builder, builder->root, builder->levels, virtual, level);
    bool hole = page_entry_is_hole(step.entry);
    if (step.level != level && hole) {
        return PAGE_TABLES_NO_MEMORY;
    }
    if (step.level != level || (!hole && step.entry.raw != leaf.raw)) {
        return PAGE_TABLES_CONFLICT;
    }
    *entry_of(builder, &step) = leaf;
    return PAGE_TABLES_OK;
}

static bool range_is_valid(const struct page_table_builder *builder, virt_addr_t virtual,
                           phys_addr_t physical, uint64_t bytes)
{
    uint64_t span = bytes - 1;
    return bytes != 0 && is_aligned(virtual.raw | physical.raw | bytes, FRAME_BYTES) &&
           virtual.raw + span >= virtual.raw &&
           ((physical.raw + span) & ~PAGE_ENTRY_ADDRESS) <= FRAME_BYTES - 1 &&
           physical.raw + span >= physical.raw && virt_is_canonical(virtual, builder->levels) &&
           virt_is_canonical(virt_add(virtual, span), builder->levels) &&
           (virtual.raw >> 63) == ((virtual.raw + span) >> 63);
}

enum page_tables_result page_tables_map(struct page_table_builder *builder, virt_addr_t virtual,
                                        phys_addr_t physical, uint64_t bytes, unsigned access,
                                        enum page_cache cache)
{
    if (!range_is_valid(builder, virtual, physical, bytes) || (access & PAGE_USER)) {
        return PAGE_TABLES_BAD_RANGE;
    }
    while (bytes != 0) {
        unsigned level = page_leaf_level(virtual, physical, bytes, builder->largest_level);
        page_table_entry_t leaf = page_entry_leaf(physical, level, access, cache);
        enum page_tables_result result = map_leaf(builder, virtual, level, leaf);
        if (result != PAGE_TABLES_OK) {
            return result;
        }
        virtual = virt_add(virtual, page_level_bytes(level));
        physical = phys_add(physical, page_level_bytes(level));
        bytes -= page_level_bytes(level);
    }
    return PAGE_TABLES_OK;
}

struct page_walk page_tables_walk(phys_addr_t root, unsigned levels, uint64_t access_offset,
                                  virt_addr_t address)
{
    struct page_table_builder seen = {.access_offset = access_offset};
    return page_walk(read_entry, &seen, root, levels, PAGE_PHYSICAL_BITS_MAX, address);
}

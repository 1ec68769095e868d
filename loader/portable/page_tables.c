/* Building and walking page tables; see page_tables.h. */
#include "page_tables.h"

static page_table_entry_t *table_at(uint64_t access_offset, phys_addr_t table)
{
    return (page_table_entry_t *)(uintptr_t)(table.raw + access_offset);
}

enum page_tables_result page_tables_init(struct page_table_builder *builder)
{
    builder->table_frames = 1;
    return builder->take_frame(builder->context, &builder->root) ? PAGE_TABLES_OK : PAGE_TABLES_NO_MEMORY;
}

/* The table below `entry`, made when there is none. */
static enum page_tables_result descend(struct page_table_builder *builder, page_table_entry_t *entry,
                                       unsigned level, phys_addr_t *below)
{
    switch (page_entry_kind(*entry, level)) {
    case ENTRY_ABSENT:
        break;
    case ENTRY_TABLE:
        *below = page_entry_table_address(*entry);
        return PAGE_TABLES_OK;
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE: /* the loader makes none of these */
    case ENTRY_SWAPPED:
    case ENTRY_HELD:
        return PAGE_TABLES_CONFLICT;
    }
    if (!builder->take_frame(builder->context, below)) {
        return PAGE_TABLES_NO_MEMORY;
    }
    builder->table_frames++;
    *entry = page_entry_table(*below, false);
    return PAGE_TABLES_OK;
}

/* The largest level at which a leaf fits here. */
static unsigned leaf_level(const struct page_table_builder *builder, virt_addr_t virtual,
                           phys_addr_t physical, uint64_t bytes)
{
    unsigned level = builder->largest_level;
    while (level > PAGE_LEVEL_4K && !page_leaf_fits(virtual, physical, bytes, level)) {
        level--;
    }
    return level;
}

static enum page_tables_result map_leaf(struct page_table_builder *builder, virt_addr_t virtual,
                                        unsigned level, page_table_entry_t leaf)
{
    phys_addr_t table = builder->root;
    for (unsigned above = builder->levels; above > level; above--) {
        page_table_entry_t *entry =
            table_at(builder->access_offset, table) + page_table_index(virtual, above);
        enum page_tables_result result = descend(builder, entry, above, &table);
        if (result != PAGE_TABLES_OK) {
            return result;
        }
    }
    page_table_entry_t *entry = table_at(builder->access_offset, table) + page_table_index(virtual, level);
    if (!page_entry_is_hole(*entry) && entry->raw != leaf.raw) {
        return PAGE_TABLES_CONFLICT;
    }
    *entry = leaf;
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
        unsigned level = leaf_level(builder, virtual, physical, bytes);
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

static bool read_entry(void *access_offset, virt_addr_t address, struct page_walk_step *step)
{
    const uint64_t *offset = access_offset;
    (void)address;
    step->entry = table_at(*offset, step->table)[step->index];
    return true;
}

struct page_walk page_tables_walk(phys_addr_t root, unsigned levels, uint64_t access_offset,
                                  virt_addr_t address)
{
    return page_walk(read_entry, &access_offset, root, levels, PAGE_PHYSICAL_BITS_MAX, address);
}

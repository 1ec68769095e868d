/* The way down to one entry, with or without the tables that are missing on it (<ashlar/page_build.h>). */
#include <ashlar/page_build.h>

#include "internal.h"

struct way {
    struct page_table *table;
    struct table_reserve *reserve; /* NULL when nothing is made */
};

static bool read_entry(void *context, virt_addr_t address, struct page_walk_step *step)
{
    const struct way *way = context;
    step->entry = table_entry(way->table, step->table, address.raw, step->level);
    return true;
}

/* The table's lock is held: way_make() asks for it. */
static bool make_table(void *context, virt_addr_t address, struct page_walk_step *step) NO_LOCK_ANALYSIS
{
    const struct way *way = context;
    step->entry = page_entry_table(reserve_take(way->table, way->reserve), !is_upper(address.raw));
    table_link(way->table, step->table, address.raw, step->level, step->entry);
    if (step->level != way->table->levels) {
        table_use(way->table, step->table, 1);
    }
    return true;
}

struct page_walk_step way_find(const struct page_table *table, uint64_t address, unsigned level)
{
    struct way way = {.table = (struct page_table *)table};
    return page_build_way(read_entry, NULL, &way, table->root, table->levels, virt_addr(address), level);
}

phys_addr_t way_make(struct page_table *table, struct table_reserve *reserve, uint64_t address,
                     unsigned level)
{
    struct way way = {table, reserve};
    return page_build_way(read_entry, make_table, &way, table->root, table->levels, virt_addr(address), level)
        .table;
}

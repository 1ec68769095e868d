/*
 * The two ways to tables that are not simply an addition: temporary mappings and the recursive entry. The
 * five ways side by side, with what each costs, are in docs/paging.md.
 */
#include "internal.h"

static page_table_entry_t *reached(page_table_reach *reach, void *context, virt_addr_t address)
{
    return reach ? reach(context, address) : virt_pointer(address);
}

/* ---- Temporary ---- */

/*
 * Preemption is off, so the slots of the CPU are ours. A free one is absent and nothing of it is cached:
 * page_table_hold() never mapped it, and closing flushed it.
 */
static page_table_entry_t *temporary_open(const struct page_table_access *access, phys_addr_t table,
                                          virt_addr_t address, unsigned level)
{
    (void)address;
    (void)level;
    const struct page_table_temporary *way = access->context;
    unsigned slot = (cpu_number() - way->first_cpu) * PAGE_TABLE_SLOTS;
    if (page_entry_present(entry_read(&way->slots[slot]))) {
        slot++;
    }
    ASSERT(!page_entry_present(entry_read(&way->slots[slot])));
    entry_write(&way->slots[slot], page_entry_leaf(table, PAGE_LEVEL_4K, PAGE_WRITE, CACHE_WRITE_BACK));
    return reached(way->reach, way->context, virt_add(way->base, slot * FRAME_BYTES));
}

static void temporary_close(const struct page_table_access *access, page_table_entry_t *entries)
{
    const struct page_table_temporary *way = access->context;
    unsigned first = (cpu_number() - way->first_cpu) * PAGE_TABLE_SLOTS;
    for (unsigned slot = first; slot < first + PAGE_TABLE_SLOTS; slot++) {
        virt_addr_t address = virt_add(way->base, slot * FRAME_BYTES);
        if (page_entry_present(entry_read(&way->slots[slot])) &&
            reached(way->reach, way->context, address) == entries) {
            entry_write(&way->slots[slot], page_entry_held());
            tlb_drop_pages(address, FRAME_BYTES, 1); /* no other CPU uses the slot */
            return;
        }
    }
    panic("page tables: closed a table that is in no slot of this CPU");
}

void page_table_temporary_init(struct page_table_temporary *way, unsigned first_cpu, virt_addr_t base,
                               page_table_entry_t *slots, page_table_reach *reach, void *context)
{
    *way = (struct page_table_temporary){
        .access = {.path = PAGE_TABLE_TEMPORARY,
                   .open = temporary_open,
                   .close = temporary_close,
                   .context = way},
        .first_cpu = first_cpu,
        .base = base,
        .slots = slots,
        .reach = reach,
        .context = context,
    };
}

/* ---- Recursive ---- */

/*
 * The CPU takes nine bits of an address per level. When the first `level` times nine choose the entry that
 * names the root, so many steps of the walk are spent in the root, and the rest of the address leads as far
 * as it would lead anyway, less `level` steps: to the table instead of the page.
 */
virt_addr_t page_table_recursive_address(unsigned levels, unsigned slot, virt_addr_t address, unsigned level)
{
    uint64_t room = page_level_bytes(levels + 1);
    uint64_t raw =
        align_down((address.raw & (room - 1)) >> (page_level_shift(level + 1) - FRAME_SHIFT), FRAME_BYTES);
    for (unsigned i = 0; i < level; i++) {
        raw |= (uint64_t)slot << page_level_shift(levels - i);
    }
    return virt_addr(raw | (slot >= PAGE_TABLE_ENTRIES / 2 ? ~(room - 1) : 0));
}

/* The table that appears there may have changed since anybody looked: what is cached goes first. */
static page_table_entry_t *recursive_open(const struct page_table_access *access, phys_addr_t table,
                                          virt_addr_t address, unsigned level)
{
    (void)table;
    const struct page_table_recursive *way = access->context;
    if (way->table->recursive_slot == 0) {
        return NULL;
    }
    virt_addr_t page =
        page_table_recursive_address(way->table->levels, way->table->recursive_slot, address, level);
    tlb_drop_pages(page, FRAME_BYTES, 1); /* on this CPU, which looks there with preemption off */
    return reached(way->reach, way->context, page);
}

static void recursive_close(const struct page_table_access *access, page_table_entry_t *entries)
{
    (void)access;
    (void)entries;
}

void page_table_recursive_init(struct page_table_recursive *way, const struct page_table *table,
                               page_table_reach *reach, void *context)
{
    *way = (struct page_table_recursive){
        .access = {.path = PAGE_TABLE_RECURSIVE,
                   .open = recursive_open,
                   .close = recursive_close,
                   .context = way},
        .table = table,
        .reach = reach,
        .context = context,
    };
}

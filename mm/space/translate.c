/* What page tables have for the addresses of a space: pages, whatever the kind of their entry, and holes. */
#include "internal.h"

/* Not inline: of those who ask, only the fault is in a hurry, and it has a shorter way. */
struct page_translation vm_page_at(const struct page_table *table, uint64_t address)
{
    struct page_translation page = page_table_translate(table, virt_addr(address));
    if (page.mapped) {
        return page;
    }
    switch (page_entry_kind(page.leaf, page.level)) {
    case ENTRY_INACCESSIBLE:
        page_translation_uncover(&page, virt_addr(address));
        break;
    case ENTRY_LEAF:
    case ENTRY_ABSENT:
    case ENTRY_TABLE:
    case ENTRY_SWAPPED: /* a page without a frame: not mapped */
    case ENTRY_HELD:
        break;
    }
    return page;
}

void vm_entry_is_foreign(const struct page_translation *page, uint64_t address)
{
    panic("vm: the entry %#" PRIx64 " at %#" PRIx64 " is %s, which no space makes", page->leaf.raw, address,
          page_entry_kind_name(page_entry_kind(page->leaf, page->level)));
}

/* Whether the walk ended at a page rather than in a hole. */
static bool is_page(const struct page_translation *page)
{
    switch (page_entry_kind(page->leaf, page->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
    case ENTRY_SWAPPED:
    case ENTRY_HELD:
        return true;
    case ENTRY_ABSENT:
    case ENTRY_TABLE: /* no walk ends there */
        break;
    }
    return false;
}

bool vm_next_page(const struct page_table *table, uint64_t *address, uint64_t end,
                  struct page_translation *page)
{
    while (*address < end) {
        *page = vm_page_at(table, *address);
        uint64_t bytes = page_level_bytes(page->level);
        if (page->mapped || is_page(page)) {
            *address = align_down(*address, bytes);
            return true;
        }
        uint64_t next = align_down(*address, bytes) + bytes;
        if (next == 0) {
            return false;
        }
        *address = next;
    }
    return false;
}

/* What <ashlar/vm_peek.h> promises: pages and their contents, asked for by somebody else. */
#include <ashlar/vm_peek.h>

#include "mm/space/internal.h"
#include "mm/space/valid.h"

bool vm_space_find_pager(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts,
                         struct vm_pager **pager)
{
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_at(space, address.raw);
    *pager = region ? region->pager : NULL;
    if (region) {
        vm_region_facts(region, facts);
    }
    if (*pager) {
        vm_pager_get(*pager);
    }
    spinlock_release(&space->lock);
    return region != NULL;
}

/* ---- Residency ---- */

/* Whether what the walk found is a page in memory. */
static bool is_resident(const struct page_translation *page)
{
    switch (page_entry_kind(page->leaf, page->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return true;
    case ENTRY_ABSENT:
    case ENTRY_TABLE:
    case ENTRY_SWAPPED:
    case ENTRY_HELD:
        break;
    }
    return false;
}

/* Asks the tables for the part of [base, end) that lies in one region, whose facts are asked for as well.
 * Returns the end of it; `base` itself when none lies there. */
static uint64_t ask_tables(struct vm_space *space, uint64_t base, uint64_t end, uint8_t *present,
                           struct vm_region_facts *facts, struct vm_pager **pager)
{
    *pager = NULL;
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_at(space, base);
    end = region ? min_u64(end, vm_region_end(region)) : base;
    if (region) {
        vm_region_facts(region, facts);
        *pager = region->pager;
    }
    if (*pager) {
        vm_pager_get(*pager);
    }
    for (uint64_t at = base; at < end; at += FRAME_BYTES) {
        const struct page_translation page = vm_page_at(space->table, at);
        *present++ = is_resident(&page);
    }
    spinlock_release(&space->lock);
    return end;
}

/* Asks the pager for what the tables have not. */
static void ask_pager(struct vm_space *space, struct vm_pager *pager, uint64_t offset, uint64_t pages,
                      uint8_t *present)
{
    for (uint64_t i = 0; i < pages; i++) {
        phys_addr_t frame = present[i] ? FRAME_NONE : pager->get(pager, offset + (i << FRAME_SHIFT), false);
        if (frame.raw != 0) {
            present[i] = true;
            frame_put(space->manager->config.frames, frame);
        }
    }
}

unsigned vm_space_residency(struct vm_space *space, virt_addr_t base, unsigned pages, uint8_t *present)
{
    struct vm_region_facts facts;
    struct vm_pager *pager;
    uint64_t at = base.raw;
    uint64_t end = at + ((uint64_t)pages << FRAME_SHIFT);
    DEBUG_ASSERT(vm_space_is_valid(space) && pages <= VM_RESIDENCY_PAGES);
    while (at < end) {
        uint8_t *here = present + ((at - base.raw) >> FRAME_SHIFT);
        uint64_t next = ask_tables(space, at, end, here, &facts, &pager);
        if (next == at) {
            break;
        }
        if (pager) {
            ask_pager(space, pager, facts.offset + (at - facts.base.raw), (next - at) >> FRAME_SHIFT, here);
            vm_pager_put(pager);
        }
        at = next;
    }
    return (unsigned)((at - base.raw) >> FRAME_SHIFT);
}

/* ---- Contents ---- */

/* One piece of a page to be copied: to the kernel, or from there. */
struct piece {
    uint64_t address;
    void *to;         /* or NULL */
    const void *from; /* the other way round */
    uint64_t bytes;
};

/* Whether a program's access of that kind would succeed as the tables are; which says where. */
static bool can_reach(struct vm_space *space, uint64_t address, bool write, phys_addr_t *at)
    REQUIRES(space->lock)
{
    const struct vm_region *region = vm_region_at(space, address);
    const struct page_translation page = page_table_translate(space->table, virt_addr(address));
    *at = page.target;
    return region && region != space->moving && vm_region_has_frames(region) && page.mapped &&
           (!write || page.access & PAGE_WRITE);
}

/* Notes in the page's entry what the CPU would: that it was written to. Nobody asks that of large pages. */
static void note_written(struct vm_space *space, uint64_t address) REQUIRES(space->lock)
{
    page_table_entry_t *slot = page_table_slot(space->table, virt_addr(address));
    if (slot) {
        __atomic_fetch_or(&slot->raw, PAGE_ENTRY_SET_BY_CPU, __ATOMIC_RELAXED);
    }
}

/* Copies if the page is there. */
static bool try_copy(struct vm_space *space, const struct piece *piece)
{
    phys_addr_t at;
    spinlock_acquire(&space->lock);
    bool reached = can_reach(space, piece->address, piece->from != NULL, &at);
    if (reached && piece->from) {
        memcpy(frame_pointer(space->manager->config.frames, at), piece->from, piece->bytes);
        note_written(space, piece->address);
    } else if (reached) {
        memcpy(piece->to, frame_pointer(space->manager->config.frames, at), piece->bytes);
    }
    spinlock_release(&space->lock);
    return reached;
}

/* What another CPU takes away again at once is asked for once more; after some tries it is as if it were not
 * there. */
#define TRIES 64

static uint64_t copy(struct vm_space *space, struct piece *piece)
{
    enum vm_access access = piece->from ? VM_WRITE : VM_READ;
    DEBUG_ASSERT(vm_space_is_valid(space));
    piece->bytes = min_u64(piece->bytes, FRAME_BYTES - piece->address % FRAME_BYTES);
    for (unsigned i = 0; i < TRIES; i++) {
        if (try_copy(space, piece)) {
            return piece->bytes;
        }
        if (!vm_fault_resolved(vm_space_fault(space, virt_addr(piece->address), access))) {
            break;
        }
    }
    return 0;
}

uint64_t vm_space_read(struct vm_space *space, virt_addr_t address, void *to, uint64_t bytes)
{
    return copy(space, &(struct piece){.address = address.raw, .to = to, .bytes = bytes});
}

uint64_t vm_space_write(struct vm_space *space, virt_addr_t address, const void *from, uint64_t bytes)
{
    return copy(space, &(struct piece){.address = address.raw, .from = from, .bytes = bytes});
}

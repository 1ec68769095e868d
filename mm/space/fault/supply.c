/*
 * What a page fault can only get without the space's lock: a pager may sleep, and clearing 2 MiB takes a
 * while. The fault notes what it wants, lets the lock go, gets it, and looks at everything again: the region
 * may have changed meanwhile.
 */
#include "mm/space/internal.h"

static void obtain_large(struct vm_space *space, struct vm_supply *supply)
{
    struct frame_request request = {.frames = MIB(2) / FRAME_BYTES, .owner = space->owner, .zeroed = true};
    if (frame_alloc_request(space->manager->config.frames, &request, &supply->block) != FRAME_OK) {
        supply->block = FRAME_NONE;
    }
}

/* The page that must be there, then its neighbours as far as they are at hand. */
static bool obtain_pages(struct vm_supply *supply)
{
    struct vm_pager *pager = supply->pager;
    uint64_t wanted = supply->offset + ((uint64_t)supply->wanted << FRAME_SHIFT);
    phys_addr_t page = pager->get(pager, wanted, true);
    for (unsigned i = 0; i < supply->count; i++) {
        supply->pages[i] = FRAME_NONE;
        if (i != supply->wanted && page.raw != 0) {
            supply->pages[i] = pager->get(pager, supply->offset + ((uint64_t)i << FRAME_SHIFT), false);
        }
    }
    supply->pages[supply->wanted] = page;
    return page.raw != 0;
}

bool vm_supply_obtain(struct vm_space *space, struct vm_supply *supply)
{
    if (supply->stale) {
        vm_supply_drop(space, supply);
        return true;
    }
    switch (supply->kind) {
    case VM_SUPPLY_LARGE:
        obtain_large(space, supply);
        return true; /* without a large block, a small one will do */
    case VM_SUPPLY_PAGES:
        return obtain_pages(supply);
    case VM_SUPPLY_NOTHING:
        break;
    }
    return true;
}

void vm_supply_drop(struct vm_space *space, struct vm_supply *supply)
{
    struct frame_pool *frames = space->manager->config.frames;
    if (supply->kind == VM_SUPPLY_LARGE && supply->block.raw != 0) {
        frame_free(frames, supply->block, FRAME_ORDER_2M);
    }
    if (supply->kind == VM_SUPPLY_PAGES) {
        for (unsigned i = 0; i < supply->count; i++) {
            if (supply->pages[i].raw != 0) {
                frame_put(frames, supply->pages[i]);
            }
        }
        vm_pager_put(supply->pager);
    }
    supply->kind = VM_SUPPLY_NOTHING;
    supply->stale = false;
}

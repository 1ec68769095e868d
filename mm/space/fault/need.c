/*
 * What a page fault can only get without the space's lock: a pager may sleep, and clearing 2 MiB takes a
 * while. The fault notes what it wants, lets the lock go, gets it, and looks at everything again: the region
 * may have changed meanwhile.
 */
#include "mm/space/internal.h"

/* The block is nobody's page yet: so it is not the owner's of pages. */
static void obtain_large(struct vm_space *space, struct vm_need *need)
{
    struct frame_request request = {.frames = MIB(2) / FRAME_BYTES, .owner = OWNER_POOL, .zeroed = true};
    if (frame_alloc_request(space->manager->config.frames, &request, &need->block) != FRAME_OK) {
        need->block = FRAME_NONE;
    }
}

/* The page that must be there, then its neighbours as far as they are at hand. */
static bool obtain_pages(struct vm_need *need)
{
    struct vm_pager *pager = need->pager;
    uint64_t wanted = need->offset + ((uint64_t)need->wanted << FRAME_SHIFT);
    phys_addr_t page = pager->get(pager, wanted, true);
    for (unsigned i = 0; i < need->count; i++) {
        need->pages[i] = FRAME_NONE;
        if (i != need->wanted && page.raw != 0) {
            need->pages[i] = pager->get(pager, need->offset + ((uint64_t)i << FRAME_SHIFT), false);
        }
    }
    need->pages[need->wanted] = page;
    return page.raw != 0;
}

bool vm_need_obtain(struct vm_space *space, struct vm_need *need)
{
    if (need->stale) {
        vm_need_drop(space, need);
        return true;
    }
    switch (need->kind) {
    case VM_NEED_LARGE:
        obtain_large(space, need);
        return true; /* without a large block, a small one will do */
    case VM_NEED_PAGES:
        return obtain_pages(need);
    case VM_NEED_NOTHING:
        break;
    }
    return true;
}

void vm_need_drop(struct vm_space *space, struct vm_need *need)
{
    struct frame_pool *frames = space->manager->config.frames;
    if (need->kind == VM_NEED_LARGE && need->block.raw != 0) {
        frame_free(frames, need->block, FRAME_ORDER_2M);
    }
    if (need->kind == VM_NEED_PAGES) {
        for (unsigned i = 0; i < need->count; i++) {
            if (need->pages[i].raw != 0) {
                frame_put(frames, need->pages[i]);
            }
        }
        vm_pager_put(need->pager);
    }
    need->kind = VM_NEED_NOTHING;
    need->stale = false;
}

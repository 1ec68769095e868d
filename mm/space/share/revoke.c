/*
 * Pages that their pager takes back: a file that was cut, or got a hole.
 *
 * All regions of a pager are relatives in its family's ring, so the ring says in which spaces the pages may
 * be. Who revokes walks around it with a place of his own, and empties what he finds, with that space's mutex
 * held: so no fork or copy is half-way through it. A relative that joins meanwhile, as the child of a fork
 * does, joins at the ring's end, and is found as well; it is the end only when nobody is left to be asked.
 *
 * A fault may have got a page from the pager before the pager parted from it, and show it after the walk has
 * passed. So each revocation is counted, before the walk begins; the fault notes the count before it asks the
 * pager, and asks again if it has changed when it comes to show what it got. Between its look and the entry
 * it writes it holds the space's lock, for which the walk waits.
 */
#include "family.h"

#define REVOKE_RELATIVES 16 /* that are noted in one hold of the family's lock */

/* Part of a space that may show some of the pages. */
struct suspect {
    uint32_t number; /* of the space */
    uint64_t base;   /* of the relative */
    uint64_t end;
};

struct revocation {
    struct vm_pager *pager;
    struct vm_family *family; /* the pager's */
    uint64_t first;           /* offset of the first byte that goes */
    uint64_t last;            /* of the last one */
    bool copies;              /* these go too */
    struct vm_relative place; /* in the ring: those before it have been asked */
    unsigned count;           /* of suspects */
    struct suspect suspects[REVOKE_RELATIVES];
};

/* Notes the next relatives that there are; returns whether there were any. */
static bool note_some(struct revocation *revocation)
{
    struct vm_family *family = revocation->family;
    bool any = false;
    revocation->count = 0;
    spinlock_acquire(&family->lock);
    struct vm_relative *relative = revocation->place.next;
    vm_relative_unlink(&revocation->place);
    for (unsigned i = 0; i < REVOKE_RELATIVES && relative != &family->ring; i++, relative = relative->next) {
        const struct vm_region *region = relative->region;
        any = true;
        if (region) {
            revocation->suspects[revocation->count++] =
                (struct suspect){relative->space->number, region->base, vm_region_end(region)};
        }
    }
    vm_relative_link(relative, &revocation->place);
    spinlock_release(&family->lock);
    return any;
}

/* Empties the part of a region that shows what goes. */
static void empty_region(const struct revocation *revocation, struct vm_space *space, struct vm_hold *hold,
                         const struct vm_region *region) REQUIRES(space->change, space->lock)
{
    uint64_t offset = region->offset;
    uint64_t first = max_u64(revocation->first, offset);
    uint64_t last = min_u64(revocation->last, offset + (region->bytes - 1));
    if (region->pager == revocation->pager && first <= last) {
        vm_pages_empty(space, hold, region, region->base + (first - offset),
                       region->base + (last - offset) + 1, revocation->copies);
    }
}

static void empty_space(const struct revocation *revocation, struct vm_space *space, uint64_t base,
                        uint64_t end)
{
    struct vm_hold hold;
    struct tlb_batch batch;
    tlb_batch_start(&batch, space->table);
    mutex_acquire(&space->change);
    vm_hold_begin(&hold, space, &batch);
    for (const struct vm_region *region = vm_region_above(space, base); region && region->base < end;
         region = region->next) {
        vm_hold_renew(&hold);
        hold.left--;
        empty_region(revocation, space, &hold, region);
    }
    vm_hold_end(&hold, space);
    mutex_release(&space->change);
}

static void empty_suspects(const struct revocation *revocation)
{
    for (unsigned i = 0; i < revocation->count; i++) {
        const struct suspect *suspect = &revocation->suspects[i];
        struct vm_space *space = vm_space_get(revocation->family->manager, suspect->number);
        if (space) { /* else it is being destroyed: nobody runs in it any more */
            empty_space(revocation, space, suspect->base, suspect->end);
            vm_space_put(space);
        }
    }
}

void vm_pager_revoke(struct vm_pager *pager, uint64_t offset, uint64_t bytes, bool copies)
{
    atomic_fetch_add(&pager->revocations, 1);
    struct revocation revocation = {.pager = pager,
                                    .family = atomic_load(&pager->family),
                                    .first = offset,
                                    .last = offset + min_u64(bytes - 1, UINT64_MAX - offset),
                                    .copies = copies};
    if (!revocation.family || bytes == 0) {
        return; /* nobody has mapped it yet */
    }
    vm_family_enter(revocation.family, &revocation.place);
    while (note_some(&revocation)) {
        empty_suspects(&revocation);
    }
    vm_family_leave(revocation.family, &revocation.place);
}

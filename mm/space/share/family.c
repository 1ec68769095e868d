/*
 * Families: who may show the same page.
 *
 *     family                 ring of relatives                      where each has the page at P
 *     number, lock ──▶ space 7   (the first)                         P
 *                  ──▶ space 9   (a fork of 7)                       P
 *                  ──▶ space 12  (a fork of 9)                       P
 *                  ──▶ region of space 7 (a copy, 1 GiB higher)      P + 1 GiB
 *
 * A family begins with a space, when that is forked or copied from for the first time, or with a pager, when
 * that is mapped for the first time. Pages of a family are numbered as its first space has them, or as the
 * pager counts them: so the number of a family and of a page say all there is to know about where a frame is
 * shown, as long as each relative knows its own distance from there. That is what the note of a shared frame
 * says, and it stays when relatives come and go: a fork and an end of a space change no note but those of
 * frames that are shared for the first time, and no list but the ring, once.
 *
 * A child has the regions of its parent at the parent's addresses: it is one relative with all of them. A
 * region by itself is one where it lies at another distance (a copy), or in a space of another family, and
 * where it shows a pager's pages. Parts of a region that is cut keep family and distance, and only regions
 * that agree in both are joined.
 *
 * Locks: a family's guards its ring, and bounds of regions in it (those who change them hold their space's
 * locks as well). It is taken under a space's lock and held for a few instructions, but by who walks the
 * ring: at most VM_HOLD_PAGES relatives at a time, with a place of his own in the ring in between. A space's
 * lock is never taken under it: what the walk finds are addresses at which the page may be, to be looked at
 * without the lock.
 */
#include "family.h"

enum vm_error vm_family_make(struct vm_manager *manager, struct vm_family **made)
{
    struct vm_family *family = slab_cache_alloc(&manager->families);
    if (!family) {
        return VM_NO_MEMORY;
    }
    family->manager = manager;
    spinlock_init(&family->lock, LOCK_FAMILY, 0);
    family->ring = (struct vm_relative){.next = &family->ring, .previous = &family->ring};
    atomic_init(&family->references, 1);
    spinlock_acquire(&manager->lock);
    enum vm_error error = vm_numbers_take(manager, &manager->family_numbers, VM_FAMILIES_MAX,
                                          (union vm_number){.family = family}, &family->number);
    family->serial = ++manager->families_made;
    spinlock_release(&manager->lock);
    if (error != VM_OK) {
        slab_cache_free(&manager->families, family);
        return error;
    }
    *made = family;
    return VM_OK;
}

/* Takes a reference, unless the last one has been returned: then the family is about to lose its number. */
static bool try_get(struct vm_family *family)
{
    uint32_t references = atomic_load_explicit(&family->references, memory_order_relaxed);
    while (references != 0) {
        if (atomic_compare_exchange_weak_explicit(&family->references, &references, references + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

struct vm_family *vm_family_get(struct vm_manager *manager, uint32_t number)
{
    spinlock_acquire(&manager->lock);
    const union vm_number entry = {.word = vm_numbers_word(&manager->family_numbers, number)};
    struct vm_family *family = entry.family && try_get(entry.family) ? entry.family : NULL;
    spinlock_release(&manager->lock);
    return family;
}

void vm_family_put(struct vm_family *family)
{
    struct vm_manager *manager = family->manager;
    uint32_t references = atomic_fetch_sub_explicit(&family->references, 1, memory_order_acq_rel);
    ASSERT(references != 0);
    if (references == 1) {
        spinlock_acquire(&manager->lock);
        vm_numbers_return(&manager->family_numbers, family->number);
        spinlock_release(&manager->lock);
        slab_cache_free(&manager->families, family);
    }
}

/* ---- Relatives ---- */

void vm_relative_link(struct vm_relative *next, struct vm_relative *relative)
{
    relative->next = next;
    relative->previous = next->previous;
    next->previous->next = relative;
    next->previous = relative;
}

void vm_relative_unlink(struct vm_relative *relative)
{
    relative->previous->next = relative->next;
    relative->next->previous = relative->previous;
}

static void join(struct vm_family *family, struct vm_relative *relative) REQUIRES(family->lock)
{
    vm_relative_link(&family->ring, relative);
    atomic_fetch_add_explicit(&family->references, 1, memory_order_relaxed);
}

void vm_family_leave(struct vm_family *family, struct vm_relative *relative)
{
    spinlock_acquire(&family->lock);
    vm_relative_unlink(relative);
    spinlock_release(&family->lock);
    vm_family_put(family);
}

void vm_family_enter(struct vm_family *family, struct vm_relative *place)
{
    atomic_fetch_add_explicit(&family->references, 1, memory_order_relaxed);
    spinlock_acquire(&family->lock);
    vm_relative_link(family->ring.next, place);
    spinlock_release(&family->lock);
}

/* ---- Spaces ---- */

void vm_space_join(struct vm_space *space, struct vm_family *family)
{
    spinlock_acquire(&space->lock);
    space->family = family;
    spinlock_release(&space->lock);
    space->relative.space = space;
    spinlock_acquire(&family->lock);
    join(family, &space->relative);
    spinlock_release(&family->lock);
}

enum vm_error vm_space_begin_family(struct vm_space *space)
{
    struct vm_family *family;
    if (space->family) {
        return VM_OK;
    }
    enum vm_error error = vm_family_make(space->manager, &family);
    if (error == VM_OK) {
        vm_space_join(space, family);
        vm_family_put(family);
    }
    return error;
}

void vm_space_leave_family(struct vm_space *space)
{
    if (space->family) {
        vm_family_leave(space->family, &space->relative);
    }
}

/* ---- Regions ---- */

void vm_region_join(struct vm_space *space, struct vm_region *region)
{
    struct vm_family *family = region->family;
    region->relative.space = space;
    region->relative.region = region;
    spinlock_acquire(&family->lock);
    join(family, &region->relative);
    spinlock_release(&family->lock);
}

void vm_region_leave(struct vm_region *region)
{
    if (region->family) {
        vm_family_leave(region->family, &region->relative);
    }
}

void vm_region_part(struct vm_space *space, struct vm_region *lower, struct vm_region *upper, uint64_t bytes)
{
    struct vm_family *family = lower->family;
    if (!family) {
        lower->bytes = bytes;
        return;
    }
    upper->relative.space = space;
    upper->relative.region = upper;
    spinlock_acquire(&family->lock);
    lower->bytes = bytes;
    join(family, &upper->relative);
    spinlock_release(&family->lock);
}

static void absorb(struct vm_region *lower, struct vm_region *upper)
{
    lower->bytes += upper->bytes;
    upper->bytes = 0;
}

void vm_region_absorb(struct vm_region *lower, struct vm_region *upper)
{
    struct vm_family *family = lower->family;
    if (!family) {
        absorb(lower, upper);
        return;
    }
    spinlock_acquire(&family->lock);
    absorb(lower, upper);
    vm_relative_unlink(&lower->relative); /* who walks the ring may have passed it, but not what it has got */
    vm_relative_link(&family->ring, &lower->relative);
    spinlock_release(&family->lock);
}

/* ---- Pagers ---- */

enum vm_error vm_pager_begin_family(struct vm_manager *manager, struct vm_pager *pager)
{
    struct vm_family *family;
    struct vm_family *none = NULL;
    if (atomic_load_explicit(&pager->family, memory_order_acquire)) {
        return VM_OK;
    }
    enum vm_error error = vm_family_make(manager, &family);
    if (error == VM_OK && !atomic_compare_exchange_strong_explicit(
                              &pager->family, &none, family, memory_order_acq_rel, memory_order_acquire)) {
        vm_family_put(family); /* somebody else was faster */
    }
    return error;
}

/* ---- Who may show a page ---- */

/* A walk around a family's ring. */
struct walk {
    struct vm_family *family;      /* a reference is held */
    uint64_t code;                 /* of the page */
    struct vm_relative place;      /* in the ring: those before it have been asked */
    unsigned count;                /* codes found in this hold */
    uint64_t codes[VM_HOLD_PAGES]; /* vm_code() of pages */
};

/* Where a relative may show the page, as vm_code(); 0 where it does not lie in it. */
static uint64_t code_in(const struct vm_relative *relative, uint64_t code)
{
    const struct vm_space *space = relative->space;
    const struct vm_region *region = relative->region;
    uint64_t address = vm_code_address(code);
    if (!region) {
        return vm_code(space->number, address);
    }
    /* Addresses and offsets may be larger than a code keeps: what it does not, is the region's. */
    uint64_t inside = (address + region->shift - region->base) & VM_CODE_ADDRESSES;
    return inside < region->bytes ? vm_code(space->number, region->base + inside) : 0;
}

/* Asks the next relatives; whether there are more. */
static bool ask_some(struct walk *walk)
{
    struct vm_family *family = walk->family;
    walk->count = 0;
    spinlock_acquire(&family->lock);
    struct vm_relative *relative = walk->place.next;
    vm_relative_unlink(&walk->place);
    for (unsigned i = 0; i < VM_HOLD_PAGES && relative != &family->ring; i++, relative = relative->next) {
        uint64_t code = relative->space ? code_in(relative, walk->code) : 0;
        if (code) {
            walk->codes[walk->count++] = code;
        }
    }
    vm_relative_link(relative, &walk->place);
    bool more = relative != &family->ring;
    spinlock_release(&family->lock);
    return more;
}

static bool visit_all(const struct walk *walk, vm_code_visitor *visit, void *context)
{
    bool goes_on = true;
    for (unsigned i = 0; goes_on && i < walk->count; i++) {
        goes_on = visit(context, walk->codes[i]);
    }
    return goes_on;
}

void vm_family_each(struct vm_manager *manager, uint64_t code, vm_code_visitor *visit, void *context)
{
    struct walk walk = {.family = vm_family_get(manager, vm_code_number(code)), .code = code};
    if (!walk.family) {
        return;
    }
    vm_family_enter(walk.family, &walk.place);
    bool more;
    do {
        more = ask_some(&walk);
    } while (visit_all(&walk, visit, context) && more);
    vm_family_leave(walk.family, &walk.place);
    vm_family_put(walk.family);
}

/* ---- Checking ---- */

static bool check_ring(const struct vm_family *family, struct vm_problem *problem)
{
    const struct vm_relative *relative = &family->ring;
    do {
        const struct vm_space *space = relative->space;
        const struct vm_region *region = relative->region;
        if (relative->next->previous != relative) {
            return vm_problem_set(problem, "a family's ring backwards", 0, family->number, 0);
        }
        if (space && (region ? region->family : space->family) != family) {
            return vm_problem_set(problem, "a relative of another family", region ? region->base : 0,
                                  space->number, family->number);
        }
        relative = relative->next;
    } while (relative != &family->ring);
    return true;
}

bool vm_families_check(struct vm_manager *manager, struct vm_problem *problem)
{
    for (uint32_t number = 0; number < manager->family_numbers.limit; number++) {
        struct vm_family *family = vm_family_get(manager, number);
        if (!family) {
            continue;
        }
        bool sound = family->number == number ||
                     vm_problem_set(problem, "a family's number", 0, family->number, number);
        sound = sound && check_ring(family, problem);
        vm_family_put(family);
        if (!sound) {
            return false;
        }
    }
    return true;
}

/*
 * Copies that copy nothing yet: regions and pages of one range shown again elsewhere.
 *
 * Private pages are shared read-only; whoever writes first gets a copy, the last one writes in place. A page
 * is shared and its original loses the right to be written to in one hold of both locks, at whose end that is
 * flushed: so each page is taken at one moment. A failure leaves originals that fault once more before they
 * are written to, which no program can see.
 *
 * What a device has pinned is not shared but copied at once, so that its user goes on to write to the very
 * frame that the device has. Nobody writes to it while it is copied, but for the device.
 *
 * A region of the copy is on its way in (`moving`) until its last page is there, so that no fault fills what
 * the copy has not come to yet.
 *
 * Two spaces are locked at once here, and each lock goes by several names: the functions that clang's
 * analysis cannot follow for that are marked.
 */
#include "copying.h"
#include <ashlar/shortage.h>

/* ---- Regions ---- */

/* Makes the copy of `region` a relative of it, unless all of its space is one at that distance. */
static void join_family(const struct copying *copying, struct vm_region *copy, const struct vm_region *region)
{
    struct vm_space *to = copying->to;
    copy->family = NULL;
    if (!vm_region_is_private(region) && !region->pager) {
        return;
    }
    struct vm_family *family = vm_region_family(copying->from, region);
    uint64_t shift = region->shift + copying->distance;
    if (region->pager || family != to->family || shift != 0) {
        copy->family = family;
        copy->shift = shift;
        vm_region_join(to, copy);
    }
}

/* What the copy has for the part of `region` in [base, end); NULL and the reason in *error. */
static struct vm_region *make_region(const struct copying *copying, const struct vm_region *region,
                                     uint64_t base, uint64_t end, enum vm_error *error)
{
    struct vm_region *copy = slab_cache_alloc(&copying->to->manager->regions);
    if (!copy) {
        *error = VM_NO_MEMORY;
        return NULL;
    }
    vm_region_describe(copy, region);
    copy->base = base + copying->distance;
    copy->bytes = end - base;
    copy->marks &=
        copying->forks ? (uint8_t)~VM_LOCKED : UINT8_MAX; /* what is locked is its owner's affair */
    /* In a space of its own a guard stays; elsewhere it might lie in somebody's way. */
    copy->guard = copying->distance == 0 && base == region->base ? region->guard : 0;
    copy->offset += copy->offset || copy->pager || copy->source == VM_DEVICE ? base - region->base : 0;
    if (!vm_device_claim(copying->to, copy, copy->base, copy->bytes, copy->access)) {
        slab_cache_free(&copying->to->manager->regions, copy);
        *error = VM_CONFLICT;
        return NULL;
    }
    vm_region_use_as(copy, region);
    join_family(copying, copy, region);
    return copy;
}

static enum vm_error copy_region(struct copying *copying, struct vm_region *region, uint64_t base,
                                 uint64_t end) NO_LOCK_ANALYSIS
{
    enum vm_error error = VM_OK;
    if (copying->forks && region->marks & VM_NO_FORK) {
        return VM_OK;
    }
    struct vm_region *copy = make_region(copying, region, base, end, &error);
    if (!copy) {
        return error;
    }
    copying->to->moving = copy;
    bool wiped = copying->forks && region->marks & VM_WIPE_ON_FORK;
    if (vm_region_has_frames(region) && !wiped) {
        error = vm_copying_take(copying, region, base, end);
    }
    if (error == VM_OK) {
        copying->to->moving = NULL;
        vm_tree_insert(copying->to, copy);
    }
    return error;
}

/* Copies what there is in [base, end), region by region. */
static enum vm_error copy_regions(struct copying *copying, uint64_t base, uint64_t end)
    REQUIRES(copying->from->lock, copying->to->lock)
{
    enum vm_error error = VM_OK;
    struct vm_region *region = vm_region_above(copying->from, base);
    while (error == VM_OK && region && region->base < end) {
        struct vm_region *next = region->next; /* a copy in the same space may come between */
        vm_hold_renew(&copying->hold);
        copying->hold.left--;
        error =
            copy_region(copying, region, max_u64(region->base, base), min_u64(vm_region_end(region), end));
        region = next;
    }
    return error;
}

/* Takes out what a copy that failed has left of [base, end) in `to`. */
static void undo(struct vm_space *to, struct vm_work *work, uint64_t base, uint64_t end) REQUIRES(to->change)
{
    vm_work_lock(to, work);
    if (to->moving) {
        vm_region_abandon(to, work);
    }
    vm_range_remove(to, work, base, end);
    vm_work_unlock(to, work);
}

/* Copies [base, end): all, or nothing. Both spaces are being changed. */
static enum vm_error copy_range(struct copying *copying, struct vm_work *work, uint64_t base,
                                uint64_t end) NO_LOCK_ANALYSIS
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, copying->from->table);
    vm_hold_begin_both(&copying->hold, copying->from, copying->to, &batch);
    enum vm_error error = copy_regions(copying, base, end);
    vm_hold_end(&copying->hold, copying->from);
    if (error != VM_OK) {
        undo(copying->to, work, base + copying->distance, end + copying->distance);
    }
    return error;
}

/* ---- Two spaces ---- */

/* Begins to change two spaces, by ascending number, or the one if they are the same. */
static void begin_both(struct vm_space *a, struct vm_space *b) NO_LOCK_ANALYSIS
{
    struct vm_space *first = a->number < b->number ? a : b;
    mutex_acquire(&first->change);
    if (a != b) {
        mutex_acquire(first == a ? &b->change : &a->change);
    }
}

static void end_both(struct vm_space *a, struct vm_space *b) NO_LOCK_ANALYSIS
{
    mutex_release(&a->change);
    if (a != b) {
        mutex_release(&b->change);
    }
}

/* ---- A whole space ---- */

static enum vm_error copy_all(struct vm_space *space, struct vm_space *child) NO_LOCK_ANALYSIS
{
    struct copying copying = {.from = space, .to = child, .forks = true};
    struct vm_work work;
    vm_work_prepare(child, &work, 0);
    begin_both(space, child);
    enum vm_error error = vm_space_begin_family(space);
    if (error == VM_OK) {
        vm_space_join(child, space->family);
        error = copy_range(&copying, &work, space->base, space->end);
    }
    end_both(space, child);
    vm_work_free(child, &work);
    return error;
}

static enum vm_error clone_once(struct vm_space *space, struct vm_space *child, const char *name)
{
    struct vm_space_config config = {
        .name = name,
        .base = virt_addr(space->base),
        .bytes = space->end - space->base,
        .owner = space->owner,
        .kernel = space->own.kernel,
    };
    if (!space->user) {
        return VM_BAD_RANGE;
    }
    enum vm_error error = vm_space_create(child, space->manager, &config);
    if (error != VM_OK) {
        return error;
    }
    child->grow = space->grow;
    error = copy_all(space, child);
    if (error != VM_OK) {
        vm_space_destroy(child);
    }
    return error;
}

enum vm_error vm_space_clone(struct vm_space *space, struct vm_space *child, const char *name)
{
    return COLLECTING(space->manager->config.frames, VM_NO_MEMORY, clone_once(space, child, name));
}

/* ---- A range ---- */

static enum vm_error check_copy(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                                virt_addr_t source, uint64_t bytes)
{
    enum vm_error error = vm_range_check(space, address.raw, bytes);
    if (error == VM_OK) {
        error = vm_range_check(from, source.raw, bytes);
    }
    /* Two kinds of space have different owners and access: what one may, the other may not. */
    return error == VM_OK && (space->manager != from->manager || space->user != from->user) ? VM_BAD_SOURCE
                                                                                            : error;
}

static enum vm_error try_copy(struct copying *copying, struct vm_work *work, uint64_t base,
                              uint64_t bytes) NO_LOCK_ANALYSIS
{
    if (!vm_range_is_covered(copying->from, base, bytes)) {
        return VM_NOT_MAPPED;
    }
    if (vm_range_is_taken(copying->to, base + copying->distance, bytes)) {
        return VM_OVERLAP;
    }
    enum vm_error error = vm_space_begin_family(copying->from);
    return error == VM_OK ? copy_range(copying, work, base, base + bytes) : error;
}

static enum vm_error copy_once(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                               virt_addr_t source, uint64_t bytes) NO_LOCK_ANALYSIS
{
    struct copying copying = {.from = from, .to = space, .distance = address.raw - source.raw};
    struct vm_work work;
    enum vm_error error = check_copy(space, address, from, source, bytes);
    if (error != VM_OK) {
        return error;
    }
    vm_work_prepare(space, &work, 0);
    begin_both(space, from);
    error = try_copy(&copying, &work, source.raw, bytes);
    end_both(space, from);
    vm_work_free(space, &work);
    return error;
}

enum vm_error vm_space_copy(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                            virt_addr_t source, uint64_t bytes) NO_LOCK_ANALYSIS
{
    return COLLECTING(space->manager->config.frames, VM_NO_MEMORY,
                      copy_once(space, address, from, source, bytes));
}

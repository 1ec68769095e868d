/* Making regions: where one goes, and the frames that some are made of. */
#include "mm/space/share/family.h"

/* ---- Frames that the caller gives ---- */

/* Takes a reference to a single frame, and notes that a page will show it. */
static enum vm_error hold_frame(struct vm_space *space, phys_addr_t frame)
{
    struct frame_pool *frames = space->manager->config.frames;
    if (frame_try_get(frames, frame) != FRAME_OK) {
        return VM_BAD_FRAME;
    }
    uint32_t tag = atomic_load_explicit(&frame_descriptor(frames, frame)->tag, memory_order_relaxed);
    if (frame_tag_state(tag) != FRAME_ALLOCATED || frame_tag_order(tag) != 0 || !vm_given_add(space, frame)) {
        frame_put(frames, frame);
        return VM_BAD_FRAME;
    }
    return VM_OK;
}

static void release_frames(struct vm_space *space, const phys_addr_t *frames, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        vm_given_remove(space, frames[i]);
        frame_put(space->manager->config.frames, frames[i]);
    }
}

static enum vm_error hold_frames(struct vm_space *space, const phys_addr_t *frames, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        enum vm_error error = hold_frame(space, frames[i]);
        if (error != VM_OK) {
            release_frames(space, frames, i);
            return error;
        }
    }
    return VM_OK;
}

/* Maps `count` frames from `base` on. */
static enum vm_error map_some(struct vm_space *space, const struct vm_region *region, uint64_t base,
                              const phys_addr_t *frames, uint64_t count) REQUIRES(space->change, space->lock)
{
    enum vm_error error = hold_frames(space, frames, count);
    if (error != VM_OK) {
        return error;
    }
    if (page_table_map_frames(space->table, virt_addr(base), frames, count, vm_page_access(space, region),
                              CACHE_WRITE_BACK) != PAGE_TABLE_OK) {
        release_frames(space, frames, count);
        return VM_NO_MEMORY;
    }
    space->resident += count;
    return VM_OK;
}

/* Maps the frames of the request for the region that is on its way in. */
static enum vm_error map_frames(struct vm_space *space, struct vm_work *work, const phys_addr_t *frames)
    REQUIRES(space->change, space->lock)
{
    const struct vm_region *region = space->moving;
    enum vm_error error = VM_OK;
    uint64_t at = region->base;
    while (error == VM_OK && at < vm_region_end(region)) {
        vm_hold_renew(&work->hold);
        uint64_t count = min_u64(work->hold.left, (vm_region_end(region) - at) >> FRAME_SHIFT);
        work->hold.left -= (unsigned)count;
        error = map_some(space, region, at, frames, count);
        frames += count;
        at += count << FRAME_SHIFT;
    }
    return error;
}

/* ---- Regions ---- */

static enum vm_error choose_place(struct vm_space *space, const struct vm_request *request, uint64_t *base)
    REQUIRES(space->change)
{
    *base = request->address.raw;
    if (request->fixed) {
        uint64_t bytes = request->guard + (request->replace ? 0 : request->bytes);
        return bytes != 0 && vm_range_is_taken(space, *base - request->guard, bytes) ? VM_OVERLAP : VM_OK;
    }
    uint64_t alignment = request->alignment ? request->alignment : FRAME_BYTES;
    *base = vm_tree_place(space, request->bytes, request->guard, alignment, request->address.raw);
    return *base ? VM_OK : VM_NO_ROOM;
}

static void describe(struct vm_region *region, const struct vm_request *request, uint64_t base)
{
    *region = (struct vm_region){
        .base = base,
        .bytes = request->bytes,
        .guard = request->guard,
        .offset = request->source == VM_DEVICE  ? request->target.raw
                  : request->source == VM_PAGER ? request->offset
                                                : 0,
        .pager = request->source == VM_PAGER ? request->pager : NULL,
        .name = request->name ? request->name : vm_no_name,
        .source = (uint8_t)request->source,
        .cache = (uint8_t)request->cache,
        .around = (uint8_t)max_u64(request->around, 1),
        .large = request->large,
        .shared = request->shared,
        .marks = (uint8_t)request->marks,
    };
    vm_region_set_access(region, request->access, request->access);
}

/* Takes away what lies where the region goes, or fails. */
static enum vm_error make_room(struct vm_space *space, struct vm_work *work, const struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    enum vm_error error = vm_range_cut_pages(space, work, region->base, vm_region_end(region));
    if (error == VM_OK) {
        vm_range_vacate(space, work, region->base, vm_region_end(region));
    }
    return error;
}

/* Puts the region into the space, its frames first. */
static enum vm_error add(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                         const phys_addr_t *frames) REQUIRES(space->change, space->lock)
{
    if (region->source == VM_FRAMES) {
        space->moving = region;
        enum vm_error error = map_frames(space, work, frames);
        if (error != VM_OK) {
            vm_region_abandon(space, work);
            return error;
        }
        space->moving = NULL;
    }
    vm_region_add(space, work, region);
    return VM_OK;
}

static enum vm_error map(struct vm_space *space, struct vm_work *work, const struct vm_request *request,
                         virt_addr_t *address) REQUIRES(space->change)
{
    uint64_t base;
    enum vm_error error = choose_place(space, request, &base);
    if (error != VM_OK) {
        return error;
    }
    struct vm_region *region = work->spare[work->spares - 1]; /* it stays a spare as long as this may fail */
    describe(region, request, base);
    if (region->pager) {
        error = vm_pager_begin_family(space->manager, region->pager);
        if (error != VM_OK) {
            return error;
        }
    }
    if (!vm_device_claim(space, region, base, region->bytes, region->access)) {
        return VM_CONFLICT;
    }
    error = vm_region_begin_use(region); /* what devices show has no pager */
    if (error != VM_OK) {
        return error;
    }
    if (region->pager) {
        region->family = atomic_load_explicit(&region->pager->family, memory_order_acquire);
        region->shift = base - region->offset;
        vm_region_join(space, region);
    }
    vm_work_lock(space, work);
    region = vm_work_spare(work);
    error = request->replace ? make_room(space, work, region) : VM_OK;
    if (error == VM_OK) {
        error = add(space, work, region, request->frames);
        if (request->replace) {
            vm_range_let_go(space);
        }
    } else {
        vm_region_bury(work, region);
    }
    vm_work_unlock(space, work);
    *address = error == VM_OK ? virt_addr(base) : *address;
    return error;
}

enum vm_error vm_space_map(struct vm_space *space, const struct vm_request *request, virt_addr_t *address)
{
    struct vm_work work;
    enum vm_error error = vm_request_check(space, request);
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, request->replace ? 3 : 1)) {
        return VM_NO_MEMORY;
    }
    error = map(space, &work, request, address);
    vm_work_end(space, &work);
    return error;
}

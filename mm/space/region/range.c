/* What callers ask for, looked at before anything is done: each mistake has a name of its own. */
#include "mm/space/internal.h"

#define ACCESS_ALL (VM_READ | VM_WRITE | VM_EXECUTE)

/* First address that is not the user's: half of what the page tables translate. */
static uint64_t user_end(const struct vm_space *space)
{
    return 1ULL << (page_level_shift(space->manager->config.levels + 1) - 1);
}

enum vm_error vm_range_check(const struct vm_space *space, uint64_t base, uint64_t bytes)
{
    unsigned levels = space->manager->config.levels;
    if (bytes == 0) {
        return VM_EMPTY;
    }
    if (!is_aligned(base | bytes, FRAME_BYTES)) {
        return VM_UNALIGNED;
    }
    uint64_t last = base + bytes - 1;
    if (last < base) {
        return VM_WRAPS;
    }
    if (!virt_is_canonical(virt_addr(base), levels) || !virt_is_canonical(virt_addr(last), levels)) {
        return VM_NON_CANONICAL;
    }
    if (space->user && last >= user_end(space)) {
        return VM_KERNEL_ADDRESS;
    }
    return base < space->base || last >= space->end ? VM_OUTSIDE : VM_OK;
}

enum vm_error vm_access_check(unsigned access)
{
    bool unknown = access & ~(unsigned)ACCESS_ALL;
    bool both = access & VM_WRITE && access & VM_EXECUTE;
    bool unreadable = access != VM_NONE && !(access & VM_READ);
    return unknown || both || unreadable ? VM_BAD_ACCESS : VM_OK;
}

bool vm_marks_fit(enum vm_source source, unsigned marks)
{
    return !(marks & ~(unsigned)VM_MARKS) &&
           (!(marks & VM_WIPE_ON_FORK) || source == VM_ZERO || source == VM_STACK);
}

static enum vm_error check_frames(const struct vm_request *request)
{
    return request->frames ? VM_OK : VM_BAD_SOURCE;
}

static enum vm_error check_device(const struct vm_space *space, const struct vm_request *request)
{
    uint64_t physical_end = 1ULL << space->manager->config.physical_bits;
    if (!is_aligned(request->target.raw, FRAME_BYTES)) {
        return VM_UNALIGNED;
    }
    if (!page_cache_exists(request->cache)) {
        return VM_BAD_CACHE;
    }
    return request->target.raw < physical_end && request->bytes <= physical_end - request->target.raw
               ? VM_OK
               : VM_BAD_PHYSICAL;
}

static enum vm_error check_pager(const struct vm_request *request)
{
    if (!request->pager || !request->pager->get) {
        return VM_BAD_SOURCE;
    }
    if (!is_aligned(request->offset, FRAME_BYTES)) {
        return VM_UNALIGNED;
    }
    return request->offset + request->bytes < request->offset ? VM_WRAPS : VM_OK;
}

/* Whether the request asks its source for something that only others can do. */
static bool asks_too_much(const struct vm_request *request)
{
    bool pager = request->source == VM_PAGER;
    bool device = request->source == VM_DEVICE;
    return (request->shared && !pager) ||
           (request->replace && (request->source == VM_FRAMES || !request->fixed)) ||
           (request->cache != CACHE_WRITE_BACK && !device) ||
           (request->large && !device && request->source != VM_ZERO) ||
           (request->around > 1 && (request->source == VM_FRAMES || request->source == VM_NOTHING)) ||
           request->around > VM_AROUND_MAX || (request->around && !is_power_of_two(request->around));
}

static enum vm_error check_source(const struct vm_space *space, const struct vm_request *request)
{
    if (asks_too_much(request)) {
        return VM_BAD_SOURCE;
    }
    switch (request->source) {
    case VM_NOTHING:
    case VM_ZERO:
    case VM_STACK:
        return VM_OK;
    case VM_FRAMES:
        return check_frames(request);
    case VM_DEVICE:
        return check_device(space, request);
    case VM_PAGER:
        return check_pager(request);
    case VM_SOURCE_COUNT:
        break;
    }
    return VM_BAD_SOURCE;
}

/* The address of a fixed request, guard included. */
static enum vm_error check_fixed(const struct vm_space *space, const struct vm_request *request)
{
    uint64_t base = request->address.raw;
    enum vm_error error = vm_range_check(space, base, request->bytes);
    if (error == VM_OK && request->guard > base - space->base) {
        error = VM_OUTSIDE;
    }
    return error;
}

/* Length and address of a request that leaves the choice to the space. */
static enum vm_error check_placed(const struct vm_space *space, const struct vm_request *request)
{
    uint64_t room = space->end - space->base;
    if (request->bytes == 0) {
        return VM_EMPTY;
    }
    if (!is_aligned(request->bytes | request->address.raw, FRAME_BYTES)) {
        return VM_UNALIGNED;
    }
    if (request->alignment && (!is_power_of_two(request->alignment) || request->alignment < FRAME_BYTES)) {
        return VM_BAD_ALIGNMENT;
    }
    return request->bytes > room || request->guard > room - request->bytes ? VM_NO_ROOM : VM_OK;
}

enum vm_error vm_request_check(const struct vm_space *space, const struct vm_request *request)
{
    enum vm_error error = request->fixed ? check_fixed(space, request) : check_placed(space, request);
    if (error == VM_OK && !is_aligned(request->guard, FRAME_BYTES)) {
        error = VM_UNALIGNED;
    }
    if (error == VM_OK) {
        error = vm_access_check(request->access);
    }
    if (error == VM_OK && !vm_marks_fit(request->source, request->marks)) {
        error = VM_BAD_ACCESS;
    }
    return error == VM_OK ? check_source(space, request) : error;
}

bool vm_range_is_covered(struct vm_space *space, uint64_t base, uint64_t bytes)
{
    uint64_t end = base + bytes;
    const struct vm_region *region = vm_region_above(space, base);
    while (region && region->base <= base && vm_region_end(region) < end) {
        base = vm_region_end(region);
        region = region->next;
    }
    return region && region->base <= base;
}

bool vm_range_is_taken(struct vm_space *space, uint64_t base, uint64_t bytes)
{
    const struct vm_region *above = vm_region_above(space, base);
    return above && above->base - above->guard < base + bytes;
}

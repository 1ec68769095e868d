/*
 * The system call mremap (mm/mremap.c of Linux): memory becomes longer or shorter where it is, or goes on
 * elsewhere with its pages.
 */
#include "memory_calls.h"
#include <ashlar/vm_move.h>

#define REMAP_MAY_MOVE   1U
#define REMAP_FIXED      2U
#define REMAP_DONT_UNMAP 4U

/* What is asked, checked by itself. */
struct remap {
    struct process *process;
    uint64_t base;
    uint64_t bytes;     /* now */
    uint64_t new_bytes; /* then */
    uint64_t target;    /* where, or a hint */
    unsigned flags;
};

static int64_t check_flags(const struct remap *remap)
{
    unsigned flags = remap->flags;
    bool moves = flags & REMAP_MAY_MOVE;
    bool stays = flags & REMAP_DONT_UNMAP;
    if ((flags & ~(REMAP_MAY_MOVE | REMAP_FIXED | REMAP_DONT_UNMAP)) ||
        (!moves && (flags & (REMAP_FIXED | REMAP_DONT_UNMAP))) ||
        (stays && remap->bytes != remap->new_bytes)) {
        return -EINVAL;
    }
    /* The length is rounded up, to 0 at the very end of all numbers. */
    return !is_aligned(remap->base, FRAME_BYTES) || align_up(remap->new_bytes, FRAME_BYTES) == 0 ? -EINVAL
                                                                                                 : 0;
}

/* What Linux answers where a space cannot move or lengthen something. */
static int64_t error_of(enum vm_error error)
{
    switch ((unsigned)error) {
    case VM_NOT_MAPPED:
    case VM_OUTSIDE:
        return -EFAULT;
    case VM_OVERLAP:
    case VM_WRAPS:
        return -EINVAL;
    default:
        return error_of_space(error);
    }
}

/* What limits and the machine say to `more` bytes of what a region is: 0, -ENOMEM, -EAGAIN or -EPERM. */
static int64_t check_growth(const struct remap *remap, const struct vm_region_facts *region, uint64_t more)
{
    bool data = !region->shared && region->access & VM_WRITE;
    if (!memory_may_grow(remap->process, more, data)) {
        return -ENOMEM;
    }
    if (region->marks & VM_LOCKED) {
        int64_t error = memory_may_lock(remap->process, more);
        if (error) {
            return error;
        }
    }
    return !data || region->marks & VM_NO_RESERVE || memory_can_promise(more) ? 0 : -ENOMEM;
}

/* The region that the memory is in, as Linux looks for it: all of it has to be part of one. */
static int64_t find(const struct remap *remap, struct vm_region_facts *region)
{
    if (!vm_space_find(&remap->process->memory->space, virt_addr(remap->base), region)) {
        return -EFAULT;
    }
    if (remap->bytes == 0 && !region->shared) {
        return -EINVAL;
    }
    if (remap->bytes > region->base.raw + region->bytes - remap->base) {
        return -EFAULT;
    }
    if (region->pager &&
        region->offset + (remap->base - region->base.raw) + remap->new_bytes < remap->new_bytes) {
        return -EINVAL;
    }
    uint64_t more = remap->new_bytes - min_u64(remap->bytes, remap->new_bytes);
    return check_growth(remap, region, more);
}

/* Takes away what is beyond the new length, of whatever regions: 0, or why it cannot be. */
static int64_t cut_off(const struct remap *remap)
{
    if (!user_range_is_sound(user_addr(remap->base), remap->bytes)) {
        return -EINVAL;
    }
    return memory_unmap(remap->process, remap->base + remap->new_bytes, remap->bytes - remap->new_bytes);
}

static int64_t shrink(const struct remap *remap)
{
    int64_t error = remap->bytes == remap->new_bytes ? 0 : cut_off(remap);
    return error ? error : (int64_t)remap->base;
}

/* ---- To another place ---- */

static int64_t move(const struct remap *remap, struct vm_move *move)
{
    struct memory *memory = remap->process->memory;
    virt_addr_t address;
    move->from = virt_addr(remap->base);
    move->bytes = min_u64(remap->bytes, remap->new_bytes);
    move->new_bytes = remap->new_bytes;
    move->keep = remap->flags & REMAP_DONT_UNMAP;
    memory_note_peak(memory);
    enum vm_error error = vm_space_move(&memory->space, move, &address);
    if (error == VM_NO_ROOM && !move->fixed) {
        move->address = virt_addr(0);
        error = vm_space_move(&memory->space, move, &address);
    }
    return error == VM_OK ? (int64_t)address.raw : error_of(error);
}

static int64_t move_anywhere(const struct remap *remap)
{
    struct vm_move request = {.address = virt_addr(remap->process->memory->map_base)};
    return move(remap, &request);
}

/* Whether the memory may go to the target by itself: a range of the program's half, apart from the old one.
 */
static bool is_target(const struct remap *remap)
{
    uint64_t target = remap->target;
    return is_aligned(target, FRAME_BYTES) && user_range_is_sound(user_addr(target), remap->new_bytes) &&
           user_range_is_sound(user_addr(remap->base), remap->bytes) &&
           (target + remap->new_bytes <= remap->base || remap->base + remap->bytes <= target);
}

/* Whether the process may have it there: 0, or why not. */
static int64_t check_move_to(const struct remap *remap)
{
    struct vm_region_facts region;
    struct remap kept = *remap; /* what is beyond the new length may be of other regions */
    kept.bytes = min_u64(remap->bytes, remap->new_bytes);
    int64_t error = is_target(remap) ? find(&kept, &region) : -EINVAL;
    if (error) {
        return error;
    }
    bool data = !region.shared && region.access & VM_WRITE;
    if ((remap->flags & REMAP_DONT_UNMAP) && !memory_may_grow(remap->process, remap->bytes, data)) {
        return -ENOMEM;
    }
    return (remap->flags & REMAP_FIXED) && remap->target < USER_BASE ? -EPERM : 0;
}

/* MREMAP_FIXED: there, and what is there goes. Else the target is a hint. */
static int64_t move_to(const struct remap *remap)
{
    struct vm_move request = {.fixed = true, .address = virt_addr(remap->target)};
    int64_t error = check_move_to(remap);
    if (error) {
        return error;
    }
    request.replace = remap->flags & REMAP_FIXED;
    int64_t moved = remap->target >= USER_BASE ? move(remap, &request) : -EINVAL;
    if (!request.replace) {
        return moved > 0 ? moved : move_anywhere(remap);
    }
    error = moved > 0 && remap->bytes > remap->new_bytes ? cut_off(remap) : 0;
    return error ? error : moved;
}

/* ---- Where it is ---- */

/* Longer, in place if there is room behind it and else elsewhere. */
static int64_t grow(const struct remap *remap)
{
    struct vm_region_facts region;
    int64_t error = find(remap, &region);
    if (error || remap->new_bytes > USER_END) {
        return error ? error : -ENOMEM;
    }
    uint64_t end = remap->base + remap->bytes;
    uint64_t more = remap->new_bytes - remap->bytes;
    bool last = end == region.base.raw + region.bytes;
    if (last && more <= USER_END - end &&
        vm_space_extend(&remap->process->memory->space, virt_addr(end), more) == VM_OK) {
        return (int64_t)remap->base;
    }
    return remap->flags & REMAP_MAY_MOVE ? move_anywhere(remap) : -ENOMEM;
}

/* What is locked is there at once, where it became longer; what fails is found out by whoever touches it. */
static int64_t fill_locked(const struct remap *remap, const struct vm_region_facts *region, int64_t made)
{
    if (made > 0 && region->marks & VM_LOCKED && remap->new_bytes > remap->bytes) {
        uint64_t base = (uint64_t)made;
        bool writes = !region->shared && region->access & VM_WRITE;
        (void)memory_fill(&remap->process->memory->space, base + remap->bytes, base + remap->new_bytes,
                          writes ? VM_WRITE : VM_READ);
    }
    return made;
}

int64_t call_mremap(const struct trap_frame *frame)
{
    struct vm_region_facts region;
    struct remap remap = {.process = process_current(),
                          .base = argument_1(frame),
                          .bytes = argument_2(frame),
                          .new_bytes = argument_3(frame),
                          .flags = (unsigned)argument_4(frame),
                          .target = argument_5(frame)};
    int64_t error = argument_4(frame) > UINT32_MAX ? -EINVAL : check_flags(&remap);
    if (error) {
        return error;
    }
    remap.bytes = align_up(remap.bytes, FRAME_BYTES);
    remap.new_bytes = align_up(remap.new_bytes, FRAME_BYTES);
    if (!vm_space_find(&remap.process->memory->space, virt_addr(remap.base), &region)) {
        return -EFAULT;
    }
    if (remap.flags & (REMAP_FIXED | REMAP_DONT_UNMAP)) {
        return fill_locked(&remap, &region, move_to(&remap));
    }
    if (remap.bytes < remap.new_bytes) {
        return fill_locked(&remap, &region, grow(&remap));
    }
    return shrink(&remap);
}

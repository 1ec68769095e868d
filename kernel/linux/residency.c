/* mincore and msync: which pages are in memory, and that what was written reaches its home. */
#include <ashlar/vm_peek.h>

#include "memory_calls.h"

/* ---- mincore (mm/mincore.c) ---- */

int64_t call_mincore(const struct trap_frame *frame)
{
    uint8_t present[VM_RESIDENCY_PAGES];
    uint64_t base = argument_1(frame);
    user_addr_t to = user_addr(argument_3(frame));
    if (!is_aligned(base, FRAME_BYTES)) {
        return -EINVAL;
    }
    if (!user_range_is_sound(user_addr(base), argument_2(frame))) {
        return -ENOMEM;
    }
    uint64_t pages = align_up(argument_2(frame), FRAME_BYTES) >> FRAME_SHIFT;
    if (!user_range_is_sound(to, pages)) {
        return -EFAULT;
    }
    while (pages > 0) {
        unsigned some = (unsigned)min_u64(pages, VM_RESIDENCY_PAGES);
        unsigned told = vm_space_residency(current_space(), virt_addr(base), some, present);
        if (!copy_to_user(to, present, told)) {
            return -EFAULT;
        }
        if (told < some) {
            return -ENOMEM;
        }
        if (thread_killed()) {
            return -EINTR;
        }
        to = user_add(to, some);
        base += (uint64_t)some << FRAME_SHIFT;
        pages -= some;
    }
    return 0;
}

/* ---- msync (mm/msync.c) ---- */

enum sync_flags {
    SYNC_LATER = 1,      /* MS_ASYNC */
    SYNC_INVALIDATE = 2, /* MS_INVALIDATE: all see the same pages, so nothing is out of date */
    SYNC_NOW = 4,        /* MS_SYNC */
    SYNC_FLAGS = 7,
};

/* What lies in the range is told to its pagers, up to what is locked and must not be invalidated. A hole is
 * an error in the end. */
static int64_t sync_range(struct vm_space *space, uint64_t base, uint64_t end, uint64_t flags)
{
    struct vm_region_facts region;
    int64_t holes = 0;
    while (base < end) {
        if (!vm_space_next(space, virt_addr(base), &region) || region.base.raw >= end) {
            return -ENOMEM;
        }
        holes = region.base.raw > base ? -ENOMEM : holes;
        base = max_u64(base, region.base.raw);
        if (flags & SYNC_INVALIDATE && region.marks & VM_LOCKED) {
            return -EBUSY;
        }
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        if (flags & SYNC_NOW && region.shared) {
            vm_space_sync(space, virt_addr(base), behind - base);
        }
        base = behind;
    }
    return holes;
}

int64_t call_msync(const struct trap_frame *frame)
{
    uint64_t base = argument_1(frame);
    uint64_t flags = (uint32_t)argument_3(frame);
    uint64_t bytes = align_up(argument_2(frame), FRAME_BYTES);
    if (flags & ~(uint64_t)SYNC_FLAGS || !is_aligned(base, FRAME_BYTES) ||
        (flags & SYNC_LATER && flags & SYNC_NOW)) {
        return -EINVAL;
    }
    if (base + bytes < base) {
        return -ENOMEM;
    }
    return sync_range(current_space(), base, base + bytes, flags);
}

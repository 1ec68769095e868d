/*
 * mlock, mlock2, munlock, mlockall, munlockall: memory that stays (mm/mlock.c). There is no swap that could
 * take it, so what is left of locking is what programs see of it: its pages come at once, they do not go by
 * advice, and there is a limit, which holds for everybody.
 */
#include "memory_calls.h"
#include <ashlar/vm_advice.h>

#define LOCK_ON_FAULT 1U /* MLOCK_ONFAULT */

enum lock_all {
    LOCK_ALL_CURRENT = 1,
    LOCK_ALL_FUTURE = 2,
    LOCK_ALL_ON_FAULT = 4,
    LOCK_ALL_FLAGS = 7,
};

/* A range as these calls take it: whole pages around what is asked for; false where it passes the end. */
static bool range_of(const struct trap_frame *frame, uint64_t *base, uint64_t *end)
{
    uint64_t bytes = argument_2(frame) + argument_1(frame) % FRAME_BYTES;
    *base = align_down(argument_1(frame), FRAME_BYTES);
    *end = *base + align_up(bytes, FRAME_BYTES);
    return *end >= *base && bytes >= argument_2(frame) && align_up(bytes, FRAME_BYTES) >= bytes;
}

/* Bytes of the range that are locked already. */
static uint64_t locked_in(struct vm_space *space, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    uint64_t locked = 0;
    while (base < end && vm_space_next(space, virt_addr(base), &region) && region.base.raw < end) {
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        locked += region.marks & VM_LOCKED ? behind - max_u64(region.base.raw, base) : 0;
        base = behind;
    }
    return locked;
}

/* Sets or clears the mark up to the first hole; that is an error. */
static int64_t mark(struct vm_space *space, uint64_t base, uint64_t end, unsigned set, unsigned clear)
{
    uint64_t covered = memory_covered(space, base, end);
    if (covered > base) {
        enum vm_error error = vm_space_mark(space, virt_addr(base), covered - base, set, clear);
        if (error != VM_OK) {
            return error == VM_NO_MEMORY ? -EAGAIN : error_of_space(error);
        }
    }
    return covered == end ? 0 : -ENOMEM;
}

/* Brings the pages of a range that is locked: for writing where the program alone writes there. */
static int64_t bring(struct vm_space *space, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    int64_t error = 0;
    while (error == 0 && base < end && vm_space_next(space, virt_addr(base), &region) &&
           region.base.raw < end) {
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        bool writes = region.access & VM_WRITE && !region.shared;
        base = max_u64(base, region.base.raw);
        if (region.marks & VM_LOCKED) {
            error = memory_fill(space, base, behind, writes ? VM_WRITE : VM_READ);
        }
        base = behind;
    }
    return error;
}

/* What cannot be brought is no memory for who asks for it (__mlock_posix_error_return). */
static int64_t posix_error(int64_t error)
{
    return error == -ENOMEM ? -EAGAIN : error == -EFAULT || error == -EINVAL ? -ENOMEM : error;
}

static int64_t lock(const struct trap_frame *frame, bool brings)
{
    struct process *process = process_current();
    struct vm_space *space = &process->memory->space;
    uint64_t base;
    uint64_t end;
    if (process->limits[LIMIT_LOCKED].soft == 0) {
        return -EPERM;
    }
    if (!range_of(frame, &base, &end)) {
        return -EINVAL;
    }
    if (end == base) {
        return 0;
    }
    if (memory_may_lock(process, end - base - locked_in(space, base, end))) {
        return -ENOMEM;
    }
    int64_t error = mark(space, base, end, VM_LOCKED, 0);
    return error || !brings ? error : posix_error(bring(space, base, end));
}

int64_t call_mlock(const struct trap_frame *frame)
{
    return lock(frame, true);
}

int64_t call_mlock2(const struct trap_frame *frame)
{
    uint32_t flags = (uint32_t)argument_3(frame);
    return flags & ~LOCK_ON_FAULT ? -EINVAL : lock(frame, !(flags & LOCK_ON_FAULT));
}

int64_t call_munlock(const struct trap_frame *frame)
{
    uint64_t base;
    uint64_t end;
    if (!range_of(frame, &base, &end)) {
        return -EINVAL;
    }
    return end == base ? 0 : mark(current_space(), base, end, 0, VM_LOCKED);
}

/* ---- All memory ---- */

/* The same for all regions that there are; what comes and goes meanwhile is left out. */
static void mark_all(struct vm_space *space, unsigned set, unsigned clear)
{
    struct vm_region_facts region;
    for (uint64_t at = 0; vm_space_next(space, virt_addr(at), &region);) {
        if ((region.marks & ~clear) != region.marks || (region.marks & set) != set) {
            vm_space_mark(space, region.base, region.bytes, set, clear);
        }
        at = region.base.raw + region.bytes;
    }
}

/* Brings what is locked; where a page cannot come, the rest of its region is left. */
static void bring_all(struct vm_space *space)
{
    struct vm_region_facts region;
    for (uint64_t at = 0; !thread_killed() && vm_space_next(space, virt_addr(at), &region);) {
        at = region.base.raw + region.bytes;
        (void)bring(space, region.base.raw, at);
    }
}

int64_t call_mlockall(const struct trap_frame *frame)
{
    struct process *process = process_current();
    struct vm_space *space = &process->memory->space;
    uint32_t flags = (uint32_t)argument_1(frame);
    uint64_t limit = process->limits[LIMIT_LOCKED].soft;
    if (flags == 0 || flags & ~(uint32_t)LOCK_ALL_FLAGS || flags == LOCK_ALL_ON_FAULT) {
        return -EINVAL;
    }
    if (limit == 0) {
        return -EPERM;
    }
    if (flags & LOCK_ALL_CURRENT && space->region_bytes > limit) {
        return -ENOMEM;
    }
    unsigned future = flags & LOCK_ALL_FUTURE ? VM_LOCKED : 0;
    future |= flags & LOCK_ALL_ON_FAULT ? MEMORY_WAITS : 0;
    atomic_store_explicit(&process->memory->future_marks, future, memory_order_relaxed);
    if (flags & LOCK_ALL_CURRENT) {
        mark_all(space, VM_LOCKED, 0);
        if (!(flags & LOCK_ALL_ON_FAULT)) {
            bring_all(space);
        }
    }
    return 0;
}

int64_t call_munlockall(const struct trap_frame *frame)
{
    struct memory *memory = process_current()->memory;
    (void)frame;
    atomic_store_explicit(&memory->future_marks, 0, memory_order_relaxed);
    mark_all(&memory->space, 0, VM_LOCKED);
    return 0;
}

/* What limits allow a program to have, and what the machine can promise it; see memory_calls.h. */
#include <ashlar/memory.h>

#include "memory_calls.h"

bool memory_may_grow(const struct process *process, uint64_t bytes, bool data)
{
    const struct vm_space *space = &process->memory->space;
    uint64_t all = process->limits[LIMIT_SPACE].soft;
    uint64_t of_data = process->limits[LIMIT_DATA].soft;
    return bytes <= USER_END && space->region_bytes + bytes <= all &&
           (!data || space->data_bytes + bytes <= of_data);
}

bool memory_can_promise(uint64_t bytes)
{
    return bytes >> FRAME_SHIFT <= kernel_frames()->managed_frames;
}

/* ---- Protection ---- */

static bool is_private(const struct vm_region_facts *region)
{
    return region->source == VM_ZERO || (region->source == VM_PAGER && !region->shared);
}

int64_t memory_may_protect(const struct process *process, uint64_t base, uint64_t end, unsigned access)
{
    struct vm_space *space = &process->memory->space;
    struct vm_region_facts region;
    uint64_t data = 0; /* bytes that become data */
    for (uint64_t at = base; access & VM_WRITE && at < end && vm_space_next(space, virt_addr(at), &region);) {
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        uint64_t bytes = behind > region.base.raw ? behind - max_u64(at, region.base.raw) : 0;
        if (is_private(&region) && !(region.access & VM_WRITE)) {
            data += bytes;
            if (!(region.marks & VM_NO_RESERVE) && !memory_can_promise(bytes)) {
                return -ENOMEM;
            }
        }
        at = region.base.raw + region.bytes;
    }
    return data == 0 || space->data_bytes + data <= process->limits[LIMIT_DATA].soft ? 0 : -ENOMEM;
}

/* ---- Locking ---- */

int64_t memory_may_lock(const struct process *process, uint64_t bytes)
{
    uint64_t limit = process->limits[LIMIT_LOCKED].soft;
    if (limit == 0) {
        return -EPERM;
    }
    uint64_t locked = process->memory->space.locked_bytes;
    return bytes <= USER_END && locked + bytes <= align_down(limit, FRAME_BYTES) ? 0 : -EAGAIN;
}

unsigned memory_future_marks(const struct process *process)
{
    return atomic_load_explicit(&process->memory->future_marks, memory_order_relaxed);
}

/* ---- Filling ---- */

static int64_t error_of_fault(enum vm_fault fault)
{
    if (vm_fault_resolved(fault)) {
        return 0;
    }
    switch ((unsigned)fault) {
    case VM_FAULT_DENIED:
    case VM_FAULT_RESERVED:
        return -EINVAL;
    case VM_FAULT_PAGER_FAILED:
        return -EFAULT;
    default:
        return -ENOMEM;
    }
}

int64_t memory_fill(struct vm_space *space, uint64_t base, uint64_t end, enum vm_access wanted)
{
    int64_t error = 0;
    for (uint64_t at = base; error == 0 && at < end; at += FRAME_BYTES) {
        error = thread_killed() ? -EINTR : error_of_fault(vm_space_fault(space, virt_addr(at), wanted));
    }
    return error;
}

uint64_t memory_covered(struct vm_space *space, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    while (base < end && vm_space_find(space, virt_addr(base), &region)) {
        base = region.base.raw + region.bytes;
    }
    return min_u64(base, end);
}

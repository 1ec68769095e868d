/*
 * Stacks that grow: memory of mmap(MAP_GROWSDOWN), and the program's first stack where its limit has become
 * larger. As on Linux (mm/mmap.c, expand_downwards()): to wherever the program touches, if that is within its
 * limits and far enough from what lies below.
 */
#include "memory_calls.h"
#include <ashlar/vm_move.h>

bool memory_grow_stack(struct vm_space *space, virt_addr_t address)
{
    struct task *task = task_current();
    struct vm_region_facts stack;
    uint64_t page = align_down(address.raw, FRAME_BYTES);
    if (!task || page < USER_BASE || !vm_space_next(space, address, &stack) || stack.source != VM_STACK) {
        return false;
    }
    if (stack.base.raw <= page) {
        return true; /* somebody was faster */
    }
    const struct process *process = task->process;
    uint64_t bytes = stack.base.raw - page;
    if (bytes + stack.bytes > process->limits[LIMIT_STACK].soft || !memory_may_grow(process, bytes, false)) {
        return false;
    }
    enum vm_error error = vm_space_extend_down(space, stack.base, bytes, STACK_GAP);
    return error == VM_OK || error == VM_NOT_MAPPED; /* no longer so: then it is to be looked at again */
}

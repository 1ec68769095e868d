/*
 * process_vm_readv, process_vm_writev: a process copies to or from the memory of another one, which knows
 * nothing of it (mm/process_vm_access.c). A page at a time goes by way of a page of the kernel's, so that
 * only one of the two spaces is needed at any moment.
 *
 * The other process is looked for by its number for each page anew, and its space is held no longer: so it
 * may end meanwhile, and waits for one page at most.
 */
#include <ashlar/heap.h>
#include <ashlar/vm_peek.h>

#include "file_calls.h"
#include "tree.h"

struct transfer {
    uint32_t number; /* of the other process */
    bool writes;     /* to it */
    char *page;      /* the kernel's */
    struct user_buffer local;
    struct user_part *remote;
    uint64_t remote_count;
};

/* The space of the process, with a reference. -ESRCH: it has none, or there is no such process; -EPERM. */
static int64_t space_of(uint32_t number, struct vm_space **space)
{
    int64_t error = -ESRCH;
    *space = NULL;
    tree_lock();
    const struct task *task = task_find(number);
    if (task && task->process->memory) {
        const struct vm_space *found = &task->process->memory->space;
        error = task_may_trace(task, false) ? 0 : -EPERM;
        *space = error ? NULL : vm_space_get(found->manager, found->number);
    }
    tree_unlock();
    return error ? error : *space ? 0 : -ESRCH;
}

/* Copies what lies in one page of the other; returns how many bytes, fewer than `bytes` at the end. */
static uint64_t move_piece(struct transfer *transfer, uint64_t address, uint64_t bytes)
{
    struct file_buffer *local = &transfer->local.buffer;
    uint64_t done = 0;
    if (transfer->writes) {
        bytes = local->take(local, transfer->page, bytes);
    }
    struct vm_space *space;
    if (bytes == 0 || space_of(transfer->number, &space)) {
        return 0;
    }
    if (transfer->writes) {
        done = vm_space_write(space, virt_addr(address), transfer->page, bytes);
    } else {
        done = vm_space_read(space, virt_addr(address), transfer->page, bytes);
    }
    vm_space_put(space);
    return transfer->writes ? done : local->put(local, transfer->page, done);
}

static uint64_t move_part(struct transfer *transfer, const struct user_part *part)
{
    uint64_t done = 0;
    while (done < part->bytes && transfer->local.buffer.left > 0 && !thread_killed()) {
        uint64_t address = part->base + done;
        uint64_t bytes = min_u64(part->bytes - done, FRAME_BYTES - address % FRAME_BYTES);
        bytes = min_u64(bytes, transfer->local.buffer.left);
        uint64_t moved =
            user_range_is_sound(user_addr(address), bytes) ? move_piece(transfer, address, bytes) : 0;
        done += moved;
        if (moved < bytes) {
            break;
        }
    }
    return done;
}

/* Bytes that were moved, or an error if there were none. */
static int64_t move_all(struct transfer *transfer)
{
    uint64_t done = 0;
    uint64_t wanted = 0;
    for (uint64_t i = 0; i < transfer->remote_count; i++) {
        wanted += min_u64(transfer->remote[i].bytes, READ_LARGEST);
    }
    if (wanted == 0) {
        return 0;
    }
    struct vm_space *space;
    int64_t error = space_of(transfer->number, &space);
    if (error) {
        return error;
    }
    vm_space_put(space);
    for (uint64_t i = 0; i < transfer->remote_count && transfer->local.buffer.left > 0; i++) {
        uint64_t moved = move_part(transfer, &transfer->remote[i]);
        done += moved;
        if (moved < transfer->remote[i].bytes) {
            break;
        }
    }
    return done != 0 ? (int64_t)done : -EFAULT;
}

/* The other's parts: their addresses are looked at when they are used. */
static int64_t get_remote(struct transfer *transfer, uint64_t parts)
{
    uint64_t bytes = transfer->remote_count * sizeof(struct user_part);
    if (transfer->remote_count > PARTS_MAX) {
        return -EINVAL;
    }
    transfer->remote = heap_alloc(&kernel_heap, bytes + 1);
    if (!transfer->remote) {
        return -ENOMEM;
    }
    if (!copy_from_user(transfer->remote, user_addr(parts), bytes)) {
        return -EFAULT;
    }
    for (uint64_t i = 0; i < transfer->remote_count; i++) {
        if ((int64_t)transfer->remote[i].bytes < 0) {
            return -EINVAL;
        }
    }
    return 0;
}

static int64_t transfer(const struct trap_frame *frame, bool writes)
{
    struct transfer transfer = {
        .number = (uint32_t)argument_1(frame), .writes = writes, .remote_count = argument_5(frame)};
    if (argument_6(frame) != 0) {
        return -EINVAL;
    }
    int64_t error = user_buffer_begin_parts(&transfer.local, argument_2(frame), argument_3(frame));
    if (error) {
        return error;
    }
    if (transfer.local.buffer.left > 0) {
        transfer.page = heap_alloc(&kernel_heap, FRAME_BYTES);
        error = transfer.page ? get_remote(&transfer, argument_4(frame)) : -ENOMEM;
        error = error ? error : move_all(&transfer);
    }
    heap_free(&kernel_heap, transfer.remote);
    heap_free(&kernel_heap, transfer.page);
    user_buffer_end(&transfer.local);
    return error;
}

int64_t call_process_vm_readv(const struct trap_frame *frame)
{
    return transfer(frame, false);
}

int64_t call_process_vm_writev(const struct trap_frame *frame)
{
    return transfer(frame, true);
}

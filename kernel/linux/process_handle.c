/* Handles of processes; see pidfd.h. */
#include <ashlar/heap.h>

#include "kernel/files/event.h"
#include "pidfd.h"

struct process_handle *process_handle_get(struct process *process)
{
    if (!process->handle) {
        struct process_handle *made = heap_alloc_zeroed(&kernel_heap, sizeof *made);
        if (!made) {
            return NULL;
        }
        atomic_init(&made->references, 1);
        atomic_init(&made->ended, process->state == PROCESS_ZOMBIE);
        made->process = process;
        process->handle = made;
    }
    atomic_fetch_add(&process->handle->references, 1);
    return process->handle;
}

void process_handle_put(struct process_handle *handle)
{
    if (atomic_fetch_sub(&handle->references, 1) == 1) {
        heap_free(&kernel_heap, handle);
    }
}

void process_handle_end(struct process *process)
{
    if (process->handle) {
        atomic_store(&process->handle->ended, true);
        event_notify_ready(&process->handle->event, FILE_READY_READ);
    }
}

void process_handle_drop(struct process *process)
{
    struct process_handle *handle = process->handle;
    process->handle = NULL;
    if (handle) {
        handle->process = NULL;
        process_handle_put(handle);
    }
}

/* Making and ending processes; see process.h. */
#include "process.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <stdatomic.h>
#include <x86/user_mode.h>

#define NO_LIMIT    UINT64_MAX
#define FILES_SOFT  1024
#define FILES_HARD  4096
#define STACK_BYTES MIB(8)

static _Atomic(uint32_t) last_number;

static const char *last_part(const char *path)
{
    const char *part = path;
    for (const char *at = path; *at; at++) {
        part = *at == '/' ? at + 1 : part;
    }
    return part;
}

/* `to` gets no more than fits. */
static void copy_cut(char *to, size_t bytes, const char *from)
{
    size_t length = (size_t)min_u64(strlen(from), bytes - 1);
    memcpy(to, from, length);
    to[length] = 0;
}

static void set_limits(struct process *process)
{
    for (unsigned i = 0; i < LIMITS; i++) {
        process->limits[i] = (struct limit){NO_LIMIT, NO_LIMIT};
    }
    process->limits[LIMIT_STACK].soft = STACK_BYTES;
    process->limits[LIMIT_CORE].soft = 0;
    process->limits[LIMIT_FILES] = (struct limit){FILES_SOFT, FILES_HARD};
    process->limits[LIMIT_NICE] = process->limits[LIMIT_REALTIME] = (struct limit){0, 0};
}

static void set_names(struct process *process, const char *name)
{
    copy_cut(process->name, sizeof process->name, last_part(name));
    process->path[0] = '/';
    copy_cut(process->path + 1, sizeof process->path - 1, name[0] == '/' ? name + 1 : name);
}

static struct memory *make_memory(const char *name)
{
    struct memory *memory = heap_alloc_zeroed(&kernel_heap, sizeof *memory);
    if (memory && user_space_create(&memory->space, name) != VM_OK) {
        heap_free(&kernel_heap, memory);
        return NULL;
    }
    return memory;
}

struct process *process_create(const char *name)
{
    struct process *process = heap_alloc_zeroed(&kernel_heap, sizeof *process);
    if (!process) {
        return NULL;
    }
    set_names(process, name);
    set_limits(process);
    process->memory = make_memory(process->name);
    if (!process->memory) {
        heap_free(&kernel_heap, process);
        return NULL;
    }
    process->memory->users = 1;
    process->number = atomic_fetch_add(&last_number, 1) + 1;
    return process;
}

void process_destroy(struct process *process)
{
    if (atomic_fetch_sub(&process->memory->users, 1) == 1) {
        vm_space_destroy(&process->memory->space);
        heap_free(&kernel_heap, process->memory);
    }
    heap_free(&kernel_heap, process);
}

void process_note_peak(struct process *process)
{
    struct memory *memory = process->memory;
    memory->peak = max_u64(memory->peak, memory->space.resident);
}

_Noreturn void task_end(uint64_t status)
{
    struct task *task = task_current();
    if (task->clear_on_exit.raw != 0) {
        put_user_32(task->clear_on_exit, 0);
    }
    user_mode_end(status);
}

int64_t error_of_space(enum vm_error error)
{
    switch (error) {
    case VM_OK:
        return 0;
    case VM_OVERLAP:
        return -EEXIST;
    case VM_BAD_ACCESS:
        return -EACCES;
    case VM_EMPTY:
    case VM_UNALIGNED:
    case VM_BAD_ALIGNMENT:
    case VM_BAD_SOURCE:
    case VM_BAD_CACHE:
    case VM_BAD_PHYSICAL:
        return -EINVAL;
    case VM_BUSY:
    case VM_CONFLICT:
    case VM_IN_USE:
        return -EAGAIN;
    case VM_NO_MEMORY:
    case VM_NO_ROOM:
    case VM_WRAPS:
    case VM_NON_CANONICAL:
    case VM_KERNEL_ADDRESS:
    case VM_OUTSIDE:
    case VM_NOT_MAPPED:
    case VM_BAD_FRAME:
    case VM_BAD_RANGE:
    case VM_TOO_MANY:
    case VM_ERROR_COUNT:
        break;
    }
    return -ENOMEM;
}

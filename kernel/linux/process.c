/* Making and ending processes; see process.h. */
#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <stdatomic.h>

#include "pidfd.h"
#include "region_names.h"
#include "tree.h"

#define NO_LIMIT     UINT64_MAX
#define FILES_SOFT   1024
#define FILES_HARD   4096
#define STACK_BYTES  MIB(8)
#define LOCKED_BYTES MIB(8)

#define FRAMES_EACH_TASK 32 /* of the memory that is free when a program begins */
#define TASKS_LEAST      64
#define TASKS_MOST       16384

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

/* So many that their stacks in the kernel are a part of the memory. */
static uint64_t processes_at_most(void)
{
    return min_u64(max_u64(memory_free_frames() / FRAMES_EACH_TASK, TASKS_LEAST), TASKS_MOST);
}

static void set_limits(struct process *process)
{
    for (unsigned i = 0; i < LIMITS; i++) {
        process->limits[i] = (struct limit){NO_LIMIT, NO_LIMIT};
    }
    process->limits[LIMIT_STACK].soft = STACK_BYTES;
    process->limits[LIMIT_CORE].soft = 0;
    process->limits[LIMIT_LOCKED] = (struct limit){LOCKED_BYTES, LOCKED_BYTES};
    process->limits[LIMIT_FILES] = (struct limit){FILES_SOFT, FILES_HARD};
    process->limits[LIMIT_PROCESSES].soft = process->limits[LIMIT_PROCESSES].hard = processes_at_most();
    process->limits[LIMIT_SIGNALS] = process->limits[LIMIT_PROCESSES];
    process->limits[LIMIT_NICE] = process->limits[LIMIT_REALTIME] = (struct limit){0, 0};
}

void process_set_name(struct process *process, const char *path)
{
    memset(process->name, 0, sizeof process->name);
    copy_cut(process->name, sizeof process->name, last_part(path));
}

struct process *process_create(const struct process *like, const char *name)
{
    struct process *process = heap_alloc_zeroed(&kernel_heap, sizeof *process);
    if (!process) {
        return NULL;
    }
    process->credentials = credentials_for_child();
    if (like) {
        memcpy(process->name, like->name, sizeof process->name);
        memcpy(process->limits, like->limits, sizeof process->limits);
        atomic_init(&process->traced, atomic_load_explicit(&like->traced, memory_order_relaxed));
    } else {
        process_set_name(process, name);
        set_limits(process);
    }
    process->begun = clock_nanoseconds();
    wait_queue_init(&process->watchers);
    wait_queue_init(&process->ended);
    wait_queue_init(&process->signals.continued);
    process_timers_begin(process);
    return process;
}

/* Who looks at another process takes its references with the tree's mutex held. */
struct descriptors *process_change_files(struct process *process, struct descriptors *files)
{
    tree_lock();
    struct descriptors *before = process->files;
    process->files = files;
    tree_unlock();
    return before;
}

void process_drop_files(struct process *process)
{
    struct descriptors *files = process_change_files(process, NULL);
    tree_lock();
    struct places *places = process->places;
    process->places = NULL;
    tree_unlock();
    if (files) {
        descriptors_put(files);
    }
    if (places) {
        places_put(places);
    }
}

void process_free(struct process *process)
{
    if (process->files || process->places) { /* it was never entered */
        process_drop_files(process);
    }
    process_signals_end(process);
    credentials_put(process->credentials);
    tree_lock();
    process_handle_drop(process); /* one that was never entered may be known by a descriptor already */
    tree_unlock();
    heap_free(&kernel_heap, process);
}

/* ---- Memory ---- */

static struct memory *new_memory(void)
{
    struct memory *memory = heap_alloc_zeroed(&kernel_heap, sizeof *memory);
    if (memory) {
        mutex_init(&memory->heap, LOCK_HEAP_END, 0);
        memory->users = 1;
    }
    return memory;
}

static int store_or_free(struct memory **memory, struct memory *made, enum vm_error error)
{
    if (error != VM_OK) {
        heap_free(&kernel_heap, made);
        return -ENOMEM;
    }
    *memory = made;
    return 0;
}

int memory_create(struct memory **memory, const char *name)
{
    struct memory *made = new_memory();
    if (!made) {
        return -ENOMEM;
    }
    enum vm_error error = user_space_create(&made->space, name);
    made->space.grow = memory_grow_stack;
    return store_or_free(memory, made, error);
}

/* The heap's end stays while the pages are copied, so that it and they agree. */
int memory_copy(struct memory **memory, struct memory *from, const char *name)
{
    struct memory *made = new_memory();
    if (!made) {
        return -ENOMEM;
    }
    mutex_acquire(&from->heap);
    enum vm_error error = vm_space_clone(&from->space, &made->space, name);
    made->image_base = from->image_base;
    made->image_end = from->image_end;
    made->heap_base = from->heap_base;
    made->heap_end = from->heap_end;
    made->map_base = from->map_base;
    made->layout = from->layout;
    made->barriers = from->barriers;
    made->undumpable = from->undumpable;
    mutex_release(&from->heap);
    if (error == VM_OK) {
        made->names = region_names_get(from->names); /* now, as the copy may have the first ones */
    }
    if (error == VM_OK && from->file) {
        program_file_hold(from->file);
        made->file = from->file;
    }
    return store_or_free(memory, made, error);
}

void memory_note_peak(struct memory *memory)
{
    memory->peak = max_u64(memory->peak, memory->space.resident);
    memory->region_bytes_peak = max_u64(memory->region_bytes_peak, memory->space.region_bytes);
}

void memory_get(struct memory *memory)
{
    atomic_fetch_add(&memory->users, 1);
}

void memory_put(struct memory *memory, struct usage *usage)
{
    if (atomic_fetch_sub(&memory->users, 1) != 1) {
        return;
    }
    memory_note_peak(memory);
    usage->peak = max_u64(usage->peak, memory->peak);
    usage->tables = vm_space_tables(&memory->space);
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        usage->faults[i] += memory->space.faults[i];
    }
    vm_space_destroy(&memory->space);
    if (memory->file) {
        program_file_let_go(memory->file);
    }
    region_names_put(memory->names);
    heap_free(&kernel_heap, memory);
}

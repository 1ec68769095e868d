/* The process that a file below /proc is about; see proc.h. */
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <stdatomic.h>

#include "kernel/linux/usage.h"
#include "proc.h"

struct made_what proc_pack(struct proc_what what)
{
    return (struct made_what){{what.process | (uint64_t)what.task << 32, what.begun,
                               what.place | (uint64_t)what.index << 16 | (uint64_t)what.setting << 32}};
}

struct proc_what proc_unpack(const struct made_what *packed)
{
    return (struct proc_what){.process = (uint32_t)packed->words[0],
                              .task = (uint32_t)(packed->words[0] >> 32),
                              .begun = packed->words[1],
                              .place = (uint16_t)packed->words[2],
                              .index = (uint16_t)(packed->words[2] >> 16),
                              .setting = (uint16_t)(packed->words[2] >> 32)};
}

/* (T) */
static struct process *find(const struct proc_what *what)
{
    struct process *process = process_find(what->process);
    return process && process->begun == what->begun ? process : NULL;
}

/* (T) The task that is meant: the first one, or any, if none is named. NULL: it has ended. */
static struct task *task_of(const struct proc_what *what, const struct process *process)
{
    struct task *task = task_find(what->task != 0 ? what->task : process->number);
    if (task && task->process == process) {
        return task;
    }
    return what->task != 0 ? NULL : process->tasks;
}

static bool is_awake(const struct thread *thread)
{
    uint32_t state = atomic_load(&thread->state);
    return state == THREAD_RUNNING || state == THREAD_READY;
}

/* (T) What its tasks have done, or the one. */
static void add_tasks(const struct process *process, const struct task *only, struct proc_facts *facts)
{
    for (const struct task *task = process->tasks; task; task = task->next) {
        if ((!only || task == only) && is_awake(task->thread)) {
            facts->state = 'R';
        }
    }
    facts->times = only ? thread_times(only->thread) : process_times(process);
}

static uint64_t sum_of_faults(const uint64_t faults[VM_FAULT_COUNT])
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < VM_FAULT_NO_REGION; i++) {
        sum += faults[i];
    }
    return sum;
}

/* (T) */
static void add_memory(const struct memory *memory, struct proc_facts *facts)
{
    facts->space = vm_space_get(kernel_vm_manager(), memory->space.number);
    if (!facts->space) {
        return;
    }
    facts->bytes = memory->space.region_bytes;
    facts->bytes_peak = max_u64(memory->region_bytes_peak, facts->bytes);
    facts->locked = memory->space.locked_bytes;
    facts->resident = memory->space.resident;
    facts->peak = max_u64(memory->peak, facts->resident);
    facts->tables = memory->space.own.table_frames;
    facts->heap_base = memory->heap_base;
    facts->heap_end = memory->heap_end;
    facts->layout = memory->layout;
    facts->faults += sum_of_faults(memory->space.faults);
}

/* (T) */
static void describe(const struct process *process, const struct task *task, bool of_task,
                     struct proc_facts *facts)
{
    *facts = (struct proc_facts){
        .number = process->number,
        .task_number = task ? task->number : process->number,
        .parent = process->parent ? process->parent->number : 0,
        .group = process->group->number,
        .session = process->session->number,
        .threads = process->task_count,
        .exit_signal = process->exit_signal,
        .cpu = task ? atomic_load(&task->thread->cpu) : 0,
        .begun = process->begun,
        .status = process->status,
        .children_times = {process->children_usage.ticks, process->children_usage.kernel_ticks},
        .faults = sum_of_faults(process->usage.faults),
        .children_faults = sum_of_faults(process->children_usage.faults)};
    facts->credentials = task ? task->credentials : process->credentials;
    atomic_fetch_add(&facts->credentials->users, 1);
    facts->signals = signal_sets(process, task);
    facts->no_new_privileges = task && task->no_new_privileges;
    facts->state = 'S';
    if (process->state == PROCESS_ZOMBIE || (of_task && !task)) {
        facts->state = 'Z';
    }
    memcpy(facts->name, task ? task->name : process->name, sizeof facts->name);
    memcpy(facts->limits, process->limits, sizeof facts->limits);
    add_tasks(process, of_task ? task : NULL, facts);
    if (process->memory) {
        add_memory(process->memory, facts);
    }
}

bool proc_find(uint32_t number, struct proc_what *what)
{
    tree_lock();
    const struct process *process = process_find(number);
    *what = (struct proc_what){.process = number, .begun = process ? process->begun : 0};
    tree_unlock();
    return process;
}

int proc_look(const struct proc_what *what, struct proc_facts *facts)
{
    tree_lock();
    const struct process *process = find(what);
    const struct task *task = process ? task_of(what, process) : NULL;
    bool found = process && (task || what->task == 0 || what->task == process->number);
    if (found) {
        describe(process, task, what->task != 0, facts);
    }
    tree_unlock();
    return found ? 0 : -ESRCH;
}

void proc_let_go(struct proc_facts *facts)
{
    if (facts->space) {
        vm_space_put(facts->space);
    }
    credentials_put(facts->credentials);
}

/* (T) */
static bool is_dumpable(const struct process *process)
{
    return process->memory && !process->memory->undumpable;
}

void proc_owner(const struct proc_what *what, bool of_directory, uint32_t *user, uint32_t *group)
{
    *user = *group = 0;
    tree_lock();
    const struct process *process = find(what);
    if (process && (of_directory || is_dumpable(process))) {
        const struct task *task = task_of(what, process);
        const struct rights *rights = &(task ? task->credentials : process->credentials)->rights;
        *user = rights->user.effective;
        *group = rights->group.effective;
    }
    tree_unlock();
}

int proc_may_look(const struct proc_what *what)
{
    tree_lock();
    const struct process *process = find(what);
    const struct task *task = process ? task_of(what, process) : NULL;
    int error = !process ? -ESRCH : !task || task_may_trace(task, true) ? 0 : -EACCES;
    tree_unlock();
    return error;
}

uint64_t proc_copy(const struct proc_facts *facts, void *to, uint64_t address, uint64_t bytes)
{
    struct vm_space *before = space_load(facts->space);
    uint64_t copied = copy_some_from_user(to, user_addr(address), bytes);
    space_load(before);
    return copied;
}

/* (T) Its descriptors, or NULL. Nobody takes a reference to look at them: it would make the table a shared
 * one, and its end the looker's. */
static struct descriptors *files_of(const struct proc_what *what)
{
    const struct process *process = find(what);
    return process ? process->files : NULL;
}

struct file *proc_file(const struct proc_what *what, uint32_t number)
{
    tree_lock();
    struct descriptors *files = files_of(what);
    struct file *file = files ? descriptor_file(files, number) : NULL;
    tree_unlock();
    return file;
}

bool proc_next_file(const struct proc_what *what, uint64_t *number)
{
    tree_lock();
    struct descriptors *files = files_of(what);
    bool found = files && descriptor_next(files, number);
    tree_unlock();
    return found;
}

uint64_t proc_files_size(const struct proc_what *what)
{
    tree_lock();
    struct descriptors *files = files_of(what);
    uint64_t size = files ? descriptors_size(files) : 0;
    tree_unlock();
    return size;
}

bool proc_view(const struct proc_what *what, struct fs_view *view)
{
    tree_lock();
    const struct process *process = find(what);
    struct places *places = process && process->places ? places_get(process->places) : NULL;
    tree_unlock();
    if (places) {
        places_view(places, view);
        places_put(places);
    }
    return places;
}

struct path proc_program(const struct proc_what *what)
{
    tree_lock();
    const struct process *process = find(what);
    const struct file *file = process && process->memory ? process->memory->file : NULL;
    struct path path = file ? path_get(file->path) : (struct path){NULL};
    tree_unlock();
    return path;
}

/* The life of a task, and the end of a process; see process.h. docs/programs.md tells the whole. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <stdatomic.h>
#include <x86/user_mode.h>

#include "fail_nth.h"
#include "futex.h"
#include "terminal.h"
#include "tree.h"
#include "usage.h"

/* ---- The end ---- */

/* (T) The one that waits in vfork() goes on. */
static void return_to_lender(struct task *task)
{
    if (task->lender) {
        task->lender->borrower = NULL;
        wake_all(&task->lender->returned);
        task->lender = NULL;
    }
}

void task_change_memory(struct task *task, struct memory *memory)
{
    struct process *process = task->process;
    struct usage usage = {.ticks = 0};
    if (!memory) {
        space_load(NULL);
    }
    tree_lock();
    struct memory *before = process->memory;
    bool last = memory || --process->with_memory == 0;
    if (last) {
        process->memory = memory;
    }
    tree_unlock();
    if (last) {
        memory_put(before, &usage);
    }
    tree_lock();
    usage_add(&process->usage, &usage);
    return_to_lender(task);
    tree_unlock();
}

/* (T) The last task is gone. Returns what nobody refers to any more, linked by next_child. */
static struct process *become_zombie(struct process *process)
{
    uint32_t signal = (uint32_t)process->status & 0x7f;
    process_timers_end(process);
    posix_timers_end(process);
    terminal_end(process);
    stop_tell_orphans(process);
    signal_orphans(process);
    struct process *gone = tree_orphan_children(process);
    atomic_store(&process->state, PROCESS_ZOMBIE);
    bool forgotten = signal_parent(process, signal ? CHILD_KILLED : CHILD_EXITED,
                                   signal ? signal : (uint32_t)process->status >> 8);
    if (process->awaited) {
        wake_all(&process->ended);
    } else if (forgotten || !process->parent) {
        tree_remove(process);
        process->next_child = gone;
        gone = process;
    }
    return gone;
}

static void free_all(struct process *gone)
{
    while (gone) {
        struct process *next = gone->next_child;
        process_free(gone);
        gone = next;
    }
}

/* Who waits in pthread_join() sees the number go when all else of this task that others can see has gone. */
static void tell_number(const struct task *task)
{
    struct memory *memory = task->process->memory;
    if (task->clear_on_exit.raw != 0 && (task->process->with_memory > 1 || memory->users > 1)) {
        put_user_32(task->clear_on_exit, 0);
        futex_wake_at(memory, task->clear_on_exit, 1);
    }
}

void task_leave_memory(struct task *task)
{
    robust_list_end(task);
    tell_number(task);
}

/* The last steps, on the way out of the thread. */
static void leave(struct task *task)
{
    struct process *process = task->process;
    struct thread *thread = task->thread;
    struct process *gone = NULL;
    task_leave_memory(task);
    task_change_memory(task, NULL);
    if (atomic_fetch_sub(&process->file_users, 1) == 1) {
        process_drop_files(process); /* before anybody is told of its end */
    }
    tree_lock();
    struct thread_times times = thread_times(thread);
    process->usage.ticks += times.all;
    process->usage.kernel_ticks += times.kernel;
    task_signals_end(task);
    posix_timers_end_task(task);
    tree_remove_task(task);
    if (process->task_count == 0) {
        gone = become_zombie(process);
    } else {
        stop_look(process);
        signals_offer(process, signal_queue_set(&process->signals.pending));
        wake_all(&process->watchers); /* execve() waits for the others to go */
    }
    tree_unlock();
    free_all(gone);
    fail_nth_forget();
    thread->task = NULL;
    credentials_put(task->credentials);
    heap_free(&kernel_heap, task);
    thread_detach(thread);
}

void task_end(uint64_t status)
{
    const struct task *task = task_current();
    tree_lock();
    if (task->process->state == PROCESS_RUNS) {
        task->process->status = status;
    }
    tree_unlock();
    user_mode_end(0);
}

void process_end(uint64_t status)
{
    struct task *task = task_current();
    tree_lock();
    tree_end_process(task->process, status, task);
    tree_unlock();
    user_mode_end(0);
}

/* ---- The beginning ---- */

static uint64_t run(void *context)
{
    struct task *task = context;
    thread_current()->task = task;
    space_load(&task->process->memory->space);
    if (task->set_at_start.raw != 0) {
        put_user_32(task->set_at_start, task->number);
    }
    user_mode_run(&task->start);
    leave(task);
    return 0;
}

struct task *task_create(struct process *process)
{
    const struct thread_request request = {.name = process->name,
                                           .entry = run,
                                           .level = THREAD_NORMAL,
                                           .cpu = THREAD_ANY_CPU,
                                           .has_user_state = true};
    struct task *task = heap_alloc_zeroed(&kernel_heap, sizeof *task);
    if (!task) {
        return NULL;
    }
    task->thread = thread_create(&request);
    if (!task->thread) {
        heap_free(&kernel_heap, task);
        return NULL;
    }
    task->thread->argument = task;
    task->process = process;
    task->credentials = credentials_for_child();
    atomic_fetch_add(&process->file_users, 1);
    wait_queue_init(&task->returned);
    memcpy(task->name, process->name, sizeof task->name);
    return task;
}

void task_discard(struct task *task)
{
    atomic_fetch_sub(&task->process->file_users, 1);
    thread_detach(task->thread);
    credentials_put(task->credentials);
    heap_free(&kernel_heap, task);
}

void task_start(struct task *task)
{
    thread_start(task->thread);
}

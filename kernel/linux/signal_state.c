/* What processes and tasks have of signals, from their beginning to their end; see signals.h. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "tree.h"

/* ---- Actions ---- */

struct signal_actions *signal_actions_create(void)
{
    struct signal_actions *actions = heap_alloc_zeroed(&kernel_heap, sizeof *actions);
    if (actions) {
        spinlock_init(&actions->lock, LOCK_SIGNALS, 0);
        actions->users = 1;
    }
    return actions;
}

struct signal_actions *signal_actions_copy(struct signal_actions *from)
{
    struct signal_actions *actions = signal_actions_create();
    if (actions) {
        spinlock_acquire(&from->lock);
        memcpy(actions->actions, from->actions, sizeof actions->actions);
        spinlock_release(&from->lock);
    }
    return actions;
}

struct signal_actions *signal_actions_get(struct signal_actions *actions)
{
    atomic_fetch_add(&actions->users, 1);
    return actions;
}

void signal_actions_put(struct signal_actions *actions)
{
    if (atomic_fetch_sub(&actions->users, 1) == 1) {
        heap_free(&kernel_heap, actions);
    }
}

void signal_actions_clear(struct signal_actions *actions)
{
    spinlock_acquire(&actions->lock);
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uint64_t handler = actions->actions[i].handler;
        actions->actions[i] =
            (struct signal_action){.handler = handler == ACTION_IGNORE ? ACTION_IGNORE : ACTION_DEFAULT};
    }
    spinlock_release(&actions->lock);
}

/* ---- Records ---- */

static _Atomic(uint64_t) records; /* that are out */

uint64_t signal_records(void)
{
    return atomic_load(&records);
}

struct signal_record *signal_record_create(uint64_t limit)
{
    struct signal_record *record = NULL;
    if (atomic_fetch_add(&records, 1) < limit) {
        record = heap_alloc(&kernel_heap, sizeof *record);
    }
    if (!record) {
        atomic_fetch_sub(&records, 1);
        return NULL;
    }
    record->is_owned = false;
    record->overrun_taken = 0;
    return record;
}

void signal_record_free(struct signal_record *record)
{
    if (record && record->is_owned) {
        record->is_queued = false;
    } else if (record) {
        heap_free(&kernel_heap, record);
        atomic_fetch_sub(&records, 1);
    }
}

void signal_records_free(struct signal_record *linked)
{
    while (linked) {
        struct signal_record *next = linked->after;
        signal_record_free(linked);
        linked = next;
    }
}

/* ---- Beginning and end ---- */

void task_signals_begin(struct task *task, const struct task *maker, bool same_memory)
{
    task->signals.mask = maker->signals.mask;
    task->signals.stack = same_memory ? (struct signal_stack){.flags = STACK_NONE} : maker->signals.stack;
}

static void forget(struct process *process, struct signal_queue *queue)
{
    if (signal_queue_set(queue) != 0) {
        spinlock_acquire(&process->actions->lock);
        struct signal_record *removed = signal_queue_remove(queue, UINT64_MAX);
        spinlock_release(&process->actions->lock);
        signal_records_free(removed);
    }
}

void task_signals_end(struct task *task)
{
    forget(task->process, &task->signals.pending);
}

void process_signals_end(struct process *process)
{
    if (process->actions) {
        forget(process, &process->signals.pending);
        signal_actions_put(process->actions);
    }
}

struct signal_sets signal_sets(const struct process *process, const struct task *task)
{
    struct signal_sets sets = {.shared_pending = signal_queue_set(&process->signals.pending),
                               .pending = task ? signal_queue_set(&task->signals.pending) : 0,
                               .masked = task ? atomic_load(&task->signals.mask) : 0};
    spinlock_acquire(&process->actions->lock);
    for (uint32_t signal = 1; signal < SIGNALS_END; signal++) {
        uint64_t handler = process->actions->actions[signal - 1].handler;
        sets.ignored |= handler == ACTION_IGNORE ? SIGNAL_BIT(signal) : 0;
        sets.handled |= handler > ACTION_IGNORE ? SIGNAL_BIT(signal) : 0;
    }
    spinlock_release(&process->actions->lock);
    return sets;
}

int signals_prepare_execution(struct process *process, struct signal_actions **own)
{
    *own = NULL;
    /* Another thread may share them with a new process until it ends. */
    if (atomic_load(&process->actions->users) > 1 || atomic_load(&process->task_count) > 1) {
        *own = signal_actions_copy(process->actions);
        return *own ? 0 : -ENOMEM;
    }
    return 0;
}

void signals_execute(struct task *task, struct signal_actions *own)
{
    struct process *process = task->process;
    if (own) {
        tree_lock();
        struct signal_actions *before = process->actions;
        process->actions = own;
        tree_unlock();
        signal_actions_put(before);
    }
    signal_actions_clear(process->actions);
    task->signals.stack = (struct signal_stack){.flags = STACK_NONE};
}

/* Sending signals, and choosing who takes them; see signals.h. */
#include <ashlar/clock.h>
#include <ashlar/string.h>

#include "tree.h"

#define HUNDREDTH 10000000ULL /* of a second, in nanoseconds */

static void lock(const struct process *process) NO_LOCK_ANALYSIS
{
    spinlock_acquire(&process->actions->lock);
}

static void unlock(const struct process *process) NO_LOCK_ANALYSIS
{
    spinlock_release(&process->actions->lock);
}

/* ---- What is told ---- */

struct signal_information signal_by_process(uint32_t signal, int32_t code)
{
    const struct task *task = task_current();
    return (struct signal_information){.signal = (int32_t)signal,
                                       .code = code,
                                       .sender.number = (int32_t)task->process->number,
                                       .sender.user = task->credentials->rights.user.real};
}

struct signal_information signal_by_kernel(uint32_t signal)
{
    return (struct signal_information){.signal = (int32_t)signal, .code = CODE_KERNEL};
}

/* ---- Who takes it ---- */

/* (T) */
static bool reaches(const struct task *task, uint32_t signal)
{
    return signal_reaches(signal, atomic_load(&task->signals.mask), atomic_load(&task->signals.awaited));
}

/* (T) The first task of the process is asked first. NULL: all mask it. */
static struct task *choose(const struct process *process, uint32_t signal)
{
    struct task *first = process->identity->task;
    if (first && first->process == process && reaches(first, signal)) {
        return first;
    }
    struct task *task = process->tasks;
    while (task && !reaches(task, signal)) {
        task = task->next;
    }
    return task;
}

void signals_offer(struct process *process, uint64_t set)
{
    for (struct task *task = process->tasks; task && set != 0; task = task->next) {
        uint64_t takes = set & (~atomic_load(&task->signals.mask) | atomic_load(&task->signals.awaited));
        if (takes != 0) {
            thread_interrupt(task->thread);
            set &= ~takes;
        }
    }
}

/* A signal that is masked is kept, even if it would be ignored now: the action may change till it comes. */
static bool is_dropped(const struct process *process, const struct task *task, uint32_t signal,
                       uint64_t handler)
{
    const struct task *to = task ? task : process->identity->task;
    bool masked = to && (atomic_load(&to->signals.mask) & SIGNAL_BIT(signal));
    return !masked && signal_is_ignored(signal, handler);
}

/* ---- Stopping and going on undo each other ---- */

void signals_withdraw(struct process *process, uint64_t set)
{
    lock(process);
    struct signal_record *removed = signal_queue_remove(&process->signals.pending, set);
    unlock(process);
    signal_records_free(removed);
    for (struct task *task = process->tasks; task; task = task->next) {
        lock(process);
        removed = signal_queue_remove(&task->signals.pending, set);
        unlock(process);
        signal_records_free(removed);
    }
}

/* (T) The process goes on. */
static void go_on(struct process *process)
{
    struct process_signals *signals = &process->signals;
    if (signals->stop_signal == 0) {
        return;
    }
    bool was_stopped = signals->is_stopped;
    atomic_store(&signals->stop_signal, 0);
    signals->stopped = 0;
    signals->is_stopped = false;
    signals->tells_stop = false;
    signals->continues++;
    wake_all(&signals->continued);
    if (was_stopped) {
        signals->tells_continue = true;
        signal_parent(process, CHILD_CONTINUED, SIGNAL_CONTINUE);
    }
}

/* (T) */
static void prepare(struct process *process, uint32_t signal)
{
    if (signal == SIGNAL_CONTINUE) {
        lock(process);
        process->signals.stop_taken = false;
        unlock(process);
        signals_withdraw(process, SIGNALS_STOPPING);
        go_on(process);
    } else if (SIGNAL_BIT(signal) & SIGNALS_STOPPING) {
        signals_withdraw(process, SIGNAL_BIT(SIGNAL_CONTINUE));
    }
}

/* ---- Sending ---- */

/* (T) It is pending: whoever takes it is told; or all end at once, if that is what it does. Who has stopped
 * takes it when he goes on. */
static void tell(struct process *process, struct task *task, uint32_t signal, uint64_t handler)
{
    struct task *target = !task ? choose(process, signal) : reaches(task, signal) ? task : NULL;
    if (!target || process->signals.is_stopped) {
        return;
    }
    bool masked = atomic_load(&target->signals.mask) & SIGNAL_BIT(signal);
    if (handler == ACTION_DEFAULT && !masked && signal_default(signal) == EFFECT_END) {
        tree_end_process(process, PROCESS_KILLED(signal), NULL);
    } else {
        thread_interrupt(target->thread);
    }
}

/* (T) Whether there is anything to do; *handler: what the process has set. */
static bool begins(struct process *process, struct task *task, uint32_t signal, uint64_t *handler)
{
    if (process->state != PROCESS_RUNS) {
        return false;
    }
    if (signal == SIGNAL_KILL) {
        tree_end_process(process, PROCESS_KILLED(signal), NULL);
        return false;
    }
    prepare(process, signal);
    lock(process);
    *handler = process->actions->actions[signal - 1].handler;
    unlock(process);
    return !is_dropped(process, task, signal, *handler);
}

static struct signal_queue *queue_of(struct process *process, struct task *task)
{
    return task ? &task->signals.pending : &process->signals.pending;
}

/* Those that are queued must not get lost; of the others at least the signal comes. */
int signal_send(struct process *process, struct task *task, const struct signal_information *information)
{
    uint32_t signal = (uint32_t)information->signal;
    uint64_t handler;
    if (!begins(process, task, signal, &handler)) {
        return 0;
    }
    bool by_kernel = signal < SIGNAL_REALTIME && information->code >= 0;
    struct signal_record *record =
        signal_record_create(by_kernel ? UINT64_MAX : process->limits[LIMIT_SIGNALS].soft);
    if (!record && signal >= SIGNAL_REALTIME && information->code != CODE_USER) {
        return -EAGAIN;
    }
    if (record) {
        record->information = *information;
    }
    lock(process);
    bool added = signal_queue_add(queue_of(process, task), signal, record);
    unlock(process);
    if (added) {
        tell(process, task, signal, handler);
    } else {
        signal_record_free(record);
    }
    return 0;
}

bool signal_would_come(struct process *process, uint32_t signal)
{
    lock(process);
    uint64_t handler = process->actions->actions[signal - 1].handler;
    bool pending = process->signals.pending.set & SIGNAL_BIT(signal);
    unlock(process);
    return process->state == PROCESS_RUNS && !pending && !is_dropped(process, NULL, signal, handler);
}

bool signal_send_owned(struct process *process, struct task *task, struct signal_record *record)
{
    uint32_t signal = (uint32_t)record->information.signal;
    uint64_t handler;
    if (!begins(process, task, signal, &handler)) {
        return false;
    }
    lock(process);
    bool added = signal_queue_add(queue_of(process, task), signal, record);
    unlock(process);
    if (added) {
        tell(process, task, signal, handler);
    }
    return added;
}

void signal_send_group(const struct identity *group, const struct signal_information *information)
{
    for (struct process *process = group->members; process; process = process->next_member) {
        signal_send(process, NULL, information);
    }
}

void signal_self(uint32_t signal)
{
    struct task *task = task_current();
    const struct signal_information information = signal_by_process(signal, CODE_USER);
    tree_lock();
    signal_send(task->process, task, &information);
    tree_unlock();
}

bool signal_fault(const struct signal_information *information)
{
    struct task *task = task_current();
    struct process *process = task->process;
    struct task_signals *signals = &task->signals;
    uint32_t signal = (uint32_t)information->signal;
    lock(process);
    bool comes = process->actions->actions[signal - 1].handler > ACTION_IGNORE &&
                 !(signals->mask & SIGNAL_BIT(signal));
    if (comes) {
        bool is_free = !signals->fault.is_queued; /* else an earlier fault's is still masked */
        if (is_free) {
            signals->fault.is_owned = true;
            signals->fault.information = *information;
        }
        signal_queue_add(&signals->pending, signal, is_free ? &signals->fault : NULL);
    }
    unlock(process);
    thread_interrupt(task->thread);
    return comes;
}

/* ---- Of children and parents ---- */

/* (T) What the parent has set for SIGCHLD. */
static struct signal_action action_for_child(const struct process *parent)
{
    lock(parent);
    struct signal_action action = parent->actions->actions[SIGNAL_CHILD - 1];
    unlock(parent);
    return action;
}

bool signal_parent(struct process *process, enum child_code code, uint32_t status)
{
    struct process *parent = process->parent;
    bool at_end = code < CHILD_TRAPPED;
    uint32_t signal = at_end ? process->exit_signal : SIGNAL_CHILD;
    signal = signal < SIGNALS_END ? signal : 0; /* clone() takes any number */
    bool forgets = false;
    if (!parent) {
        return false;
    }
    if (signal == SIGNAL_CHILD) {
        const struct signal_action action = action_for_child(parent);
        forgets = at_end && (action.handler == ACTION_IGNORE || (action.flags & ACTION_NO_ZOMBIES));
        signal =
            action.handler == ACTION_IGNORE || (!at_end && (action.flags & ACTION_NO_STOPS)) ? 0 : signal;
    }
    if (signal != 0) {
        uint64_t time = clock_ticks_to_nanoseconds(process->usage.ticks);
        const struct signal_information information = {.signal = (int32_t)signal,
                                                       .code = (int32_t)code,
                                                       .child.number = (int32_t)process->number,
                                                       .child.user = process->credentials->rights.user.real,
                                                       .child.status = (int32_t)status,
                                                       .child.user_time = time / HUNDREDTH};
        signal_send(parent, NULL, &information);
    }
    parent->changes++;
    wake_all(&parent->watchers);
    return forgets;
}

void signal_orphans(const struct process *process)
{
    for (struct process *child = process->children; child; child = child->next_child) {
        for (const struct task *task = child->tasks; task; task = task->next) {
            if (task->signals.parent_death != 0) {
                const struct signal_information information = {.signal = (int32_t)task->signals.parent_death,
                                                               .sender.number = (int32_t)process->number};
                signal_send(child, NULL, &information);
            }
        }
    }
}

/*
 * Stopping and going on: what shells do with their jobs. When a task has taken a signal that stops, all tasks
 * of its process are interrupted, and each rests on its way to user mode; the last one tells the parent.
 */
#include "tree.h"

/* (T) */
static void begin(struct process *process, uint32_t signal)
{
    atomic_store(&process->signals.stop_signal, signal);
    process->signals.stopped = 0;
    for (struct task *task = process->tasks; task; task = task->next) {
        thread_interrupt(task->thread);
    }
}

/* (T) A SIGCONT that came after the signal was taken undoes it. */
static bool still_stops(struct process *process)
{
    spinlock_acquire(&process->actions->lock);
    bool stops = process->signals.stop_taken;
    process->signals.stop_taken = false;
    spinlock_release(&process->actions->lock);
    return stops && process->state == PROCESS_RUNS && !process->executor;
}

void stop_process(uint32_t signal)
{
    struct process *process = process_current();
    tree_lock();
    bool in_vain = signal != SIGNAL_STOP && group_is_orphaned(process->group, NULL);
    if (still_stops(process) && !in_vain && process->signals.stop_signal == 0) {
        begin(process, signal);
    }
    tree_unlock();
}

void stop_look(struct process *process)
{
    struct process_signals *signals = &process->signals;
    if (signals->stop_signal != 0 && !signals->is_stopped && process->task_count != 0 &&
        signals->stopped == process->task_count) {
        signals->is_stopped = true;
        signals->tells_stop = true;
        signals->tells_continue = false;
        signal_parent(process, CHILD_STOPPED, signals->stop_signal);
    }
}

void stop_here(void)
{
    struct process *process = process_current();
    struct process_signals *signals = &process->signals;
    const struct wait_how how = {
        .deadline = WAIT_FOREVER, .killable = true, .deaf = true, .from_outside = true};
    tree_lock();
    uint32_t continues = signals->continues;
    bool stops = signals->stop_signal != 0 && process->state == PROCESS_RUNS && !thread_killed();
    if (stops) {
        signals->stopped++;
        stop_look(process);
    }
    tree_unlock();
    if (!stops) {
        return;
    }
    WAIT_UNTIL(&signals->continued, atomic_load(&signals->continues) != continues, "to go on", how);
    tree_lock();
    if (signals->continues == continues) {
        signals->stopped--; /* it is killed */
    }
    tree_unlock();
}

/* ---- Groups that nobody would let go on ---- */

bool group_is_orphaned(const struct identity *group, const struct process *without)
{
    for (const struct process *member = group->members; member; member = member->next_member) {
        const struct process *parent = member->parent;
        if (member != without && member->state != PROCESS_ZOMBIE && parent && parent != without &&
            parent->group != group && parent->session == member->session) {
            return false;
        }
    }
    return true;
}

static bool has_stopped(const struct identity *group)
{
    const struct process *member = group->members;
    while (member && !member->signals.is_stopped) {
        member = member->next_member;
    }
    return member != NULL;
}

static void tell_if_orphaned(const struct identity *group, const struct process *without)
{
    if (has_stopped(group) && group_is_orphaned(group, without)) {
        const struct signal_information hang_up = signal_by_kernel(SIGNAL_HANG_UP);
        const struct signal_information go_on = signal_by_kernel(SIGNAL_CONTINUE);
        signal_send_group(group, &hang_up);
        signal_send_group(group, &go_on);
    }
}

/* Its own group loses the process's parent as one who lets it go on, those of its children the process. */
void stop_tell_orphans(struct process *process)
{
    const struct process *parent = process->parent;
    if (parent && parent->group != process->group && parent->session == process->session) {
        tell_if_orphaned(process->group, process);
    }
    for (const struct process *child = process->children; child; child = child->next_child) {
        if (child->signals.is_stopped && child->group != process->group &&
            child->session == process->session) {
            tell_if_orphaned(child->group, process);
        }
    }
}

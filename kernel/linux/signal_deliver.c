/* What becomes of signals on the way to user mode; see signals.h. */
#define LOG_SUBSYSTEM "program"
#include <ashlar/log.h>
#include <x86/user_mode.h>

#include "tree.h"

/* A signal that has been taken. */
struct taken {
    uint32_t signal;
    struct signal_information information;
    struct signal_action action;
};

static bool take(struct task *task, struct taken *taken)
{
    struct process *process = task->process;
    struct signal_actions *actions = process->actions;
    uint64_t allowed = ~task->signals.mask;
    struct signal_record *record;
    spinlock_acquire(&actions->lock);
    taken->signal = signal_queue_take(&task->signals.pending, allowed, &taken->information, &record);
    if (taken->signal == 0) {
        taken->signal = signal_queue_take(&process->signals.pending, allowed, &taken->information, &record);
    }
    if (taken->signal != 0) {
        struct signal_action *action = &actions->actions[taken->signal - 1];
        taken->action = *action;
        if (action->handler > ACTION_IGNORE && (action->flags & (uint32_t)ACTION_ONCE)) {
            action->handler = ACTION_DEFAULT;
        }
        process->signals.stop_taken |= (SIGNAL_BIT(taken->signal) & SIGNALS_STOPPING) != 0;
    }
    spinlock_release(&actions->lock);
    signal_record_free(record);
    return taken->signal != 0;
}

/* What is pending for the process and this task masks is others' to take, which may not have been told. */
static void leave_to_others(const struct task *task)
{
    struct process *process = task->process;
    uint64_t left = signal_queue_set(&process->signals.pending) & task->signals.mask;
    if (left != 0 && atomic_load(&process->task_count) > 1) {
        tree_lock();
        signals_offer(process, left);
        tree_unlock();
    }
}

/* The handler cannot be reached: that is a fault, whose own handler may have a stack. */
static void cannot_enter(const struct task *task, uint32_t signal)
{
    const struct signal_information information = signal_by_kernel(SIGNAL_SEGV);
    if (signal != SIGNAL_SEGV && signal_fault(&information)) {
        return;
    }
    log_warning("%s (%u): SIGSEGV: no stack for the handler of signal %u", task->process->name,
                task->process->number, signal);
    process_end(PROCESS_KILLED(SIGNAL_SEGV));
}

static void enter_handler(struct trap_frame *frame, struct task *task, const struct taken *taken)
{
    struct task_signals *signals = &task->signals;
    restart_for_handler(frame, taken->action.flags);
    uint64_t mask = signals->restores_mask ? signals->saved_mask : signals->mask;
    if (!signal_frame_push(frame, &taken->information, &taken->action, mask)) {
        cannot_enter(task, taken->signal);
        return;
    }
    signals->restores_mask = false;
    signal_mask_set(signal_handler_mask(taken->signal, &taken->action, signals->mask));
    leave_to_others(task);
}

static void act_by_default(uint32_t signal)
{
    switch (signal_default(signal)) {
    case EFFECT_IGNORE:
    case EFFECT_CONTINUE:
        break;
    case EFFECT_STOP:
        stop_process(signal);
        break;
    case EFFECT_END:
        process_end(PROCESS_KILLED(signal));
    }
}

static void deliver(struct trap_frame *frame)
{
    struct task *task = task_current();
    struct taken taken;
    do {
        if (atomic_load(&task->process->signals.stop_signal) != 0) {
            stop_here();
        }
        if (thread_killed()) {
            return;
        }
        if (!take(task, &taken)) {
            restart_without_handler(frame);
            if (task->signals.restores_mask) {
                task->signals.restores_mask = false;
                signal_mask_set(task->signals.saved_mask);
            }
            leave_to_others(task);
            return;
        }
        if (taken.action.handler > ACTION_IGNORE) {
            enter_handler(frame, task, &taken);
            return;
        }
        if (taken.action.handler == ACTION_DEFAULT) {
            act_by_default(taken.signal);
        }
    } while (true);
}

/* Whoever killed it has said why, in the process. What comes while signals are looked for is looked for anew.
 */
void task_user_work(struct trap_frame *frame)
{
    struct thread *thread = thread_current();
    if (thread->user_work & THREAD_WORK_KILLED) {
        user_mode_end(0);
    }
    atomic_fetch_and(&thread->user_work, ~(uint32_t)THREAD_WORK_SIGNAL);
    deliver(frame);
}

/* System calls of signals: actions, masks, what is pending, waiting for signals, alternate stacks. */
#include <ashlar/clock.h>
#include <ashlar/string.h>

#include "calls.h"
#include "time.h"
#include "tree.h"

#define SET_BYTES sizeof(uint64_t)

enum mask_change { MASK_BLOCK, MASK_UNBLOCK, MASK_SET };

/* ---- Actions ---- */

/* One that ignores its signal takes away what is pending of it (POSIX, 2.4.3). */
static void set_action(struct process *process, uint32_t signal, const struct signal_action *action)
{
    struct signal_actions *actions = process->actions;
    struct signal_action *place = &actions->actions[signal - 1];
    spinlock_acquire(&actions->lock);
    *place = *action;
    place->flags &= ACTION_FLAGS;
    place->mask &= ~SIGNALS_UNMASKABLE;
    spinlock_release(&actions->lock);
    if (signal_is_ignored(signal, action->handler)) {
        tree_lock();
        signals_withdraw(process, SIGNAL_BIT(signal));
        tree_unlock();
    }
}

int64_t call_rt_sigaction(const struct trap_frame *frame)
{
    struct process *process = process_current();
    uint32_t signal = (uint32_t)argument_1(frame);
    user_addr_t new = user_addr(argument_2(frame));
    user_addr_t old = user_addr(argument_3(frame));
    struct signal_action action;
    if (argument_4(frame) != SET_BYTES) {
        return -EINVAL;
    }
    if (new.raw != 0 && !copy_from_user(&action, new, sizeof action)) {
        return -EFAULT;
    }
    if (signal < 1 || signal >= SIGNALS_END || (new.raw != 0 && (SIGNAL_BIT(signal) & SIGNALS_UNMASKABLE))) {
        return -EINVAL;
    }
    spinlock_acquire(&process->actions->lock);
    struct signal_action before = process->actions->actions[signal - 1];
    spinlock_release(&process->actions->lock);
    if (new.raw != 0) {
        set_action(process, signal, &action);
    }
    return old.raw == 0 || copy_to_user(old, &before, sizeof before) ? 0 : -EFAULT;
}

/* ---- Masks ---- */

static int64_t change_mask(uint32_t how, uint64_t set)
{
    uint64_t mask = task_current()->signals.mask;
    switch (how) {
    case MASK_BLOCK:
        signal_mask_set(mask | set);
        return 0;
    case MASK_UNBLOCK:
        signal_mask_set(mask & ~set);
        return 0;
    case MASK_SET:
        signal_mask_set(set);
        return 0;
    default:
        return -EINVAL;
    }
}

int64_t call_rt_sigprocmask(const struct trap_frame *frame)
{
    user_addr_t new = user_addr(argument_2(frame));
    user_addr_t old = user_addr(argument_3(frame));
    uint64_t before = task_current()->signals.mask;
    uint64_t set;
    if (argument_4(frame) != SET_BYTES) {
        return -EINVAL;
    }
    if (new.raw != 0) {
        int64_t error = get_user_64(&set, new) ? change_mask((uint32_t)argument_1(frame), set) : -EFAULT;
        if (error) {
            return error;
        }
    }
    return old.raw == 0 || put_user_64(old, before) ? 0 : -EFAULT;
}

int64_t call_rt_sigpending(const struct trap_frame *frame)
{
    const struct task *task = task_current();
    uint64_t bytes = argument_2(frame);
    uint64_t set =
        signal_queue_set(&task->signals.pending) | signal_queue_set(&task->process->signals.pending);
    set &= task->signals.mask;
    if (bytes > sizeof set) {
        return -EINVAL;
    }
    return copy_to_user(user_addr(argument_1(frame)), &set, bytes) ? 0 : -EFAULT;
}

/* ---- Waiting ---- */

/* Until a signal is to be taken, or the deadline. */
static enum wait_result wait_for_signal(uint64_t deadline)
{
    const struct wait_how how = {.deadline = deadline, .killable = true, .from_outside = true};
    struct wait_queue nobody = WAIT_QUEUE_INITIALIZER;
    struct waiter waiter;
    wait_enter(&nobody, &waiter, "a signal");
    return wait_rest(&waiter, &how);
}

int64_t call_pause(const struct trap_frame *frame)
{
    (void)frame;
    wait_for_signal(WAIT_FOREVER);
    return -EINTR;
}

int64_t call_rt_sigsuspend(const struct trap_frame *frame)
{
    if (argument_2(frame) != SET_BYTES) {
        return -EINVAL;
    }
    int64_t error =
        argument_1(frame) == 0 ? -EFAULT : signal_mask_begin(user_addr(argument_1(frame)), SET_BYTES);
    return error ? error : call_pause(frame);
}

/* Takes one of the set, masked or not; 0: none is pending. */
static uint32_t take_awaited(struct task *task, uint64_t set, struct signal_information *information)
{
    struct process *process = task->process;
    struct signal_record *record;
    spinlock_acquire(&process->actions->lock);
    uint32_t signal = signal_queue_take(&task->signals.pending, set, information, &record);
    if (signal == 0) {
        signal = signal_queue_take(&process->signals.pending, set, information, &record);
    }
    spinlock_release(&process->actions->lock);
    signal_record_free(record);
    return signal;
}

/* Those who send see `awaited` and wake this task, or it sees here what they have sent. */
static int64_t wait_for_set(uint64_t set, uint64_t deadline, struct signal_information *information)
{
    struct task *task = task_current();
    uint32_t signal = take_awaited(task, set, information);
    if (signal != 0) {
        return signal;
    }
    if (deadline == 0) {
        return -EAGAIN;
    }
    atomic_store(&task->signals.awaited, set);
    enum wait_result result = WAIT_KILLED;
    signal = take_awaited(task, set, information);
    if (signal == 0) {
        result = wait_for_signal(deadline);
        signal = take_awaited(task, set, information);
    }
    atomic_store(&task->signals.awaited, 0);
    thread_interrupt(task->thread); /* what was meant for this task and was not taken is others' */
    return signal != 0 ? (int64_t)signal : result == WAIT_TIMED_OUT ? -EAGAIN : -EINTR;
}

/* A struct timespec: 0 for no time at all; none is for ever. */
static int64_t get_deadline(user_addr_t from, uint64_t *deadline)
{
    uint64_t nanoseconds;
    *deadline = WAIT_FOREVER;
    if (from.raw == 0) {
        return 0;
    }
    int64_t error = time_get(&nanoseconds, from);
    if (!error && nanoseconds < INT64_MAX) {
        *deadline = nanoseconds == 0 ? 0 : clock_nanoseconds() + nanoseconds;
    }
    return error;
}

int64_t call_rt_sigtimedwait(const struct trap_frame *frame)
{
    user_addr_t to = user_addr(argument_2(frame));
    struct signal_information information;
    uint64_t set;
    uint64_t deadline;
    if (argument_4(frame) != SET_BYTES) {
        return -EINVAL;
    }
    if (!get_user_64(&set, user_addr(argument_1(frame)))) {
        return -EFAULT;
    }
    int64_t result = get_deadline(user_addr(argument_3(frame)), &deadline);
    result = result ? result : wait_for_set(set & ~SIGNALS_UNMASKABLE, deadline, &information);
    return result > 0 && to.raw != 0 && !signal_information_put(to, &information) ? -EFAULT : result;
}

/* ---- Alternate stacks ---- */

int64_t call_sigaltstack(const struct trap_frame *frame)
{
    struct task_signals *signals = &task_current()->signals;
    user_addr_t new = user_addr(argument_1(frame));
    user_addr_t old = user_addr(argument_2(frame));
    struct signal_stack stack;
    struct signal_stack before = {.base = signals->stack.base,
                                  .flags = signal_stack_state(&signals->stack, frame->rsp) |
                                           (signals->stack.flags & STACK_AUTODISARM),
                                  .bytes = signals->stack.bytes};
    if (new.raw != 0) {
        if (!copy_from_user(&stack, new, sizeof stack)) {
            return -EFAULT;
        }
        int64_t error =
            signal_stack_is_used(&signals->stack, frame->rsp) ? -EPERM : signal_stack_set(signals, &stack);
        if (error) {
            return error;
        }
    }
    return old.raw == 0 || copy_to_user(old, &before, sizeof before) ? 0 : -EFAULT;
}

/*
 * kill, tkill, tgkill. There are no handlers yet: a signal does what it does by default, which is to end the
 * process, or nothing; those that would stop it do nothing.
 */
#include "calls.h"
#include "tree.h"

#define SIGNALS_END 65 /* the first number that is no signal */

static bool ends_process(uint32_t signal)
{
    switch (signal) {
    case 0: /* asks whether there is somebody */
    case SIGNAL_CHILD:
    case SIGNAL_CONTINUE:
    case SIGNAL_STOP:
    case SIGNAL_TERMINAL_STOP:
    case SIGNAL_TERMINAL_READ:
    case SIGNAL_TERMINAL_WRITE:
    case SIGNAL_URGENT:
    case SIGNAL_WINDOW:
        return false;
    default:
        return true;
    }
}

/* (T) The one place where a signal comes to a process. */
static void send(struct process *process, uint32_t signal)
{
    if (ends_process(signal)) {
        tree_end_process(process, PROCESS_KILLED(signal), NULL);
    }
}

/* (T) */
static int64_t send_to_group(const struct identity *group, uint32_t signal)
{
    if (!group || !group->members) {
        return -ESRCH;
    }
    for (struct process *process = group->members; process; process = process->next_member) {
        send(process, signal);
    }
    return 0;
}

/* (T) To all but the first process and the calling one. */
static int64_t send_to_all(const struct process *self, uint32_t signal)
{
    int64_t error = -ESRCH;
    for (struct process *process = tree_next(2); process; process = tree_next(process->number + 1)) {
        if (process != self) {
            send(process, signal);
            error = 0;
        }
    }
    return error;
}

/* (T) */
static int64_t send_by_number(int32_t number, uint32_t signal)
{
    struct process *self = process_current();
    if (number == 0) {
        return send_to_group(self->group, signal);
    }
    if (number == -1) {
        return send_to_all(self, signal);
    }
    if (number < 0) {
        return send_to_group(identity_find((uint32_t)-number), signal);
    }
    return process_signal((uint32_t)number, signal);
}

int64_t process_signal(uint32_t number, uint32_t signal)
{
    struct process *process = process_find(number);
    const struct task *task = process ? NULL : task_find(number);
    process = task ? task->process : process;
    if (!process) {
        return -ESRCH;
    }
    send(process, signal);
    return 0;
}

int64_t call_kill(const struct trap_frame *frame)
{
    int32_t number = (int32_t)argument_1(frame);
    uint32_t signal = (uint32_t)argument_2(frame);
    if (number == INT32_MIN) {
        return -ESRCH;
    }
    tree_lock();
    int64_t error = signal >= SIGNALS_END ? -EINVAL : send_by_number(number, signal);
    tree_unlock();
    return error;
}

/* process_number: of the task's process, or 0: of any. */
static int64_t send_to_task(uint32_t process_number, uint32_t number, uint32_t signal)
{
    tree_lock();
    const struct task *task = task_find(number);
    int64_t error = 0;
    if (!task || (process_number != 0 && task->process->number != process_number)) {
        error = -ESRCH;
    } else if (signal >= SIGNALS_END) {
        error = -EINVAL;
    } else {
        send(task->process, signal);
    }
    tree_unlock();
    return error;
}

int64_t call_tkill(const struct trap_frame *frame)
{
    int32_t number = (int32_t)argument_1(frame);
    return number <= 0 ? -EINVAL : send_to_task(0, (uint32_t)number, (uint32_t)argument_2(frame));
}

int64_t call_tgkill(const struct trap_frame *frame)
{
    int32_t process = (int32_t)argument_1(frame);
    int32_t number = (int32_t)argument_2(frame);
    if (process <= 0 || number <= 0) {
        return -EINVAL;
    }
    return send_to_task((uint32_t)process, (uint32_t)number, (uint32_t)argument_3(frame));
}

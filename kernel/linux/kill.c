/* System calls that send signals: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo. */
#include "calls.h"
#include "tree.h"

#define CODE_LEAST_KNOWN (-7) /* SI_DETHREAD */

static bool is_signal(const struct signal_information *information)
{
    return (uint32_t)information->signal < SIGNALS_END;
}

/* (T) Whether the calling task may send it: to a process, by the credentials of one of its tasks. Within a
 * session everybody may let others go on; a thread of the kernel may all. */
static bool may_send(const struct process *process, const struct credentials *credentials, int32_t signal)
{
    const struct task *self = task_current();
    return !self || process == self->process ||
           (signal == SIGNAL_CONTINUE && process->session == self->process->session) ||
           rights_may_signal(&self->credentials->rights, &credentials->rights);
}

/* (T) Signal 0 asks whether there is somebody whom one may send something. */
static int send(struct process *process, struct task *task, const struct signal_information *information)
{
    if (!may_send(process, task ? task->credentials : process->credentials, information->signal)) {
        return -EPERM;
    }
    return information->signal != 0 ? signal_send(process, task, information) : 0;
}

/* (T) It is enough that one gets it. */
static int64_t send_to_group(const struct identity *group, const struct signal_information *information)
{
    bool sent = false;
    int64_t error = -ESRCH;
    for (struct process *process = group ? group->members : NULL; process; process = process->next_member) {
        error = send(process, NULL, information);
        sent = sent || error == 0;
    }
    return sent ? 0 : error;
}

/* (T) To all but the first process and the calling one; those to whom one may not send it do not count. */
static int64_t send_to_all(const struct process *self, const struct signal_information *information)
{
    int64_t error = -ESRCH;
    for (struct process *process = tree_next(2); process; process = tree_next(process->number + 1)) {
        if (process != self) {
            int64_t result = send(process, NULL, information);
            error = result != -EPERM ? result : error == -ESRCH ? 0 : error;
        }
    }
    return error;
}

/* (T) */
static int64_t send_by_number(int32_t number, const struct signal_information *information)
{
    struct process *self = process_current();
    if (number == 0) {
        return send_to_group(self->group, information);
    }
    if (number == -1) {
        return send_to_all(self, information);
    }
    if (number < 0) {
        return send_to_group(identity_find((uint32_t)-number), information);
    }
    return process_signal((uint32_t)number, information);
}

int64_t process_signal(uint32_t number, const struct signal_information *information)
{
    const struct task *task = task_find(number);
    struct process *process = task ? task->process : process_find(number);
    if (!process) {
        return -ESRCH;
    }
    if (!may_send(process, task ? task->credentials : process->credentials, information->signal)) {
        return -EPERM;
    }
    return information->signal != 0 ? signal_send(process, NULL, information) : 0;
}

int64_t call_kill(const struct trap_frame *frame)
{
    int32_t number = (int32_t)argument_1(frame);
    const struct signal_information information = signal_by_process((uint32_t)argument_2(frame), CODE_USER);
    if (number == INT32_MIN) {
        return -ESRCH;
    }
    tree_lock();
    int64_t error = is_signal(&information) ? send_by_number(number, &information) : -EINVAL;
    tree_unlock();
    return error;
}

/* process_number: of the task's process, or 0: of any. */
static int64_t send_to_task(uint32_t process_number, uint32_t number,
                            const struct signal_information *information)
{
    tree_lock();
    struct task *task = task_find(number);
    int64_t error = 0;
    if (!task || (process_number != 0 && task->process->number != process_number)) {
        error = -ESRCH;
    } else if (!is_signal(information)) {
        error = -EINVAL;
    } else {
        error = send(task->process, task, information);
    }
    tree_unlock();
    return error;
}

int64_t call_tkill(const struct trap_frame *frame)
{
    int32_t number = (int32_t)argument_1(frame);
    const struct signal_information information = signal_by_process((uint32_t)argument_2(frame), CODE_TASK);
    return number <= 0 ? -EINVAL : send_to_task(0, (uint32_t)number, &information);
}

int64_t call_tgkill(const struct trap_frame *frame)
{
    int32_t process = (int32_t)argument_1(frame);
    int32_t number = (int32_t)argument_2(frame);
    const struct signal_information information = signal_by_process((uint32_t)argument_3(frame), CODE_TASK);
    if (process <= 0 || number <= 0) {
        return -EINVAL;
    }
    return send_to_task((uint32_t)process, (uint32_t)number, &information);
}

/* ---- With what is told of it ---- */

/* Of a code whose form is not known nothing may lie behind what is kept. */
int64_t signal_information_get(struct signal_information *information, user_addr_t from, uint32_t signal)
{
    uint8_t rest[INFORMATION_BYTES - sizeof *information];
    if (!copy_from_user(information, from, sizeof *information)) {
        return -EFAULT;
    }
    information->signal = (int32_t)signal;
    if (information->code >= CODE_LEAST_KNOWN && information->code <= CODE_KERNEL) {
        return 0;
    }
    if (!copy_from_user(rest, user_add(from, sizeof *information), sizeof rest)) {
        return -EFAULT;
    }
    for (size_t i = 0; i < sizeof rest; i++) {
        if (rest[i] != 0) {
            return -E2BIG;
        }
    }
    return 0;
}

bool signal_may_tell(const struct signal_information *information, uint32_t number)
{
    return (information->code < 0 && information->code != CODE_TASK) || number == process_current()->number;
}

int64_t call_rt_sigqueueinfo(const struct trap_frame *frame)
{
    uint32_t number = (uint32_t)argument_1(frame);
    struct signal_information information;
    int64_t error =
        signal_information_get(&information, user_addr(argument_3(frame)), (uint32_t)argument_2(frame));
    if (error) {
        return error;
    }
    if (!signal_may_tell(&information, number)) {
        return -EPERM;
    }
    tree_lock();
    bool exists = (int32_t)number > 0 && (process_find(number) || task_find(number));
    error = !exists ? -ESRCH : is_signal(&information) ? process_signal(number, &information) : -EINVAL;
    tree_unlock();
    return error;
}

int64_t call_rt_tgsigqueueinfo(const struct trap_frame *frame)
{
    int32_t process = (int32_t)argument_1(frame);
    int32_t number = (int32_t)argument_2(frame);
    struct signal_information information;
    int64_t error =
        signal_information_get(&information, user_addr(argument_4(frame)), (uint32_t)argument_3(frame));
    if (error) {
        return error;
    }
    if (process <= 0 || number <= 0) {
        return -EINVAL;
    }
    return signal_may_tell(&information, (uint32_t)number)
               ? send_to_task((uint32_t)process, (uint32_t)number, &information)
               : -EPERM;
}

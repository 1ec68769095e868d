/*
 * System calls of scheduling: policies and nice values. Threads of one level take turns, so a policy or a
 * nice value is kept and told, and changes nothing; real-time policies are refused, as nobody keeps what they
 * promise.
 */
#include <ashlar/clock.h>

#include "calls.h"
#include "time.h"
#include "tree.h"

#define SLICE_NANOSECONDS 5000000 /* of kernel/task/machine.c */
#define NICE_LEAST        (-20)
#define NICE_MOST         19
#define NICE_TOLD         20 /* what getpriority() tells is this less the value, so as not to be an error */
#define RESET_ON_FORK     0x40000000U

enum policy {
    POLICY_OTHER = 0,
    POLICY_FIFO = 1,
    POLICY_ROUND_ROBIN = 2,
    POLICY_BATCH = 3,
    POLICY_IDLE = 5,
    POLICY_DEADLINE = 6,
};

static bool is_real_time(uint32_t policy)
{
    return policy == POLICY_FIFO || policy == POLICY_ROUND_ROBIN;
}

static bool is_plain(uint32_t policy)
{
    return policy == POLICY_OTHER || policy == POLICY_BATCH || policy == POLICY_IDLE;
}

/* (T) 0: the calling one. */
static struct task *meant(uint32_t number)
{
    return number == 0 ? task_current() : task_find(number);
}

/* (T) */
static bool may_change(const struct task *task)
{
    return rights_may_schedule(&task_current()->credentials->rights, &task->credentials->rights);
}

/* (T) Whether the task may get the nice value, as far as the limit of its process goes: that counts from 1,
 * for 19, to 40. */
static bool may_be_as_nice(const struct task *task, int32_t value)
{
    return (uint64_t)(NICE_TOLD - value) <= task->process->limits[LIMIT_NICE].soft ||
           task_may(CAPABILITY_NICE);
}

/* ---- Policies ---- */

int64_t call_sched_getscheduler(const struct trap_frame *frame)
{
    if ((int32_t)argument_1(frame) < 0) {
        return -EINVAL;
    }
    tree_lock();
    const struct task *task = meant((uint32_t)argument_1(frame));
    int64_t policy = task ? (int64_t)task->policy : -ESRCH;
    tree_unlock();
    return policy;
}

static int64_t set_policy(uint32_t number, uint32_t policy, bool keeps, user_addr_t parameter)
{
    uint32_t priority;
    if (parameter.raw == 0 || (int32_t)number < 0) {
        return -EINVAL;
    }
    if (!copy_from_user(&priority, parameter, sizeof priority)) {
        return -EFAULT;
    }
    tree_lock();
    struct task *task = meant(number);
    uint32_t wanted = task && keeps ? task->policy : policy & ~RESET_ON_FORK;
    int64_t error = 0;
    if (!task) {
        error = -ESRCH;
    } else if (is_real_time(wanted)) {
        error = priority >= 1 && priority <= 99 ? -EPERM : -EINVAL;
    } else if (!is_plain(wanted) || priority != 0) {
        error = -EINVAL;
    } else if (!may_change(task) ||
               (task->policy == POLICY_IDLE && wanted != POLICY_IDLE && !may_be_as_nice(task, task->nice))) {
        error = -EPERM;
    } else {
        task->policy = wanted;
    }
    tree_unlock();
    return error;
}

int64_t call_sched_setscheduler(const struct trap_frame *frame)
{
    uint32_t policy = (uint32_t)argument_2(frame);
    return (int32_t)policy < 0
               ? -EINVAL
               : set_policy((uint32_t)argument_1(frame), policy, false, user_addr(argument_3(frame)));
}

int64_t call_sched_setparam(const struct trap_frame *frame)
{
    return set_policy((uint32_t)argument_1(frame), 0, true, user_addr(argument_2(frame)));
}

int64_t call_sched_getparam(const struct trap_frame *frame)
{
    user_addr_t to = user_addr(argument_2(frame));
    if (to.raw == 0 || (int32_t)argument_1(frame) < 0) {
        return -EINVAL;
    }
    tree_lock();
    bool there = meant((uint32_t)argument_1(frame)) != NULL;
    tree_unlock();
    return !there ? -ESRCH : put_user_32(to, 0) ? 0 : -EFAULT;
}

int64_t call_sched_get_priority_max(const struct trap_frame *frame)
{
    uint32_t policy = (uint32_t)argument_1(frame);
    return is_real_time(policy) ? 99 : is_plain(policy) || policy == POLICY_DEADLINE ? 0 : -EINVAL;
}

int64_t call_sched_get_priority_min(const struct trap_frame *frame)
{
    uint32_t policy = (uint32_t)argument_1(frame);
    return is_real_time(policy) ? 1 : is_plain(policy) || policy == POLICY_DEADLINE ? 0 : -EINVAL;
}

int64_t call_sched_rr_get_interval(const struct trap_frame *frame)
{
    if ((int32_t)argument_1(frame) < 0) {
        return -EINVAL;
    }
    tree_lock();
    bool there = meant((uint32_t)argument_1(frame)) != NULL;
    tree_unlock();
    return there ? time_put(user_addr(argument_2(frame)), SLICE_NANOSECONDS) : -ESRCH;
}

/* ---- Nice values ---- */

enum nice_of { NICE_TASK, NICE_GROUP, NICE_USER };

/* What is done to each task: a value is set, or the least one found. */
struct nice_request {
    bool sets;
    int32_t value; /* that is set; or the least one so far */
    bool found;
    int64_t error; /* of one of those whose value could not be set */
};

/* (T) 0, -EPERM, or -EACCES for a lower value than the one there is. */
static int64_t set_nice(struct task *task, int32_t value)
{
    if (!may_change(task)) {
        return -EPERM;
    }
    if (value < task->nice && !may_be_as_nice(task, value)) {
        return -EACCES;
    }
    task->nice = value;
    return 0;
}

/* (T) */
static void visit(struct task *task, struct nice_request *request)
{
    if (request->sets) {
        int64_t error = set_nice(task, request->value);
        request->error = error ? error : request->error;
    } else if (!request->found || task->nice < request->value) {
        request->value = task->nice;
    }
    request->found = true;
}

/* (T) `user`: only those of that one, unless it is ID_NONE. */
static void visit_all_of(const struct process *process, uint32_t user, struct nice_request *request)
{
    for (struct task *task = process->tasks; task; task = task->next) {
        if (user == ID_NONE || task->credentials->rights.user.real == user) {
            visit(task, request);
        }
    }
}

/* (T) All that are meant. */
static int64_t visit_meant(uint32_t kind, uint32_t number, struct nice_request *request)
{
    struct task *task;
    const struct identity *group;
    switch (kind) {
    case NICE_TASK:
        task = meant(number);
        if (task) {
            visit(task, request);
        }
        return 0;
    case NICE_GROUP:
        group = number == 0 ? process_current()->group : identity_find(number);
        for (struct process *at = group ? group->members : NULL; at; at = at->next_member) {
            visit_all_of(at, ID_NONE, request);
        }
        return 0;
    case NICE_USER:
        number = number == 0 ? task_current()->credentials->rights.user.real : number;
        for (struct process *at = tree_next(1); at; at = tree_next(at->number + 1)) {
            visit_all_of(at, number, request);
        }
        return 0;
    default:
        return -EINVAL;
    }
}

static int64_t carry_out(const struct trap_frame *frame, struct nice_request *request)
{
    tree_lock();
    int64_t error = visit_meant((uint32_t)argument_1(frame), (uint32_t)argument_2(frame), request);
    tree_unlock();
    return error ? error : request->found ? request->error : -ESRCH;
}

int64_t call_getpriority(const struct trap_frame *frame)
{
    struct nice_request request = {.sets = false};
    int64_t error = carry_out(frame, &request);
    return error ? error : NICE_TOLD - request.value;
}

int64_t call_setpriority(const struct trap_frame *frame)
{
    int32_t value = (int32_t)argument_3(frame);
    value = value < NICE_LEAST ? NICE_LEAST : value > NICE_MOST ? NICE_MOST : value;
    return carry_out(frame, &(struct nice_request){.sets = true, .value = value});
}

/* System calls of limits (include/uapi/linux/resource.h). */
#include "calls.h"
#include "tree.h"

/* (T) Whose limits are meant; 0: the calling task's. */
static int64_t find(uint32_t number, struct process **process)
{
    const struct task *self = task_current();
    const struct task *task = number == 0 ? self : task_find(number);
    if (!task) {
        return -ESRCH;
    }
    *process = task->process;
    return task == self || rights_may_limit(&self->credentials->rights, &task->credentials->rights) ? 0
                                                                                                    : -EPERM;
}

/* (T) */
static int64_t set(struct limit *limit, const struct limit *wanted)
{
    if (wanted->soft > wanted->hard) {
        return -EINVAL;
    }
    if (wanted->hard > limit->hard && !task_may(CAPABILITY_RESOURCE)) {
        return -EPERM;
    }
    *limit = *wanted;
    return 0;
}

static int64_t exchange_limit(uint32_t number, uint64_t which, user_addr_t new, user_addr_t old)
{
    struct process *process;
    struct limit wanted = {0, 0};
    struct limit before = {0, 0};
    if ((uint32_t)which >= LIMITS) {
        return -EINVAL;
    }
    if (new.raw != 0 && !copy_from_user(&wanted, new, sizeof wanted)) {
        return -EFAULT;
    }
    tree_lock();
    int64_t error = find(number, &process);
    if (error == 0) {
        struct limit *limit = &process->limits[(uint32_t)which];
        before = *limit;
        error = new.raw != 0 ? set(limit, &wanted) : 0;
    }
    tree_unlock();
    return error || old.raw == 0 || copy_to_user(old, &before, sizeof before) ? error : -EFAULT;
}

/* Of getrlimit() the address is never none. */
static int64_t when_given(user_addr_t at)
{
    return at.raw != 0 ? 0 : -EFAULT;
}

int64_t call_getrlimit(const struct trap_frame *frame)
{
    int64_t error = when_given(user_addr(argument_2(frame)));
    return error ? error : exchange_limit(0, argument_1(frame), user_addr(0), user_addr(argument_2(frame)));
}

int64_t call_setrlimit(const struct trap_frame *frame)
{
    int64_t error = when_given(user_addr(argument_2(frame)));
    return error ? error : exchange_limit(0, argument_1(frame), user_addr(argument_2(frame)), user_addr(0));
}

int64_t call_prlimit64(const struct trap_frame *frame)
{
    return exchange_limit((uint32_t)argument_1(frame), argument_2(frame), user_addr(argument_3(frame)),
                          user_addr(argument_4(frame)));
}

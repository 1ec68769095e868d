/* System calls of limits (include/uapi/linux/resource.h). Everybody is root, who may raise a hard one. */
#include "calls.h"

static int64_t exchange_limit(uint64_t which, user_addr_t new, user_addr_t old)
{
    struct process *process = process_current();
    struct limit wanted = {0, 0};
    if ((uint32_t)which >= LIMITS) {
        return -EINVAL;
    }
    struct limit *limit = &process->limits[(uint32_t)which];
    struct limit before = *limit;
    if (new.raw != 0 && !copy_from_user(&wanted, new, sizeof wanted)) {
        return -EFAULT;
    }
    if (wanted.soft > wanted.hard) {
        return -EINVAL;
    }
    *limit = new.raw != 0 ? wanted : before;
    return old.raw == 0 || copy_to_user(old, &before, sizeof before) ? 0 : -EFAULT;
}

/* Of getrlimit() the address is never none. */
static int64_t when_given(user_addr_t at)
{
    return at.raw != 0 ? 0 : -EFAULT;
}

int64_t call_getrlimit(const struct trap_frame *frame)
{
    int64_t error = when_given(user_addr(argument_2(frame)));
    return error ? error : exchange_limit(argument_1(frame), user_addr(0), user_addr(argument_2(frame)));
}

int64_t call_setrlimit(const struct trap_frame *frame)
{
    int64_t error = when_given(user_addr(argument_2(frame)));
    return error ? error : exchange_limit(argument_1(frame), user_addr(argument_2(frame)), user_addr(0));
}

int64_t call_prlimit64(const struct trap_frame *frame)
{
    uint32_t number = (uint32_t)argument_1(frame);
    if (number != 0 && number != process_current()->number) {
        return -ESRCH;
    }
    return exchange_limit(argument_2(frame), user_addr(argument_3(frame)), user_addr(argument_4(frame)));
}

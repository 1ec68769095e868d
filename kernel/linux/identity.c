/* System calls about the process itself and its end. Everybody is root, and alone. */
#include <x86/user_mode.h>

#include "calls.h"

#define ROBUST_LIST_BYTES 24 /* of struct robust_list_head */

enum arch_request {
    ARCH_SET_GS = 0x1001,
    ARCH_SET_FS = 0x1002,
    ARCH_GET_FS = 0x1003,
    ARCH_GET_GS = 0x1004,
};

int64_t call_getpid(const struct trap_frame *frame)
{
    (void)frame;
    return process_current()->number;
}

int64_t call_gettid(const struct trap_frame *frame)
{
    (void)frame;
    return task_current()->number;
}

/* The kernel started it. */
int64_t call_getppid(const struct trap_frame *frame)
{
    (void)frame;
    return 0;
}

int64_t call_getuid(const struct trap_frame *frame)
{
    (void)frame;
    return 0;
}

int64_t call_geteuid(const struct trap_frame *frame)
{
    return call_getuid(frame);
}

int64_t call_getgid(const struct trap_frame *frame)
{
    return call_getuid(frame);
}

int64_t call_getegid(const struct trap_frame *frame)
{
    return call_getuid(frame);
}

int64_t call_exit(const struct trap_frame *frame)
{
    task_end(PROCESS_EXITED(argument_1(frame)));
}

int64_t call_exit_group(const struct trap_frame *frame)
{
    return call_exit(frame);
}

int64_t call_arch_prctl(const struct trap_frame *frame)
{
    struct thread *thread = thread_current();
    uint64_t address = argument_2(frame);
    switch ((uint32_t)argument_1(frame)) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (address >= USER_END) {
            return -EPERM;
        }
        *((uint32_t)argument_1(frame) == ARCH_SET_FS ? &thread->fs_base : &thread->gs_base) = address;
        user_bases_load(thread->fs_base, thread->gs_base);
        return 0;
    case ARCH_GET_FS:
        return put_user_64(user_addr(address), thread->fs_base) ? 0 : -EFAULT;
    case ARCH_GET_GS:
        return put_user_64(user_addr(address), thread->gs_base) ? 0 : -EFAULT;
    default:
        return -EINVAL;
    }
}

int64_t call_set_tid_address(const struct trap_frame *frame)
{
    task_current()->clear_on_exit = user_addr(argument_1(frame));
    return task_current()->number;
}

int64_t call_set_robust_list(const struct trap_frame *frame)
{
    if (argument_2(frame) != ROBUST_LIST_BYTES) {
        return -EINVAL;
    }
    task_current()->robust_list = user_addr(argument_1(frame));
    return 0;
}

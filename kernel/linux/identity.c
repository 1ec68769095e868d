/* System calls about the process itself and its end. users.c has users and groups. */
#include <x86/user_mode.h>

#include <ashlar/string.h>

#include "calls.h"
#include "prctl.h"
#include "tree.h"

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

/* 0: the kernel. */
int64_t call_getppid(const struct trap_frame *frame)
{
    (void)frame;
    return atomic_load_explicit(&process_current()->ppid, memory_order_relaxed);
}

int64_t call_exit(const struct trap_frame *frame)
{
    task_end(PROCESS_EXITED(argument_1(frame)));
}

int64_t call_exit_group(const struct trap_frame *frame)
{
    process_end(PROCESS_EXITED(argument_1(frame)));
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

/* ---- prctl ---- */

enum prctl_request {
    PRCTL_SET_PARENT_DEATH = 1,
    PRCTL_GET_PARENT_DEATH = 2,
    PRCTL_SET_NAME = 15,
    PRCTL_GET_NAME = 16,
};

/* A name that is too long is cut. */
static int64_t set_name(struct task *task, user_addr_t from)
{
    char name[PROCESS_NAME_BYTES];
    memset(name, 0, sizeof name);
    int64_t length = strncpy_from_user(name, from, sizeof name - 1);
    if (length == USER_STRING_FAULT) {
        return -EFAULT;
    }
    memset(name + (length < 0 ? (int64_t)sizeof name - 1 : length), 0,
           sizeof name - (size_t)(length < 0 ? (int64_t)sizeof name - 1 : length));
    tree_lock();
    memcpy(task->name, name, sizeof name);
    tree_unlock();
    return 0;
}

static int64_t set_parent_death(struct task *task, uint64_t signal)
{
    if (signal >= SIGNALS_END) {
        return -EINVAL;
    }
    tree_lock();
    task->signals.parent_death = (uint32_t)signal;
    tree_unlock();
    return 0;
}

int64_t call_prctl(const struct trap_frame *frame)
{
    struct task *task = task_current();
    user_addr_t at = user_addr(argument_2(frame));
    switch ((uint32_t)argument_1(frame)) {
    case PRCTL_SET_PARENT_DEATH:
        return set_parent_death(task, argument_2(frame));
    case PRCTL_GET_PARENT_DEATH:
        return put_user_32(at, task->signals.parent_death) ? 0 : -EFAULT;
    case PRCTL_SET_NAME:
        return set_name(task, at);
    case PRCTL_GET_NAME:
        return copy_to_user(at, task->name, sizeof task->name) ? 0 : -EFAULT;
    default:
        return prctl_rest(frame);
    }
}

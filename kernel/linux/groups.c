/* Groups of processes, and sessions: what shells keep their jobs in. */
#include "calls.h"
#include "tree.h"

/* (T) The process meant by a number; 0: the calling one. */
static struct process *meant(uint32_t number)
{
    return number == 0 ? process_current() : process_find(number);
}

/* (T) Whether the calling process may move `process` to another group. */
static int64_t may_move(const struct process *process)
{
    const struct process *self = process_current();
    if (!process || (process != self && process->parent != self)) {
        return -ESRCH;
    }
    if (process != self && process->session != self->session) {
        return -EPERM;
    }
    if (process != self && process->has_executed) {
        return -EACCES;
    }
    return process->session == process->identity ? -EPERM : 0;
}

static int64_t set_group(uint32_t number, uint32_t group_number)
{
    struct process *process = meant(number);
    int64_t error = may_move(process);
    if (error) {
        return error;
    }
    if (group_number == 0 || group_number == process->number) {
        tree_set_group(process, process->identity);
        return 0;
    }
    struct identity *group = identity_find(group_number);
    if (!group || !group->members || group->members->session != process->session) {
        return -EPERM;
    }
    tree_set_group(process, group);
    return 0;
}

int64_t call_setpgid(const struct trap_frame *frame)
{
    int32_t number = (int32_t)argument_1(frame);
    int32_t group = (int32_t)argument_2(frame);
    if (group < 0 || (group == 0 && number < 0)) {
        return -EINVAL;
    }
    if (number < 0) {
        return -ESRCH;
    }
    tree_lock();
    int64_t error = set_group((uint32_t)number, (uint32_t)group);
    tree_unlock();
    return error;
}

int64_t call_getpgid(const struct trap_frame *frame)
{
    tree_lock();
    const struct process *process = meant((uint32_t)argument_1(frame));
    int64_t number = process ? (int64_t)process->group->number : -ESRCH;
    tree_unlock();
    return number;
}

int64_t call_getpgrp(const struct trap_frame *frame)
{
    (void)frame;
    tree_lock();
    int64_t number = process_current()->group->number;
    tree_unlock();
    return number;
}

int64_t call_getsid(const struct trap_frame *frame)
{
    tree_lock();
    const struct process *process = meant((uint32_t)argument_1(frame));
    int64_t number = process ? (int64_t)process->session->number : -ESRCH;
    tree_unlock();
    return number;
}

/* Not for who leads a group, nor while some group has its number. */
int64_t call_setsid(const struct trap_frame *frame)
{
    (void)frame;
    struct process *process = process_current();
    int64_t error = -EPERM;
    tree_lock();
    if (!process->identity->members) {
        identity_put(process->session);
        process->session = process->identity;
        identity_get(process->session);
        tree_set_group(process, process->identity);
        error = process->number;
    }
    tree_unlock();
    return error;
}

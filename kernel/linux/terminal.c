/* The console as a session's terminal; see terminal.h. */
#include "terminal.h"

#include "tree.h"

/* include/uapi/asm-generic/ioctls.h */
enum terminal_command {
    TAKE_TERMINAL = 0x540e,  /* TIOCSCTTY */
    GET_GROUP = 0x540f,      /* TIOCGPGRP */
    SET_GROUP = 0x5410,      /* TIOCSPGRP */
    LEAVE_TERMINAL = 0x5422, /* TIOCNOTTY */
    GET_SESSION = 0x5429,    /* TIOCGSID */
};

/* (T) Both with a reference; NULL: nobody has it. */
static struct identity *session;
static struct identity *front;

static void set(struct identity **place, struct identity *identity)
{
    if (identity) {
        identity_get(identity);
    }
    if (*place) {
        identity_put(*place);
    }
    *place = identity;
}

static bool leads(const struct process *process)
{
    return process->session == process->identity;
}

static bool has_terminal(const struct process *process)
{
    return session && process->session == session;
}

/* ---- Coming and going ---- */

void terminal_begin(struct process *process)
{
    if (!session && leads(process)) {
        set(&session, process->session);
        set(&front, process->group);
    }
}

static void hang_up(void)
{
    const struct signal_information hang_up = signal_by_kernel(SIGNAL_HANG_UP);
    const struct signal_information go_on = signal_by_kernel(SIGNAL_CONTINUE);
    if (front) {
        signal_send_group(front, &hang_up);
        signal_send_group(front, &go_on);
    }
    set(&front, NULL);
    set(&session, NULL);
}

void terminal_end(const struct process *process)
{
    if (has_terminal(process) && leads(process)) {
        hang_up();
    }
}

bool terminal_is_own(void)
{
    tree_lock();
    bool own = has_terminal(process_current());
    tree_unlock();
    return own;
}

/* ---- Signals ---- */

void terminal_signal(uint32_t signal)
{
    const struct signal_information information = signal_by_kernel(signal);
    tree_lock();
    if (front) {
        signal_send_group(front, &information);
    }
    tree_unlock();
}

/* (T) Whether the calling task would not notice the signal. */
static bool is_unheard(const struct task *task, uint32_t signal)
{
    const struct signal_actions *actions = task->process->actions;
    return (task->signals.mask & SIGNAL_BIT(signal)) || actions->actions[signal - 1].handler == ACTION_IGNORE;
}

/* (T) */
static int64_t check(const struct task *task, uint32_t signal)
{
    const struct process *process = task->process;
    if (!has_terminal(process) || !front || process->group == front) {
        return 0;
    }
    if (is_unheard(task, signal)) {
        return signal == SIGNAL_TERMINAL_READ ? -EIO : 0;
    }
    if (group_is_orphaned(process->group, NULL)) {
        return -EIO;
    }
    const struct signal_information information = signal_by_kernel(signal);
    signal_send_group(process->group, &information);
    thread_interrupt(task->thread);
    return -EINTR;
}

int64_t terminal_check(uint32_t signal)
{
    tree_lock();
    int64_t result = check(task_current(), signal);
    tree_unlock();
    return result;
}

/* ---- Requests ---- */

static bool may_take_by_force(void)
{
    return rights_have(&task_current()->credentials->rights, CAPABILITY_ADMIN);
}

static int64_t take(struct process *process, uint64_t by_force)
{
    if (leads(process) && has_terminal(process)) {
        return 0;
    }
    if (!leads(process) || (session && (by_force != 1 || !may_take_by_force()))) {
        return -EPERM;
    }
    set(&session, process->session);
    set(&front, process->group);
    return 0;
}

static int64_t leave(const struct process *process)
{
    if (!has_terminal(process) || !leads(process)) {
        return -ENOTTY;
    }
    hang_up();
    return 0;
}

static int64_t set_group(const struct task *task, int32_t number)
{
    const struct process *process = task->process;
    int64_t error = check(task, SIGNAL_TERMINAL_WRITE);
    if (error) {
        return error;
    }
    if (!has_terminal(process)) {
        return -ENOTTY;
    }
    if (number < 0) {
        return -EINVAL;
    }
    struct identity *group = identity_find((uint32_t)number);
    if (!group) {
        return -ESRCH;
    }
    if (!group->members || group->members->session != process->session) {
        return -EPERM;
    }
    set(&front, group);
    return 0;
}

/* The number of the group in front, or of the session. */
static int64_t get_number(const struct process *process, const struct identity *const *of, user_addr_t to)
{
    tree_lock();
    bool has = has_terminal(process);
    uint32_t number = has && *of ? (*of)->number : 0;
    tree_unlock();
    return !has ? -ENOTTY : put_user_32(to, number) ? 0 : -EFAULT;
}

bool terminal_control(uint32_t command, uint64_t argument, int64_t *result)
{
    struct task *task = task_current();
    user_addr_t at = user_addr(argument);
    uint32_t number;
    switch (command) {
    case TAKE_TERMINAL:
        tree_lock();
        *result = take(task->process, argument);
        tree_unlock();
        return true;
    case LEAVE_TERMINAL:
        tree_lock();
        *result = leave(task->process);
        tree_unlock();
        return true;
    case GET_GROUP:
        *result = get_number(task->process, (const struct identity *const *)&front, at);
        return true;
    case GET_SESSION:
        *result = get_number(task->process, (const struct identity *const *)&session, at);
        return true;
    case SET_GROUP:
        if (!get_user_32(&number, at)) {
            *result = -EFAULT;
            return true;
        }
        tree_lock();
        *result = set_group(task, (int32_t)number);
        tree_unlock();
        return true;
    default:
        return false;
    }
}

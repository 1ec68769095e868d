/* wait4 and waitid: how children ended, that they have stopped, and that they go on. */
#include <ashlar/string.h>

#include "calls.h"
#include "pidfd.h"
#include "tree.h"
#include "usage.h"

#define WAIT_NO_HANG  0x1U
#define WAIT_STOPPED  0x2U
#define WAIT_EXITED   0x4U
#define WAIT_CONTINUE 0x8U
#define WAIT_NO_REAP  0x1000000U
#define WAIT_NOTHREAD 0x20000000U
#define WAIT_ALL      0x40000000U
#define WAIT_CLONE    0x80000000U
#define WAIT_FLAGS    (WAIT_NO_HANG | WAIT_STOPPED | WAIT_CONTINUE | WAIT_NOTHREAD | WAIT_ALL | WAIT_CLONE)
#define WAIT_ID_FLAGS (WAIT_FLAGS | WAIT_EXITED | WAIT_NO_REAP)

enum wait_kind { WAIT_FOR_ANY, WAIT_FOR_ONE, WAIT_FOR_GROUP, WAIT_FOR_DESCRIPTOR };

struct wait_request {
    enum wait_kind kind;
    uint32_t number; /* of the one, or of the group */
    uint64_t flags;
};

/* What is told of a child. */
struct wait_answer {
    uint32_t number;
    uint32_t user;
    enum child_code code;
    uint64_t status;
    struct usage usage;
};

/* ---- Looking ---- */

static bool is_asked_for(const struct process *child, const struct wait_request *request)
{
    bool plain = child->exit_signal == SIGNAL_CHILD;
    if (!(request->flags & WAIT_ALL) && plain == ((request->flags & WAIT_CLONE) != 0)) {
        return false;
    }
    switch (request->kind) {
    case WAIT_FOR_ONE:
        return child->number == request->number;
    case WAIT_FOR_GROUP:
        return child->group->number == request->number;
    case WAIT_FOR_DESCRIPTOR: /* which has become WAIT_FOR_ONE */
    case WAIT_FOR_ANY:
        break;
    }
    return true;
}

/* (T) Whether there is something to tell of the child, and what. */
static bool has_news(const struct process *child, const struct wait_request *request,
                     struct wait_answer *answer)
{
    const struct process_signals *signals = &child->signals;
    if (child->state == PROCESS_ZOMBIE && (request->flags & WAIT_EXITED)) {
        answer->code = child->status & 0x7f ? CHILD_KILLED : CHILD_EXITED;
        answer->status = child->status;
    } else if (signals->tells_stop && (request->flags & WAIT_STOPPED)) {
        answer->code = CHILD_STOPPED;
        answer->status = PROCESS_STOPPED(signals->stop_signal);
    } else if (signals->tells_continue && (request->flags & WAIT_CONTINUE)) {
        answer->code = CHILD_CONTINUED;
        answer->status = PROCESS_CONTINUED;
    } else {
        return false;
    }
    answer->number = child->number;
    answer->user = child->credentials->rights.user.real;
    answer->usage = child->usage;
    return true;
}

/* (T) The first of which there is something to tell; *exists: whether one is asked for at all. */
static struct process *find(struct process *process, const struct wait_request *request,
                            struct wait_answer *answer, bool *exists)
{
    if (request->kind == WAIT_FOR_ONE) {
        struct process *child = process_find(request->number);
        *exists = child && child->parent == process && is_asked_for(child, request);
        return *exists && has_news(child, request, answer) ? child : NULL;
    }
    *exists = false;
    for (struct process *child = process->children; child; child = child->next_child) {
        if (is_asked_for(child, request)) {
            *exists = true;
            if (has_news(child, request, answer)) {
                return child;
            }
        }
    }
    return NULL;
}

/* (T) It has been told. Returns whether the child is to be freed. */
static bool take_news(struct process *process, struct process *child, const struct wait_answer *answer)
{
    if (answer->code == CHILD_STOPPED) {
        child->signals.tells_stop = false;
        return false;
    }
    if (answer->code == CHILD_CONTINUED) {
        child->signals.tells_continue = false;
        return false;
    }
    usage_add(&process->children_usage, &child->usage);
    usage_add(&process->children_usage, &child->children_usage);
    tree_remove(child);
    return true;
}

/* Looks once: a child's number, 0 for none that has news, or -ECHILD. */
static int64_t look(struct process *process, const struct wait_request *request, struct wait_answer *answer)
{
    bool exists;
    tree_lock();
    struct process *child = find(process, request, answer, &exists);
    bool gone = child && !(request->flags & WAIT_NO_REAP) && take_news(process, child, answer);
    tree_unlock();
    if (gone) {
        process_free(child);
    }
    return child ? (int64_t)answer->number : exists ? 0 : -ECHILD;
}

/* The count of changes is read before the look: so none between the look and the wait is missed. */
static int64_t wait_for_child(const struct wait_request *request, struct wait_answer *answer)
{
    struct process *process = process_current();
    const struct wait_how how = {.deadline = WAIT_FOREVER, .killable = true, .from_outside = true};
    for (;;) {
        uint32_t changes = atomic_load(&process->changes);
        int64_t number = look(process, request, answer);
        if (number != 0 || (request->flags & WAIT_NO_HANG)) {
            return number;
        }
        if (WAIT_UNTIL(&process->watchers, atomic_load(&process->changes) != changes, "a child", how) !=
            WAIT_WOKEN) {
            return -EINTR;
        }
    }
}

/* ---- Telling ---- */

/* Another thread, or the parent, may move the process meanwhile: then the record of its group may go. */
static uint32_t own_group(void)
{
    tree_lock();
    uint32_t number = process_current()->group->number;
    tree_unlock();
    return number;
}

int64_t call_wait4(const struct trap_frame *frame)
{
    int32_t which = (int32_t)argument_1(frame);
    user_addr_t status = user_addr(argument_2(frame));
    struct wait_request request = {.kind = WAIT_FOR_ANY, .flags = (uint32_t)argument_3(frame)};
    struct wait_answer answer;
    if (request.flags & ~(uint64_t)WAIT_FLAGS) {
        return -EINVAL;
    }
    request.flags |= WAIT_EXITED;
    if (which == INT32_MIN) {
        return -ESRCH;
    }
    if (which > 0) {
        request.kind = WAIT_FOR_ONE;
        request.number = (uint32_t)which;
    } else if (which != -1) {
        request.kind = WAIT_FOR_GROUP;
        request.number = which == 0 ? own_group() : (uint32_t)-which;
    }
    int64_t number = wait_for_child(&request, &answer);
    if (number > 0 && ((status.raw != 0 && !put_user_32(status, (uint32_t)answer.status)) ||
                       !usage_put(user_addr(argument_4(frame)), &answer.usage))) {
        return -EFAULT;
    }
    return number;
}

/* struct siginfo, as waitid() fills it. */
struct child_information {
    int32_t signal;
    int32_t error;
    int32_t code;
    int32_t unused0;
    int32_t number;
    uint32_t user;
    int32_t status;
    int32_t unused1;
};

/* The exit code, or the signal. */
static int32_t status_of(const struct wait_answer *answer)
{
    if (answer->code == CHILD_CONTINUED) {
        return SIGNAL_CONTINUE;
    }
    return (int32_t)(answer->code == CHILD_KILLED ? answer->status : answer->status >> 8);
}

static bool put_information(user_addr_t to, const struct wait_answer *answer)
{
    struct child_information information;
    memset(&information, 0, sizeof information);
    if (answer->number != 0) {
        information.signal = SIGNAL_CHILD;
        information.code = (int32_t)answer->code;
        information.number = (int32_t)answer->number;
        information.user = answer->user;
        information.status = status_of(answer);
    }
    return to.raw == 0 || copy_to_user(to, &information, offsetof(struct child_information, unused1));
}

/* A process by its descriptor. *impatient: it is not to be waited for. */
static int64_t request_by_descriptor(struct wait_request *request, int32_t descriptor, bool *impatient)
{
    bool patient;
    if (descriptor < 0) {
        return -EINVAL;
    }
    int64_t number = pidfd_number((uint32_t)descriptor, &patient);
    if (number < 0) {
        return number;
    }
    request->kind = WAIT_FOR_ONE;
    request->number = (uint32_t)number;
    *impatient = !patient && !(request->flags & WAIT_NO_HANG);
    request->flags |= *impatient ? WAIT_NO_HANG : 0;
    return 0;
}

/* enum: P_ALL, P_PID, P_PGID, P_PIDFD. 0, or an error. */
static int64_t request_by_kind(struct wait_request *request, uint32_t kind, int32_t number, bool *impatient)
{
    *impatient = false;
    switch (kind) {
    case WAIT_FOR_DESCRIPTOR:
        return request_by_descriptor(request, number, impatient);
    case WAIT_FOR_ANY:
        break;
    case WAIT_FOR_ONE:
        if (number <= 0) {
            return -EINVAL;
        }
        break;
    case WAIT_FOR_GROUP:
        if (number < 0) {
            return -EINVAL;
        }
        break;
    default:
        return -EINVAL;
    }
    request->kind = (enum wait_kind)kind;
    request->number = (uint32_t)number;
    if (kind == WAIT_FOR_GROUP && number == 0) {
        request->number = own_group();
    }
    return 0;
}

int64_t call_waitid(const struct trap_frame *frame)
{
    struct wait_request request = {.flags = (uint32_t)argument_4(frame)};
    struct wait_answer answer = {.number = 0};
    if ((request.flags & ~(uint64_t)WAIT_ID_FLAGS) ||
        !(request.flags & (WAIT_EXITED | WAIT_STOPPED | WAIT_CONTINUE))) {
        return -EINVAL;
    }
    bool impatient;
    int64_t error =
        request_by_kind(&request, (uint32_t)argument_1(frame), (int32_t)argument_2(frame), &impatient);
    int64_t number = error ? error : wait_for_child(&request, &answer);
    if (number == 0 && impatient) {
        number = -EAGAIN;
    }
    if (number < 0) {
        return number;
    }
    return put_information(user_addr(argument_3(frame)), &answer) &&
                   (answer.number == 0 || usage_put(user_addr(argument_5(frame)), &answer.usage))
               ? 0
               : -EFAULT;
}

/*
 * fork, vfork, clone, clone3: more processes, and more tasks. What each flag means is Linux's (clone(2));
 * what is not there is refused: by clone() with EINVAL, as a kernel without it does, by clone3() with ENOSYS,
 * since C libraries fall back on clone() then.
 */
#include <ashlar/assert.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <x86/extended_state.h>

#include "calls.h"
#include "pidfd.h"
#include "tree.h"

#define CLONE_SIGNAL         0xffULL /* the signal at the end; of clone() only */
#define CLONE_VM             0x100ULL
#define CLONE_FS             0x200ULL
#define CLONE_FILES          0x400ULL
#define CLONE_SIGHAND        0x800ULL
#define CLONE_PIDFD          0x1000ULL
#define CLONE_VFORK          0x4000ULL
#define CLONE_PARENT         0x8000ULL
#define CLONE_THREAD         0x10000ULL
#define CLONE_SYSVSEM        0x40000ULL
#define CLONE_SETTLS         0x80000ULL
#define CLONE_PARENT_SETTID  0x100000ULL
#define CLONE_CHILD_CLEARTID 0x200000ULL
#define CLONE_DETACHED       0x400000ULL /* of no meaning for long, and allowed */
#define CLONE_UNTRACED       0x800000ULL
#define CLONE_CHILD_SETTID   0x1000000ULL
#define CLONE_IO             0x80000000ULL
#define CLONE_CLEAR_SIGHAND  0x100000000ULL /* of clone3() only */

#define CLONE_KNOWN                                                                                          \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_VFORK | CLONE_PARENT |          \
     CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |              \
     CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO)

struct clone_request {
    uint64_t flags;  /* without the signal */
    uint64_t signal; /* that the parent gets at the end */
    uint64_t stack;  /* stack pointer; 0: the same as the caller's */
    uint64_t tls;
    user_addr_t parent_number; /* where the number goes */
    user_addr_t child_number;
    user_addr_t descriptor; /* where a descriptor of the process goes */
};

/* ---- What is asked for ---- */

static int64_t check(const struct clone_request *request)
{
    uint64_t flags = request->flags;
    if (((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) ||
        ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) ||
        ((flags & CLONE_CLEAR_SIGHAND) && (flags & CLONE_SIGHAND)) ||
        ((flags & CLONE_PIDFD) && (flags & CLONE_THREAD)) ||
        ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID) &&
         request->descriptor.raw == request->parent_number.raw) ||
        ((flags & CLONE_PARENT) && !process_current()->parent)) {
        return -EINVAL;
    }
    return (flags & CLONE_SETTLS) && request->tls >= USER_END ? -EPERM : 0;
}

/* ---- The child's state ---- */

/* The registers of the calling task are on the CPU: nobody has used them since it came here. */
static void copy_registers(const struct task *parent, struct task *child)
{
    preempt_disable();
    extended_state_save(child->thread->extended);
    preempt_enable();
    child->thread->fs_base = parent->thread->fs_base;
    child->thread->gs_base = parent->thread->gs_base;
}

static struct task *make_task(struct process *process, const struct trap_frame *frame,
                              const struct clone_request *request)
{
    const struct task *parent = task_current();
    struct task *child = task_create(process);
    if (!child) {
        return NULL;
    }
    memcpy(child->name, parent->name, sizeof child->name);
    task_signals_begin(child, parent, (request->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM);
    if (!thread_copy_cpus(child->thread, parent->thread)) {
        task_discard(child);
        return NULL;
    }
    child->policy = parent->policy;
    child->nice = parent->nice;
    child->keeps_capabilities = parent->keeps_capabilities;
    child->no_new_privileges = parent->no_new_privileges;
    child->start = *frame;
    child->start.rax = 0;
    child->start.rsp = request->stack ? request->stack : frame->rsp;
    copy_registers(parent, child);
    if (request->flags & CLONE_SETTLS) {
        child->thread->fs_base = request->tls;
    }
    if (request->flags & CLONE_CHILD_SETTID) {
        child->set_at_start = request->child_number;
    }
    if (request->flags & CLONE_CHILD_CLEARTID) {
        child->clear_on_exit = request->child_number;
    }
    return child;
}

/* ---- Beginning ---- */

/* (T) The calling task waits for the child, if that is asked for: wait_for_memory(). */
static void lend_memory(struct task *child, const struct clone_request *request)
{
    if (request->flags & CLONE_VFORK) {
        child->lender = task_current();
        child->lender->borrower = child;
    }
}

/* Waits until the child has another memory, or none. A parent that is killed meanwhile goes: the child keeps
 * the memory, as it counts its users. */
static void wait_for_memory(struct task *task)
{
    struct wait_how how = {.deadline = WAIT_FOREVER, .killable = true, .deaf = true, .from_outside = true};
    WAIT_UNTIL(&task->returned, *(struct task *volatile *)&task->borrower == NULL, "a child of vfork()", how);
    tree_lock(); /* whoever has given it back is done with the task */
    if (task->borrower) {
        task->borrower->lender = NULL;
        task->borrower = NULL;
    }
    tree_unlock();
}

/* Answers the number before anybody can end the child. */
static int64_t begin(struct task *child, const struct clone_request *request)
{
    uint32_t number = child->number;
    if (request->flags & CLONE_PARENT_SETTID) {
        put_user_32(request->parent_number, number); /* what cannot be written is no error (kernel/fork.c) */
    }
    task_start(child);
    if (request->flags & CLONE_VFORK) {
        wait_for_memory(task_current());
    }
    return number;
}

/* ---- A task of this process ---- */

static bool too_many(const struct process *process)
{
    return tree_task_count() >= process->limits[LIMIT_PROCESSES].soft;
}

static int64_t clone_task(const struct trap_frame *frame, const struct clone_request *request)
{
    struct process *process = process_current();
    struct task *child = make_task(process, frame, request);
    if (!child) {
        return -ENOMEM;
    }
    tree_lock();
    int64_t error = too_many(process) ? -EAGAIN : tree_enter_task(child);
    if (!error) {
        lend_memory(child, request);
    }
    tree_unlock();
    if (error) {
        task_discard(child);
        return error;
    }
    return begin(child, request);
}

/* ---- A process ---- */

static int give_memory(struct process *child, const struct process *parent,
                       const struct clone_request *request)
{
    if (request->flags & CLONE_VM) {
        memory_get(parent->memory);
        child->memory = parent->memory;
        return 0;
    }
    return memory_copy(&child->memory, parent->memory, child->name);
}

static int give_files(struct process *child, const struct process *parent,
                      const struct clone_request *request)
{
    bool same_files = request->flags & CLONE_FILES;
    bool same_places = request->flags & CLONE_FS;
    child->files = same_files ? descriptors_get(parent->files) : descriptors_copy(parent->files);
    child->places = same_places ? places_get(parent->places) : places_copy(parent->places);
    return child->files && child->places ? 0 : -ENOMEM;
}

static int give_actions(struct process *child, const struct process *parent,
                        const struct clone_request *request)
{
    child->actions = request->flags & CLONE_SIGHAND ? signal_actions_get(parent->actions)
                                                    : signal_actions_copy(parent->actions);
    if (child->actions && (request->flags & CLONE_CLEAR_SIGHAND)) {
        signal_actions_clear(child->actions);
    }
    return child->actions ? 0 : -ENOMEM;
}

/* Everything but the place in the tree. NULL, with the reason. */
static struct task *make_process(const struct trap_frame *frame, const struct clone_request *request,
                                 int64_t *error)
{
    struct process *parent = process_current();
    struct process *process = process_create(parent, NULL);
    *error = -ENOMEM;
    if (!process) {
        return NULL;
    }
    process->exit_signal = (uint32_t)request->signal;
    *error = give_actions(process, parent, request);
    *error = *error ? *error : give_files(process, parent, request);
    *error = *error ? *error : give_memory(process, parent, request);
    struct task *child = *error ? NULL : make_task(process, frame, request);
    if (!child) {
        struct usage unused = {.ticks = 0};
        *error = -ENOMEM;
        if (process->memory) {
            memory_put(process->memory, &unused);
        }
        process_free(process);
    }
    return child;
}

static void discard_process(struct task *child)
{
    struct process *process = child->process;
    struct usage unused = {.ticks = 0};
    memory_put(process->memory, &unused);
    task_discard(child);
    process_free(process);
}

static int64_t clone_process(const struct trap_frame *frame, const struct clone_request *request)
{
    struct task *self = task_current();
    struct process *process = self->process;
    int64_t error;
    struct task *child = make_process(frame, request, &error);
    if (!child) {
        return error;
    }
    int64_t descriptor =
        request->flags & CLONE_PIDFD ? pidfd_for_child(child->process, request->descriptor) : 0;
    if (descriptor < 0) {
        discard_process(child);
        return descriptor;
    }
    tree_lock();
    struct process *parent = request->flags & CLONE_PARENT ? process->parent : process;
    error = too_many(process) || (request->flags & CLONE_PARENT && !parent)
                ? -EAGAIN
                : tree_enter(child->process, parent, child);
    if (!error) {
        lend_memory(child, request);
    }
    tree_unlock();
    if (error) {
        if (request->flags & CLONE_PIDFD) {
            descriptor_close(process->files, (uint64_t)descriptor);
        }
        discard_process(child);
        return error;
    }
    return begin(child, request);
}

static int64_t carry_out(const struct trap_frame *frame, const struct clone_request *request)
{
    int64_t error = check(request);
    if (error) {
        return error;
    }
    return request->flags & CLONE_THREAD ? clone_task(frame, request) : clone_process(frame, request);
}

/* ---- The calls ---- */

int64_t call_fork(const struct trap_frame *frame)
{
    return carry_out(frame, &(struct clone_request){.signal = SIGNAL_CHILD});
}

int64_t call_vfork(const struct trap_frame *frame)
{
    return carry_out(frame, &(struct clone_request){.flags = CLONE_VM | CLONE_VFORK, .signal = SIGNAL_CHILD});
}

int64_t call_clone(const struct trap_frame *frame)
{
    uint64_t flags = (uint32_t)argument_1(frame);
    const struct clone_request request = {.flags = flags & ~(CLONE_SIGNAL | CLONE_DETACHED),
                                          .signal = flags & CLONE_SIGNAL,
                                          .stack = argument_2(frame),
                                          .parent_number = user_addr(argument_3(frame)),
                                          .child_number = user_addr(argument_4(frame)),
                                          .descriptor = user_addr(argument_3(frame)),
                                          .tls = argument_5(frame)};
    return (request.flags & ~CLONE_KNOWN) || ((flags & CLONE_PIDFD) && (flags & CLONE_DETACHED))
               ? -EINVAL
               : carry_out(frame, &request);
}

/* struct clone_args, as far as Linux 5.7 has it. */
struct arguments {
    uint64_t flags;
    uint64_t descriptor;
    uint64_t child_number;
    uint64_t parent_number;
    uint64_t signal;
    uint64_t stack;
    uint64_t stack_bytes;
    uint64_t tls;
    uint64_t numbers;
    uint64_t number_count;
    uint64_t group;
};

#define ARGUMENTS_FIRST 64 /* bytes of the structure's first version */

/* What lies behind what is known has to be zeros. */
static int64_t get_arguments(struct arguments *arguments, user_addr_t from, uint64_t bytes)
{
    memset(arguments, 0, sizeof *arguments);
    if (bytes > FRAME_BYTES) {
        return -E2BIG;
    }
    if (bytes < ARGUMENTS_FIRST) {
        return -EINVAL;
    }
    for (uint64_t at = sizeof *arguments; at < bytes; at++) {
        uint8_t byte;
        if (!copy_from_user(&byte, user_add(from, at), sizeof byte)) {
            return -EFAULT;
        }
        if (byte != 0) {
            return -E2BIG;
        }
    }
    return copy_from_user(arguments, from, min_u64(bytes, sizeof *arguments)) ? 0 : -EFAULT;
}

static int64_t check_arguments(const struct arguments *arguments)
{
    uint64_t flags = arguments->flags;
    if (flags & ~(CLONE_KNOWN | CLONE_CLEAR_SIGHAND | CLONE_SIGNAL | CLONE_DETACHED) ||
        arguments->number_count != 0 || arguments->numbers != 0) {
        return -ENOSYS;
    }
    if ((flags & (CLONE_SIGNAL | CLONE_DETACHED)) || arguments->signal >= SIGNALS_END ||
        ((flags & (CLONE_THREAD | CLONE_PARENT)) && arguments->signal != 0) ||
        (arguments->stack == 0) != (arguments->stack_bytes == 0) ||
        !user_range_is_sound(user_addr(arguments->stack), arguments->stack_bytes)) {
        return -EINVAL;
    }
    return 0;
}

int64_t call_clone3(const struct trap_frame *frame)
{
    struct arguments arguments;
    int64_t error = get_arguments(&arguments, user_addr(argument_1(frame)), argument_2(frame));
    error = error ? error : check_arguments(&arguments);
    if (error) {
        return error;
    }
    const struct clone_request request = {.flags = arguments.flags,
                                          .signal = arguments.signal,
                                          .stack = arguments.stack + arguments.stack_bytes,
                                          .parent_number = user_addr(arguments.parent_number),
                                          .descriptor = user_addr(arguments.descriptor),
                                          .child_number = user_addr(arguments.child_number),
                                          .tls = arguments.tls};
    return carry_out(frame, &request);
}

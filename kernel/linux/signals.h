/*
 * Signals of processes: how they are sent, and what becomes of them. docs/signals.md tells the whole.
 *
 * What is pending is guarded by the spinlock of the process's actions (L). Whoever sends to another process,
 * or chooses among the tasks of one, holds the tree's mutex (T) besides, so neither the tasks nor `actions`
 * change under him. A task's mask is written by the task alone, and read by those who choose.
 */
#pragma once

#include <ashlar/lock.h>
#include <ashlar/user_copy.h>
#include <ashlar/wait.h>

#include "signal/frame.h"
#include "signal/queue.h"

struct process;
struct task;

/* What handlers there are; of one process, or of several after clone() with CLONE_SIGHAND. */
struct signal_actions {
    struct spinlock lock;
    _Atomic(uint32_t) users;
    struct signal_action actions[SIGNAL_COUNT]; /* (L) of signal n at n - 1 */
};

/* What of a call that waits until a time goes on after it was interrupted. */
struct restart {
    uint64_t deadline; /* of the call, that it goes by when it goes on */
    uint32_t number;   /* of the call */
    bool goes_on;      /* the present call is such a one */
};

/* What a task has of signals. */
struct task_signals {
    struct signal_queue pending; /* (L) for this task */
    _Atomic(uint64_t) mask;
    _Atomic(uint64_t) awaited; /* rt_sigtimedwait() waits for these */
    uint64_t saved_mask;       /* that comes back when the call has ended */
    bool restores_mask;
    uint32_t parent_death;      /* (T) that comes when the parent ends; 0: none */
    struct signal_stack stack;  /* the alternate one */
    struct signal_record fault; /* of what an instruction of the task raised */
    uint64_t fault_vector;      /* of the last one, as the frame of a handler tells it */
    uint64_t fault_error;
    uint64_t fault_address;
    struct restart restart;
};

/* What a process has of them. */
struct process_signals {
    struct signal_queue pending;   /* (L) for whichever task takes them */
    bool stop_taken;               /* (L) a stopping signal was taken, and no SIGCONT has come since */
    _Atomic(uint32_t) stop_signal; /* (T) to write: its tasks stop, or have stopped, by this one; 0: none */
    uint32_t stopped;              /* (T) tasks that have stopped */
    bool is_stopped;               /* (T) all have, and the parent was told */
    _Atomic(uint32_t) continues;   /* (T) to write: times that it went on */
    bool tells_stop;               /* (T) wait4() has not told it yet */
    bool tells_continue;           /* (T) */
    struct wait_queue continued;   /* where its tasks rest */
};

/* ---- signal_state.c: beginning and end ---- */

/* Default actions, for one process; a copy; one more user; one less: the last one frees them. NULL: there is
 * no memory. */
struct signal_actions *signal_actions_create(void);
struct signal_actions *signal_actions_copy(struct signal_actions *from);
struct signal_actions *signal_actions_get(struct signal_actions *actions);
void signal_actions_put(struct signal_actions *actions);

/* A new task gets the mask of the one that makes it; and its alternate stack, unless both would use it. */
void task_signals_begin(struct task *task, const struct task *maker, bool same_memory);

/* The calling task, which is the only one, executes another program: handlers are gone, as are alternate
 * stacks. -ENOMEM, with nothing changed. The first makes sure that the second cannot fail. */
void signal_actions_clear(struct signal_actions *actions); /* but for those that ignore */
int signals_prepare_execution(struct process *process, struct signal_actions **own);
void signals_execute(struct task *task, struct signal_actions *own);

/* Forgets all that is pending: of a task or a process that nobody sends to any more. */
void task_signals_end(struct task *task);
void process_signals_end(struct process *process);

/* (T) What a process, and one of its tasks or NULL, have of signals: sets of them. */
struct signal_sets {
    uint64_t pending;        /* for the task */
    uint64_t shared_pending; /* for the process */
    uint64_t masked;         /* by the task */
    uint64_t ignored;        /* by the process, as the next */
    uint64_t handled;
};
struct signal_sets signal_sets(const struct process *process, const struct task *task);

/* Records that are out, of all processes. */
uint64_t signal_records(void);

/* Records come from here and go back. No more than `limit` are out at a time, unless the kernel itself sends
 * one. NULL: there are too many, or no memory. */
struct signal_record *signal_record_create(uint64_t limit);
void signal_record_free(struct signal_record *record);  /* NULL is none */
void signal_records_free(struct signal_record *linked); /* by `after` */

/* ---- signal_send.c ---- */

/*
 * (T) Sends a signal to a task, or, when that is NULL, to the process: to whichever task takes it. Returns 0,
 * also when it is ignored or the process ends; or -EAGAIN: it is one that is queued, and there is no room.
 */
int signal_send(struct process *process, struct task *task, const struct signal_information *information);

/* (T) The same, with a record that is owned. Returns whether the signal is pending now and was not before. */
bool signal_send_owned(struct process *process, struct task *task, struct signal_record *record);

/* (T) Whether a signal to the process, were it sent now, would be pending and is not yet. */
bool signal_would_come(struct process *process, uint32_t signal);

/* (T) To all processes of a group. */
struct identity;
void signal_send_group(const struct identity *group, const struct signal_information *information);

/* What kill() tells: number and user of the calling process. And what the kernel tells. */
struct signal_information signal_by_process(uint32_t signal, int32_t code);
struct signal_information signal_by_kernel(uint32_t signal);

/* To the calling task. */
void signal_self(uint32_t signal);

/* To the calling task, for what its instruction has done: comes at once. False: there is no handler, or it is
 * masked, and so the caller ends the process. */
bool signal_fault(const struct signal_information *information);

/* (T) Signals of `set` are not pending any more, for the process and for none of its tasks. */
void signals_withdraw(struct process *process, uint64_t set);

/* (T) Some tasks of the process look for signals of `set` that are pending for it: whoever was to take them
 * does not any more. */
void signals_offer(struct process *process, uint64_t set);

/* (T) Tells the parent what has become of the process: sends it SIGCHLD, or another signal at the end, and
 * wakes it. Returns whether the parent wants to know nothing of the end. */
bool signal_parent(struct process *process, enum child_code code, uint32_t status);

/* (T) Children of a process that ends get the signals that they have asked for by prctl(). */
void signal_orphans(const struct process *process);

/* ---- signal_mask.c ---- */

/* Sets the calling task's mask; what becomes possible by it comes on the way to user mode. */
void signal_mask_set(uint64_t mask);

/* Another mask for the time of a call: -EFAULT, -EINVAL. `at` 0: none is asked for. The second is the end:
 * after -EINTR the mask comes back when a handler has its frame, else at once. */
int64_t signal_mask_begin(user_addr_t at, uint64_t bytes);
int64_t signal_mask_end(int64_t result);

/* Signals that the calling task would take now. */
uint64_t signals_for(const struct task *task);

/* ---- signal_frame.c ---- */

/* Makes a handler's frame and has `frame` enter it. False: there is no place for it. */
bool signal_frame_push(struct trap_frame *frame, const struct signal_information *information,
                       const struct signal_action *action, uint64_t mask);

/* Writes a struct siginfo. */
bool signal_information_put(user_addr_t at, const struct signal_information *information);

/* Sets a task's alternate stack, which it does not use now. 0, -EINVAL or -ENOMEM. */
int64_t signal_stack_set(struct task_signals *signals, const struct signal_stack *stack);

/* ---- kill.c ---- */

/* Reads a struct siginfo that a program sends with a signal: 0, -EFAULT or -E2BIG. */
int64_t signal_information_get(struct signal_information *information, user_addr_t from, uint32_t signal);

/* Whether the calling process may tell that of the process with this number: nobody tells another that the
 * kernel, or kill(), has sent it something. */
bool signal_may_tell(const struct signal_information *information, uint32_t number);

/* ---- restart.c ---- */

/* What becomes of a call that was interrupted: by a handler with these flags, or by none. */
void restart_for_handler(struct trap_frame *frame, uint64_t flags);
void restart_without_handler(struct trap_frame *frame);

/* The moment of a clock at which a call ends, so many nanoseconds from now, or WAIT_FOREVER where it is too
 * far to be counted; of a call that goes on, the moment that it had. */
uint64_t restart_moment(uint64_t now, uint64_t nanoseconds);

/* The same by clock_nanoseconds(). */
uint64_t restart_deadline(uint64_t nanoseconds);

/* ---- stop.c ---- */

/* The calling task has taken a signal that stops: all tasks of the process stop. */
void stop_process(uint32_t signal);

/* Rests until the process goes on, or is killed. */
void stop_here(void);

/* (T) Looks whether the last of the tasks has stopped now; after each that does, or ends. */
void stop_look(struct process *process);

/* (T) Whether no process of the group has a parent in another group of its session: nobody would let the
 * group go on. `without`: as if that process had gone. */
bool group_is_orphaned(const struct identity *group, const struct process *without);

/* (T) The process ends: groups that it leaves behind, stopped, are told. */
void stop_tell_orphans(struct process *process);

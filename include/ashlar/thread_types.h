/* What threads consist of. Callers use <ashlar/thread.h> only. */
#pragma once

#include <ashlar/kernel_stack.h>
#include <ashlar/lock_types.h>
#include <ashlar/run_queue.h>
#include <ashlar/types.h>

#define THREAD_NAME_BYTES 24 /* with the terminator */

struct task;
struct trap_frame;
struct vm_space;

#define THREAD_ANY_CPU UINT32_MAX

enum thread_state {
    THREAD_NEW,     /* not started */
    THREAD_READY,   /* in a run queue */
    THREAD_RUNNING, /* on a CPU */
    THREAD_WAITING,
    THREAD_ENDED,
    THREAD_STATES
};

enum wait_result {
    WAIT_WOKEN,
    WAIT_TIMED_OUT,
    WAIT_KILLED, /* or interrupted */
};

/* A place in the list of all threads. */
struct thread_link {
    struct thread_link *next;
    struct thread_link *previous;
    struct thread *thread; /* NULL: a walk's cursor */
};

/* What a thread does before it runs code of user mode again: a set, in user_work. */
enum thread_user_work {
    THREAD_WORK_KILLED = 1 << 0, /* somebody has killed it; this bit stays */
    THREAD_WORK_SIGNAL = 1 << 1, /* there may be a signal for it */
};

/* The last page fault that no space resolved, and the last spurious ones. */
struct fault_history {
    uint64_t refused;     /* address */
    uint32_t refusal;     /* why: enum vm_fault, or that the space was not asked */
    uint32_t repeated;    /* spurious ones in a row, at the same address and by the same instruction */
    uint64_t spurious;    /* address */
    uint64_t instruction; /* where they were */
    uint64_t resolved;    /* how many were, of the thread */
};

/* (Q): written with the lock of the run queue of `cpu` held, and `cpu` itself with those of both. */
struct thread {
    struct thread_locks locks; /* the first: <platform/inline.h> finds it there */
    _Atomic(uint32_t)
        user_work;       /* enum thread_user_work, or'ed; looked at with interrupts off on the way out */
    uint64_t in_kernel;  /* of `ran`, in the kernel: up to when it went to user mode last, or left its CPU */
    void *stack_pointer; /* where it goes on, while it does not run */
    struct trap_frame *frame; /* innermost trap frame, while it does not run */
    struct vm_space *space;   /* the user space that it has loaded, while it does not run; or NULL */
    uint64_t trap_stack;      /* stack pointer for traps from user mode, while it does not run */
    void *extended;           /* room for floating-point and vector registers; NULL: it uses none */

    _Atomic(uint32_t) cpu;   /* whose queue it belongs to (Q) */
    _Atomic(uint32_t) state; /* enum thread_state (Q) */
    bool wake_pending;       /* it was woken while it did not wait: its next rest is over at once (Q) */
    bool moves;              /* it may not go on on this CPU, and is woken when it is off it (Q) */
    bool hopeless;           /* only another thread can end its wait (Q) */
    enum thread_level level;
    enum thread_level queued; /* in which list of the run queue it is (Q) */
    struct thread *next;      /* in the run queue (Q) */
    struct thread *previous;
    uint64_t ran;        /* time-stamp counter ticks, up to when it ran last */
    uint64_t runs_since; /* time-stamp counter, while it runs */

    uint64_t number; /* from 1 on, never given twice */
    char name[THREAD_NAME_BYTES];
    _Atomic(uint32_t) references;
    _Atomic(bool) killed;
    _Atomic(bool) gone;                  /* it has left its stack for good */
    bool is_idle;                        /* it is a CPU's own */
    uint64_t value;                      /* what it returned */
    struct wait_queue joiners;           /* who waits until it is gone */
    void (*left)(struct thread *thread); /* called when it has ended and left its stack; interrupts off */
    struct thread_link link;
    uint64_t (*entry)(void *argument);
    void *argument;
    struct task *task; /* what it is of a program; NULL: the kernel's own */
    uint64_t fs_base;  /* of user mode; only where there is `extended` */
    uint64_t gs_base;

    const char *_Atomic waits_for;      /* for people; NULL: it does not wait */
    _Atomic(uint64_t) waits_since;      /* clock_nanoseconds() */
    _Atomic(uint64_t) waits_on;         /* number of who held the mutex that it waits for; 0: none */
    struct fault_history faults;        /* kernel/memory/page_fault.c */
    _Atomic(uint32_t) bound;            /* the one CPU that may run it; or THREAD_ANY_CPU */
    _Atomic(uint64_t) *_Atomic allowed; /* CPUs that may run it, if it is not bound (Q); NULL: all */
    struct kernel_stack stack; /* the last: a new thread may take it over with the rest cleared; bytes 0:
                                  it runs on a stack that is not its own */
};

_Static_assert(offsetof(struct thread, locks) == 0, "the platform relies on it");

/* A thread that waits; lies on its stack. */
struct waiter {
    struct waiter *next;
    struct waiter *previous;
    struct wait_queue *queue;
    struct thread *thread;
    const char *what; /* it waits for, for people */
    uint64_t ticket;  /* when it came */
    bool woken;       /* it was taken out of the queue; written and read with the queue's lock held */
    bool in_vain;     /* of a mutex: it was woken, and another thread was faster */
    bool given;       /* of a mutex: it has it */
};

/* What threads consist of. Callers use <ashlar/thread.h> only. */
#pragma once

#include <ashlar/cpu_set.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/lock_types.h>
#include <ashlar/types.h>

#define THREAD_NAME_BYTES 24 /* with the terminator */

struct process;
struct timer;
struct trap_frame;
struct vm_space;

enum thread_level {
    THREAD_INTERRUPT, /* finishes what interrupts began */
    THREAD_NORMAL,
    THREAD_IDLE, /* runs only when no other is ready; while it holds a mutex, as a normal one */
    THREAD_LEVELS
};

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
    WAIT_KILLED,
};

/* A place in the list of all threads. */
struct thread_link {
    struct thread_link *next;
    struct thread_link *previous;
    struct thread *thread; /* NULL: a walk's cursor */
};

/* The last page fault that no space resolved, and the last spurious ones. */
struct fault_history {
    uint64_t refused;     /* address */
    uint32_t refusal;     /* why: enum vm_fault, or that the space was not asked */
    uint32_t repeated;    /* spurious ones in a row, at the same address and by the same instruction */
    uint64_t spurious;    /* address */
    uint64_t instruction; /* where they were */
};

/* (Q): written with the lock of the run queue of `cpu` held, and `cpu` itself with those of both. */
struct thread {
    void *stack_pointer;      /* where it goes on, while it does not run */
    struct trap_frame *frame; /* innermost trap frame, while it does not run */
    struct vm_space *space;   /* the user space that it has loaded, while it does not run; or NULL */
    uint64_t trap_stack;      /* stack pointer for traps from user mode, while it does not run */
    void *vectors;            /* room for vector registers; NULL: it has none */

    _Atomic(uint32_t) cpu;     /* whose queue it belongs to (Q) */
    _Atomic(uint32_t) state;   /* enum thread_state (Q) */
    bool wake_pending;         /* it was woken while it did not wait: its next rest is over at once (Q) */
    bool moves;                /* it may not go on on this CPU, and is woken when it is off it (Q) */
    enum thread_level level;
    struct thread *next;       /* in the run queue (Q) */
    struct thread *previous;
    uint64_t ran;              /* time-stamp counter ticks, up to when it ran last */
    uint64_t runs_since;       /* time-stamp counter, while it runs */

    uint64_t number;           /* from 1 on, never given twice */
    char name[THREAD_NAME_BYTES];
    _Atomic(uint32_t) references;
    _Atomic(bool) killed;
    _Atomic(bool) gone;        /* it has left its stack for good */
    bool is_idle;              /* it is a CPU's own */
    uint32_t mutexes;          /* that it holds */
    uint64_t value;            /* what it returned */
    struct wait_queue joiners; /* who waits until it is gone */
    struct thread_link link;
    uint64_t (*entry)(void *argument);
    void *argument;
    struct process *process;   /* whose it is; NULL: the kernel's */

    _Atomic(const char *) waits_for;  /* for people; NULL: it does not wait */
    _Atomic(uint64_t) waits_since;    /* clock_nanoseconds() */
    const struct mutex *waits_for_mutex;
    struct fault_history faults;      /* kernel/memory/page_fault.c */
    struct kernel_stack stack;        /* bytes 0: it runs on a stack that is not its own */
    struct cpu_set cpus;              /* that may run it; of length 0: all */
#ifdef ASHLAR_DEBUG
    struct locks_held mutexes_held;   /* <ashlar/lock_check.h> */
#endif
};

/* One CPU's ready threads. The lock comes last in the order of locks; two are taken by CPU number. */
struct run_queue {
    struct irq_spinlock lock;
    struct thread *first[THREAD_LEVELS];
    struct thread *last[THREAD_LEVELS];
    _Atomic(uint32_t) count;   /* that are ready */
    struct thread *left;       /* the thread that this CPU ran before, from a switch to its end */
    _Atomic(bool) wanted;      /* another CPU wants this one to look at its queue */
    uint64_t slice_began;      /* clock_nanoseconds() */
};

/* A thread that waits; lies on its stack. */
struct waiter {
    struct waiter *next;
    struct waiter *previous;
    struct wait_queue *queue;
    struct thread *thread;
    uint64_t ticket;           /* when it came */
    _Atomic(bool) woken;       /* it is out of the queue */
};

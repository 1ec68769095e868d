/* A CPU's ready threads; the machinery of <ashlar/thread.h>, in which callers have no business. */
#pragma once

#include <ashlar/lock_types.h>
#include <ashlar/types.h>

struct thread;

enum thread_level {
    THREAD_INTERRUPT, /* finishes what interrupts began */
    THREAD_NORMAL,
    THREAD_IDLE, /* runs only when no other is ready; while it holds a mutex, as a normal one */
    THREAD_LEVELS
};

/* The lock comes last in the order of locks; two are taken by CPU number. */
struct run_queue {
    struct irq_spinlock lock;
    uint32_t cpu;            /* whose it is */
    _Atomic(uint32_t) ready; /* threads that are in it */
    struct thread *first[THREAD_LEVELS];
    struct thread *last[THREAD_LEVELS];
    struct thread *current; /* the thread that the CPU runs */
    struct thread *idle;    /* the CPU's own; NULL: its first thread rests in its place */
    struct thread *left;    /* the one that ran before, from a switch to its end */
    uint32_t live;     /* threads: begun here, less those ended here; the sum of all CPUs' is of meaning */
    uint32_t hopeless; /* the same of waits that only another thread can end */
    _Atomic(uint32_t) wakes; /* threads that were put in after a wait */
    _Atomic(bool) look;      /* another CPU has put something in, and this one shall look */
};

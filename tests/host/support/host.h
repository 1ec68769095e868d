/* Helpers of the host tests: catching a panic that a test provokes on purpose. */
#pragma once

#include <ashlar/platform.h>
#include <setjmp.h>

struct host_panic_trap {
    jmp_buf jump;
    char message[512];
};

extern _Thread_local struct host_panic_trap *host_panic_trap;

/* The locks that a panic leaves held count as held no more, nor does preemption stay off for them: tests of
 * one panic after the other need that. */
struct host_locks {
    unsigned spinlocks; /* of the CPU */
    unsigned mutexes;   /* of the thread */
};

#ifdef ASHLAR_DEBUG
static inline struct host_locks host_locks_count(void)
{
    return (struct host_locks){cpu_locks_held()->count, thread_locks_held()->count};
}

static inline void host_locks_forget(struct host_locks before)
{
    cpu_locks_held()->count = before.spinlocks;
    thread_locks_held()->count = before.mutexes;
}
#else
static inline struct host_locks host_locks_count(void)
{
    return (struct host_locks){0, 0};
}

static inline void host_locks_forget(struct host_locks before)
{
    (void)before;
}
#endif

/* A CPU whose part this thread has left for a while to play another one. */
struct host_cpu {
    unsigned number;
    unsigned preempt_depth;
    void (*meanwhile)(void);
};

/* From now on this thread is the CPU with that number, which holds nothing. */
static inline struct host_cpu host_play(unsigned number)
{
    struct host_cpu left = {host_cpu, host_preempt_depth, host_meanwhile};
    host_cpu = number;
    host_preempt_depth = 0;
    host_meanwhile = NULL;
    return left;
}

static inline void host_play_end(struct host_cpu left)
{
    host_cpu = left.number;
    host_preempt_depth = left.preempt_depth;
    host_meanwhile = left.meanwhile;
}

/*
 * Runs `statement`, which must panic; afterwards trap.message holds what the panic said.
 * Evaluates to nothing; sets `panicked` to whether it did.
 */
#define CATCH_PANIC(trap, panicked, statement)                                                               \
    do {                                                                                                     \
        const struct host_locks locks_before = host_locks_count();                                           \
        volatile unsigned depth_before = host_preempt_depth;                                                 \
        (panicked) = true;                                                                                   \
        host_panic_trap = &(trap);                                                                           \
        if (setjmp((trap).jump) == 0) {                                                                      \
            statement;                                                                                       \
            (panicked) = false;                                                                              \
        } else {                                                                                             \
            host_locks_forget(locks_before);                                                                 \
            host_preempt_depth = depth_before;                                                               \
        }                                                                                                    \
        host_panic_trap = NULL;                                                                              \
    } while (0)

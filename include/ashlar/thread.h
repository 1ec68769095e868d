/*
 * Threads: what runs. A thread is a kernel stack between guard pages, saved registers, and what its traps
 * keep of it. The boot stack is the first thread; each CPU has one more that runs when no other can.
 *
 * Each CPU has a queue of the threads that are ready for it (docs/threads.md). There are three levels; a CPU
 * runs the highest that is ready, and threads of one level in turn, a time slice each. A CPU without work
 * takes some from another's queue. A thread may go on on another CPU after each moment at which preemption is
 * on, unless it is bound to one.
 *
 * Handles: thread_create() and thread_find() give a pointer that stays valid until it is given back: the
 * former's by thread_join() or thread_detach(), the latter's by thread_put().
 */
#pragma once

#include <ashlar/thread_types.h>

/* What a thread runs; what it returns is what thread_join() gets. */
typedef uint64_t thread_entry(void *argument);

struct thread_request {
    const char *name; /* for people; copied, and cut to THREAD_NAME_BYTES - 1 */
    thread_entry *entry;
    void *argument;
    enum thread_level level;
    uint32_t cpu;         /* the only one that may run it, which is online; or THREAD_ANY_CPU */
    bool has_user_state;  /* it will go to user mode: it has room for vector registers */
    uint64_t stack_bytes; /* 0: KERNEL_STACK_BYTES */
};

/*
 * Makes a thread that does not run yet. Returns NULL, with nothing changed, when there is no memory. Takes
 * spinlocks of mm/; may not be called in a handler, nor with a spinlock held. After START_ADDRESSES.
 */
struct thread *thread_create(const struct thread_request *request);

/* Lets it run. Once for each; from any context but an NMI's. */
void thread_start(struct thread *thread);

/* Both, for a thread of the normal level that may run on any CPU. NULL: there is no memory. */
struct thread *thread_run(const char *name, thread_entry *entry, void *argument);

/* The thread that runs this code. */
static inline struct thread *thread_current(void);

/* Ends the calling thread, as does the return of its entry. It holds no lock, and is not the first thread nor
 * a CPU's own. */
_Noreturn void thread_exit(uint64_t value);

/*
 * Waits until the thread has ended, stores what it returned in *value (which may be NULL), and gives the
 * handle back; its stack is free then. Returns WAIT_KILLED, with the handle still valid, if the calling
 * thread is killed meanwhile and `how` lets that end its wait; else WAIT_WOKEN.
 */
enum wait_result thread_join(struct thread *thread, uint64_t *value);
enum wait_result thread_join_killable(struct thread *thread, uint64_t *value);

/* Gives the handle back: the thread goes on, and is freed when it has ended. One that was never started is
 * freed at once. */
void thread_detach(struct thread *thread);

/*
 * Asks the thread to end: from now on thread_killed() is true in it, and each wait that may be killed returns
 * WAIT_KILLED at once, the present one too. The thread itself goes to its end; one that runs code of user
 * mode is interrupted, and ends before it runs any more of it (kernel_hooks.user_work). From any context but
 * an NMI's.
 */
void thread_kill(struct thread *thread);

/*
 * Has a thread that runs a program look for its signals before it runs any more of the program's code: it is
 * interrupted there, and in waits that may be. The same contexts.
 */
void thread_interrupt(struct thread *thread);

/* Whether somebody has killed the calling thread; and whether that or a signal is to end what takes long. */
static inline bool thread_killed(void);
static inline bool thread_interrupted(void);

/* Lets another thread of its level or a higher one run, if one is ready here. May be called where waiting is
 * allowed. */
void thread_yield(void);

/* Waits for `nanoseconds` at least; returns WAIT_TIMED_OUT, or, when killable, WAIT_KILLED earlier. */
enum wait_result thread_sleep(uint64_t nanoseconds, bool killable);

/*
 * Binds the calling thread to the one CPU, which is online, and goes on there; or, with THREAD_ANY_CPU, lets
 * it go where there is room. The first thread stays on CPU 0: panics if it is asked to leave.
 */
void thread_bind(uint32_t cpu);

/*
 * CPUs that may run a thread. words: a bit for each of the CPUs that are present (cpu_set.h), at least one of
 * an online one. The first lets the thread run on these alone from now on, and has it leave the one that it
 * is on; the second gives `to`, which was not started, those of `from`. False, and nothing has changed: there
 * is no memory. Where waiting is allowed; the thread stays, as the caller has a handle.
 */
bool thread_allow_cpus(struct thread *thread, const uint64_t *words);
bool thread_copy_cpus(struct thread *to, struct thread *from);
bool thread_may_use(const struct thread *thread, unsigned cpu);

/* The thread with that number, or NULL when there is none any more; to be given back by thread_put(). */
struct thread *thread_find(uint64_t number);
void thread_put(struct thread *thread);

/*
 * Time-stamp counter ticks that a thread has run for, and how many of these in the kernel: exact to the last
 * switch to or from user mode, but that a stay of more than 2^32 ticks without a switch counts as less.
 */
struct thread_times {
    uint64_t all;
    uint64_t kernel;
};

/* Takes the lock of a run queue. The thread stays: it is the caller's, or he has a handle. */
struct thread_times thread_times(const struct thread *thread);

/* One line of a list of all threads. */
struct thread_report {
    uint64_t number;
    char name[THREAD_NAME_BYTES];
    unsigned cpu; /* that it runs on, or ran on last */
    enum thread_level level;
    enum thread_state state;
    const char *waits_for; /* NULL: it does not wait */
    uint64_t waits_on;     /* number of the thread that held the mutex it waits for, when it began; 0: none */
    uint64_t waits_since;  /* clock_nanoseconds(); 0: it does not wait */
    uint64_t cpu_ticks;    /* time-stamp counter ticks that it has run for */
    bool killed;
    bool is_idle; /* a CPU's own */
};

/*
 * A walk over all threads, by number. The cursor stands in the list itself, so threads may come and go
 * meanwhile and no lock is held for longer than a step. Every walk that begins ends.
 */
struct thread_walk {
    struct thread_link link;
};
void thread_walk_begin(struct thread_walk *walk);
bool thread_walk_next(struct thread_walk *walk, struct thread_report *report); /* false: there are no more */
void thread_walk_end(struct thread_walk *walk);

/* Threads that have not ended, CPUs' own among them. */
unsigned thread_count(void);

/* "normal", "ready" and the like. */
const char *thread_level_name(enum thread_level level);
const char *thread_state_name(enum thread_state state);

#include <ashlar/thread_inline.h>

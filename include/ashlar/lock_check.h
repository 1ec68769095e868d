/*
 * What debug builds check of each lock (docs/architecture.md, "Locks"), and what builds with lock statistics
 * count. The machinery of locks; callers have no use for it.
 *
 * In both, each CPU keeps which spinlocks it holds, each thread which mutexes, where they were taken and
 * since when.
 *
 * Debug builds check: a CPU panics, naming both locks, when it waits for a lock that the order does not allow
 * after one that it holds, or that it holds itself; for a mutex where nobody may wait; when a thread
 * sleeps where it may not; in an interrupt handler for anything but an irq_spinlock. A lock that is only
 * tried is not waited for, so it may be taken in any order and context. It panics, too, when it logs, or
 * allocates or frees memory, while it holds an irq_spinlock; and when an interrupt handler allocates or
 * frees, since it may have interrupted the allocator.
 *
 * Builds with -DASHLAR_LOCK_STATISTICS=ON count, by CPU and rank: struct lock_counts. The command `lock`
 * shows the sums.
 */
#pragma once

#include <ashlar/lock_rank.h>
#include <ashlar/types.h>

/* Whether each CPU keeps a list of the locks that it holds. */
#if defined ASHLAR_DEBUG || defined ASHLAR_LOCK_STATISTICS
#define LOCKS_ARE_NOTED 1
#endif

struct lock_order;

enum lock_class { LOCK_MUTEX, LOCK_SPIN, LOCK_SPIN_IRQ };

#ifdef ASHLAR_DEBUG

/* Panics if this CPU may not wait for the lock now. */
void lock_check_wait(const struct lock_order *lock, enum lock_class class);

/*
 * Panics if this CPU may not log now. An NMI or a machine check may: it does not choose what it interrupts,
 * and the log waits for nothing.
 */
void lock_check_log(void);

/* Panics if this CPU may not allocate or free memory now. First in what works without a lock: the others are
 * held by the order of ranks. */
void lock_check_allocate(void);

/* Panics if this thread may not sleep now: it holds a spinlock, or preemption or interrupts are off. */
void lock_check_sleep(void);

#define LOCK_CHECK_WAIT(lock, class) lock_check_wait(&(lock)->order, class)
#define LOCK_CHECK_LOG()             lock_check_log()
#define LOCK_CHECK_ALLOCATE()        lock_check_allocate()
#define LOCK_CHECK_SLEEP()           lock_check_sleep()

#else

#define LOCK_CHECK_WAIT(lock, class) ((void)0)
#define LOCK_CHECK_LOG()             ((void)0)
#define LOCK_CHECK_ALLOCATE()        ((void)0)
#define LOCK_CHECK_SLEEP()           ((void)0)

#endif

#ifdef LOCKS_ARE_NOTED

/* Notes that this CPU has taken or released the lock: lock_note_taken() at the place of the call itself. */
void lock_note_taken(const struct lock_order *lock);
void lock_note_taken_at(const struct lock_order *lock, uintptr_t where);
void lock_note_released(const struct lock_order *lock);

/* Notes that it had to wait for the lock, which it has now. Counts in builds with lock statistics. */
void lock_note_waited(const struct lock_order *lock);

/* Nothing is checked or noted from now on: a panic has begun, and takes what it needs as it needs it. */
void lock_checks_end(void);
bool lock_checks_have_ended(void);

/* The lock's name, for people: "slab cache's lock". rank: any number. */
const char *lock_rank_name(enum lock_rank rank);

#define LOCK_NOTE_TAKEN(lock) lock_note_taken(&(lock)->order)
/* For a function that is not inlined: notes the place from which that function was called. */
#define LOCK_NOTE_TAKEN_BY_CALLER(lock)                                                                      \
    lock_note_taken_at(&(lock)->order, (uintptr_t)__builtin_return_address(0))
/* For functions whose caller is the place to note: always inlined, and without line numbers of their own. */
#define LOCK_ALWAYS_INLINE       __attribute__((always_inline, nodebug))
#define LOCK_NOTE_WAITED(lock)   lock_note_waited(&(lock)->order)
#define LOCK_NOTE_RELEASED(lock) lock_note_released(&(lock)->order)

#else

static inline void lock_checks_end(void)
{
}

#define LOCK_NOTE_TAKEN(lock)           ((void)0)
#define LOCK_NOTE_TAKEN_BY_CALLER(lock) ((void)0)
#define LOCK_ALWAYS_INLINE
#define LOCK_NOTE_WAITED(lock)   ((void)0)
#define LOCK_NOTE_RELEASED(lock) ((void)0)

#endif

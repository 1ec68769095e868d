/*
 * The list of all threads, by number. A walk over it stands in it as a link without a thread, so that a step
 * takes a moment, however many there are.
 */
#include <ashlar/platform.h>
#include <ashlar/string.h>

#include "internal.h"

static struct spinlock list_lock = SPINLOCK_INITIALIZER(LOCK_THREADS);
static struct thread_link ends GUARDED_BY(list_lock) = {&ends, &ends, NULL};
static uint64_t numbers GUARDED_BY(list_lock); /* given so far */
static _Atomic(uint32_t) count;

static const char *const level_names[THREAD_LEVELS] = {
    [THREAD_INTERRUPT] = "interrupt", [THREAD_NORMAL] = "normal", [THREAD_IDLE] = "idle"};
static const char *const state_names[THREAD_STATES] = {[THREAD_NEW] = "new",
                                                       [THREAD_READY] = "ready",
                                                       [THREAD_RUNNING] = "runs",
                                                       [THREAD_WAITING] = "waits",
                                                       [THREAD_ENDED] = "ended"};

const char *thread_level_name(enum thread_level level)
{
    return level_names[level];
}

const char *thread_state_name(enum thread_state state)
{
    return state_names[state];
}

unsigned thread_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

static void insert_before(struct thread_link *at, struct thread_link *link)
{
    link->next = at;
    link->previous = at->previous;
    at->previous->next = link;
    at->previous = link;
}

static void take_out(struct thread_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
}

void thread_list_add(struct thread *thread)
{
    spinlock_acquire(&list_lock);
    thread->number = ++numbers;
    thread->link.thread = thread;
    insert_before(&ends, &thread->link);
    spinlock_release(&list_lock);
    atomic_fetch_add(&count, 1);
}

void thread_list_remove(struct thread *thread)
{
    spinlock_acquire(&list_lock);
    take_out(&thread->link);
    spinlock_release(&list_lock);
    atomic_fetch_sub(&count, 1);
}

/* ---- Walks ---- */

void thread_walk_begin(struct thread_walk *walk)
{
    walk->link.thread = NULL;
    spinlock_acquire(&list_lock);
    insert_before(ends.next, &walk->link);
    spinlock_release(&list_lock);
}

void thread_walk_end(struct thread_walk *walk)
{
    spinlock_acquire(&list_lock);
    take_out(&walk->link);
    spinlock_release(&list_lock);
}

/* Moves the cursor behind the next thread, which it returns; NULL: there is none. */
static struct thread *step(struct thread_walk *walk) REQUIRES(list_lock)
{
    struct thread_link *at = walk->link.next;
    while (at != &ends && !at->thread) {
        at = at->next; /* another walk's */
    }
    take_out(&walk->link);
    insert_before(at == &ends ? at : at->next, &walk->link);
    return at->thread;
}

static void describe(const struct thread *thread, struct thread_report *report)
{
    *report = (struct thread_report){
        .number = thread->number,
        .cpu = atomic_load_explicit(&thread->cpu, memory_order_relaxed),
        .level = thread->level,
        .state = (enum thread_state)atomic_load_explicit(&thread->state, memory_order_relaxed),
        .waits_for = atomic_load_explicit(&thread->waits_for, memory_order_relaxed),
        .waits_on = atomic_load_explicit(&thread->waits_on, memory_order_relaxed),
        .waits_since = atomic_load_explicit(&thread->waits_since, memory_order_relaxed),
        .cpu_ticks = thread_times(thread).all,
        .killed = atomic_load(&thread->killed),
        .is_idle = thread->is_idle,
    };
    memcpy(report->name, thread->name, sizeof report->name);
}

bool thread_walk_next(struct thread_walk *walk, struct thread_report *report)
{
    spinlock_acquire(&list_lock);
    const struct thread *thread = step(walk);
    if (thread) {
        describe(thread, report);
    }
    spinlock_release(&list_lock);
    return thread != NULL;
}

/* A thread that nobody refers to any more is on its way out of the list. */
static bool refer_to(struct thread *thread)
{
    uint32_t references = atomic_load(&thread->references);
    while (references != 0) {
        if (atomic_compare_exchange_weak(&thread->references, &references, references + 1)) {
            return true;
        }
    }
    return false;
}

struct thread *thread_find(uint64_t number)
{
    struct thread_walk walk;
    struct thread *found = NULL;
    struct thread *at;
    thread_walk_begin(&walk);
    do {
        spinlock_acquire(&list_lock);
        at = step(&walk);
        if (at && at->number == number && refer_to(at)) {
            found = at;
        }
        spinlock_release(&list_lock);
    } while (at && !found);
    thread_walk_end(&walk);
    return found;
}

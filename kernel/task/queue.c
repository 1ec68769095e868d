/* A CPU's queue of threads that are ready: a list for each level. See internal.h. */
#include <ashlar/cpu_set.h>

#include "internal.h"

struct cpu_set cpus_with_ready;
struct cpu_set cpus_idle;

size_t threads_cpus_bytes(unsigned cpus)
{
    return (size_t)2 * cpu_set_words(cpus) * sizeof(uint64_t);
}

void threads_cpus_start(void *memory, unsigned cpus)
{
    _Atomic(uint64_t) *words = memory;
    cpu_set_init(&cpus_idle, words, cpus);
    cpu_set_init(&cpus_with_ready, words + cpu_set_words(cpus), cpus);
}

void run_queue_init(struct run_queue *queue, unsigned cpu)
{
    *queue = (struct run_queue){.lock = IRQ_SPINLOCK_INITIALIZER(LOCK_RUN_QUEUE), .cpu = cpu};
#ifdef LOCKS_ARE_NOTED
    queue->lock.order.key = cpu + 1;
#endif
}

/*
 * A thread of the idle level that holds a mutex is lent the normal one: else those who wait for the mutex
 * would wait for all normal threads on its CPU. Higher it need not be: threads of one level take turns, so
 * whoever holds a mutex runs within so many time slices as threads are ready.
 */
enum thread_level thread_level_now(const struct thread *thread)
{
    return thread->level == THREAD_IDLE && thread->locks.mutexes != 0 ? THREAD_NORMAL : thread->level;
}

void run_queue_add(struct run_queue *queue, struct thread *thread, bool in_front)
{
    enum thread_level level = thread_level_now(thread);
    thread->queued = level;
    thread->next = in_front ? queue->first[level] : NULL;
    thread->previous = in_front ? NULL : queue->last[level];
    *(thread->previous ? &thread->previous->next : &queue->first[level]) = thread;
    *(thread->next ? &thread->next->previous : &queue->last[level]) = thread;
    uint32_t ready = atomic_load_explicit(&queue->ready, memory_order_relaxed);
    atomic_store_explicit(&queue->ready, ready + 1, memory_order_relaxed);
    if (ready == 0 && cpus_with_ready.cpus != 0) {
        cpu_set_add(&cpus_with_ready, queue->cpu);
    }
}

void run_queue_remove(struct run_queue *queue, struct thread *thread)
{
    enum thread_level level = thread->queued;
    *(thread->previous ? &thread->previous->next : &queue->first[level]) = thread->next;
    *(thread->next ? &thread->next->previous : &queue->last[level]) = thread->previous;
    uint32_t ready = atomic_load_explicit(&queue->ready, memory_order_relaxed);
    atomic_store_explicit(&queue->ready, ready - 1, memory_order_relaxed);
    if (ready == 1 && cpus_with_ready.cpus != 0) {
        cpu_set_remove(&cpus_with_ready, queue->cpu);
    }
}

struct thread *run_queue_first(const struct run_queue *queue)
{
    for (unsigned level = 0; level < THREAD_LEVELS; level++) {
        if (queue->first[level]) {
            return queue->first[level];
        }
    }
    return NULL;
}

bool run_queue_wants(const struct run_queue *queue, bool at_once)
{
    const struct thread *first = run_queue_first(queue);
    if (!first || queue->current->is_idle) {
        return first != NULL;
    }
    enum thread_level now = thread_level_now(queue->current);
    return at_once ? first->queued < now : first->queued <= now;
}

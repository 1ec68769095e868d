/*
 * Which CPU runs what. A thread that wakes goes to the CPU that it ran on last, unless that has something to
 * do and another has not; a CPU that has nothing to do takes from others' queues.
 *
 * Who puts a thread into a queue and who goes to rest must not miss each other. The first enters his queue in
 * the set of those with something in them, and then looks who is idle; the other enters the set of the idle,
 * and then looks for queues with something in them. Each entry is a locked instruction, so one of the two
 * sees the other's.
 */
#include <ashlar/cpu_request.h>
#include <ashlar/cpu_set.h>
#include <ashlar/platform.h>

#include "internal.h"

void lock_both(struct run_queue *one, struct run_queue *other) NO_LOCK_ANALYSIS
{
    struct run_queue *low = one->cpu < other->cpu ? one : other;
    struct run_queue *high = one->cpu < other->cpu ? other : one;
    irq_spinlock_acquire(&low->lock);
    if (high != low) {
        irq_spinlock_acquire(&high->lock);
    }
}

void unlock_both(struct run_queue *one, struct run_queue *other) NO_LOCK_ANALYSIS
{
    struct run_queue *low = one->cpu < other->cpu ? one : other;
    struct run_queue *high = one->cpu < other->cpu ? other : one;
    if (high != low) {
        irq_spinlock_release(&high->lock);
    }
    irq_spinlock_release(&low->lock);
}

bool thread_may_use(const struct thread *thread, unsigned cpu)
{
    const _Atomic(uint64_t) *words = atomic_load_explicit(&thread->allowed, memory_order_acquire);
    return !words ||
           (atomic_load_explicit(&words[cpu / CPU_SET_WORD_BITS], memory_order_relaxed) & cpu_set_bit(cpu));
}

bool may_run_on(const struct thread *thread, unsigned cpu)
{
    uint32_t bound = atomic_load_explicit(&thread->bound, memory_order_relaxed);
    return bound == cpu || (bound == THREAD_ANY_CPU && thread_may_use(thread, cpu));
}

/* The first CPU of the set that may run it; beyond the set if none does. */
static unsigned first_of(const struct cpu_set *set, const struct thread *thread)
{
    unsigned cpu = cpu_set_next(set, 0);
    while (cpu < set->cpus && !may_run_on(thread, cpu)) {
        cpu = cpu_set_next(set, cpu + 1);
    }
    return cpu;
}

unsigned cpu_for(const struct thread *thread)
{
    uint32_t bound = atomic_load_explicit(&thread->bound, memory_order_relaxed);
    uint32_t last = atomic_load_explicit(&thread->cpu, memory_order_relaxed);
    if (bound != THREAD_ANY_CPU) {
        return bound;
    }
    bool may = thread_may_use(thread, last);
    if (cpus_idle.cpus == 0 || (may && cpu_set_has(&cpus_idle, last))) {
        return last;
    }
    unsigned idle = first_of(&cpus_idle, thread);
    if (idle < cpus_idle.cpus || may) {
        return idle < cpus_idle.cpus ? idle : last;
    }
    unsigned allowed = first_of(cpus_online(), thread);
    return allowed < cpus_online()->cpus ? allowed : last;
}

void tell(struct run_queue *queue)
{
    atomic_store(&queue->look, true);
    look_there(queue->cpu);
}

/* Whether the first in the queue, which goes before all others, is the only one of its level. */
static bool first_is_alone(const struct run_queue *queue)
{
    return run_queue_first(queue)->next == NULL;
}

/*
 * A CPU that runs something of the same level needs no more than a time slice. Another CPU has begun one if
 * this is not the first of that level to be ready there; threads of lower levels begin none.
 */
void tell_cpu(struct run_queue *queue)
{
    bool here = queue->cpu == cpu_number();
    bool at_once = run_queue_wants(queue, true);
    if (here && at_once) {
        wish_here();
    } else if (here) {
        slice_begin(false);
    } else if (at_once || (run_queue_wants(queue, false) && first_is_alone(queue))) {
        tell(queue);
    }
}

void tell_idle(const struct run_queue *queue, const struct thread *thread)
{
    if (cpus_idle.cpus == 0 || queue->current->is_idle || thread->bound != THREAD_ANY_CPU) {
        return;
    }
    unsigned idle = first_of(&cpus_idle, thread);
    if (idle < cpus_idle.cpus) {
        tell(run_queue_of(idle));
    }
}

/* The first in the queue that may run on `cpu`; it looks at the first few only, as a lock is held. */
static struct thread *first_for(const struct run_queue *queue, unsigned cpu)
{
    unsigned looks = 0;
    for (unsigned level = 0; level < THREAD_LEVELS; level++) {
        for (struct thread *at = queue->first[level]; at && looks < 16; at = at->next, looks++) {
            if (may_run_on(at, cpu)) {
                return at;
            }
        }
    }
    return NULL;
}

static bool steal_from(struct run_queue *victim, struct run_queue *queue)
{
    lock_both(victim, queue);
    struct thread *thread = first_for(victim, queue->cpu);
    if (thread) {
        run_queue_remove(victim, thread);
        atomic_store_explicit(&thread->cpu, queue->cpu, memory_order_relaxed);
        run_queue_add(queue, thread, false);
    }
    unlock_both(victim, queue);
    return thread != NULL;
}

bool steal(struct run_queue *queue)
{
    const struct cpu_set *full = &cpus_with_ready;
    for (unsigned cpu = cpu_set_next(full, 0); cpu < full->cpus; cpu = cpu_set_next(full, cpu + 1)) {
        if (cpu != queue->cpu && steal_from(run_queue_of(cpu), queue)) {
            return true;
        }
    }
    return false;
}

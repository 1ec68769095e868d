/*
 * How long threads have run. What a thread has run is added up when it leaves its CPU; that part of it which
 * it was in the kernel for, each time it goes to user mode or leaves its CPU (arch/x86_64/user/entry.S).
 */
#include <ashlar/platform.h>
#include <x86/per_cpu.h>

#include "internal.h"

/* The queue's lock is held over switches: so what is read of the thread is of one moment. */
static void read_times(const struct thread *thread, struct thread_times *times)
{
    uint64_t now = cpu_ticks();
    bool runs = atomic_load_explicit(&thread->state, memory_order_relaxed) == THREAD_RUNNING;
    *times = (struct thread_times){.all = thread->ran, .kernel = thread->in_kernel};
    if (runs && (int64_t)(now - thread->runs_since) > 0) {
        times->all += now - thread->runs_since; /* CPUs' counters may differ */
    }
    if (thread == thread_current()) {
        times->kernel += (uint32_t)now - per_cpu()->entered;
    }
    times->kernel = min_u64(times->kernel, times->all);
}

struct thread_times thread_times(const struct thread *thread)
{
    struct thread_times times;
    bool done = false;
    bool were_on = interrupts_disable();
    while (!done) {
        uint32_t cpu = atomic_load_explicit(&thread->cpu, memory_order_relaxed);
        struct run_queue *queue = run_queue_of(cpu);
        irq_spinlock_acquire(&queue->lock);
        done = atomic_load_explicit(&thread->cpu, memory_order_relaxed) == cpu;
        if (done) {
            read_times(thread, &times);
        }
        irq_spinlock_release(&queue->lock);
    }
    interrupts_restore(were_on);
    return times;
}

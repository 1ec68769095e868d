/* What a CPU does that has nothing to do. */
#include <ashlar/cpu_set.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>

#include "internal.h"

/*
 * Interrupts are off from the last look to the rest, so that none is lost in between. This CPU is in the set
 * of the idle before it looks into others' queues: see balance.c.
 */
static void work_or_rest(struct run_queue *queue)
{
    atomic_store(&queue->look, false);
    if (cpus_idle.cpus != 0) {
        cpu_set_add(&cpus_idle, queue->cpu);
    }
    if (atomic_load(&queue->ready) == 0 && !steal(queue)) {
        panic_if_nobody_is_left();
        rest_here(queue);
    }
    if (cpus_idle.cpus != 0) {
        cpu_set_remove(&cpus_idle, queue->cpu);
    }
}

void threads_idle(void)
{
    for (;;) {
        threads_free_ended();
        interrupts_disable();
        struct run_queue *queue = run_queue_here();
        work_or_rest(queue);
        interrupts_restore(true);
        if (atomic_load(&queue->ready) != 0) {
            thread_preempt();
        }
    }
}

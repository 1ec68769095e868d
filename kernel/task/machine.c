/* The threads' machinery on the machine: what of it depends on the CPU. */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/vm_kernel.h>
#include <x86/apic.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/thread.h>

#include "internal.h"

#define SLICE_NANOSECONDS 5000000 /* long against the cost of a switch, short against a person's patience */

struct run_queue *run_queue_here(void)
{
    return &per_cpu()->queue;
}

struct run_queue *run_queue_of(unsigned cpu)
{
    return &processor_data(cpu)->queue;
}

void wish_here(void)
{
    per_cpu()->preempt_depth &= ~PREEMPT_NO_WISH;
}

void wish_over(void)
{
    per_cpu()->preempt_depth |= PREEMPT_NO_WISH;
}

bool wish_is_here(void)
{
    return !(preempt_count() & PREEMPT_NO_WISH);
}

void look_there(unsigned cpu)
{
    cpu_interrupt(cpu);
}

void look_here_soon(void)
{
    if (apic_available()) {
        apic_send_self(VECTOR_WISH);
    }
}

static void end_at_once(void *context)
{
    (void)context; /* the interrupt's end looks at the wish */
}

void machine_start(void (*slice_over)(void))
{
    interrupt_register(VECTOR_WISH, end_at_once, NULL, "wishes");
    timer_set_slice_over(slice_over);
}

void slice_begin(bool anew)
{
    if (anew || !timer_slice_runs()) {
        timer_start_slice(SLICE_NANOSECONDS);
    }
}

void change_thread(struct thread *from, struct thread *to)
{
    uint64_t now = cpu_ticks();
    struct per_cpu *cpu = per_cpu();
    from->ran += now - from->runs_since;
    from->in_kernel += (uint32_t)now - cpu->entered;
    cpu->entered = (uint32_t)now;
    to->runs_since = now;
    space_switch(from, to);
    thread_switch(from, to);
}

void prepare_thread(struct thread *thread, void (*begin)(void))
{
    thread_prepare(thread, begin);
}

bool can_be_timed(void)
{
    return timer_available();
}

/* Preemption is off: an interrupt that wakes a thread does not switch to it here, in the middle of a rest. */
void rest_here(struct run_queue *queue)
{
    preempt_disable();
    interrupts_enable();
    bool worked = slab_idle(&kernel_heap.slabs) || frame_pool_idle(kernel_frames());
    interrupts_disable();
    if (!worked && atomic_load(&queue->ready) == 0 && !atomic_load(&queue->look)) {
        cpu_rest();
        interrupts_disable();
    }
    preempt_enable();
}

/* Collecting what other CPUs have in their magazines, when memory has run out: see <ashlar/frame.h>. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/world.h>

#include "kernel/kernel.h"

/* Empties the magazines of all other CPUs, those of frames and those of the heap's caches. They stand still
 * meanwhile, at a moment when none of them is in the middle of an operation on its magazines. */
static void drain_others(void)
{
    world_stop();
    for (unsigned cpu = 0; cpu < processors_count(); cpu++) {
        if (cpu != cpu_number()) {
            slab_drain_cpu(&kernel_heap.slabs, cpu);
            frame_pool_drain_cpu(kernel_frames(), cpu);
        }
    }
    world_resume();
}

static _Atomic(bool) collecting;       /* some CPU collects */
static _Atomic(uint64_t) frames_given; /* of what was collected, by the heap, so far */

/* Of several CPUs that come here at once one collects. The others wait, preemption on: it stops them, too. */
static void collect_or_wait(void)
{
    preempt_disable();
    if (!atomic_exchange(&collecting, true)) {
        drain_others();
        atomic_fetch_add(&frames_given, slab_reap(&kernel_heap.slabs));
        atomic_store(&collecting, false);
        preempt_enable();
        return;
    }
    preempt_enable();
    while (atomic_load(&collecting)) {
        cpu_relax();
    }
}

/*
 * For an allocation that found nothing. The others are stopped only if they may hold something: when memory
 * is exhausted, that is when one of them has used a magazine since the last time. While somebody collects,
 * what others held is on its way.
 */
static bool collect(void *context)
{
    uint64_t before = atomic_load(&frames_given);
    bool frames_there = frame_pool_others_hold(kernel_frames());
    (void)context;
    if (frames_there || slab_others_hold(&kernel_heap.slabs) || atomic_load(&collecting)) {
        collect_or_wait();
    }
    return frames_there || atomic_load(&frames_given) != before;
}

void collect_start(void)
{
    kernel_frames()->config.collect = collect;
}

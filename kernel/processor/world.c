/*
 * Stopping the world: all other CPUs wait at a moment when none of them is in the middle of anything, which
 * is when preemption is on, or when it rests. Whoever is asked at another moment goes on, and is asked again.
 */
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>
#include <ashlar/world.h>
#include <stdatomic.h>
#include <x86/per_cpu.h>

#include "internal.h"

#define LOOKS_PER_ASKING 1000

static struct cpu_set parked;        /* CPUs that wait */
static _Atomic(uint32_t) stopped_by; /* number + 1 of the CPU that stopped the world; 0: it moves */
static unsigned stops;               /* beyond the first, by the CPU that stopped it */

void world_start(void *memory, unsigned cpus)
{
    cpu_set_init(&parked, memory, cpus);
}

/*
 * Who leaves looks again whether somebody else has stopped the world meanwhile, and may have seen this CPU
 * among those that wait.
 */
static void park(void)
{
    do {
        cpu_set_add(&parked, cpu_number());
        while (atomic_load(&stopped_by) != 0) {
            cpu_serve_requests();
            cpu_relax();
        }
        cpu_set_remove(&parked, cpu_number());
    } while (atomic_load(&stopped_by) != 0);
}

void world_park_if_asked(void)
{
    if (atomic_load(&stopped_by) == 0) {
        return;
    }
    const struct per_cpu *cpu = per_cpu();
    bool rests = atomic_load_explicit(&cpu->rest_began, memory_order_relaxed) != 0;
    if ((preempt_is_on() || rests) && cpu->interrupt_depth == 1) {
        park();
    }
}

/* The first that is online and does not wait, but for this one; as many as there can be when all do. Asks
 * those that do not when `ask`. */
static unsigned first_that_runs(bool ask)
{
    const struct cpu_set *online = cpus_online();
    unsigned first = online->cpus;
    for (unsigned cpu = cpu_set_next(online, 0); cpu < online->cpus; cpu = cpu_set_next(online, cpu + 1)) {
        if (cpu != cpu_number() && !cpu_set_has(&parked, cpu)) {
            first = cpu < first ? cpu : first;
            if (ask) {
                cpu_interrupt(cpu);
            }
        }
    }
    return first;
}

/* As patient as for a mutex: what others do with preemption off may take them a while, but not for ever. */
static void wait_for_all(void)
{
    struct lock_wait wait = lock_wait_begin(MUTEX_PATIENCE);
    unsigned cpu;
    for (unsigned looks = 0; (cpu = first_that_runs(looks % LOOKS_PER_ASKING == 0)) < cpus_present();
         looks++) {
        cpu_serve_requests();
        cpu_relax();
        if (!lock_wait_goes_on(&wait)) {
            cpu_say_where(cpu);
            panic("CPU %u does not stand still for CPU %u", cpu, cpu_number());
        }
    }
}

void world_stop(void)
{
    preempt_disable();
    if (cpus_present() == 1) {
        return;
    }
    if (atomic_load(&stopped_by) == cpu_number() + 1) {
        stops++;
        return;
    }
    uint32_t nobody = 0;
    while (!atomic_compare_exchange_weak(&stopped_by, &nobody, cpu_number() + 1)) {
        nobody = 0;
        park();
    }
    wait_for_all();
}

void world_resume(void)
{
    if (cpus_present() == 1) {
        preempt_enable();
        return;
    }
    if (stops != 0) {
        stops--;
    } else {
        atomic_store(&stopped_by, 0);
    }
    preempt_enable();
}

/*
 * Timers; see <ashlar/clock.h>. Each CPU keeps its running timers in a heap by deadline, and its device armed
 * for the first, or for the end of the time slice that runs. A heap has a lock, as any CPU may cancel a
 * timer. The function of a timer runs without it: so it may start the timer again, and wake threads. When
 * many are due at once, other interrupts come in after every few.
 */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/start.h>
#include <ashlar/timer_heap.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/timer_device.h>

#define EXPIRIES_AT_ONCE 64 /* of one interrupt */

static bool available;
static void (*slice_over)(void);

/* Arms this CPU's device for what comes first. Interrupts are off. */
static void arm(const struct per_cpu *cpu)
{
    const struct timer *first = cpu->timers;
    uint64_t deadline = cpu->slice_end != 0 ? cpu->slice_end : UINT64_MAX;
    if (first != NULL) {
        deadline = min_u64(deadline, first->deadline);
    }
    if (deadline == UINT64_MAX) {
        timer_device_disarm();
        return;
    }
    uint64_t now = clock_nanoseconds();
    timer_device_arm(deadline > now ? deadline - now : 0);
}

/* Takes the first timer that is due out of the heap; NULL: there is none. */
static struct timer *take_due(struct per_cpu *cpu)
{
    irq_spinlock_acquire(&cpu->timers_lock);
    struct timer *timer = cpu->timers;
    if (timer != NULL && timer->deadline > clock_nanoseconds()) {
        timer = NULL;
    }
    if (timer != NULL) {
        timer_heap_remove(&cpu->timers, timer);
        timer->running = false;
    }
    cpu->expiring = timer;
    irq_spinlock_release(&cpu->timers_lock);
    return timer;
}

/* Called by the device's interrupt: runs what is due, then waits for the next, which may be due, too. */
static void expire(void)
{
    struct per_cpu *cpu = per_cpu();
    struct timer *timer = take_due(cpu);
    for (unsigned i = 1; timer != NULL; i++) {
        timer->expired(timer);
        timer = i < EXPIRIES_AT_ONCE ? take_due(cpu) : NULL;
    }
    if (cpu->slice_end != 0 && cpu->slice_end <= clock_nanoseconds()) {
        cpu->slice_end = 0;
        slice_over();
    }
    irq_spinlock_acquire(&cpu->timers_lock);
    cpu->expiring = NULL;
    arm(cpu);
    irq_spinlock_release(&cpu->timers_lock);
}

void timer_initialise(void)
{
    available = timer_device_initialise(expire);
}

void timer_set_slice_over(void (*function)(void))
{
    slice_over = function;
}

bool timer_available(void)
{
    return available;
}

void timer_start(struct timer *timer, uint64_t deadline)
{
    START_REQUIRE(START_TIMERS);
    if (!available) {
        return;
    }
    bool were_on = interrupts_disable();
    struct per_cpu *cpu = per_cpu();
    irq_spinlock_acquire(&cpu->timers_lock);
    if (timer->running) {
        panic("timer at %p is started while it waits to expire", (const void *)timer);
    }
    timer->deadline = deadline;
    timer->cpu = cpu->number;
    timer->running = true;
    timer_heap_add(&cpu->timers, timer);
    if (cpu->timers == timer) {
        arm(cpu);
    }
    irq_spinlock_release(&cpu->timers_lock);
    interrupts_restore(were_on);
}

/* With the lock of the CPU that started it held. */
static bool take_out(struct per_cpu *cpu, struct timer *timer)
{
    bool was_running = timer->running;
    if (was_running) {
        timer_heap_remove(&cpu->timers, timer);
        timer->running = false;
    }
    return was_running;
}

/* Its device stays armed, and finds nothing to do. */
bool timer_cancel(struct timer *timer)
{
    struct per_cpu *cpu = processor_data(timer->cpu);
    bool was_running;
    bool expires;
    do {
        irq_spinlock_acquire(&cpu->timers_lock);
        was_running = take_out(cpu, timer);
        expires = cpu->expiring == timer && cpu != per_cpu(); /* on this one it is our caller */
        irq_spinlock_release(&cpu->timers_lock);
        if (expires) {
            cpu_serve_requests();
            cpu_relax();
        }
    } while (expires);
    return was_running;
}

void timer_start_slice(uint64_t nanoseconds)
{
    struct per_cpu *cpu = per_cpu();
    if (!available) {
        return;
    }
    cpu->slice_end = clock_nanoseconds() + nanoseconds;
    if (cpu->timer_due == 0 || cpu_ticks() + clock_nanoseconds_to_ticks(nanoseconds) < cpu->timer_due) {
        timer_device_arm(nanoseconds);
    }
}

bool timer_slice_runs(void)
{
    return per_cpu()->slice_end != 0;
}

bool timers_run(void)
{
    for (unsigned number = 0; number < processors_count(); number++) {
        const struct per_cpu *cpu = processor_data(number);
        if (cpu != NULL && (cpu->timers != NULL || cpu->expiring != NULL)) {
            return true;
        }
    }
    return false;
}

/*
 * Timers; see <ashlar/clock.h>. Each CPU keeps its running timers in a list by deadline, and its device armed
 * for the first, or for the end of the time slice that runs. A list has a lock, as any CPU may cancel a
 * timer. The function of a timer runs without it: so it may start the timer again, and wake threads.
 */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/start.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/timer_device.h>

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

/* Takes the first timer that is due out of the list; NULL: there is none. */
static struct timer *take_due(struct per_cpu *cpu)
{
    irq_spinlock_acquire(&cpu->timers_lock);
    struct timer *timer = cpu->timers;
    if (timer != NULL && timer->deadline > clock_nanoseconds()) {
        timer = NULL;
    }
    if (timer != NULL) {
        cpu->timers = timer->next;
        timer->running = false;
    }
    cpu->expiring = timer;
    irq_spinlock_release(&cpu->timers_lock);
    return timer;
}

/* Called by the device's interrupt: runs what is due, then waits for the next. */
static void expire(void)
{
    struct per_cpu *cpu = per_cpu();
    for (struct timer *timer; (timer = take_due(cpu)) != NULL;) {
        timer->expired(timer);
    }
    if (cpu->slice_end != 0 && cpu->slice_end <= clock_nanoseconds()) {
        cpu->slice_end = 0;
        slice_over();
    }
    irq_spinlock_acquire(&cpu->timers_lock);
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

/* A list with a timer twice in it would never end. Nothing is read of the timer, which may be cleared. */
static void expect_not_started(const struct timer *timer, const struct timer *list)
{
    for (; list != NULL; list = list->next) {
        if (list == timer) {
            panic("timer at %p is started while it waits to expire", (const void *)timer);
        }
    }
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
    struct timer **at = &cpu->timers;
    expect_not_started(timer, *at);
    while (*at != NULL && (*at)->deadline <= deadline) {
        at = &(*at)->next;
    }
    timer->deadline = deadline;
    timer->cpu = cpu->number;
    timer->running = true;
    timer->next = *at;
    *at = timer;
    if (at == &cpu->timers) {
        arm(cpu);
    }
    irq_spinlock_release(&cpu->timers_lock);
    interrupts_restore(were_on);
}

static bool take_out(struct per_cpu *cpu, struct timer *timer)
{
    struct timer **at = &cpu->timers;
    while (*at != NULL && *at != timer) {
        at = &(*at)->next;
    }
    if (*at != timer) {
        return false;
    }
    *at = timer->next;
    timer->running = false;
    return true;
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

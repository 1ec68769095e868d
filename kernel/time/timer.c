/*
 * Timers; see <ashlar/clock.h>. Each CPU keeps its running timers in a list by deadline, and its device armed
 * for the first. The list is touched only by its CPU with interrupts off, so it needs no lock.
 */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/timer_device.h>

static bool available;

static void arm(const struct timer *first)
{
    if (first == NULL) {
        timer_device_disarm();
        return;
    }
    uint64_t now = clock_nanoseconds();
    timer_device_arm(first->deadline > now ? first->deadline - now : 0);
}

/* Called by the device's interrupt: runs what is due, then waits for the next. */
static void expire(void)
{
    struct timer **list = &per_cpu()->timers;
    for (struct timer *timer; (timer = *list) != NULL && timer->deadline <= clock_nanoseconds();) {
        *list = timer->next;
        timer->running = false;
        timer->expired(timer);
    }
    arm(*list);
}

void timer_initialise(void)
{
    available = timer_device_initialise(expire);
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
    bool enabled = interrupts_disable();
    struct timer **list = &per_cpu()->timers;
    struct timer **at = list;
    expect_not_started(timer, *list);
    while (*at != NULL && (*at)->deadline <= deadline) {
        at = &(*at)->next;
    }
    timer->deadline = deadline;
    timer->running = true;
    timer->next = *at;
    *at = timer;
    if (at == list) {
        arm(timer);
    }
    interrupts_restore(enabled);
}

bool timer_cancel(struct timer *timer)
{
    bool enabled = interrupts_disable();
    bool was_running = timer->running;
    struct timer **at = &per_cpu()->timers;
    while (*at != NULL && *at != timer) {
        at = &(*at)->next;
    }
    if (*at == timer) {
        *at = timer->next;
        timer->running = false;
    }
    interrupts_restore(enabled);
    return was_running;
}

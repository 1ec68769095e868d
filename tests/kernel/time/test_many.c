/* Ten thousand timers at once: each expires, once, in order; or is cancelled, and never does. */
#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/test.h>
#include <x86/interrupt.h>

#define MANY        10000
#define MILLISECOND 1000000ULL

struct counted {
    struct timer timer;
    uint32_t expiries;
};

static volatile uint32_t expired;
static volatile uint64_t last_deadline;
static volatile bool out_of_order;

static void count(struct timer *timer)
{
    struct counted *counted = (struct counted *)timer;
    counted->expiries++;
    expired++;
    out_of_order = out_of_order || timer->deadline < last_deadline;
    last_deadline = timer->deadline;
}

static void start_all(struct counted *timers)
{
    uint64_t now = clock_nanoseconds();
    for (uint32_t i = 0; i < MANY; i++) {
        timers[i].timer.expired = count;
        timer_start(&timers[i].timer, now + (uint64_t)i * 7919 % MANY * (MILLISECOND / 1000));
    }
}

/* Interrupts are off, so those that are due have not expired yet. Returns how many were still running. */
static uint32_t cancel_every_second(struct counted *timers)
{
    uint32_t cancelled = 0;
    for (uint32_t i = 0; i < MANY; i += 2) {
        cancelled += timer_cancel(&timers[i].timer);
    }
    return cancelled;
}

static uint32_t wrongly_expired(const struct counted *timers)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        wrong += timers[i].expiries != i % 2 || timers[i].timer.running;
    }
    return wrong;
}

KERNEL_TEST(timers_ten_thousand_at_once)
{
    struct counted *timers = heap_alloc_zeroed(&kernel_heap, MANY * sizeof *timers);
    if (!timer_available() || timers == NULL) {
        kernel_test_skip(timers == NULL ? "too little memory" : "no timer");
        heap_free(&kernel_heap, timers);
        return;
    }
    expired = 0;
    last_deadline = 0;
    out_of_order = false;
    bool were_on = interrupts_disable(); /* all are this CPU's */
    start_all(timers);
    uint32_t cancelled = cancel_every_second(timers);
    while (expired != MANY / 2) {
        cpu_idle();
    }
    interrupts_restore(were_on);
    EXPECT_EQUAL(cancelled, MANY / 2);
    EXPECT(!out_of_order);
    EXPECT_EQUAL(wrongly_expired(timers), 0);
    heap_free(&kernel_heap, timers);
}

/* The clock against devices that count by themselves, and timers against the clock. */
#include <ashlar/acpi.h>
#include <ashlar/clock.h>
#include <ashlar/interrupts.h>
#include <ashlar/platform.h>
#include <ashlar/test.h>
#include <x86/interrupt.h>

#include "kernel/time/reference.h"

#define MILLISECOND 1000000ULL
#define SECOND      1000000000ULL

#define ATTEMPTS     8
#define SPOILED_MAX  2000 /* some minutes on a computer that never leaves this one in peace */
#define MICROSECONDS 5000

/* How long the reference counts before it begins again, in nanoseconds. */
static uint64_t period_of(const struct clock_reference *reference)
{
    uint64_t counts = reference->bits < 64 ? 1ULL << reference->bits : UINT64_MAX;
    return counts / reference->hertz >= SECOND ? UINT64_MAX : counts * SECOND / reference->hertz;
}

/*
 * The rate as measured again. An interruption between two readings can only spoil a measurement: a clock at
 * the wrong rate fails every attempt, a right one passes at the first that was left in peace. An attempt in
 * which the reference began again, since an emulator waited for a processor, tells nothing and does not
 * count.
 */
static bool rate_agrees(const struct clock_reference *reference)
{
    unsigned spoiled = 0;
    for (unsigned i = 0; i < ATTEMPTS && spoiled < SPOILED_MAX;) {
        uint64_t tsc_hertz;
        uint64_t timer_hertz;
        uint64_t begin = clock_nanoseconds();
        bool measured = clock_measure(reference, MICROSECONDS, &tsc_hertz, &timer_hertz);
        bool in_time = clock_nanoseconds() - begin < period_of(reference) / 2;
        uint64_t known = clock_frequency();
        uint64_t difference = tsc_hertz > known ? tsc_hertz - known : known - tsc_hertz;
        if (measured && difference <= known / 100) {
            return true;
        }
        spoiled += in_time ? 0 : 1;
        i += in_time ? 1 : 0;
    }
    return false;
}

/* The reference that calibrated the clock cannot judge it alone: each one that is there is asked. */
static void judge_by(const struct clock_reference *reference)
{
    if (reference == NULL || !clock_reference_counts(reference)) {
        kernel_test_skip("the machine has no such counter");
        return;
    }
    EXPECT(rate_agrees(reference));
}

KERNEL_TEST(clock_agrees_with_hpet)
{
    judge_by(hpet_reference());
}

KERNEL_TEST(clock_agrees_with_pm_timer)
{
    judge_by(pm_timer_reference());
}

KERNEL_TEST(clock_agrees_with_pit)
{
    judge_by(pit_reference());
}

KERNEL_TEST(clock_never_goes_back)
{
    uint64_t last = clock_nanoseconds();
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t now = clock_nanoseconds();
        EXPECT(now >= last);
        last = now;
    }
    EXPECT(last != 0);
}

KERNEL_TEST(clock_ticks_convert_both_ways)
{
    uint64_t ticks = clock_nanoseconds_to_ticks(SECOND);
    EXPECT(ticks + 2 >= clock_frequency() && ticks <= clock_frequency() + 2);
    uint64_t back = clock_ticks_to_nanoseconds(clock_frequency());
    EXPECT(back + 2 >= SECOND && back <= SECOND + 2);
}

KERNEL_TEST(clock_wait_is_not_short)
{
    uint64_t begin = clock_nanoseconds();
    clock_wait(MILLISECOND);
    EXPECT(clock_nanoseconds() - begin >= MILLISECOND - 1);
}

/* Timers note the order in which they expire and when. */
struct noting_timer {
    struct timer timer;
    volatile uint64_t expired_at; /* clock_nanoseconds(), 0 before */
    volatile unsigned order;
};

static volatile unsigned expired_count;

static void note(struct timer *timer)
{
    struct noting_timer *noting = (struct noting_timer *)timer;
    noting->expired_at = clock_nanoseconds();
    noting->order = ++expired_count;
}

/* Rests until `timer` has expired; false, and it is cancelled, if that takes a hundred interrupts. */
static bool rest_until_expired(struct noting_timer *timer)
{
    bool enabled = interrupts_disable();
    for (unsigned i = 0; i < 100 && timer->expired_at == 0; i++) {
        cpu_idle();
    }
    bool expired = !timer_cancel(&timer->timer);
    interrupts_restore(enabled);
    return expired;
}

KERNEL_TEST(timer_expires_at_its_deadline)
{
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    struct noting_timer timer = {.timer.expired = note};
    uint64_t deadline = clock_nanoseconds() + 2 * MILLISECOND;
    timer_start(&timer.timer, deadline);
    EXPECT(rest_until_expired(&timer));
    EXPECT(timer.expired_at >= deadline);
    EXPECT(!timer.timer.running);
}

KERNEL_TEST(timer_order_is_by_deadline)
{
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    static struct noting_timer timers[3];
    static const unsigned delays[3] = {3, 1, 2};
    expired_count = 0;
    bool enabled = interrupts_disable(); /* none expires before all are started, however slow the machine */
    uint64_t now = clock_nanoseconds();
    for (unsigned i = 0; i < 3; i++) {
        timers[i] = (struct noting_timer){.timer.expired = note};
        timer_start(&timers[i].timer, now + delays[i] * MILLISECOND);
    }
    interrupts_restore(enabled);
    bool expired = rest_until_expired(&timers[0]);
    timer_cancel(&timers[1].timer);
    timer_cancel(&timers[2].timer);
    EXPECT(expired);
    EXPECT_EQUAL(timers[1].order, 1);
    EXPECT_EQUAL(timers[2].order, 2);
    EXPECT_EQUAL(timers[0].order, 3);
}

KERNEL_TEST(timer_past_deadline_expires_at_once)
{
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    struct noting_timer timer = {.timer.expired = note};
    timer_start(&timer.timer, 0);
    EXPECT(rest_until_expired(&timer));
}

KERNEL_TEST(timer_cancelled_does_not_expire)
{
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    struct noting_timer cancelled = {.timer.expired = note};
    struct noting_timer later = {.timer.expired = note};
    /* It does not expire before it is cancelled, however slow the machine. */
    bool enabled = interrupts_disable();
    uint64_t now = clock_nanoseconds();
    timer_start(&cancelled.timer, now + MILLISECOND);
    timer_start(&later.timer, now + 2 * MILLISECOND);
    bool first = timer_cancel(&cancelled.timer);
    bool second = timer_cancel(&cancelled.timer);
    interrupts_restore(enabled);
    bool expired = rest_until_expired(&later);
    EXPECT(first);
    EXPECT(!second);
    EXPECT(expired);
    EXPECT_EQUAL(cancelled.expired_at, 0);
}

/* What interrupts cost. Under -icount shift=0 a tick is one guest instruction. */
#include <ashlar/bench.h>
#include <ashlar/clock.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

#define INTERRUPTS 100

static void expire_quietly(struct timer *timer)
{
    (void)timer;
}

/* One timer interrupt in which one timer expires: entry, its function, end of interrupt, return. */
KERNEL_BENCH(irq_timer, "irq.timer")
{
    struct timer timer = {.expired = expire_quietly};
    if (!timer_available()) {
        bench_skip(bench, "no timer");
        return;
    }
    uint64_t ticks = 0;
    bool enabled = interrupts_disable();
    for (unsigned i = 0; i < INTERRUPTS; i++) {
        timer_start(&timer, 0);
        clock_wait(1000); /* its interrupt is pending now; taken between the two readings */
        bench_start(bench);
        interrupts_enable();
        __asm__ volatile("nop");
        interrupts_disable();
        bench_stop(bench, 1);
        ticks += bench->ticks;
        timer_cancel(&timer);
    }
    interrupts_restore(enabled);
    bench->ticks = ticks;
    bench->operations = INTERRUPTS;
}

/* Reading the clock. */
KERNEL_BENCH(clock_read, "clock.read")
{
    bench_start(bench);
    for (unsigned i = 0; i < INTERRUPTS; i++) {
        clock_nanoseconds();
    }
    bench_stop(bench, INTERRUPTS);
}

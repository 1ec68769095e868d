/* What is registered already, registered again: refused by name; see <ashlar/provoke.h>. */
#include <ashlar/clock.h>
#include <ashlar/console.h>
#include <x86/interrupt.h>

#include "internal.h"

#define FAR_AWAY 1000000000000 /* nanoseconds: nobody waits for it */

static void ignore_expiry(struct timer *timer)
{
    (void)timer;
}

static void ignore_interrupt(void *context)
{
    (void)context;
}

__attribute__((noinline)) void provoke_timer_twice(void)
{
    static struct timer timer = {.expired = ignore_expiry};
    timer_start(&timer, clock_nanoseconds() + FAR_AWAY);
    timer_start(&timer, clock_nanoseconds() + FAR_AWAY);
    console_print("without timers nothing was started\n");
}

__attribute__((noinline)) void provoke_handler_twice(void)
{
    interrupt_register(PROVOKED_VECTOR, ignore_interrupt, NULL, "the first");
    interrupt_register(PROVOKED_VECTOR, ignore_interrupt, NULL, "the second");
}

/* Interrupt controllers: delivery, counting, spurious vectors, and what an interrupt costs. */
#define LOG_SUBSYSTEM "test"
#include <ashlar/clock.h>
#include <ashlar/interrupts.h>
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <ashlar/test.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

KERNEL_TEST(irq_spurious_vector_is_counted_and_harmless)
{
    uint64_t before = interrupt_count(VECTOR_SPURIOUS);
    __asm__ volatile("int %0" : : "i"(VECTOR_SPURIOUS) : "memory");
    EXPECT_EQUAL(interrupt_count(VECTOR_SPURIOUS), before + 1);
}

KERNEL_TEST(irq_8259_spurious_is_counted_and_harmless)
{
    uint64_t before = interrupt_count(VECTOR_PIC + 7);
    __asm__ volatile("int %0" : : "i"(VECTOR_PIC + 7) : "memory");
    EXPECT_EQUAL(interrupt_count(VECTOR_PIC + 7), before + 1);
}

static void count_expiry(struct timer *timer)
{
    (void)timer;
}

KERNEL_TEST(irq_timer_is_counted_once_for_each_expiry)
{
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    struct timer timer = {.expired = count_expiry};
    uint64_t before = interrupt_count(VECTOR_TIMER);
    bool enabled = interrupts_disable();
    timer_start(&timer, clock_nanoseconds() + 100000);
    for (unsigned i = 0; i < 100 && timer.running; i++) {
        cpu_idle();
    }
    bool expired = !timer_cancel(&timer);
    interrupts_restore(enabled);
    EXPECT(expired);
    EXPECT(interrupt_count(VECTOR_TIMER) > before);
}

static unsigned nmis;

static bool log_in_nmi(struct trap_frame *frame)
{
    (void)frame;
    log_debug("an NMI logs, whatever it interrupted");
    nmis++;
    return true;
}

/* Even who holds an irq_spinlock, and may not log: builds with all assertions tell the two apart. */
KERNEL_TEST(irq_nmi_may_log_whatever_it_interrupted)
{
    static struct irq_spinlock lock = IRQ_SPINLOCK_INITIALIZER(LOCK_IO_APIC);
    exception_handler *before = exception_set_handler(EXCEPTION_NMI, log_in_nmi);
    nmis = 0;
    irq_spinlock_acquire(&lock);
    __asm__ volatile("int $2" : : : "memory");
    irq_spinlock_release(&lock);
    exception_set_handler(EXCEPTION_NMI, before);
    EXPECT_EQUAL(nmis, 1);
}

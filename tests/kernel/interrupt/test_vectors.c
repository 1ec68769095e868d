/* Vectors given to drivers: a handler gets its own context, nobody gets what was given back, and none is
 * lost. */
#include <ashlar/acpi.h>
#include <ashlar/clock.h>
#include <ashlar/interrupts.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/vectors.h>
#include <x86/apic.h>
#include <x86/interrupt.h>
#include <x86/port.h>

static void count_call(void *context)
{
    (*(unsigned *)context)++;
}

/* Raises the vector and lets it in. */
static void send_and_take(unsigned vector)
{
    bool enabled = interrupts_disable();
    apic_send_self(vector);
    interrupts_enable();
    for (unsigned i = 0; i < 1000 && apic_is_pending(vector); i++) {
        cpu_relax();
    }
    interrupts_disable();
    interrupts_restore(enabled);
}

static void undo_run(void *context)
{
    struct interrupt_run *run = context;
    if (run->count != 0) { /* else it was released before */
        interrupts_release(run);
    }
}

/* interrupts_allocate() to one handler; what is not released is at the test's end. */
static bool allocate_one(const struct interrupt_user *user, struct interrupt_run *run)
{
    kernel_test_undone(run);
    bool done = interrupts_allocate(user, 1, run);
    kernel_test_undo_later(undo_run, run);
    return done;
}

static bool has_apic(void)
{
    if (!apic_available()) {
        kernel_test_skip("no local APIC");
    }
    return apic_available();
}

KERNEL_TEST(irq_vector_reaches_its_handler_until_released)
{
    unsigned calls = 0;
    const struct interrupt_user user = {count_call, &calls, "test"};
    static struct interrupt_run run;
    if (!has_apic()) {
        return;
    }
    unsigned free = interrupts_free_count();
    EXPECT(allocate_one(&user, &run));
    unsigned vector = run.vector;
    EXPECT(vector >= VECTOR_DEVICES && vector < VECTOR_DEVICES_END && run.count == 1);
    EXPECT_EQUAL(run.destination, apic_id());
    EXPECT_EQUAL(interrupts_free_count(), free - 1);
    EXPECT(strcmp(interrupt_name(vector), "test") == 0); /* what the `irq` command shows */
    uint64_t seen = interrupt_count(vector);
    send_and_take(vector);
    EXPECT_EQUAL(calls, 1);
    EXPECT_EQUAL(interrupt_count(vector), seen + 1);
    interrupts_release(&run);
    EXPECT(run.count == 0 && interrupt_name(vector) == NULL);
    EXPECT_EQUAL(interrupts_free_count(), free);
    log_set_provoked(true);
    send_and_take(vector); /* unexpected now: counted, logged, and the end of it */
    log_set_provoked(false);
    EXPECT_EQUAL(calls, 1);
    EXPECT_EQUAL(interrupt_count(vector), seen + 2);
}

KERNEL_TEST(irq_run_gives_each_message_its_own_context)
{
    unsigned calls[8] = {0};
    struct interrupt_user users[8];
    struct interrupt_run run;
    if (!has_apic()) {
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        users[i] = (struct interrupt_user){count_call, &calls[i], "test message"};
    }
    EXPECT(interrupts_allocate(users, 8, &run));
    EXPECT(run.vector % 8 == 0 && run.count == 8);
    send_and_take(run.vector + 5);
    send_and_take(run.vector + 5);
    send_and_take(run.vector + 7);
    unsigned others = calls[0] + calls[1] + calls[2] + calls[3] + calls[4] + calls[6];
    interrupts_release(&run);
    EXPECT_EQUAL(others, 0);
    EXPECT_EQUAL(calls[5], 2);
    EXPECT_EQUAL(calls[7], 1);
}

/*
 * Released while its interrupt waits for interrupts to be let in: the next user of a vector never gets that.
 */
KERNEL_TEST(irq_vector_in_flight_gets_no_other_user)
{
    unsigned calls = 0;
    const struct interrupt_user user = {count_call, &calls, "test"};
    static struct interrupt_run run;
    static struct interrupt_run next;
    if (!has_apic()) {
        return;
    }
    EXPECT(allocate_one(&user, &run));
    unsigned vector = run.vector;
    bool enabled = interrupts_disable();
    apic_send_self(vector);
    for (unsigned i = 0; i < 1000 && !apic_is_pending(vector); i++) {
        cpu_relax();
    }
    interrupts_release(&run);
    bool got_one = allocate_one(&user, &next);
    bool got_another = got_one && next.vector != vector;
    log_set_provoked(true); /* nobody has the vector when its interrupt comes */
    interrupts_enable();
    cpu_relax();
    interrupts_restore(enabled);
    log_set_provoked(false);
    EXPECT_EQUAL(calls, 0);
    EXPECT(got_another);
    interrupts_release(&next);
    EXPECT(allocate_one(&user, &next));
    bool same = next.vector == vector; /* its interrupt has come: it is free, and the first to be found */
    interrupts_release(&next);
    EXPECT(same);
}

/*
 * Takes all runs of `count` there are, and gives them back; returns how many, or 0 when one was wrong. left:
 * how many vectors were free in between.
 */
static unsigned take_all(unsigned count, unsigned *left)
{
    struct interrupt_user users[VECTOR_RUN_MAX];
    uint8_t first[VECTORS];
    struct interrupt_run run;
    unsigned taken = 0;
    bool sound = true;
    for (unsigned i = 0; i < VECTOR_RUN_MAX; i++) {
        users[i] = (struct interrupt_user){count_call, NULL, "test"};
    }
    while (taken < VECTORS && interrupts_allocate(users, count, &run)) {
        sound = sound && run.vector % count == 0 && run.vector >= VECTOR_DEVICES &&
                run.vector + count <= VECTOR_DEVICES_END;
        first[taken++] = run.vector;
    }
    sound = sound && run.count == 0;
    *left = interrupts_free_count();
    for (unsigned i = 0; i < taken; i++) {
        run = (struct interrupt_run){apic_id(), first[i], (uint8_t)count};
        interrupts_release(&run);
    }
    return sound ? taken : 0;
}

KERNEL_TEST(irq_vectors_run_out_without_harm)
{
    if (!has_apic()) {
        return;
    }
    unsigned free = interrupts_free_count();
    for (unsigned count = 1; count <= VECTOR_RUN_MAX; count *= 2) {
        unsigned left;
        unsigned taken = take_all(count, &left);
        EXPECT(taken >= free / count / 2);
        EXPECT_EQUAL(left, free - taken * count);
        EXPECT(count > 1 || left == 0);
        EXPECT_EQUAL(interrupts_free_count(), free);
    }
}

/* ---- Through an IO-APIC ---- */

#define PIT_INTERRUPT 0
#define PIT_CHANNEL_0 0x40
#define PIT_COMMAND   0x43
#define PIT_ONCE_0    0x30 /* channel 0, two bytes, mode 0: its output rises when the count is over */
#define PIT_STATUS_0  0xe2 /* read-back: channel 0 shows its status, not its count, at the next read */
#define PIT_OUTPUT    0x80 /* in the status: the output is high */
#define PIT_COUNT     1193 /* 1 ms */

/* The longest that an emulator's timer may be late, by the clock: its thread waits for a processor, too. */
#define PATIENCE 10000000000
#define SETTLE   1000000 /* what an interrupt that was raised takes at most to arrive */

static void pit_start_once(void)
{
    port_write8(PIT_COMMAND, PIT_ONCE_0);
    port_write8(PIT_CHANNEL_0, PIT_COUNT & 0xff);
    port_write8(PIT_CHANNEL_0, PIT_COUNT >> 8);
}

static bool pit_is_over(void)
{
    port_write8(PIT_COMMAND, PIT_STATUS_0);
    return (port_read8(PIT_CHANNEL_0) & PIT_OUTPUT) != 0;
}

/* Whether the timer's interrupt comes once more: when wanted, it is waited for as long as an emulator may
 * take; else until the timer's output has risen and what it raises had time to arrive. */
static bool comes(volatile unsigned *calls, bool wanted)
{
    unsigned before = *calls;
    bool enabled = interrupts_enabled();
    pit_start_once();
    interrupts_enable();
    bool settling = wanted; /* nothing but the end of the patience ends the wait */
    uint64_t end = clock_nanoseconds() + PATIENCE;
    while (*calls == before && clock_nanoseconds() < end) {
        cpu_relax();
        if (!settling && pit_is_over()) {
            settling = true;
            end = clock_nanoseconds() + SETTLE;
        }
    }
    interrupts_disable();
    interrupts_restore(enabled);
    return *calls != before;
}

/* Interrupts of vectors that nobody has. */
static uint64_t unexpected(void)
{
    uint64_t count = 0;
    for (unsigned vector = VECTOR_DEVICES; vector < VECTOR_DEVICES_END; vector++) {
        count += interrupt_name(vector) == NULL ? interrupt_count(vector) : 0;
    }
    return count;
}

KERNEL_TEST(irq_legacy_interrupt_comes_until_unrouted)
{
    unsigned calls = 0;
    const struct interrupt_user user = {count_call, &calls, "test timer"};
    if (acpi_info()->madt.io_apic_count == 0 || !has_apic()) {
        kernel_test_skip("no IO-APIC");
        return;
    }
    unsigned free = interrupts_free_count();
    for (unsigned i = 0; i < 2; i++) { /* what was undone can be done again */
        EXPECT(interrupts_route_legacy(PIT_INTERRUPT, &user));
        log_set_provoked(true);
        bool again = interrupts_route_legacy(PIT_INTERRUPT, &user);
        log_set_provoked(false);
        bool came = comes(&calls, true);
        interrupts_unroute_legacy(PIT_INTERRUPT);
        EXPECT(!again);
        EXPECT(came);
        EXPECT_EQUAL(interrupts_free_count(), free);
        uint64_t before = unexpected();
        EXPECT(!comes(&calls, false));
        EXPECT_EQUAL(unexpected(), before);
    }
    EXPECT(!interrupts_route_legacy(16, &user)); /* there is none */
    interrupts_unroute_legacy(PIT_INTERRUPT);    /* not routed: nothing happens */
    EXPECT_EQUAL(interrupts_free_count(), free);
    EXPECT_EQUAL(apic_error_status(), 0);
}

/* The machine's processors: that they are there, run what they are given, and stand still when they shall. */
#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/world.h>
#include <stdatomic.h>
#include <x86/cpu.h>
#include <x86/msr.h>
#include <x86/per_cpu.h>

KERNEL_TEST(processor_list_begins_with_this_one)
{
    const struct processor *first = processor_at(0);
    EXPECT(first && first->cpu == &boot_cpu && first->state == PROCESSOR_ONLINE);
    EXPECT(processors_online() >= 1 && processors_online() <= processors_count());
    unsigned online = 0;
    for (unsigned i = 0; processor_at(i) != NULL; i++) {
        online += atomic_load(&processor_at(i)->state) == PROCESSOR_ONLINE;
    }
    EXPECT_EQUAL(online, processors_online());
}

/* What one CPU found out about itself. */
struct found {
    unsigned calls;
    bool right; /* GS, number, control registers, preemption and interrupts are what they should be */
};

static struct found *found_by; /* by CPU */

static void look_at_oneself(void *context, unsigned cpu)
{
    const struct cpu_control wanted = cpu_control_wanted();
    const struct cpu_control actual = cpu_control_actual();
    const struct per_cpu *mine = per_cpu();
    (void)context;
    found_by[cpu].calls++;
    found_by[cpu].right = cpu_number() == cpu && mine == processor_at(cpu)->cpu &&
                          msr_read(MSR_GS_BASE) == (uintptr_t)mine && cpu_may_wait() &&
                          actual.cr0 == wanted.cr0 && actual.cr4 == wanted.cr4 &&
                          actual.efer == wanted.efer && actual.pat == wanted.pat;
}

KERNEL_TEST(processors_are_all_set_up_alike)
{
    unsigned right = 0;
    found_by = heap_alloc_zeroed(&kernel_heap, processors_count() * sizeof *found_by);
    EXPECT(found_by != NULL);
    EXPECT(processors_run(look_at_oneself, NULL));
    for (unsigned i = 0; i < processors_count(); i++) {
        bool online = atomic_load(&processor_at(i)->state) == PROCESSOR_ONLINE;
        right += found_by[i].calls == (online ? 1 : 0) && found_by[i].right == online;
    }
    heap_free(&kernel_heap, found_by);
    EXPECT_EQUAL(right, processors_count());
}

#define CLOCK_ROUNDS 2000

static _Atomic(uint64_t) latest; /* what any CPU has seen of the clock */
static _Atomic(unsigned) times_back;

static void watch_clock(void *context, unsigned cpu)
{
    (void)context;
    (void)cpu;
    for (unsigned i = 0; i < CLOCK_ROUNDS; i++) {
        uint64_t before = atomic_load(&latest);
        uint64_t now = clock_nanoseconds();
        if (now < before) {
            atomic_fetch_add(&times_back, 1);
        }
        while (before < now && !atomic_compare_exchange_weak(&latest, &before, now)) {
        }
    }
}

static unsigned watch_on_all(void)
{
    atomic_store(&latest, 0);
    atomic_store(&times_back, 0);
    return processors_run(watch_clock, NULL) ? atomic_load(&times_back) : UINT32_MAX;
}

KERNEL_TEST(clock_goes_back_on_no_processor)
{
    EXPECT_EQUAL(watch_on_all(), 0);
}

/*
 * Pretends that the counter of each CPU is a millisecond further ahead than that of the one before, or ends
 * that. Returns whether the counters agree in truth.
 */
static bool set_ahead(bool ahead)
{
    const struct processor *processor;
    int64_t step = ahead ? (int64_t)clock_nanoseconds_to_ticks(1000000) : 0;
    bool agree = true;
    for (unsigned i = 0; (processor = processor_at(i)) != NULL; i++) {
        if (processor->cpu) {
            processor->cpu->ticks_ahead = processor->ticks_ahead + (int64_t)(i + 1) * step;
            agree = agree && processor->ticks_ahead == 0;
        }
    }
    return agree;
}

KERNEL_TEST(clock_goes_back_nowhere_where_counters_differ)
{
    uint64_t before = clock_nanoseconds();
    clock_trust_counters(false);
    set_ahead(true);
    uint64_t after = clock_nanoseconds();
    unsigned back = watch_on_all();
    clock_trust_counters(set_ahead(false)); /* a clock that was behind is behind no more */
    EXPECT(after >= before);
    EXPECT_EQUAL(back, 0);
}

#define STOPS 20

/* Each CPU counts between preempt_disable() and preempt_enable(): the two counters differ only in between. */
struct counting {
    _Atomic(bool) over;
    _Atomic(unsigned) wrong;
    struct counters {
        _Atomic(uint64_t) first;
        _Atomic(uint64_t) second;
    } * by_cpu;
};

static struct counting counting;

/* Runs `work` on all CPUs, with counters for each; the test fails if one was seen between its two counts. */
static void run_counting(processor_work *work)
{
    counting = (struct counting){
        .by_cpu = heap_alloc_zeroed(&kernel_heap, processors_count() * sizeof(struct counters))};
    EXPECT(counting.by_cpu != NULL);
    EXPECT(processors_run(work, NULL));
    heap_free(&kernel_heap, counting.by_cpu);
    EXPECT_EQUAL(atomic_load(&counting.wrong), 0);
}

static void check_all_stand_still(void)
{
    world_stop();
    for (unsigned cpu = 0; cpu < processors_count(); cpu++) {
        uint64_t first = atomic_load(&counting.by_cpu[cpu].first);
        if (first != atomic_load(&counting.by_cpu[cpu].second)) {
            atomic_fetch_add(&counting.wrong, 1);
        }
    }
    world_resume();
}

static void pass_time(void)
{
    for (unsigned i = 0; i < 100; i++) {
        cpu_relax();
    }
}

static void count_or_stop(void *context, unsigned cpu)
{
    (void)context;
    if (cpu == 0) {
        for (unsigned i = 0; i < STOPS; i++) {
            check_all_stand_still();
        }
        atomic_store(&counting.over, true);
        return;
    }
    while (!atomic_load(&counting.over)) {
        preempt_disable();
        atomic_fetch_add(&counting.by_cpu[cpu].first, 1);
        pass_time();
        atomic_fetch_add(&counting.by_cpu[cpu].second, 1);
        preempt_enable();
        pass_time(); /* else it could hardly ever be stopped */
    }
}

KERNEL_TEST(world_stops_at_good_moments)
{
    run_counting(count_or_stop);
}

static void stop_and_go(void *context, unsigned cpu)
{
    (void)context;
    (void)cpu;
    for (unsigned i = 0; i < STOPS; i++) {
        check_all_stand_still();
    }
}

KERNEL_TEST(world_is_stopped_by_one_at_a_time)
{
    run_counting(stop_and_go);
}

#define QUESTIONS 300

struct questions {
    _Atomic(bool) over;
    _Atomic(unsigned) answers;
};

/* CPU 1 asks CPU 0 where it is, again and again: by NMIs, which come at any instruction. */
static void ask_or_work(void *context, unsigned cpu)
{
    struct questions *questions = context;
    uint64_t value;
    if (cpu == 1) {
        for (unsigned i = 0; i < QUESTIONS; i++) {
            atomic_fetch_add(&questions->answers, processor_where(0) != 0);
        }
        atomic_store(&questions->over, true);
    }
    while (cpu == 0 && !atomic_load(&questions->over)) {
        heap_free(&kernel_heap, heap_alloc(&kernel_heap, 5000));
        memory_try_read(&value, virt_addr(8),
                        sizeof value); /* a page fault inside of which an NMI may come */
    }
}

KERNEL_TEST(processors_work_on_while_nmis_ask_where_they_are)
{
    struct questions questions = {.over = false};
    if (processors_online() < 2) {
        kernel_test_skip("there is one processor");
        return;
    }
    EXPECT(processors_run(ask_or_work, &questions));
    EXPECT_EQUAL(atomic_load(&questions.answers), QUESTIONS);
    EXPECT(cpu_may_wait());
}

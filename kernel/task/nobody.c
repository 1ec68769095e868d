/*
 * The end of a machine in which every thread waits for another: better a panic that names what each waits for
 * than a machine that is silent for ever.
 *
 * It has come when all CPUs have nothing to do, no timer runs, and every thread is in a wait that only
 * another thread can end. A wait is begun by a CPU that has something to do, and its end is counted: so what
 * was read is true of one moment if all were idle before and after, and no wait has ended in between.
 */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/cpu_set.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>

#define LOG_SUBSYSTEM "threads"
#include <ashlar/log.h>

#include "internal.h"

struct sums {
    uint32_t live;
    uint32_t hopeless;
    uint32_t wakes;
};

static struct sums add_up(void)
{
    struct sums sums = {0, 0, 0};
    for (unsigned cpu = 0; cpu < processors_count(); cpu++) {
        if (processor_data(cpu)) {
            const struct run_queue *queue = run_queue_of(cpu);
            sums.wakes += atomic_load(&queue->wakes);
            sums.live += queue->live;
            sums.hopeless += queue->hopeless;
        }
    }
    return sums;
}

static bool all_are_idle(void)
{
    return !cpus_are_several() || cpu_set_count(&cpus_idle) == cpu_set_count(cpus_online());
}

static void log_waits(void)
{
    struct thread_walk walk;
    struct thread_report report;
    thread_walk_begin(&walk);
    while (thread_walk_next(&walk, &report)) {
        if (report.waits_for) {
            log_error("thread %" PRIu64 ", %s, waits for %s", report.number, report.name, report.waits_for);
        }
    }
    thread_walk_end(&walk);
}

void panic_if_nobody_is_left(void)
{
    if (!all_are_idle()) {
        return;
    }
    struct sums before = add_up();
    if (before.live != before.hopeless || before.live == 0 || timers_run()) {
        return;
    }
    struct sums after = add_up();
    if (after.wakes == before.wakes && after.hopeless == before.hopeless && all_are_idle()) {
        log_waits();
        panic("nobody will ever run again: each of %u threads waits for another", before.live);
    }
}

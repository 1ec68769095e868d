/* Monitor command that shows what locks have cost: lock. */
#include <ashlar/lock_check.h>
#include <ashlar/monitor.h>

#ifdef ASHLAR_LOCK_STATISTICS

#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <x86/per_cpu.h>

/* What all CPUs together have done with the locks of a rank. */
struct sum {
    uint64_t acquisitions;
    uint64_t contended;
    uint64_t hold_most;
    uintptr_t hold_where;
    unsigned hold_cpu;
};

static void add(struct sum *sum, unsigned cpu, const struct lock_counts *counts)
{
    uint64_t hold = atomic_load_explicit(&counts->hold_most, memory_order_relaxed);
    sum->acquisitions += atomic_load_explicit(&counts->acquisitions, memory_order_relaxed);
    sum->contended += atomic_load_explicit(&counts->contended, memory_order_relaxed);
    if (hold > sum->hold_most) {
        sum->hold_most = hold;
        sum->hold_where = atomic_load_explicit(&counts->hold_where, memory_order_relaxed);
        sum->hold_cpu = cpu;
    }
}

static struct sum sum_of(unsigned rank)
{
    const struct processor *processor;
    struct sum sum = {0};
    for (unsigned i = 0; (processor = processor_at(i)) != NULL; i++) {
        if (processor->cpu) {
            add(&sum, processor->number, &processor->cpu->lock_counts[rank]);
        }
    }
    return sum;
}

static void rank_json(struct json *json, unsigned rank, const struct sum *sum)
{
    char place[CODE_PLACE_BYTES];
    json_object_begin(json, NULL);
    json_string(json, "lock", lock_rank_name((enum lock_rank)rank));
    json_number(json, "acquisitions", sum->acquisitions);
    json_number(json, "contended", sum->contended);
    json_number(json, "longest_hold_ticks", sum->hold_most);
    if (sum->hold_where != 0) {
        json_number(json, "longest_hold_cpu", sum->hold_cpu);
        json_string(json, "longest_hold_taken_at", code_place(sum->hold_where, place));
    }
    json_object_end(json);
}

static void print_rank(unsigned rank, const struct sum *sum)
{
    char place[CODE_PLACE_BYTES];
    monitor_print("%-24s %'13" PRIu64 " %'10" PRIu64 " %'13" PRIu64 "\n",
                  lock_rank_name((enum lock_rank)rank), sum->acquisitions, sum->contended, sum->hold_most);
    if (sum->hold_where != 0) {
        monitor_print("    CPU %u, taken at %s\n", sum->hold_cpu, code_place(sum->hold_where, place));
    }
}

static void lock_json(void)
{
    struct json json;
    monitor_json_begin(&json);
    json_array_begin(&json, NULL);
    for (unsigned rank = LOCK_UNRANKED + 1; rank < LOCK_RANKS; rank++) {
        const struct sum sum = sum_of(rank);
        rank_json(&json, rank, &sum);
    }
    json_array_end(&json);
    json_end(&json);
}

static void lock_run(struct monitor_call *call)
{
    if (call->json) {
        lock_json();
        return;
    }
    monitor_print("lock                      acquisitions  contended  longest hold, in ticks\n");
    for (unsigned rank = LOCK_UNRANKED + 1; rank < LOCK_RANKS && !monitor_interrupted(); rank++) {
        const struct sum sum = sum_of(rank);
        print_rank(rank, &sum);
    }
}

#else

static void lock_run(struct monitor_call *call)
{
    monitor_error(call, "this build does not count: one configured with -DASHLAR_LOCK_STATISTICS=ON does");
}

#endif

MONITOR_COMMAND(
    lock, lock_run, "", "what locks have cost, by rank (builds with lock statistics)",
    "For all locks of a rank together: how often they were taken, how often somebody had to wait, and the\n"
    "longest hold in ticks of the time-stamp counter, with the CPU and the place that took the lock.\n"
    "Examples:\n"
    "  lock\n"
    "  lock -j    [{\"lock\":\"console's lock\",\"acquisitions\":N,\"contended\":N,\n"
    "             \"longest_hold_ticks\":N,\"longest_hold_cpu\":N,\"longest_hold_taken_at\":\"...\"},...]\n",
    .flags = MONITOR_JSON);

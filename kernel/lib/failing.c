/* Counts the allocations of one thread; see <ashlar/failing.h>. */
#include <ashlar/failing.h>

#ifdef ASHLAR_DEBUG

#include <ashlar/platform.h>
#include <stdatomic.h>

_Atomic(void *) failing_thread;

/* Of that thread alone. */
static struct failing_plan planned;
static uint64_t counted;
static uint64_t failed;

bool failing_begin(struct failing_plan plan)
{
    void *nobody = NULL;
    if (!atomic_compare_exchange_strong(&failing_thread, &nobody, thread_self())) {
        return false;
    }
    planned = plan;
    counted = 0;
    failed = 0;
    return true;
}

uint64_t failing_end(void)
{
    if (atomic_load(&failing_thread) != thread_self()) {
        return 0;
    }
    uint64_t result = failed;
    atomic_store(&failing_thread, NULL);
    return result;
}

bool failing_count(void)
{
    if (atomic_load_explicit(&failing_thread, memory_order_relaxed) != thread_self()) {
        return false;
    }
    counted++;
    bool fails = planned.nth != 0 && (planned.rest ? counted >= planned.nth : counted == planned.nth);
    failed += fails;
    return fails;
}

#endif

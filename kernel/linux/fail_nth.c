/* Allocations that fail while a program makes one call; see fail_nth.h. */
#include "fail_nth.h"

#ifdef ASHLAR_DEBUG

#include <ashlar/failing.h>
#include <stdatomic.h>

#include "calls.h"

static _Atomic(struct task *) planner; /* who has said something last, and may go on; or NULL */

/* Of that task alone. */
static struct failing_plan plan; /* nth is 0: the next call is like any other */
static int64_t failed;           /* in the last call that was not */

int64_t fail_nth_plan(const struct trap_frame *frame)
{
    struct task *before = NULL;
    if (!atomic_compare_exchange_strong(&planner, &before, task_current()) && before != task_current()) {
        return -EBUSY;
    }
    plan = (struct failing_plan){.nth = argument_2(frame), .rest = argument_3(frame) != 0};
    int64_t result = failed;
    failed = 0;
    if (plan.nth == 0) {
        atomic_store(&planner, NULL);
    }
    return result;
}

void fail_nth_begin(void)
{
    if (atomic_load_explicit(&planner, memory_order_relaxed) != task_current() || plan.nth == 0) {
        return;
    }
    failing_begin(plan);
    plan.nth = 0;
}

void fail_nth_end(void)
{
    if (atomic_load_explicit(&planner, memory_order_relaxed) == task_current()) {
        failed += (int64_t)failing_end();
    }
}

void fail_nth_forget(void)
{
    fail_nth_end();
    if (atomic_load(&planner) == task_current()) {
        plan.nth = 0;
        failed = 0;
        atomic_store(&planner, NULL);
    }
}

#endif

/* Threads that wait for each other for ever; see <ashlar/provoke.h>. */
#include <ashlar/thread.h>
#include <ashlar/wait.h>

#include "internal.h"

static struct wait_queue one = WAIT_QUEUE_INITIALIZER;
static struct wait_queue other = WAIT_QUEUE_INITIALIZER;
static _Atomic(bool) one_is_done;
static _Atomic(bool) other_is_done;

static uint64_t wait_for_other(void *unused)
{
    (void)unused;
    WAIT_UNTIL(&one, atomic_load(&other_is_done), "the other", WAIT_PATIENTLY);
    atomic_store(&one_is_done, true);
    wake_all(&other);
    return 0;
}

static uint64_t wait_for_one(void *unused)
{
    (void)unused;
    WAIT_UNTIL(&other, atomic_load(&one_is_done), "the one", WAIT_PATIENTLY);
    atomic_store(&other_is_done, true);
    wake_all(&one);
    return 0;
}

void provoke_nobody_left(void)
{
    struct thread *first = thread_run("provoked one", wait_for_other, NULL);
    struct thread *second = thread_run("provoked other", wait_for_one, NULL);
    if (first) {
        thread_join(first, NULL);
    }
    if (second) {
        thread_join(second, NULL);
    }
}

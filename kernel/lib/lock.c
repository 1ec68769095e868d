/* Waiting for locks, and the end of a deadlock (<ashlar/lock.h>). */
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>

#define TRIES_PER_READING 32  /* of the clock, while waiting */
#define PAUSES_MAX        16  /* between two tries: others want to get at the word, too */
#define TRIES_TO_CLAIM    256 /* that fail, before a CPU claims the lock */
#define TRIES_TO_IGNORE   256 /* that find a free lock kept for another CPU, before it is taken */

/*
 * Better than a machine that hangs without a message: the panic names the lock, and its backtrace shows who
 * waits. To name the holder as well would cost every spinlock two instructions.
 */
_Noreturn static void panic_of_deadlock(const struct lock_gate *gate)
{
    panic("deadlock: CPU %u waits for the lock at %#" PRIx64 ", which nobody releases", cpu_number(),
          (uintptr_t)gate);
}

/* A CPU that waits. */
struct waiter {
    uint32_t number; /* its number + 1 */
    unsigned pauses; /* until its next try */
    unsigned held;   /* tries that found the lock held */
    unsigned kept;   /* in a row: tries that found it free, and kept for another CPU */
};

/*
 * One try to take the lock. A claim is hardly ever made: only where many CPUs want a lock all the time. It
 * need not be taken back, since it lasts no longer than others put up with it: that CPU may stand still, too.
 */
static bool try_to_enter(struct lock_gate *gate, struct waiter *waiter)
{
    uint64_t seen = atomic_load_explicit(&gate->both, memory_order_relaxed);
    uint32_t claimed = (uint32_t)(seen >> 32);
    if (!(seen & LOCK_HELD)) {
        bool others = claimed != 0 && claimed != waiter->number;
        return (!others || ++waiter->kept > TRIES_TO_IGNORE) && lock_gate_take(gate, seen);
    }
    waiter->kept = 0;
    if (++waiter->held > TRIES_TO_CLAIM && claimed == 0) {
        atomic_compare_exchange_strong_explicit(&gate->both, &seen,
                                                LOCK_HELD | (uint64_t)waiter->number << 32,
                                                memory_order_relaxed, memory_order_relaxed);
    }
    return false;
}

/* Spins until the lock is ours; returns whether it was within the patience. serves: answers other CPUs
 * meanwhile, as whoever has the lock may wait for an answer of this one. */
static bool wait_for(struct lock_gate *gate, bool serves)
{
    struct lock_wait wait = lock_wait_begin(1);
    struct waiter waiter = {.number = cpu_number() + 1, .pauses = 1};
    do {
        for (unsigned i = 0; i < TRIES_PER_READING; i++) {
            if (try_to_enter(gate, &waiter)) {
                return true;
            }
            if (serves) {
                cpu_serve_requests();
            }
            for (unsigned j = 0; j < waiter.pauses; j++) {
                cpu_relax();
            }
            waiter.pauses = waiter.pauses < PAUSES_MAX ? 2 * waiter.pauses : PAUSES_MAX;
        }
    } while (lock_wait_goes_on(&wait));
    return false;
}

__attribute__((preserve_most)) void lock_gate_wait(struct lock_gate *gate)
{
    if (!wait_for(gate, true)) {
        panic_of_deadlock(gate);
    }
}

bool spinlock_acquire_in_time(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    preempt_disable();
    if (wait_for(&lock->gate, false)) {
        LOCK_NOTE_TAKEN_BY_CALLER(lock);
        return true;
    }
    preempt_enable();
    return false;
}

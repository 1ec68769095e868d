/* Whole validators at random moments; see validate.h. */
#include <ashlar/validate.h>

static _Atomic(uint32_t) one_in;                        /* odds; 0: never */
static _Atomic(bool) busy;                              /* a validator runs */
static _Atomic(uint64_t) runs;                          /* begun, ever */
static _Atomic(uint64_t) random = 88172645463325252ULL; /* state of the generator */

/* The next number of a generator (xorshift64). Two CPUs that ask at once may get the same: no harm. */
static uint64_t next_random(void)
{
    uint64_t state = atomic_load_explicit(&random, memory_order_relaxed);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    atomic_store_explicit(&random, state, memory_order_relaxed);
    return state;
}

static void (*stop_others)(void);
static void (*resume_others)(void);

void validate_alone(void (*stop)(void), void (*resume)(void))
{
    stop_others = stop;
    resume_others = resume;
}

void validate_at_random(uint32_t odds)
{
    atomic_store_explicit(&one_in, odds, memory_order_relaxed);
}

bool validate_begin(void)
{
    uint32_t odds = atomic_load_explicit(&one_in, memory_order_relaxed);
    bool alone = !stop_others || cpu_may_wait(); /* who holds a lock cannot wait for those who want it */
    if (odds == 0 || !alone || next_random() % odds != 0) {
        return false;
    }
    if (atomic_exchange_explicit(&busy, true, memory_order_acquire)) {
        return false;
    }
    if (stop_others) {
        stop_others();
    }
    atomic_fetch_add_explicit(&runs, 1, memory_order_relaxed);
    return true;
}

void validate_end(void)
{
    if (resume_others) {
        resume_others();
    }
    atomic_store_explicit(&busy, false, memory_order_release);
}

uint64_t validate_runs(void)
{
    return atomic_load_explicit(&runs, memory_order_relaxed);
}

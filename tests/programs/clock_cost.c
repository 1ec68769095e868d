/* What reading the clock costs, in ticks of the time-stamp counter: by the vDSO, and by the call. Of many
 * rounds the cheapest counts. */
#include "check.h"

#include <time.h>
#include <x86intrin.h>

#define ROUNDS 20
#define TIMES  1000

static long by_library(void)
{
    struct timespec time;
    return clock_gettime(CLOCK_MONOTONIC, &time);
}

static long by_call(void)
{
    struct timespec time;
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
}

static void measure(const char *name, long (*function)(void))
{
    unsigned long long least = ~0ULL;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned long long before = __rdtsc();
        for (unsigned i = 0; i < TIMES; i++) {
            function();
        }
        unsigned long long ticks = __rdtsc() - before;
        least = ticks < least ? ticks : least;
    }
    printf("%s: %llu\n", name, least / TIMES);
}

int main(void)
{
    measure("user.clock.vdso", by_library);
    measure("user.clock.call", by_call);
    return 0;
}

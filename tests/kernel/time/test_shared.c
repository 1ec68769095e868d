/* What programs read the clock by: the same clock, and none where the CPUs' counters differ. */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <ashlar/test.h>

static uint64_t read_as_programs_do(const struct clock_shared *shared)
{
    return (uint64_t)((unsigned __int128)(cpu_ticks() - shared->origin) * shared->multiplier >> 32);
}

KERNEL_TEST(clock_is_shared_with_programs)
{
    static struct clock_shared mine;
    struct clock_shared *before = clock_share(&mine);
    bool usable = atomic_load(&mine.usable);
    uint64_t first = clock_nanoseconds();
    uint64_t middle = read_as_programs_do(&mine);
    uint64_t last = clock_nanoseconds();
    EXPECT(!usable || (first <= middle && middle <= last));
    clock_trust_counters(false);
    EXPECT(!atomic_load(&mine.usable));
    clock_trust_counters(usable);
    EXPECT_EQUAL(atomic_load(&mine.usable), usable);
    clock_share(before);
}

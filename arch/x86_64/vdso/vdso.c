/*
 * The vDSO: an ELF file that the kernel maps into every program, by which C libraries read the clock without
 * a system call (vdso(7)). The page below its own has what the clock counts by (<ashlar/clock.h>); programs
 * can only read it. Where that does not do, it makes the call. Built as a file of its own, with no function
 * but these; image.S carries it.
 */
#include <ashlar/clock.h>

#define CALL_GETTIMEOFDAY  96
#define CALL_CLOCK_GETTIME 228
#define CALL_GETCPU        309

#define CLOCKS_REAL  (1U << 0 | 1U << 5 | 1U << 11)
#define CLOCKS_KNOWN (CLOCKS_REAL | 1U << 1 | 1U << 4 | 1U << 6 | 1U << 7)
#define CLOCKS_END   12

/* struct timespec, and struct timeval */
struct program_time {
    int64_t seconds;
    int64_t part;
};

extern const char vdso_image[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

long __vdso_clock_gettime(uint32_t clock, struct program_time *time);
long __vdso_gettimeofday(struct program_time *time, void *zone);
long __vdso_time(int64_t *to);
long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);

static const struct clock_shared *shared(void)
{
    return (const struct clock_shared *)(vdso_image - FRAME_BYTES);
}

static long call(long number, const void *first, const void *second)
{
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(number), "D"(first), "S"(second), "d"(0)
                     : "rcx", "r11", "memory");
    return answer;
}

/* The fence keeps the reading from being done before what the program has done. */
static uint64_t read_clock(const struct clock_shared *clock)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    uint64_t ticks = ((uint64_t)high << 32 | low) - clock->origin;
    return (uint64_t)((unsigned __int128)ticks * clock->multiplier >> 32);
}

static uint64_t read_real(const struct clock_shared *clock)
{
    return atomic_load_explicit(&clock->epoch, memory_order_relaxed) + read_clock(clock);
}

static bool is_usable(const struct clock_shared *clock)
{
    return atomic_load_explicit(&clock->usable, memory_order_relaxed);
}

static long get_time(uint32_t clock, struct program_time *time)
{
    const struct clock_shared *by = shared();
    if (clock >= CLOCKS_END || !(CLOCKS_KNOWN >> clock & 1) || !is_usable(by)) {
        return call(CALL_CLOCK_GETTIME, (const void *)(uintptr_t)clock, time);
    }
    uint64_t now = CLOCKS_REAL >> clock & 1 ? read_real(by) : read_clock(by);
    time->seconds = (int64_t)(now / NANOSECONDS_PER_SECOND);
    time->part = (int64_t)(now % NANOSECONDS_PER_SECOND);
    return 0;
}

long __vdso_clock_gettime(uint32_t clock, struct program_time *time)
{
    return get_time(clock, time);
}

long __vdso_gettimeofday(struct program_time *time, void *zone)
{
    const struct clock_shared *by = shared();
    if (!time || zone || !is_usable(by)) {
        return call(CALL_GETTIMEOFDAY, time, zone);
    }
    uint64_t now = read_real(by) / 1000;
    time->seconds = (int64_t)(now / 1000000);
    time->part = (int64_t)(now % 1000000);
    return 0;
}

long __vdso_time(int64_t *to)
{
    struct program_time time;
    get_time(0, &time);
    if (to) {
        *to = time.seconds;
    }
    return time.seconds;
}

long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
    uint32_t number;
    (void)unused;
    if (!shared()->numbers_cpus) {
        return call(CALL_GETCPU, cpu, node);
    }
    __asm__ volatile("rdtscp" : "=c"(number) : : "rax", "rdx");
    if (cpu) {
        *cpu = number;
    }
    if (node) {
        *node = 0;
    }
    return 0;
}

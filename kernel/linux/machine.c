/* System calls about the machine: its name, its clocks, its random numbers. */
#include <ashlar/clock.h>
#include <ashlar/random.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>

#include "calls.h"

#define NAME_BYTES      65 /* __NEW_UTS_LEN + 1 */
#define NAMES           6
#define RANDOM_LARGEST  0x1ffffff /* of one call */
#define RANDOM_NO_WAIT  1U
#define RANDOM_BLOCKING 2U
#define RANDOM_INSECURE 4U

/* Clocks that count from the start of the machine (include/uapi/linux/time.h). */
enum clock_number {
    CLOCK_MONOTONIC = 1,
    CLOCK_MONOTONIC_RAW = 4,
    CLOCK_MONOTONIC_COARSE = 6,
    CLOCK_BOOT_TIME = 7,
};

int64_t call_sched_yield(const struct trap_frame *frame)
{
    (void)frame;
    thread_yield();
    return 0;
}

/* Programs look at the release to find out what there is: it is that of the Linux we compare with. */
int64_t call_uname(const struct trap_frame *frame)
{
    static const char version[] = "Ashlar " ASHLAR_VERSION;
    static const char *const values[NAMES] = {"Linux", "ashlar", "6.1.0-ashlar", version, "x86_64", "(none)"};
    char names[NAMES][NAME_BYTES];
    memset(names, 0, sizeof names);
    for (unsigned i = 0; i < NAMES; i++) {
        memcpy(names[i], values[i], strlen(values[i]));
    }
    return copy_to_user(user_addr(argument_1(frame)), names, sizeof names) ? 0 : -EFAULT;
}

/* struct timespec */
struct time {
    uint64_t seconds;
    uint64_t nanoseconds;
};

static bool is_known_clock(uint64_t number)
{
    uint32_t clock = (uint32_t)number;
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_BOOT_TIME;
}

static int64_t put_time(uint64_t to, uint64_t nanoseconds)
{
    struct time time = {nanoseconds / NANOSECONDS_PER_SECOND, nanoseconds % NANOSECONDS_PER_SECOND};
    return copy_to_user(user_addr(to), &time, sizeof time) ? 0 : -EFAULT;
}

int64_t call_clock_gettime(const struct trap_frame *frame)
{
    if (!is_known_clock(argument_1(frame))) {
        return -EINVAL;
    }
    return put_time(argument_2(frame), clock_nanoseconds());
}

int64_t call_clock_getres(const struct trap_frame *frame)
{
    if (!is_known_clock(argument_1(frame))) {
        return -EINVAL;
    }
    return argument_2(frame) == 0 ? 0 : put_time(argument_2(frame), 1);
}

int64_t call_getrandom(const struct trap_frame *frame)
{
    uint8_t part[256];
    user_addr_t to = user_addr(argument_1(frame));
    uint64_t bytes = min_u64(argument_2(frame), RANDOM_LARGEST);
    uint64_t flags = (uint32_t)argument_3(frame);
    if (flags & ~(uint64_t)(RANDOM_NO_WAIT | RANDOM_BLOCKING | RANDOM_INSECURE) ||
        (flags & (RANDOM_BLOCKING | RANDOM_INSECURE)) == (RANDOM_BLOCKING | RANDOM_INSECURE)) {
        return -EINVAL;
    }
    uint64_t done = 0;
    while (done < bytes && !thread_killed()) {
        uint64_t wanted = min_u64(bytes - done, sizeof part);
        random_bytes(part, wanted);
        uint64_t copied = copy_some_to_user(user_add(to, done), part, wanted);
        done += copied;
        if (copied < wanted) {
            break;
        }
    }
    memset(part, 0, sizeof part);
    return done == 0 && bytes != 0 ? -EFAULT : (int64_t)done;
}

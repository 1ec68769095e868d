/* System calls about the machine: its name, its random numbers. */
#include <ashlar/random.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>

#include "calls.h"
#include "release.h"

#define NAME_BYTES      65 /* __NEW_UTS_LEN + 1 */
#define NAMES           6
#define RANDOM_LARGEST  0x1ffffff /* of one call */
#define RANDOM_NO_WAIT  1U
#define RANDOM_BLOCKING 2U
#define RANDOM_INSECURE 4U

int64_t call_sched_yield(const struct trap_frame *frame)
{
    (void)frame;
    thread_yield();
    return 0;
}

int64_t call_uname(const struct trap_frame *frame)
{
    static const char version[] = RELEASE_VERSION;
    static const char *const values[NAMES] = {RELEASE_SYSTEM, RELEASE_NODE, RELEASE_NUMBER,
                                              version,        "x86_64",     "(none)"};
    char names[NAMES][NAME_BYTES];
    memset(names, 0, sizeof names);
    for (unsigned i = 0; i < NAMES; i++) {
        memcpy(names[i], values[i], strlen(values[i]));
    }
    return copy_to_user(user_addr(argument_1(frame)), names, sizeof names) ? 0 : -EFAULT;
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

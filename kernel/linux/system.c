/* System calls about the system as a whole: its names, its memory; and personality(). */
#include <ashlar/clock.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "calls.h"
#include "release.h"
#include "tree.h"

#define NAME_BYTES      65 /* __NEW_UTS_LEN + 1 */
#define NAMES           6
#define PERSONALITY_ASK 0xffffffffU

enum name_place { NAME_HOST = 1, NAME_DOMAIN = 5 };

/* Guarded by the tree's mutex. The others are what the kernel is. */
static char host_name[NAME_BYTES] = RELEASE_NODE;
static char domain_name[NAME_BYTES] = "(none)";

int64_t call_uname(const struct trap_frame *frame)
{
    static const char *const values[NAMES] = {RELEASE_SYSTEM, NULL,     RELEASE_NUMBER,
                                              RELEASE_VERSION, "x86_64", NULL};
    char names[NAMES][NAME_BYTES];
    memset(names, 0, sizeof names);
    for (unsigned i = 0; i < NAMES; i++) {
        memcpy(names[i], values[i] ? values[i] : "", values[i] ? strlen(values[i]) : 0);
    }
    tree_lock();
    memcpy(names[NAME_HOST], host_name, sizeof host_name);
    memcpy(names[NAME_DOMAIN], domain_name, sizeof domain_name);
    tree_unlock();
    return copy_to_user(user_addr(argument_1(frame)), names, sizeof names) ? 0 : -EFAULT;
}

static int64_t set_name(char to[NAME_BYTES], const struct trap_frame *frame)
{
    char name[NAME_BYTES];
    int32_t bytes = (int32_t)argument_2(frame);
    memset(name, 0, sizeof name);
    if (bytes < 0 || bytes >= NAME_BYTES) {
        return -EINVAL;
    }
    if (!copy_from_user(name, user_addr(argument_1(frame)), (uint64_t)bytes)) {
        return -EFAULT;
    }
    tree_lock();
    memcpy(to, name, sizeof name);
    tree_unlock();
    return 0;
}

int64_t call_sethostname(const struct trap_frame *frame)
{
    return set_name(host_name, frame);
}

int64_t call_setdomainname(const struct trap_frame *frame)
{
    return set_name(domain_name, frame);
}

/* struct sysinfo */
struct system {
    uint64_t uptime; /* seconds */
    uint64_t loads[3];
    uint64_t memory; /* bytes, as all that follows but the numbers */
    uint64_t free;
    uint64_t shared;
    uint64_t buffers;
    uint64_t swap;
    uint64_t free_swap;
    uint16_t tasks;
    uint16_t unused[3];
    uint64_t high;
    uint64_t free_high;
    uint32_t unit; /* bytes */
    uint32_t unused_end;
};

_Static_assert(sizeof(struct system) == 112, "Linux's struct sysinfo on x86-64");

/* Nobody counts the load. */
int64_t call_sysinfo(const struct trap_frame *frame)
{
    struct frame_ledger ledger;
    struct system system;
    memset(&system, 0, sizeof system);
    system.uptime = clock_nanoseconds() / NANOSECONDS_PER_SECOND;
    frame_pool_ledger(kernel_frames(), &ledger); /* as exact as it is while others go on */
    system.free = ledger.free_bytes + ledger.magazine_bytes;
    system.memory = system.free;
    for (unsigned owner = OWNER_KERNEL; owner <= OWNER_OTHER; owner++) {
        system.memory += ledger.owner_bytes[owner];
    }
    tree_lock();
    system.tasks = (uint16_t)tree_task_count();
    tree_unlock();
    system.unit = 1;
    return copy_to_user(user_addr(argument_1(frame)), &system, sizeof system) ? 0 : -EFAULT;
}

/* There is only Linux's own. */
int64_t call_personality(const struct trap_frame *frame)
{
    uint32_t wanted = (uint32_t)argument_1(frame);
    return wanted == PERSONALITY_ASK || wanted == 0 ? 0 : -EINVAL;
}

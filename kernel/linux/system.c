/* System calls about the system as a whole: its names; and personality(). */
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
    static const char version[] = RELEASE_VERSION;
    static const char *const values[NAMES] = {RELEASE_SYSTEM, NULL, RELEASE_NUMBER, version, "x86_64", NULL};
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
    if (!task_may(CAPABILITY_ADMIN)) {
        return -EPERM;
    }
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

/* There is only Linux's own. */
int64_t call_personality(const struct trap_frame *frame)
{
    uint32_t wanted = (uint32_t)argument_1(frame);
    return wanted == PERSONALITY_ASK || wanted == 0 ? 0 : -EINVAL;
}

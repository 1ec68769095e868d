/* System calls of users and groups; credentials/rules.h has the rules. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>

#include "calls.h"

static const struct rights *own_rights(void)
{
    return &task_current()->credentials->rights;
}

int64_t call_getuid(const struct trap_frame *frame)
{
    (void)frame;
    return own_rights()->user.real;
}

int64_t call_geteuid(const struct trap_frame *frame)
{
    (void)frame;
    return own_rights()->user.effective;
}

int64_t call_getgid(const struct trap_frame *frame)
{
    (void)frame;
    return own_rights()->group.real;
}

int64_t call_getegid(const struct trap_frame *frame)
{
    (void)frame;
    return own_rights()->group.effective;
}

static int64_t put_three(const struct trap_frame *frame, const struct ids *ids)
{
    return put_user_32(user_addr(argument_1(frame)), ids->real) &&
                   put_user_32(user_addr(argument_2(frame)), ids->effective) &&
                   put_user_32(user_addr(argument_3(frame)), ids->saved)
               ? 0
               : -EFAULT;
}

int64_t call_getresuid(const struct trap_frame *frame)
{
    return put_three(frame, &own_rights()->user);
}

int64_t call_getresgid(const struct trap_frame *frame)
{
    return put_three(frame, &own_rights()->group);
}

/* ---- Setting ---- */

static int64_t set(const struct trap_frame *frame, bool of_groups, enum ids_call call)
{
    const uint32_t ids[3] = {(uint32_t)argument_1(frame), (uint32_t)argument_2(frame),
                             (uint32_t)argument_3(frame)};
    struct credentials *new = credentials_copy();
    if (!new) {
        return -ENOMEM;
    }
    int error = rights_set_ids(&new->rights, of_groups, call, ids, task_current()->keeps_capabilities);
    if (error) {
        credentials_put(new);
        return error;
    }
    credentials_set(new);
    return 0;
}

int64_t call_setuid(const struct trap_frame *frame)
{
    return set(frame, false, IDS_ONE);
}

int64_t call_setgid(const struct trap_frame *frame)
{
    return set(frame, true, IDS_ONE);
}

int64_t call_setreuid(const struct trap_frame *frame)
{
    return set(frame, false, IDS_TWO);
}

int64_t call_setregid(const struct trap_frame *frame)
{
    return set(frame, true, IDS_TWO);
}

int64_t call_setresuid(const struct trap_frame *frame)
{
    return set(frame, false, IDS_THREE);
}

int64_t call_setresgid(const struct trap_frame *frame)
{
    return set(frame, true, IDS_THREE);
}

/* These answer what it was, and nothing else: where there is no memory, nothing has changed. */
int64_t call_setfsuid(const struct trap_frame *frame)
{
    uint32_t before = own_rights()->user.file;
    set(frame, false, IDS_FILE);
    return before;
}

int64_t call_setfsgid(const struct trap_frame *frame)
{
    uint32_t before = own_rights()->group.file;
    set(frame, true, IDS_FILE);
    return before;
}

/* ---- Further groups ---- */

int64_t call_getgroups(const struct trap_frame *frame)
{
    const struct credentials *own = task_current()->credentials;
    int32_t room = (int32_t)argument_1(frame);
    if (room < 0 || (room != 0 && own->group_count > (uint32_t)room)) {
        return -EINVAL;
    }
    bool copied = room == 0 || copy_to_user(user_addr(argument_2(frame)), own->groups,
                                            own->group_count * sizeof own->groups[0]);
    return copied ? (int64_t)own->group_count : -EFAULT;
}

/* Moves the group at `at` down among those before `count`, until none below it is higher. */
static void sift(uint32_t *groups, uint32_t at, uint32_t count)
{
    uint32_t group = groups[at];
    while (2 * at + 1 < count) {
        uint32_t child = 2 * at + 1;
        child += child + 1 < count && groups[child + 1] > groups[child];
        if (groups[child] <= group) {
            break;
        }
        groups[at] = groups[child];
        at = child;
    }
    groups[at] = group;
}

/* Whoever gives them chooses their order, so it is a sort that never takes long: of a heap. */
static void sort(uint32_t *groups, uint32_t count)
{
    for (uint32_t i = count / 2; i > 0; i--) {
        sift(groups, i - 1, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        uint32_t highest = groups[0];
        groups[0] = groups[end - 1];
        groups[end - 1] = highest;
        sift(groups, 0, end - 1);
    }
}

static bool are_groups(const struct credentials *new)
{
    return new->group_count == 0 || new->groups[new->group_count - 1] != ID_NONE; /* the highest there is */
}

int64_t call_setgroups(const struct trap_frame *frame)
{
    uint32_t count = (uint32_t)argument_1(frame);
    if (!task_may(CAPABILITY_SET_GROUP)) {
        return -EPERM;
    }
    if (count > GROUPS_MAX) {
        return -EINVAL;
    }
    struct credentials *new = credentials_with_groups(count);
    if (!new) {
        return -ENOMEM;
    }
    int64_t error = -EFAULT;
    if (copy_from_user(new->groups, user_addr(argument_2(frame)), count * sizeof new->groups[0])) {
        sort(new->groups, count);
        error = are_groups(new) ? 0 : -EINVAL;
    }
    if (error) {
        credentials_put(new);
        return error;
    }
    credentials_set(new);
    return 0;
}

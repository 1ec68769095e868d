/* The rules of users, groups and capabilities; see rules.h. */
#include "rules.h"

#include <ashlar/error_number.h>

/* ---- IDs ---- */

static bool is_one_of_three(const struct ids *ids, uint32_t id)
{
    return id == ids->real || id == ids->effective || id == ids->saved;
}

static int set_one(struct ids *ids, bool may_all, uint32_t id)
{
    if (id == ID_NONE) {
        return -EINVAL;
    }
    if (!may_all && id != ids->real && id != ids->saved) {
        return -EPERM;
    }
    if (may_all) {
        ids->real = ids->saved = id;
    }
    ids->effective = ids->file = id;
    return 0;
}

/* The saved one follows the effective one, unless that is only exchanged for the real one. */
static int set_two(struct ids *ids, bool may_all, uint32_t real, uint32_t effective)
{
    const struct ids before = *ids;
    if ((real != ID_NONE && !may_all && real != before.real && real != before.effective) ||
        (effective != ID_NONE && !may_all && !is_one_of_three(&before, effective))) {
        return -EPERM;
    }
    ids->real = real != ID_NONE ? real : before.real;
    ids->effective = effective != ID_NONE ? effective : before.effective;
    if (real != ID_NONE || (effective != ID_NONE && effective != before.real)) {
        ids->saved = ids->effective;
    }
    ids->file = ids->effective;
    return 0;
}

static int set_three(struct ids *ids, bool may_all, const uint32_t wanted[3])
{
    for (unsigned i = 0; i < 3; i++) {
        if (wanted[i] != ID_NONE && !may_all && !is_one_of_three(ids, wanted[i])) {
            return -EPERM;
        }
    }
    ids->real = wanted[0] != ID_NONE ? wanted[0] : ids->real;
    ids->effective = wanted[1] != ID_NONE ? wanted[1] : ids->effective;
    ids->saved = wanted[2] != ID_NONE ? wanted[2] : ids->saved;
    ids->file = ids->effective;
    return 0;
}

static void set_file(struct ids *ids, bool may_all, uint32_t id)
{
    if (id != ID_NONE && (may_all || id == ids->file || is_one_of_three(ids, id))) {
        ids->file = id;
    }
}

/* ---- What capabilities follow from users ---- */

static bool has_root(const struct ids *user)
{
    return user->real == 0 || user->effective == 0 || user->saved == 0;
}

/* cap_emulate_setxuid() */
static void follow_user(struct rights *rights, const struct ids *before, bool keeps)
{
    const struct ids *now = &rights->user;
    if (has_root(before) && !has_root(now) && !keeps) {
        rights->permitted = rights->effective = 0;
    }
    if (before->effective == 0 && now->effective != 0) {
        rights->effective = 0;
    }
    if (before->effective != 0 && now->effective == 0) {
        rights->effective = rights->permitted;
    }
}

static void follow_file_user(struct rights *rights, const struct ids *before)
{
    if (before->file == 0 && rights->user.file != 0) {
        rights->effective &= ~CAPABILITIES_OF_FILES;
    }
    if (before->file != 0 && rights->user.file == 0) {
        rights->effective |= rights->permitted & CAPABILITIES_OF_FILES;
    }
}

int rights_set_ids(struct rights *rights, bool of_groups, enum ids_call call, const uint32_t ids[3],
                   bool keeps)
{
    const struct ids before = rights->user;
    struct ids *own = of_groups ? &rights->group : &rights->user;
    bool may_all = rights_have(rights, of_groups ? CAPABILITY_SET_GROUP : CAPABILITY_SET_USER);
    int error = 0;
    switch (call) {
    case IDS_ONE:
        error = set_one(own, may_all, ids[0]);
        break;
    case IDS_TWO:
        error = set_two(own, may_all, ids[0], ids[1]);
        break;
    case IDS_THREE:
        error = set_three(own, may_all, ids);
        break;
    case IDS_FILE:
        set_file(own, may_all, ids[0]);
        follow_file_user(rights, &before);
        return 0;
    }
    if (error == 0 && !of_groups) {
        follow_user(rights, &before, keeps);
    }
    return error;
}

/* ---- Sets ---- */

static bool is_within(uint64_t set, uint64_t limit)
{
    return (set & ~limit) == 0;
}

int rights_set_capabilities(struct rights *rights, uint64_t effective, uint64_t permitted,
                            uint64_t inheritable)
{
    effective &= CAPABILITIES_ALL;
    permitted &= CAPABILITIES_ALL;
    inheritable &= CAPABILITIES_ALL;
    bool free = rights_have(rights, CAPABILITY_SET_CAPABILITIES);
    if ((!free && !is_within(inheritable, rights->inheritable | rights->permitted)) ||
        !is_within(inheritable, rights->inheritable | rights->bounding) ||
        !is_within(permitted, rights->permitted) || !is_within(effective, permitted)) {
        return -EPERM;
    }
    rights->effective = effective;
    rights->permitted = permitted;
    rights->inheritable = inheritable;
    return 0;
}

/* cap_bprm_creds_from_file(), of a file without capabilities and set-ID bits. User 0 gets all of them. */
bool rights_execute(struct rights *rights, bool no_new)
{
    struct ids *user = &rights->user;
    struct ids *group = &rights->group;
    uint64_t before = rights->permitted;
    bool is_root = user->effective == 0;
    rights->permitted = is_root || user->real == 0 ? rights->bounding | rights->inheritable : 0;
    if (no_new && !is_within(rights->permitted, before)) {
        user->effective = user->real;
        group->effective = group->real;
        rights->permitted &= before;
    }
    user->saved = user->file = user->effective;
    group->saved = group->file = group->effective;
    rights->effective = is_root ? rights->permitted : 0;
    return user->effective != user->real || group->effective != group->real ||
           (user->real != 0 && (is_root || rights->permitted != 0));
}

bool rights_differ(const struct rights *before, const struct rights *now)
{
    return before->user.effective != now->user.effective || before->group.effective != now->group.effective ||
           before->user.file != now->user.file || before->group.file != now->group.file ||
           !is_within(now->permitted, before->permitted);
}

/* ---- Others ---- */

bool rights_may_signal(const struct rights *own, const struct rights *other)
{
    const struct ids *user = &own->user;
    return user->effective == other->user.saved || user->effective == other->user.real ||
           user->real == other->user.saved || user->real == other->user.real ||
           rights_have(own, CAPABILITY_KILL);
}

static bool is_all(const struct ids *ids, uint32_t id)
{
    return id == ids->real && id == ids->effective && id == ids->saved;
}

bool rights_may_trace(const struct rights *own, const struct rights *other, bool dumpable, bool by_file)
{
    uint32_t user = by_file ? own->user.file : own->user.real;
    uint32_t group = by_file ? own->group.file : own->group.real;
    bool same = is_all(&other->user, user) && is_all(&other->group, group);
    return rights_have(own, CAPABILITY_TRACE) ||
           (same && dumpable && is_within(other->permitted, by_file ? own->effective : own->permitted));
}

bool rights_may_schedule(const struct rights *own, const struct rights *other)
{
    return own->user.effective == other->user.effective || own->user.effective == other->user.real ||
           rights_have(own, CAPABILITY_NICE);
}

bool rights_may_limit(const struct rights *own, const struct rights *other)
{
    return (is_all(&other->user, own->user.real) && is_all(&other->group, own->group.real)) ||
           rights_have(own, CAPABILITY_RESOURCE);
}

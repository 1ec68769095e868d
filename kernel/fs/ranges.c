/* Lists of locks; see ranges.h. */
#include "ranges.h"

static bool is_of(const struct range *range, enum file_lock_kind kind, uint64_t owner)
{
    return range->lock.kind == kind && range->lock.owner == owner;
}

static bool overlap(const struct file_lock *one, const struct file_lock *other)
{
    return one->first <= other->last && other->first <= one->last;
}

/* Whether they overlap or touch. No lock ends behind FILE_LOCK_END, so nothing wraps. */
static bool touch(const struct file_lock *one, const struct file_lock *other)
{
    return one->first <= other->last + 1 && other->first <= one->last + 1;
}

const struct range *ranges_exclude(const struct range *list, const struct file_lock *lock)
{
    for (; list; list = list->next) {
        bool same_world = (list->lock.kind == FILE_LOCK_WHOLE) == (lock->kind == FILE_LOCK_WHOLE);
        if (same_world && !is_of(list, lock->kind, lock->owner) && (list->lock.writes || lock->writes) &&
            overlap(&list->lock, lock)) {
            return list;
        }
    }
    return NULL;
}

static void push(struct range **list, struct range *range)
{
    range->next = *list;
    *list = range;
}

static struct range *pop(struct range **list)
{
    struct range *range = *list;
    *list = range->next;
    return range;
}

/* Takes the lock's part out of one range: it becomes shorter, two, or none. Returns where the next one is. */
static struct range **cut(struct range **at, const struct file_lock *lock, struct range **spares)
{
    struct range *range = *at;
    if (range->lock.first >= lock->first && range->lock.last <= lock->last) {
        push(spares, pop(at));
        return at;
    }
    if (range->lock.first < lock->first && range->lock.last > lock->last) {
        struct range *upper = pop(spares);
        upper->lock = range->lock;
        upper->lock.first = lock->last + 1;
        push(&range->next, upper);
        range->lock.last = lock->first - 1;
        return &upper->next;
    }
    if (range->lock.first < lock->first) {
        range->lock.last = lock->first - 1;
    } else {
        range->lock.first = lock->last + 1;
    }
    return &range->next;
}

/* Among those of its owner, by place; behind all others if it is the first. */
static void insert(struct range **list, struct range *made)
{
    struct range **at = list;
    while (*at && !is_of(*at, made->lock.kind, made->lock.owner)) {
        at = &(*at)->next;
    }
    while (*at && is_of(*at, made->lock.kind, made->lock.owner) && (*at)->lock.first < made->lock.first) {
        at = &(*at)->next;
    }
    push(at, made);
}

void ranges_change(struct range **list, const struct file_lock *lock, bool gives, struct range **spares)
{
    struct file_lock whole = *lock;
    struct range **at = list;
    while (*at) {
        struct range *range = *at;
        bool own = is_of(range, lock->kind, lock->owner);
        if (own && !gives && range->lock.writes == lock->writes && touch(&range->lock, lock)) {
            whole.first = min_u64(whole.first, range->lock.first);
            whole.last = max_u64(whole.last, range->lock.last);
            push(spares, pop(at));
        } else if (own && overlap(&range->lock, lock)) {
            at = cut(at, lock, spares);
        } else {
            at = &range->next;
        }
    }
    if (!gives) {
        struct range *made = pop(spares);
        made->lock = whole;
        insert(list, made);
    }
}

struct range *ranges_take(struct range **list, enum file_lock_kind kind, uint64_t owner)
{
    struct range *taken = NULL;
    for (struct range **at = list; *at;) {
        if (is_of(*at, kind, owner)) {
            push(&taken, pop(at));
        } else {
            at = &(*at)->next;
        }
    }
    return taken;
}

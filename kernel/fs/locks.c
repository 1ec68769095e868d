/*
 * Locks of files: who takes them, who waits, and who would wait for ever; see <ashlar/file_lock.h>.
 *
 * One mutex of the tree guards all lists, since a circle of those who wait may go over several files. A file
 * has a list while somebody has a lock of it, or waits for one. Who gives something back wakes all who wait
 * for that file; each looks again.
 */
#include "internal.h"
#include "ranges.h"

#define CIRCLE_MOST 100 /* steps of the search for a circle */

struct fs_lock_list {
    struct range *ranges;
    struct fs_event event; /* something was given back */
    uint64_t waiting;      /* those who wait for that */
};

/* Lies on the stack of who waits for a process's lock. */
struct fs_lock_waiter {
    struct fs_lock_waiter *next;
    uint64_t owner;
    uint64_t by; /* owner of the lock that excludes it; 0: no process's */
};

static void free_all(struct fs *fs, struct range *ranges)
{
    while (ranges) {
        struct range *next = ranges->next;
        heap_free(fs->config.heap, ranges);
        ranges = next;
    }
}

/* Records for one change; NULL: there is no memory. */
static struct range *get_spares(struct fs *fs)
{
    struct range *spares = NULL;
    for (unsigned i = 0; i < RANGE_SPARES; i++) {
        struct range *spare = heap_alloc(fs->config.heap, sizeof *spare);
        if (!spare) {
            free_all(fs, spares);
            return NULL;
        }
        spare->next = spares;
        spares = spare;
    }
    return spares;
}

/* ---- A file's list: with the mutex held ---- */

static struct fs_lock_list *get_list(struct fs_node *node)
{
    struct fs_lock_list *list = atomic_load(&node->locks);
    if (!list) {
        list = heap_alloc_zeroed(node->fs->config.heap, sizeof *list);
        atomic_store(&node->locks, list);
    }
    return list;
}

/* Frees it if nobody needs it any more. */
static void drop_list(struct fs_node *node)
{
    struct fs_lock_list *list = atomic_load(&node->locks);
    if (list && !list->ranges && list->waiting == 0) {
        atomic_store(&node->locks, NULL);
        heap_free(node->fs->config.heap, list);
    }
}

/* Wakes those who wait, since something was given back. */
static void tell(struct fs_node *node, struct fs_lock_list *list)
{
    if (list->waiting != 0) {
        node->fs->config.notify(&list->event, 0);
    }
}

/* ---- Waiting: with the mutex held ---- */

static const struct fs_lock_waiter *find_waiter(const struct fs *fs, uint64_t owner)
{
    const struct fs_lock_waiter *waiter = fs->lock_waiters;
    while (waiter && waiter->owner != owner) {
        waiter = waiter->next;
    }
    return waiter;
}

/* Whether `by` waits, itself or by others, for the owner. */
static bool is_circle(const struct fs *fs, uint64_t owner, uint64_t by)
{
    for (unsigned i = 0; i < CIRCLE_MOST && by != 0; i++) {
        if (by == owner) {
            return true;
        }
        const struct fs_lock_waiter *waiter = find_waiter(fs, by);
        by = waiter ? waiter->by : 0;
    }
    return false;
}

static void leave(struct fs *fs, struct fs_lock_waiter *waiter)
{
    struct fs_lock_waiter **at = &fs->lock_waiters;
    while (*at != waiter) {
        at = &(*at)->next;
    }
    *at = waiter->next;
}

static int wait_for(struct fs *fs, struct fs_lock_list *list, const struct file_lock *lock,
                    const struct file_lock *other) REQUIRES(fs->locks)
{
    bool counts = lock->kind == FILE_LOCK_PROCESS && other->kind == FILE_LOCK_PROCESS;
    struct fs_lock_waiter waiter = {.owner = lock->owner, .by = other->owner};
    if (counts && is_circle(fs, waiter.owner, waiter.by)) {
        return -EDEADLK;
    }
    if (counts) {
        waiter.next = fs->lock_waiters;
        fs->lock_waiters = &waiter;
    }
    list->waiting++;
    int error = fs->config.wait(&list->event, &fs->locks);
    list->waiting--;
    if (counts) {
        leave(fs, &waiter);
    }
    return error;
}

/* ---- Taking and giving ---- */

/* A whole lock that becomes one of the other sort is given back first: another one may be faster. */
static void give_whole(struct fs *fs, struct fs_node *node, struct fs_lock_list *list,
                       const struct file_lock *lock)
{
    if (lock->kind == FILE_LOCK_WHOLE) {
        struct range *own = ranges_take(&list->ranges, lock->kind, lock->owner);
        free_all(fs, own);
        tell(node, list);
    }
}

static int take(struct fs *fs, struct fs_node *node, const struct file_lock *lock, bool waits,
                struct range **spares) REQUIRES(fs->locks)
{
    const struct range *other;
    int error = 0;
    struct fs_lock_list *list = get_list(node);
    if (!list) {
        return -ENOLCK;
    }
    give_whole(fs, node, list, lock);
    while (error == 0 && (other = ranges_exclude(list->ranges, lock))) {
        error = waits ? wait_for(fs, list, lock, &other->lock) : -EAGAIN;
    }
    if (error == 0) {
        ranges_change(&list->ranges, lock, false, spares);
        tell(node, list); /* what was to write may only read now */
    }
    return error;
}

int file_lock_take(struct file *file, const struct file_lock *lock, bool waits)
{
    struct fs_node *node = file->node;
    struct fs *fs = node->fs;
    struct range *spares = get_spares(fs);
    if (!spares) {
        return -ENOLCK;
    }
    mutex_acquire(&fs->locks);
    int error = take(fs, node, lock, waits, &spares);
    drop_list(node);
    mutex_release(&fs->locks);
    free_all(fs, spares);
    return error;
}

int file_lock_give(struct file *file, const struct file_lock *lock)
{
    struct fs_node *node = file->node;
    struct fs *fs = node->fs;
    if (!atomic_load(&node->locks)) {
        return 0;
    }
    struct range *spares = get_spares(fs);
    if (!spares) {
        return -ENOLCK;
    }
    mutex_acquire(&fs->locks);
    struct fs_lock_list *list = atomic_load(&node->locks);
    if (list) {
        ranges_change(&list->ranges, lock, true, &spares);
        tell(node, list);
        drop_list(node);
    }
    mutex_release(&fs->locks);
    free_all(fs, spares);
    return 0;
}

bool file_lock_find(struct file *file, const struct file_lock *lock, struct file_lock *other)
{
    struct fs *fs = file->node->fs;
    mutex_acquire(&fs->locks);
    const struct fs_lock_list *list = atomic_load(&file->node->locks);
    const struct range *found = list ? ranges_exclude(list->ranges, lock) : NULL;
    if (found) {
        *other = found->lock;
    }
    mutex_release(&fs->locks);
    return found != NULL;
}

void file_locks_end(struct file *file, enum file_lock_kind kind, uint64_t owner)
{
    struct fs_node *node = file->node;
    struct fs *fs = node->fs;
    if (!atomic_load(&node->locks)) {
        return;
    }
    mutex_acquire(&fs->locks);
    struct fs_lock_list *list = atomic_load(&node->locks);
    struct range *taken = list ? ranges_take(&list->ranges, kind, owner) : NULL;
    if (taken) {
        tell(node, list);
    }
    drop_list(node);
    mutex_release(&fs->locks);
    free_all(fs, taken);
}

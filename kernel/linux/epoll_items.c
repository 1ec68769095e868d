/* What is in a set of epoll, and what of it is news; see epoll.h. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/wait.h>

#include "epoll.h"
#include "file_calls.h"

#define FIRST_BUCKETS 16
#define LEVELS_MOST   4U /* sets below or above one: EP_MAX_NESTS */
#define LEVELS_LOOP   100U

static struct mutex items_lock = MUTEX_INITIALIZER(LOCK_EPOLL);

void epoll_lock(void) NO_LOCK_ANALYSIS
{
    mutex_acquire(&items_lock);
}

void epoll_unlock(void) NO_LOCK_ANALYSIS
{
    mutex_release(&items_lock);
}

/* ---- News ---- */

void epoll_add_news(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;
    irq_spinlock_acquire(&epoll->lock);
    if (!item->is_news) {
        item->is_news = true;
        item->next_news = NULL;
        item->previous_news = epoll->last;
        *(epoll->last ? &epoll->last->next_news : &epoll->first) = item;
        epoll->last = item;
        epoll->news++;
    }
    irq_spinlock_release(&epoll->lock);
}

/* The set's lock is held. */
static void drop_news(struct epoll *epoll, struct epoll_item *item)
{
    *(item->previous_news ? &item->previous_news->next_news : &epoll->first) = item->next_news;
    *(item->next_news ? &item->next_news->previous_news : &epoll->last) = item->previous_news;
    item->is_news = false;
    epoll->news--;
}

struct epoll_item *epoll_take_news(struct epoll *epoll)
{
    irq_spinlock_acquire(&epoll->lock);
    struct epoll_item *item = epoll->first;
    if (item) {
        drop_news(epoll, item);
    }
    irq_spinlock_release(&epoll->lock);
    return item;
}

/* Wakes one that sleeps for the set; whether there was one. */
static bool wake(struct epoll *epoll, struct fs_event **further)
{
    bool woken = wake_one(&epoll->sleepers);
    *further = event_is_awaited(&epoll->event) ? &epoll->event : NULL;
    return woken;
}

static bool notice(struct event_watcher *watcher, unsigned ready, struct fs_event **further)
{
    struct epoll_item *item = (struct epoll_item *)(void *)watcher; /* its first member */
    if (!(poll_bits(ready) & atomic_load(&item->events))) {
        return false;
    }
    epoll_add_news(item);
    return wake(item->epoll, further);
}

void epoll_look(struct epoll_item *item)
{
    struct fs_event *further;
    if (epoll_item_ready(item) != 0) {
        epoll_add_news(item);
        wake(item->epoll, &further);
        if (further) {
            event_notify_ready(further, FILE_READY_READ);
        }
    }
}

/* ---- What is ready ---- */

/* Whether a set has something that is ready; what is not is no news any more. */
static bool set_is_ready(struct epoll *epoll)
{
    struct epoll_item *item;
    for (uint64_t looks = epoll->news; looks != 0 && (item = epoll_take_news(epoll)); looks--) {
        if (epoll_item_ready(item) != 0) {
            epoll_add_news(item);
            return true;
        }
    }
    return false;
}

uint32_t epoll_item_ready(const struct epoll_item *item)
{
    struct file *file = item->file;
    unsigned ready = !file_is_epoll(file)      ? file_ready(file)
                     : set_is_ready(file->own) ? (unsigned)FILE_READY_READ
                                               : 0;
    uint32_t events = atomic_load(&item->events);
    return events & ~EPOLL_PRIVATE ? poll_bits(ready) & events : 0;
}

static unsigned epoll_ready(struct file *file)
{
    epoll_lock();
    bool ready = set_is_ready(file->own);
    epoll_unlock();
    return ready ? FILE_READY_READ : 0;
}

/* ---- Sets in sets ---- */

static uint64_t visits;

static unsigned levels_below(struct epoll *epoll, const struct epoll *searched);

static unsigned levels_of_bucket(const struct epoll_item *item, const struct epoll *searched)
{
    unsigned levels = 0;
    for (; item; item = item->next) {
        if (file_is_epoll(item->file)) {
            levels = (unsigned)max_u64(levels, 1 + levels_below(item->file->own, searched));
        }
    }
    return levels;
}

/* How many sets lie below each other in this one; LEVELS_LOOP or more: the one that is searched for is there.
 */
static unsigned levels_below(struct epoll *epoll, const struct epoll *searched)
{
    if (epoll == searched) {
        return LEVELS_LOOP;
    }
    if (epoll->sets == 0) {
        return 0;
    }
    if (epoll->visit != visits) {
        epoll->visit = visits;
        epoll->levels = 0;
        for (uint64_t i = 0; i < epoll->bucket_count; i++) {
            epoll->levels = (unsigned)max_u64(epoll->levels, levels_of_bucket(epoll->buckets[i], searched));
        }
    }
    return epoll->levels;
}

static unsigned levels_above(struct epoll *epoll)
{
    if (epoll->visit != visits) {
        epoll->visit = visits;
        epoll->levels = 0;
        for (struct epoll_item *item = epoll->file->watchers; item; item = item->next_of_file) {
            epoll->levels = (unsigned)max_u64(epoll->levels, 1 + levels_above(item->epoll));
        }
    }
    return epoll->levels;
}

static bool may_nest(struct epoll *epoll, struct epoll *inner)
{
    visits++;
    unsigned below = levels_below(inner, epoll);
    visits++;
    return below < LEVELS_LOOP && below + 1 + levels_above(epoll) <= LEVELS_MOST;
}

/* ---- Items ---- */

static struct epoll_item **bucket_of(struct epoll *epoll, uint32_t descriptor)
{
    return &epoll->buckets[descriptor & (epoll->bucket_count - 1)];
}

struct epoll_item *epoll_find(struct epoll *epoll, const struct file *file, uint32_t descriptor)
{
    struct epoll_item *item = *bucket_of(epoll, descriptor);
    while (item && (item->descriptor != descriptor || item->file != file)) {
        item = item->next;
    }
    return item;
}

static void put_in_bucket(struct epoll *epoll, struct epoll_item *item)
{
    struct epoll_item **bucket = bucket_of(epoll, item->descriptor);
    item->next = *bucket;
    *bucket = item;
}

/* Twice as many buckets; without memory they stay. */
static void grow(struct epoll *epoll)
{
    struct epoll_item **old = epoll->buckets;
    uint64_t count = epoll->bucket_count;
    struct epoll_item **new = heap_alloc_zeroed(&kernel_heap, 2 * count * sizeof(struct epoll_item *));
    if (!new) {
        return;
    }
    epoll->buckets = new;
    epoll->bucket_count = 2 * count;
    for (uint64_t i = 0; i < count; i++) {
        for (struct epoll_item *item = old[i], *next; item; item = next) {
            next = item->next;
            put_in_bucket(epoll, item);
        }
    }
    heap_free(&kernel_heap, old);
}

/* `forget` of a file with items. */
static void forget(struct file *file)
{
    epoll_lock();
    while (file->watchers) {
        epoll_remove(file->watchers);
    }
    epoll_unlock();
}

static void join_file(struct epoll_item *item)
{
    struct epoll_item *first = item->file->watchers;
    item->previous_of_file = NULL;
    item->next_of_file = first;
    if (first) {
        first->previous_of_file = item;
    }
    item->file->watchers = item;
    item->file->forget = forget;
}

/* The file may end at once afterwards. */
static void leave_file(struct epoll_item *item)
{
    if (item->next_of_file) {
        item->next_of_file->previous_of_file = item->previous_of_file;
    }
    if (item->previous_of_file) {
        item->previous_of_file->next_of_file = item->next_of_file;
    } else {
        item->file->watchers = item->next_of_file;
    }
}

int epoll_add(struct epoll *epoll, struct epoll_item *item)
{
    bool is_set = file_is_epoll(item->file);
    if (is_set && !may_nest(epoll, item->file->own)) {
        return -ELOOP;
    }
    item->epoll = epoll;
    item->watcher.notice = notice;
    item->watcher.exclusive = atomic_load(&item->events) & EPOLL_EXCLUSIVE;
    if (epoll->items++ == 2 * epoll->bucket_count) {
        grow(epoll);
    }
    epoll->sets += is_set;
    put_in_bucket(epoll, item);
    join_file(item);
    struct fs_event *event = file_event(item->file);
    if (event) {
        event_watch(event, &item->watcher);
    }
    epoll_look(item);
    return 0;
}

void epoll_remove(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;
    struct fs_event *event = file_event(item->file);
    struct epoll_item **at = bucket_of(epoll, item->descriptor);
    if (event) {
        event_unwatch(event, &item->watcher);
    }
    irq_spinlock_acquire(&epoll->lock);
    if (item->is_news) {
        drop_news(epoll, item);
    }
    irq_spinlock_release(&epoll->lock);
    while (*at != item) {
        at = &(*at)->next;
    }
    *at = item->next;
    epoll->items--;
    epoll->sets -= file_is_epoll(item->file);
    leave_file(item);
    heap_free(&kernel_heap, item);
}

/* ---- Sets ---- */

struct epoll *epoll_make(void)
{
    struct epoll *epoll = heap_alloc_zeroed(&kernel_heap, sizeof *epoll);
    if (epoll) {
        epoll->buckets = heap_alloc_zeroed(&kernel_heap, FIRST_BUCKETS * sizeof(struct epoll_item *));
    }
    if (!epoll || !epoll->buckets) {
        heap_free(&kernel_heap, epoll);
        return NULL;
    }
    epoll->bucket_count = FIRST_BUCKETS;
    wait_queue_init(&epoll->sleepers);
    epoll->lock = (struct irq_spinlock)IRQ_SPINLOCK_INITIALIZER(LOCK_EPOLL_NEWS);
    return epoll;
}

void epoll_free(struct epoll *epoll)
{
    heap_free(&kernel_heap, epoll->buckets);
    heap_free(&kernel_heap, epoll);
}

static void epoll_release(struct file *file)
{
    struct epoll *epoll = file->own;
    for (uint64_t i = 0; i < epoll->bucket_count;) {
        epoll_lock();
        if (epoll->buckets[i]) {
            epoll_remove(epoll->buckets[i]);
        } else {
            i++;
        }
        epoll_unlock();
    }
    epoll_free(epoll);
}

static struct fs_event *epoll_event(struct file *file)
{
    return &((struct epoll *)file->own)->event;
}

const struct file_operations epoll_operations = {.ready = epoll_ready,
                                                 .event = epoll_event,
                                                 .release = epoll_release,
                                                 .stream = true,
                                                 .seeks_nowhere = true};

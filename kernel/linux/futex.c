/*
 * Sleepers by key, in buckets; see futex.h. A sleeper looks at the word with its bucket's lock held, and
 * whoever wakes takes that lock after he has changed the word: so no wake is lost.
 */
#include "futex.h"

#include <ashlar/heap.h>
#include <ashlar/platform.h>
#include <stdatomic.h>

#define BUCKETS     64
#define AT_ONE_TIME 64 /* sleepers that are looked at in one hold */

struct bucket {
    struct spinlock lock;
    struct sleeper *first;
    struct sleeper *last;
    uint64_t tickets; /* given so far */
};

/* Belongs to who sleeps, who has one for each word; or keeps the place of a walk that lets go, and then it
 * has no key. */
struct sleeper {
    struct sleeper *next;
    struct sleeper *previous;
    uint64_t ticket; /* in the order of the list */
    struct futex_key key;
    uint32_t bits;
    _Atomic(bool) woken;
    struct bucket *_Atomic bucket; /* changes with the locks of both held */
    struct wait_queue *queue;      /* where he rests */
};

static struct bucket buckets[BUCKETS];

void futexes_start(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        spinlock_init(&buckets[i].lock, LOCK_FUTEX, i + 1);
    }
}

static struct bucket *bucket_of(const struct futex_key *key)
{
    uint64_t mixed = (key->object ^ key->offset) * 0x9e3779b97f4a7c15ULL;
    return &buckets[mixed >> 58];
}

_Static_assert(BUCKETS == 1 << (64 - 58), "bucket_of() takes so many bits");

static void lock(struct bucket *bucket) NO_LOCK_ANALYSIS
{
    spinlock_acquire(&bucket->lock);
}

static void unlock(struct bucket *bucket) NO_LOCK_ANALYSIS
{
    spinlock_release(&bucket->lock);
}

static void lock_two(struct bucket *one, struct bucket *other)
{
    lock(one < other ? one : other);
    if (one != other) {
        lock(one < other ? other : one);
    }
}

static void unlock_two(struct bucket *one, struct bucket *other)
{
    if (one != other) {
        unlock(one < other ? other : one);
    }
    unlock(one < other ? one : other);
}

static bool is_key(const struct futex_key *one, const struct futex_key *other)
{
    return one->object == other->object && one->offset == other->offset;
}

int futex_key_of(struct memory *memory, user_addr_t at, bool is_private, struct futex_key *key)
{
    struct vm_region_facts region;
    *key = (struct futex_key){(uintptr_t)memory, at.raw};
    if (!is_aligned(at.raw, sizeof(uint32_t))) {
        return -EINVAL;
    }
    if (!user_range_is_sound(at, sizeof(uint32_t))) {
        return -EFAULT;
    }
    if (is_private) {
        return 0;
    }
    if (!vm_space_find(&memory->space, virt_addr(at.raw), &region)) {
        return -EFAULT;
    }
    if (region.shared && region.pager) {
        *key = (struct futex_key){region.pager_serial, region.offset + (at.raw - region.base.raw)};
    }
    return 0;
}

/* ---- A bucket's list, with its lock held ---- */

static void append(struct bucket *bucket, struct sleeper *sleeper)
{
    atomic_store(&sleeper->bucket, bucket);
    sleeper->ticket = bucket->tickets++;
    sleeper->next = NULL;
    sleeper->previous = bucket->last;
    *(bucket->last ? &bucket->last->next : &bucket->first) = sleeper;
    bucket->last = sleeper;
}

static void take_out(struct bucket *bucket, struct sleeper *sleeper)
{
    *(sleeper->previous ? &sleeper->previous->next : &bucket->first) = sleeper->next;
    *(sleeper->next ? &sleeper->next->previous : &bucket->last) = sleeper->previous;
}

/* It returns when it gets the lock: not before its waker is done with it. */
static void wake(struct bucket *bucket, struct sleeper *sleeper)
{
    take_out(bucket, sleeper);
    atomic_store(&sleeper->woken, true);
    wake_one(sleeper->queue);
}

/* ---- Sleeping ---- */

/* With preemption off no fault is resolved: then the page is brought in without the lock. */
static bool lock_and_read(struct bucket *bucket, user_addr_t at, uint32_t *value)
{
    for (;;) {
        lock(bucket);
        if (get_user_32(value, at)) {
            return true;
        }
        unlock(bucket);
        if (!get_user_32(value, at)) {
            return false;
        }
    }
}

/* Out of the bucket in which it is now; whether it was woken before. */
static bool leave(struct sleeper *sleeper)
{
    struct bucket *bucket;
    for (;;) {
        bucket = atomic_load(&sleeper->bucket);
        lock(bucket);
        if (bucket == atomic_load(&sleeper->bucket)) {
            break;
        }
        unlock(bucket);
    }
    bool woken = atomic_load(&sleeper->woken);
    if (!woken) {
        take_out(bucket, sleeper);
    }
    unlock(bucket);
    return woken;
}

/* Out of the first so many; returns the last of them that was woken before, or -1. */
static int64_t leave_some(struct sleeper *sleepers, uint32_t count)
{
    int64_t woken = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (leave(&sleepers[i])) {
            woken = i;
        }
    }
    return woken;
}

/* Enters one for each word and returns how many. Or leaves none there, and returns an error, or the place of
 * one that was woken meanwhile. */
static int64_t enter_all(struct sleeper *sleepers, const struct futex_word *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bucket *bucket = bucket_of(&sleepers[i].key);
        uint32_t seen;
        bool read = lock_and_read(bucket, words[i].at, &seen);
        if (read && seen == words[i].value) {
            append(bucket, &sleepers[i]);
            unlock(bucket);
            continue;
        }
        if (read) {
            unlock(bucket);
        }
        int64_t woken = leave_some(sleepers, i);
        return woken >= 0 ? woken : read ? -EAGAIN : -EFAULT;
    }
    return count;
}

static bool is_any_woken(const struct sleeper *sleepers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&sleepers[i].woken)) {
            return true;
        }
    }
    return false;
}

/* For one word, as nearly always, the count is a constant. */
static inline __attribute__((always_inline)) int64_t
sleep_on(struct sleeper *sleepers, const struct futex_word *words, uint32_t count, uint64_t deadline)
{
    struct wait_how how = {.deadline = deadline, .killable = true, .from_outside = true};
    struct wait_queue queue = WAIT_QUEUE_INITIALIZER;
    for (uint32_t i = 0; i < count; i++) {
        sleepers[i].queue = &queue;
    }
    int64_t answer = enter_all(sleepers, words, count);
    if (answer != count) {
        return answer;
    }
    enum wait_result result = WAIT_UNTIL(&queue, is_any_woken(sleepers, count), "a futex", how);
    int64_t woken = leave_some(sleepers, count);
    return woken >= 0 ? woken : result == WAIT_KILLED ? -EINTR : -ETIMEDOUT;
}

int64_t futex_wait(const struct futex_word *word, uint32_t bits, uint64_t deadline)
{
    struct sleeper sleeper = {.key = word->key, .bits = bits};
    return sleep_on(&sleeper, word, 1, deadline);
}

int64_t futex_wait_any(const struct futex_word *words, uint32_t count, uint64_t deadline)
{
    struct sleeper *sleepers = heap_alloc_zeroed(&kernel_heap, count * sizeof *sleepers);
    if (!sleepers) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        sleepers[i].key = words[i].key;
        sleepers[i].bits = FUTEX_ALL_BITS;
    }
    int64_t answer = sleep_on(sleepers, words, count, deadline);
    heap_free(&kernel_heap, sleepers);
    return answer;
}

/* ---- Walking over those that sleep for a key ---- */

/*
 * A walk along a bucket, with the locks of two held (which may be the same one). It lets both go after so
 * many looks, and goes on from where it was. Who comes after its beginning is not meant.
 */
struct walk {
    struct bucket *from;
    struct bucket *to;
    const struct futex_key *key;
    uint32_t bits;
    uint64_t end;       /* ticket of the first that is not meant */
    struct sleeper *at; /* the next to be looked at */
    unsigned looks;     /* in this hold */
};

static void walk_begin(struct walk *walk)
{
    walk->at = walk->from->first;
    walk->end = walk->from->tickets;
    walk->looks = 0;
}

static void let_go(struct walk *walk)
{
    struct sleeper place = {.ticket = walk->at->ticket, .next = walk->at, .previous = walk->at->previous};
    *(place.previous ? &place.previous->next : &walk->from->first) = &place;
    place.next->previous = &place;
    unlock_two(walk->from, walk->to);
    lock_two(walk->from, walk->to);
    walk->at = place.next;
    take_out(walk->from, &place);
    walk->looks = 0;
}

static bool is_meant(const struct sleeper *sleeper, const struct walk *walk)
{
    return is_key(&sleeper->key, walk->key) && (sleeper->bits & walk->bits);
}

/* The next that is meant; NULL: there is none any more. */
static struct sleeper *walk_next(struct walk *walk)
{
    while (walk->at && walk->at->ticket < walk->end) {
        if (walk->looks++ == AT_ONE_TIME) {
            let_go(walk);
            continue;
        }
        struct sleeper *sleeper = walk->at;
        walk->at = sleeper->next;
        if (is_meant(sleeper, walk)) {
            return sleeper;
        }
    }
    return NULL;
}

/* ---- Waking ---- */

static uint32_t wake_some(struct walk *walk, uint32_t count)
{
    uint32_t woken = 0;
    struct sleeper *sleeper;
    while (woken < count && (sleeper = walk_next(walk))) {
        wake(walk->from, sleeper);
        woken++;
    }
    return woken;
}

int64_t futex_wake(const struct futex_key *key, uint32_t bits, uint32_t count)
{
    struct bucket *bucket = bucket_of(key);
    struct walk walk = {.from = bucket, .to = bucket, .key = key, .bits = bits};
    lock(bucket);
    walk_begin(&walk);
    uint32_t woken = wake_some(&walk, count);
    unlock(bucket);
    return woken;
}

void futex_wake_at(struct memory *memory, user_addr_t at, uint32_t count)
{
    struct futex_key key;
    if (futex_key_of(memory, at, false, &key) == 0) {
        futex_wake(&key, FUTEX_ALL_BITS, count);
    }
}

/* ---- Moving ---- */

/* To the other key; who is moved to the key that he sleeps for stays where he is. */
static uint32_t move_some(struct walk *walk, const struct futex_key *to, uint32_t count)
{
    uint32_t moved = 0;
    bool stays = is_key(walk->key, to);
    struct sleeper *sleeper;
    while (moved < count && (sleeper = walk_next(walk))) {
        if (!stays) {
            take_out(walk->from, sleeper);
            sleeper->key = *to;
            append(walk->to, sleeper);
        }
        moved++;
    }
    return moved;
}

/* Both locks, and the word is what it should be. */
static int64_t lock_and_compare(struct bucket *from, struct bucket *to, const struct futex_requeue *request)
{
    uint32_t seen = request->value;
    for (;;) {
        lock_two(from, to);
        if (!request->compares || get_user_32(&seen, request->at)) {
            break;
        }
        unlock_two(from, to);
        if (!get_user_32(&seen, request->at)) {
            return -EFAULT;
        }
    }
    if (seen != request->value) {
        unlock_two(from, to);
        return -EAGAIN;
    }
    return 0;
}

int64_t futex_requeue(const struct futex_requeue *request)
{
    struct walk walk = {.from = bucket_of(&request->from),
                        .to = bucket_of(&request->to),
                        .key = &request->from,
                        .bits = FUTEX_ALL_BITS};
    int64_t error = lock_and_compare(walk.from, walk.to, request);
    if (error) {
        return error;
    }
    walk_begin(&walk);
    uint32_t woken = wake_some(&walk, request->wakes);
    uint32_t moved = move_some(&walk, &request->to, request->moves);
    unlock_two(walk.from, walk.to);
    return (int64_t)woken + moved;
}

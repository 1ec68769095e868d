/*
 * Caches with a debug policy. They have no magazines: each operation comes here. An object lies between two
 * red zones, the one behind beginning with the first byte that was not asked for, and is followed by its
 * track: state, length, who allocated and who freed it. Freed objects rest in quarantine, so that a write
 * after free finds them free, and are examined when they leave it and when they are given out.
 */
#include "internal.h"

uint32_t slab_debug_front(uint32_t alignment)
{
    return alignment > SLAB_REDZONE_MIN ? alignment : SLAB_REDZONE_MIN;
}

/* ---- Filling and comparing ---- */

static uint64_t sum_of(const void *object, uint32_t bytes)
{
    const uint8_t *byte = object;
    uint64_t sum = 0xcbf29ce484222325ULL; /* FNV-1a: any changed byte changes it */
    for (uint32_t i = 0; i < bytes; i++) {
        sum = (sum ^ byte[i]) * 0x100000001b3ULL;
    }
    return sum;
}

static uint64_t bytes_as_number(const uint8_t *bytes, uint64_t count)
{
    uint64_t number = 0;
    memcpy(&number, bytes, min_u64(count, sizeof number));
    return number;
}

bool slab_is_filled(const void *object, int64_t from, int64_t to, uint8_t filling, struct slab_report *report)
{
    const uint8_t *bytes = object;
    int64_t first = from;
    while (first < to && bytes[first] == filling) {
        first++;
    }
    if (first == to) {
        return true;
    }
    int64_t last = to - 1;
    while (bytes[last] == filling) {
        last--;
    }
    report->offset = first;
    report->length = (uint32_t)(last - first + 1);
    report->found = bytes_as_number(bytes + first, report->length);
    memset(&report->expected, 0, sizeof report->expected);
    memset(&report->expected, filling, min_u64(report->length, sizeof report->expected));
    return false;
}

static bool is_poisoned(const struct slab_cache *cache)
{
    return (cache->policy & SLAB_POISON) && !cache->config.construct;
}

/* Writes all guarded bytes of a free object. */
static void fill_free(struct slab_cache *cache, void *object)
{
    struct slab_track *track = slab_track(cache, object);
    uint8_t *bytes = object;
    track->bytes = cache->config.bytes;
    memset(bytes - SLAB_REDZONE_MIN, SLAB_BYTE_REDZONE, SLAB_REDZONE_MIN);
    memset(bytes + track->bytes, SLAB_BYTE_REDZONE, cache->track - track->bytes);
    if (is_poisoned(cache)) {
        memset(bytes, SLAB_BYTE_FREE, track->bytes);
    } else {
        track->sum = sum_of(bytes, track->bytes);
    }
    track->state = SLAB_TRACK_FREE;
}

void slab_debug_prepare(struct slab_cache *cache, void *object)
{
    memset(slab_track(cache, object), 0, sizeof(struct slab_track));
    fill_free(cache, object);
}

static void fill_live(struct slab_cache *cache, void *object, uint32_t bytes)
{
    struct slab_track *track = slab_track(cache, object);
    if (is_poisoned(cache)) {
        memset(object, SLAB_BYTE_FRESH, bytes);
    }
    memset((uint8_t *)object + bytes, SLAB_BYTE_REDZONE, cache->track - bytes);
    track->bytes = bytes;
    track->state = SLAB_TRACK_LIVE;
}

/* ---- Examining ---- */

static bool fault(struct slab_report *report, enum slab_fault kind)
{
    report->fault = kind;
    return false;
}

static bool examine_free(struct slab_cache *cache, const void *object, struct slab_report *report)
{
    const struct slab_track *track = slab_track(cache, object);
    if (is_poisoned(cache)) {
        return slab_is_filled(object, 0, cache->config.bytes, SLAB_BYTE_FREE, report) ||
               fault(report, SLAB_WRITE_AFTER_FREE);
    }
    uint64_t sum = cache->policy & SLAB_POISON ? sum_of(object, cache->config.bytes) : track->sum;
    if (sum != track->sum) { /* somewhere in it: the sums are told instead of the bytes */
        report->length = cache->config.bytes;
        report->expected = track->sum;
        report->found = sum;
        return fault(report, SLAB_WRITE_AFTER_FREE);
    }
    return true;
}

bool slab_debug_examine(struct slab_cache *cache, const void *object, struct slab_report *report)
{
    const struct slab_track *track = slab_track(cache, object);
    *report = (struct slab_report){.cache = cache, .pointer = object, .object = object};
    slab_report_owners(report, cache, object);
    if ((track->state != SLAB_TRACK_FREE && track->state != SLAB_TRACK_LIVE) ||
        track->bytes > cache->config.bytes) {
        report->offset = cache->track;
        report->length = sizeof track->state + sizeof track->bytes;
        report->expected = SLAB_TRACK_LIVE | (uint64_t)cache->config.bytes << 32;
        report->found = track->state | (uint64_t)track->bytes << 32;
        return fault(report, SLAB_OVERRUN);
    }
    if (cache->policy & SLAB_REDZONE) {
        if (!slab_is_filled(object, -SLAB_REDZONE_MIN, 0, SLAB_BYTE_REDZONE, report)) {
            return fault(report, SLAB_UNDERRUN);
        }
        if (!slab_is_filled(object, track->bytes, cache->track, SLAB_BYTE_REDZONE, report)) {
            return fault(report, SLAB_OVERRUN);
        }
    }
    return track->state == SLAB_TRACK_LIVE || examine_free(cache, object, report);
}

/* Examines an object that leaves one place for another; damage is reported, and true is returned if there is
 * none. */
static bool examine_and_report(struct slab_cache *cache, const void *object, const void *caller)
{
    struct slab_report report;
    if (slab_debug_examine(cache, object, &report)) {
        return true;
    }
    report.caller = caller;
    slab_report(cache->pool, &report);
    return false;
}

/* ---- Quarantine ---- */

static void *quarantine_oldest(struct slab_quarantine *quarantine)
{
    void *object = quarantine->objects[quarantine->first];
    quarantine->first = (quarantine->first + 1) % SLAB_QUARANTINE;
    quarantine->count--;
    return object;
}

bool slab_is_resting(struct slab_cache *cache, const void *object)
{
    const struct slab_quarantine *quarantine = cache->quarantine;
    for (uint32_t i = 0; quarantine && i < quarantine->count; i++) {
        if (quarantine->objects[(quarantine->first + i) % SLAB_QUARANTINE] == object) {
            return true;
        }
    }
    return false;
}

/* Gives an object back to its slab. What was written to while it was free is reported, and filled anew. */
static void give_back(struct slab_cache *cache, void *object, const void *caller)
{
    if (!examine_and_report(cache, object, caller)) {
        fill_free(cache, object);
    }
    spinlock_acquire(&cache->lock);
    slab_give(cache, object);
    spinlock_release(&cache->lock);
    slab_shrink(cache, SLAB_EMPTY_KEPT);
}

void slab_debug_release(struct slab_cache *cache)
{
    void *object;
    do {
        object = NULL;
        spinlock_acquire(&cache->lock);
        if (cache->quarantine && cache->quarantine->count > 0) {
            object = quarantine_oldest(cache->quarantine);
        }
        spinlock_release(&cache->lock);
        if (object) {
            give_back(cache, object, NULL);
        }
    } while (object);
}

/* Puts an object into quarantine; returns the one that made room for it, or NULL. */
static void *quarantine_add(struct slab_cache *cache, void *object)
{
    struct slab_quarantine *quarantine = cache->quarantine;
    void *oldest = NULL;
    spinlock_acquire(&cache->lock);
    if (quarantine->count == SLAB_QUARANTINE) {
        oldest = quarantine_oldest(quarantine);
    }
    quarantine->objects[(quarantine->first + quarantine->count++) % SLAB_QUARANTINE] = object;
    spinlock_release(&cache->lock);
    return oldest;
}

/* ---- Allocating and freeing ---- */

void *slab_debug_alloc(struct slab_cache *cache, uint32_t bytes, const void *caller)
{
    void *object = slab_take_one(cache);
    if (!object) {
        return NULL;
    }
    examine_and_report(cache, object, caller);
    fill_live(cache, object, bytes);
    if (cache->policy & SLAB_OWNER) {
        slab_who_note(cache->pool, &slab_track(cache, object)->allocated, caller);
        slab_track(cache, object)->freed.ticks = 0;
    }
    return object;
}

void slab_debug_resize(struct slab_cache *cache, void *object, uint32_t bytes, const void *caller)
{
    if (!examine_and_report(cache, object, caller)) { /* what is written now would cover the damage */
        return;
    }
    memset((uint8_t *)object + bytes, SLAB_BYTE_REDZONE, cache->track - bytes);
    slab_track(cache, object)->bytes = bytes;
}

static void report_free(struct slab_cache *cache, enum slab_fault fault, void *object, const void *caller)
{
    struct slab_report report = {.fault = fault,
                                 .cache = cache,
                                 .claimed = cache,
                                 .pointer = object,
                                 .object = object,
                                 .caller = caller};
    slab_report_owners(&report, cache, object);
    slab_report(cache->pool, &report);
}

/* Checks an object that is being freed; reports what is wrong. */
static bool may_free(struct slab_cache *cache, void *object, const void *caller)
{
    if (slab_track(cache, object)->state == SLAB_TRACK_FREE) {
        report_free(cache, SLAB_DOUBLE_FREE, object, caller);
        return false;
    }
    if (!examine_and_report(cache, object, caller)) {
        return false;
    }
    if (cache->config.is_constructed && !cache->config.is_constructed(object)) {
        report_free(cache, SLAB_CONSTRUCTED_STATE, object, caller);
        return false;
    }
    return true;
}

void slab_debug_free(struct slab_cache *cache, void *object, const void *caller)
{
    if (!may_free(cache, object, caller)) {
        return;
    }
    if (cache->policy & SLAB_OWNER) {
        slab_who_note(cache->pool, &slab_track(cache, object)->freed, caller);
    }
    fill_free(cache, object);
    if (cache->quarantine) {
        object = quarantine_add(cache, object);
    }
    if (object) {
        give_back(cache, object, caller);
    }
}

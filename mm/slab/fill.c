/*
 * What lies around and in the objects of a cache with a debug policy: writing it, and examining it. Red zones
 * on both sides, poison in free and in fresh objects, and a track behind each; debug.c says when.
 */
#include "internal.h"

uint32_t slab_debug_front(uint32_t alignment)
{
    return alignment > SLAB_REDZONE_MIN ? alignment : SLAB_REDZONE_MIN;
}

/* ---- Filling and comparing ---- */

/* While an object is filled preemption is off: a validator, for which all CPUs are stopped, finds it as it
 * was before or is afterwards. */

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

void slab_fill_free(struct slab_cache *cache, void *object)
{
    struct slab_track *track = slab_track(cache, object);
    uint8_t *bytes = object;
    preempt_disable();
    track->bytes = cache->config.bytes;
    memset(bytes - SLAB_REDZONE_MIN, SLAB_BYTE_REDZONE, SLAB_REDZONE_MIN);
    memset(bytes + track->bytes, SLAB_BYTE_REDZONE, cache->track - track->bytes);
    if (is_poisoned(cache)) {
        memset(bytes, SLAB_BYTE_FREE, track->bytes);
    } else {
        track->sum = sum_of(bytes, track->bytes);
    }
    track->state = SLAB_TRACK_FREE;
    preempt_enable();
}

void slab_debug_prepare(struct slab_cache *cache, void *object)
{
    memset(slab_track(cache, object), 0, sizeof(struct slab_track));
    slab_fill_free(cache, object);
}

void slab_fill_live(struct slab_cache *cache, void *object, uint32_t bytes)
{
    struct slab_track *track = slab_track(cache, object);
    preempt_disable();
    if (is_poisoned(cache)) {
        memset(object, SLAB_BYTE_FRESH, bytes);
    }
    slab_fill_behind(cache, object, bytes);
    track->state = SLAB_TRACK_LIVE;
    preempt_enable();
}

void slab_fill_behind(struct slab_cache *cache, void *object, uint32_t bytes)
{
    preempt_disable();
    memset((uint8_t *)object + bytes, SLAB_BYTE_REDZONE, cache->track - bytes);
    slab_track(cache, object)->bytes = bytes;
    preempt_enable();
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

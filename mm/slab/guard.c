/*
 * Guarded slots; see <ashlar/slab_guard.h>.
 *
 * A slot is one page; between two slots, and at both ends, lies a page that is never accessible. An object
 * lies at the end of its page, where the first byte past it is out of reach, or, one time in four, at the
 * beginning, to catch what comes before it. What lies around it in its page is filled, and compared at the
 * free: that finds what alignment leaves between the object and the border. A free slot is inaccessible, and
 * slots are used again in the order in which they were freed, so that each stays inaccessible for as long as
 * possible.
 */
#include <ashlar/slab_guard.h>

#include "internal.h"

#define SIDES      4   /* one of so many objects lies at the beginning of its page */
#define FILL_BYTES 128 /* filled and compared on each side, as far as the page goes */

/* ---- Pages and slots ---- */

static char *page_of(const struct slab_guard *guard, uint32_t slot)
{
    return (char *)guard->config.base + (2ULL * slot + 1) * FRAME_BYTES;
}

static uint64_t pages(const struct slab_guard *guard)
{
    return 2ULL * guard->config.slots + 1;
}

/* Number of the page that `pointer` lies in; pages() or more when it is none of the guard's. */
static uint64_t page_number(const struct slab_guard *guard, const void *pointer)
{
    return ((uintptr_t)pointer - (uintptr_t)guard->config.base) / FRAME_BYTES;
}

bool slab_guard_owns(const struct slab_guard *guard, const void *pointer)
{
    return guard && page_number(guard, pointer) < pages(guard);
}

/* The slot whose page `pointer` lies in, or NULL. */
static struct slab_guard_slot *slot_at(struct slab_guard *guard, const void *pointer)
{
    uint64_t page = page_number(guard, pointer);
    return page < pages(guard) && page % 2 == 1 ? &guard->slots[page / 2] : NULL;
}

/* A free slot, out of the ring; SLAB_GUARD_SLOTS_MAX when there is none. */
static uint32_t take_slot(struct slab_guard *guard)
{
    uint32_t slot = SLAB_GUARD_SLOTS_MAX;
    spinlock_acquire(&guard->lock);
    if (guard->count > 0) {
        slot = guard->free[guard->first];
        guard->first = (guard->first + 1) % SLAB_GUARD_SLOTS_MAX;
        guard->count--;
        guard->sampled++;
    } else {
        guard->missed++;
    }
    spinlock_release(&guard->lock);
    return slot;
}

static void give_slot(struct slab_guard *guard, uint32_t slot)
{
    spinlock_acquire(&guard->lock);
    guard->free[(guard->first + guard->count++) % SLAB_GUARD_SLOTS_MAX] = (uint8_t)slot;
    spinlock_release(&guard->lock);
}

/* ---- Life ---- */

enum slab_error slab_guard_start(struct slab_guard *guard, struct slab_pool *pool,
                                 const struct slab_guard_config *config)
{
    bool possible = config->slots > 0 && config->slots <= SLAB_GUARD_SLOTS_MAX && config->every > 0 &&
                    config->show && config->hide && is_aligned((uintptr_t)config->base, FRAME_BYTES) &&
                    (uintptr_t)config->base - pool->base >= pool->limit;
    if (!possible || pool->guard) {
        return SLAB_BAD_CONFIG;
    }
    memset(guard, 0, sizeof *guard);
    spinlock_init(&guard->lock, LOCK_SLAB_GUARD, 0);
    guard->pool = pool;
    guard->config = *config;
    guard->random = slab_random(&pool->secret) | 1;
    atomic_store_explicit(&guard->countdown, config->every, memory_order_relaxed);
    for (uint32_t i = 0; i < config->slots; i++) {
        give_slot(guard, i);
    }
    pool->guard = guard;
    return SLAB_OK;
}

void slab_guard_stop(struct slab_guard *guard)
{
    guard->pool->guard = NULL;
}

/* ---- Allocating ---- */

bool slab_guard_due(struct slab_guard *guard)
{
    uint32_t left = atomic_load_explicit(&guard->countdown, memory_order_relaxed);
    atomic_store_explicit(&guard->countdown, left > 1 ? left - 1 : guard->config.every, memory_order_relaxed);
    return left <= 1;
}

/* Where the filled bytes in front of an object begin, and where those behind it end. */
static char *first_filled(char *page, char *object)
{
    return object - page > FILL_BYTES ? object - FILL_BYTES : page;
}

static char *end_of_filled(char *page, char *end)
{
    return page + FRAME_BYTES - end > FILL_BYTES ? end + FILL_BYTES : page + FRAME_BYTES;
}

/* Where an object of this length goes in a page. */
static uint64_t place(struct slab_guard *guard, const struct slab_cache *cache, uint32_t bytes)
{
    spinlock_acquire(&guard->lock);
    bool at_the_beginning = (slab_random(&guard->random) >> 32) % SIDES == 0;
    spinlock_release(&guard->lock);
    return at_the_beginning ? 0 : align_down(FRAME_BYTES - bytes, cache->config.alignment);
}

static void *alloc_slot(struct slab_guard *guard, struct slab_cache *cache, uint32_t bytes,
                        const void *caller)
{
    uint32_t number = take_slot(guard);
    if (number == SLAB_GUARD_SLOTS_MAX) {
        return NULL;
    }
    char *page = page_of(guard, number);
    if (!guard->config.show(guard->config.context, page)) {
        give_slot(guard, number);
        return NULL;
    }
    struct slab_guard_slot *slot = &guard->slots[number];
    char *object = page + place(guard, cache, bytes);
    char *first = first_filled(page, object);
    memset(first, SLAB_BYTE_REDZONE, (size_t)(object - first));
    memset(object + bytes, SLAB_BYTE_REDZONE, (size_t)(end_of_filled(page, object + bytes) - object) - bytes);
    if (cache->config.construct) {
        cache->config.construct(object);
    }
    slab_who_note(guard->pool, &slot->allocated, caller);
    slot->freed.ticks = 0;
    spinlock_acquire(&guard->lock);
    slot->cache = cache;
    slot->object = object;
    slot->bytes = bytes;
    slot->live = true;
    spinlock_release(&guard->lock);
    return object;
}

void *slab_guard_alloc(struct slab_guard *guard, struct slab_cache *cache, uint32_t bytes, const void *caller)
{
    preempt_disable(); /* while the slot is neither live nor free */
    void *object = bytes <= FRAME_BYTES ? alloc_slot(guard, cache, bytes, caller) : NULL;
    preempt_enable();
    return object;
}

/* ---- Freeing ---- */

static struct slab_report report_about(const struct slab_guard_slot *slot, enum slab_fault fault,
                                       const void *pointer)
{
    struct slab_report report = {.fault = fault,
                                 .cache = slot->cache,
                                 .pointer = pointer,
                                 .object = slot->object,
                                 .offset = (const char *)pointer - slot->object,
                                 .allocated = &slot->allocated,
                                 .freed = slot->freed.ticks != 0 ? &slot->freed : NULL};
    return report;
}

/* The first byte of [from, to) that is no longer filled; `to` when all are. */
static const uint8_t *first_damaged(const char *from, const char *to)
{
    const uint8_t *byte = (const uint8_t *)from;
    while (byte < (const uint8_t *)to && *byte == SLAB_BYTE_REDZONE) {
        byte++;
    }
    return byte;
}

/* Whether what lies around an object is as it was filled; else notes the damage in the report. */
static bool is_fill_whole(const struct slab_guard *guard, const struct slab_guard_slot *slot,
                          struct slab_report *report)
{
    char *page = page_of(guard, (uint32_t)(slot - guard->slots));
    char *end = slot->object + slot->bytes;
    const uint8_t *before = first_damaged(first_filled(page, slot->object), slot->object);
    const uint8_t *behind = first_damaged(end, end_of_filled(page, end));
    bool under = (const char *)before < slot->object;
    if (!under && (const char *)behind == end_of_filled(page, end)) {
        return true;
    }
    const uint8_t *damaged = under ? before : behind;
    report->fault = under ? SLAB_UNDERRUN : SLAB_OVERRUN;
    report->offset = (const char *)damaged - slot->object;
    report->length = 1;
    report->expected = SLAB_BYTE_REDZONE;
    report->found = *damaged;
    return false;
}

/* What is wrong with freeing `pointer` to `claimed` (NULL: any size class), whatever the object holds. */
static enum slab_fault diagnose(const struct slab_guard_slot *slot, const struct slab_cache *claimed,
                                const void *pointer)
{
    if (!slot || !slot->object) {
        return SLAB_FOREIGN_POINTER;
    }
    if (claimed ? slot->cache != claimed : !slot->cache->config.plain) {
        return SLAB_WRONG_CACHE;
    }
    return pointer == slot->object ? SLAB_FAULT_NONE : SLAB_INTERIOR_POINTER;
}

/* Hides the page of a claimed slot and frees the slot. */
static void hide_slot(struct slab_guard *guard, uint32_t number)
{
    guard->config.hide(guard->config.context, page_of(guard, number));
    give_slot(guard, number);
}

/* Ends an object's life. Of several CPUs that free it one succeeds: only that one may touch its page. */
static bool claim(struct slab_guard *guard, struct slab_guard_slot *slot)
{
    spinlock_acquire(&guard->lock);
    bool live = slot->live;
    slot->live = false;
    spinlock_release(&guard->lock);
    return live;
}

static void unclaim(struct slab_guard *guard, struct slab_guard_slot *slot)
{
    spinlock_acquire(&guard->lock);
    slot->live = true;
    spinlock_release(&guard->lock);
}

/* Whether a claimed object and what lies around it are as they must be; else notes it in the report. */
static bool is_content_right(const struct slab_guard *guard, const struct slab_guard_slot *slot,
                             struct slab_report *report)
{
    const struct slab_cache_config *config = &slot->cache->config;
    if (config->is_constructed && !config->is_constructed(slot->object)) {
        report->fault = SLAB_CONSTRUCTED_STATE;
        return false;
    }
    return is_fill_whole(guard, slot, report);
}

void slab_guard_free(struct slab_guard *guard, const struct slab_cache *claimed, void *pointer,
                     const void *caller)
{
    struct slab_guard_slot *slot = slot_at(guard, pointer);
    enum slab_fault fault = diagnose(slot, claimed, pointer);
    preempt_disable(); /* while the slot is neither live nor free */
    if (fault == SLAB_FAULT_NONE && !claim(guard, slot)) {
        fault = SLAB_DOUBLE_FREE;
    }
    struct slab_report report = slot && slot->object
                                    ? report_about(slot, fault, pointer)
                                    : (struct slab_report){.fault = fault, .pointer = pointer};
    report.claimed = claimed;
    report.caller = caller;
    if (fault == SLAB_FAULT_NONE && !is_content_right(guard, slot, &report)) {
        unclaim(guard, slot);
    }
    if (report.fault == SLAB_FAULT_NONE) {
        slab_who_note(guard->pool, &slot->freed, caller);
        hide_slot(guard, (uint32_t)(slot - guard->slots));
    }
    preempt_enable();
    if (report.fault != SLAB_FAULT_NONE) {
        slab_report(guard->pool, &report);
    }
}

/* ---- Resizing ---- */

void slab_guard_resize(struct slab_guard *guard, void *object, uint32_t bytes, const void *caller)
{
    struct slab_guard_slot *slot = slot_at(guard, object);
    char *end = slot->object + bytes;
    char *page = page_of(guard, (uint32_t)(slot - guard->slots));
    struct slab_report report = report_about(slot, SLAB_FAULT_NONE, object);
    if (!is_fill_whole(guard, slot, &report)) {
        report.caller = caller;
        slab_report(guard->pool, &report);
        return;
    }
    memset(end, SLAB_BYTE_REDZONE, (size_t)(end_of_filled(page, end) - end));
    spinlock_acquire(&guard->lock);
    slot->bytes = bytes;
    spinlock_release(&guard->lock);
}

/* Takes a slot away from its cache, if this is it; whether its object was live. */
static bool forget_slot(struct slab_guard *guard, struct slab_guard_slot *slot,
                        const struct slab_cache *cache)
{
    bool live = false;
    spinlock_acquire(&guard->lock);
    if (slot->cache == cache) {
        live = slot->live;
        slot->live = false;
        slot->cache = NULL;
        slot->object = NULL;
    }
    spinlock_release(&guard->lock);
    return live;
}

uint64_t slab_guard_forget(struct slab_guard *guard, const struct slab_cache *cache)
{
    uint64_t live = 0;
    for (uint32_t i = 0; guard && i < guard->config.slots; i++) {
        preempt_disable();
        if (forget_slot(guard, &guard->slots[i], cache)) {
            hide_slot(guard, i);
            live++;
        }
        preempt_enable();
    }
    return live;
}

/* ---- Looking ---- */

void slab_guard_look(struct slab_guard *guard, const void *pointer, struct slab_facts *facts)
{
    const struct slab_guard_slot *slot = slot_at(guard, pointer);
    if (!slot || !slot->object) {
        return;
    }
    facts->cache = slot->cache;
    facts->place = SLAB_BETWEEN;
    uint64_t offset = (uint64_t)((const char *)pointer - slot->object);
    if (offset < slot->bytes) {
        facts->place = slot->live ? SLAB_LIVE : SLAB_RESTING;
        facts->object = slot->object;
        facts->offset = offset;
        facts->bytes = slot->bytes;
    }
    facts->allocated = &slot->allocated;
    facts->freed = slot->freed.ticks != 0 ? &slot->freed : NULL;
}

/* The slot that an access to a page which is never accessible was most likely meant for: the one of its two
 * neighbours whose object lies nearer. */
static const struct slab_guard_slot *nearest(const struct slab_guard *guard, const char *address,
                                             uint64_t page)
{
    const struct slab_guard_slot *below = page > 0 ? &guard->slots[page / 2 - 1] : NULL;
    const struct slab_guard_slot *above = page + 1 < pages(guard) ? &guard->slots[page / 2] : NULL;
    if (!below || !below->object) {
        return above;
    }
    if (!above || !above->object) {
        return below;
    }
    return address - (below->object + below->bytes) <= above->object - address ? below : above;
}

bool slab_guard_explain(const struct slab_guard *guard, const void *address, struct slab_report *report)
{
    if (!slab_guard_owns(guard, address)) {
        return false;
    }
    uint64_t page = page_number(guard, address);
    const struct slab_guard_slot *slot =
        page % 2 == 1 ? &guard->slots[page / 2] : nearest(guard, address, page);
    if (!slot || !slot->object) {
        return false;
    }
    *report = report_about(slot, slot->live ? SLAB_ACCESS_OUTSIDE : SLAB_ACCESS_AFTER_FREE, address);
    return true;
}

bool slab_guard_visit(struct slab_guard *guard,
                      bool (*visit)(void *context, const struct slab_guard_slot *slot), void *context)
{
    bool more = true;
    for (uint32_t i = 0; guard && i < guard->config.slots && more; i++) {
        if (guard->slots[i].live) {
            more = visit(context, &guard->slots[i]);
        }
    }
    return more;
}

uint64_t slab_guard_live(struct slab_guard *guard, const struct slab_cache *cache)
{
    uint64_t live = 0;
    spinlock_acquire(&guard->lock);
    for (uint32_t i = 0; i < guard->config.slots; i++) {
        live += guard->slots[i].live && guard->slots[i].cache == cache;
    }
    spinlock_release(&guard->lock);
    return live;
}

uint64_t slab_guard_shown_bytes(struct slab_guard *guard)
{
    spinlock_acquire(&guard->lock);
    uint64_t shown = guard->config.slots - guard->count;
    spinlock_release(&guard->lock);
    return shown * guard->config.shown_bytes;
}

static bool is_in_ring(const struct slab_guard *guard, uint32_t slot)
{
    for (uint32_t i = 0; i < guard->count; i++) {
        if (guard->free[(guard->first + i) % SLAB_GUARD_SLOTS_MAX] == slot) {
            return true;
        }
    }
    return false;
}

/* Each slot is either live or in the ring, so the ring names each of the others once. */
static bool check_ring(const struct slab_guard *guard, struct slab_problem *problem)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < guard->config.slots; i++) {
        const struct slab_guard_slot *slot = &guard->slots[i];
        live += slot->live;
        if (slot->live == is_in_ring(guard, i)) {
            *problem = (struct slab_problem){slot->live ? "a guarded slot is live and free"
                                                        : "a guarded slot is neither live nor free",
                                             slot->cache, slot, i, guard->count};
            return false;
        }
    }
    if (live + guard->count != guard->config.slots) {
        *problem = (struct slab_problem){"free guarded slots", NULL, guard, guard->count,
                                         guard->config.slots - live};
        return false;
    }
    return true;
}

bool slab_guard_check(struct slab_guard *guard, struct slab_problem *problem)
{
    spinlock_acquire(&guard->lock);
    bool sound = check_ring(guard, problem);
    spinlock_release(&guard->lock);
    return sound;
}

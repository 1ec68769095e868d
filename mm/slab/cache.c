/*
 * Slab caches.
 *
 * What. A cache hands out objects of one size in about ten instructions and takes them back in fifteen,
 * without a lock and without touching memory that another CPU uses.
 *
 * How. Four layers, each asked only when the one in front has nothing (or is full):
 *   magazines   per CPU and cache a loaded and a previous stack of free objects     slab.h, magazine.c
 *   depot       per cache a list of full and one of empty magazines                 magazine.c
 *   slabs       blocks of 1 .. 16 frames, one bit per object: free or not           slabs.c
 *   frames      the frame pool                                                      <ashlar/frame.h>
 * The frame descriptors of a slab lead from any object to its slab, and in one byte to its cache. Slabs and
 * magazines are described by records apart from the objects (record.c), so no stray write reaches them,
 * and free objects hold no links that a stray write could bend.
 *
 * Mistakes. A typed object has a header word in front: a secret of its cache while it is allocated, a
 * constant while it is free. Freeing compares it: a double free, a wrong cache, a pointer into an object or
 * elsewhere all fail that one comparison, and so does a write before the object's start. The objects of a
 * heap's size classes have no header; there the address is checked to be an object's start by one
 * multiplication, and the first word of a free object bears a mark. What fails the tests goes to free.c,
 * which finds the mistake's name from the books. Objects are taken from random places in a slab.
 *
 * Locks. Each cache has one, for depot and slabs; held for at most one magazine's worth of work. The pool's
 * guards the list of caches, the records lock the records. Order: pool, cache, records, frame pool.
 *
 * To see inside: slab_cache_statistics(), slab_look(), slab_check(); `heap` in the monitor.
 */
#include "internal.h"
#include "valid.h"

#define DEPOT_BYTES_MAX     MIB(1) /* objects in a depot; less on machines with less than 1 GiB */
#define DEPOT_MAGAZINES_MAX 256    /* full ones: whoever searches them holds the cache's lock */

/* ---- Pools ---- */

/* Frames of the CPUs' parts. */
static uint64_t part_frames(const struct slab_pool *pool)
{
    return pool->config.cpus * (CPU_PART_BYTES / FRAME_BYTES);
}

/* One run for all CPUs, aligned to a part: its address tells the pools on one frame pool apart. */
static bool make_parts(struct slab_pool *pool)
{
    phys_addr_t run;
    const struct frame_request request = {
        .frames = part_frames(pool), .alignment = CPU_PART_BYTES, .owner = OWNER_SLABS, .zeroed = true};
    if (frame_alloc_request(pool->config.frames, &request, &run) != FRAME_OK) {
        return false;
    }
    pool->parts = slab_frame_pointer(pool, run);
    return true;
}

static void release_parts(struct slab_pool *pool)
{
    frame_free_run(pool->config.frames, slab_frame_of(pool, pool->parts), part_frames(pool));
    pool->parts = NULL;
}

static uint64_t reap(struct slab_pool *pool);

/* The frame pool has run out, perhaps while a slab is being made here: see take_stock() in magazine.c. */
static uint64_t reclaim(void *context, uint64_t frames)
{
    (void)frames; /* what is wanted may be a block that only a whole reap puts together */
    return reap(context);
}

static void stop_reclaiming(struct slab_pool *pool)
{
    const struct frame_reclaimer reclaimer = {reclaim, pool};
    frame_pool_remove_reclaimer(pool->config.frames, &reclaimer);
}

bool slab_pool_in_use(struct slab_pool *pool, struct frame_pool *frames)
{
    const struct frame_reclaimer reclaimer = {reclaim, pool};
    return frame_pool_has_reclaimer(frames, &reclaimer);
}

enum slab_error slab_pool_init(struct slab_pool *pool, const struct slab_pool_config *config)
{
    if (config->cpus == 0 || config->seed == 0 || !config->frames || !config->report) {
        return SLAB_BAD_CONFIG;
    }
    if (slab_pool_in_use(pool, config->frames)) {
        return SLAB_IN_USE;
    }
    memset(pool, 0, sizeof *pool);
    spinlock_init(&pool->lock, LOCK_SLAB_POOL, 0);
    spinlock_init(&pool->records_lock, LOCK_SLAB_RECORDS, 0);
    pool->config = *config;
    if (!slab_rules_parse(pool)) {
        return SLAB_BAD_DEBUG;
    }
    pool->base = config->frames->config.backing.base;
    pool->limit = config->frames->frame_limit << FRAME_SHIFT;
    pool->descriptors = config->frames->descriptors;
    pool->secret = config->seed;
    pool->slabs.bytes = sizeof(struct slab);
    pool->magazines.bytes = sizeof(struct slab_magazine);
    const struct frame_reclaimer reclaimer = {reclaim, pool};
    if (frame_pool_add_reclaimer(config->frames, &reclaimer) != FRAME_OK) {
        return SLAB_NO_RECLAIMER;
    }
    if (!make_parts(pool)) {
        stop_reclaiming(pool);
        return SLAB_NO_MEMORY;
    }
    return SLAB_OK;
}

void slab_pool_destroy(struct slab_pool *pool)
{
    DEBUG_ASSERT(slab_pool_is_valid(pool));
    stop_reclaiming(pool);
    for (unsigned i = 0; i < SLAB_NUMBERS; i++) {
        if (pool->caches[i]) {
            slab_cache_destroy(pool->caches[i]);
        }
    }
    slab_records_release(pool, &pool->slabs);
    slab_records_release(pool, &pool->magazines);
    release_parts(pool);
}

/* ---- Layout of a cache ---- */

static void lay_out_object(struct slab_cache *cache)
{
    uint32_t bytes = cache->config.bytes;
    uint32_t alignment = cache->config.alignment;
    if (cache->policy) {
        cache->first = slab_debug_front(alignment);
        cache->track = (uint32_t)align_up(bytes + SLAB_REDZONE_MIN, 8);
        cache->stride =
            (uint32_t)align_up(cache->first + cache->track + sizeof(struct slab_track), alignment);
    } else if (cache->config.plain) {
        cache->first = 0;
        cache->stride = (uint32_t)align_up(bytes, alignment);
    } else { /* the header lies in the padding that ends the object in front */
        cache->first = alignment;
        cache->stride = (uint32_t)align_up(bytes + sizeof(uint64_t), alignment);
    }
}

static uint32_t objects_per_slab(const struct slab_cache *cache, uint32_t order)
{
    uint64_t bytes = FRAME_BYTES << order;
    uint64_t tail = cache->policy ? cache->stride - cache->first : cache->config.bytes;
    if (bytes < cache->first + tail) {
        return 0;
    }
    return (uint32_t)min_u64((bytes - cache->first - tail) / cache->stride + 1, SLAB_OBJECTS_MAX);
}

/* The smallest slab with at least 8 objects that wastes at most 1/16; else the one that wastes least. */
static void choose_order(struct slab_cache *cache)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t order = 0; order <= SLAB_ORDER_MAX; order++) {
        uint32_t count = objects_per_slab(cache, order);
        uint64_t bytes = FRAME_BYTES << order;
        uint64_t waste = bytes - (uint64_t)count * cache->stride;
        uint64_t share = (waste << 20) / bytes;
        if (count > 0 && share < least) {
            least = share;
            cache->order = order;
            cache->per_slab = count;
        }
        if (count >= 8 && waste * 16 <= bytes) {
            cache->order = order;
            cache->per_slab = count;
            return;
        }
    }
}

static void choose_stock(struct slab_cache *cache)
{
    uint64_t capacity = KIB(32) / cache->stride;
    cache->capacity = (uint32_t)min_u64(max_u64(capacity, 4), SLAB_MAGAZINE_SLOTS);
    uint64_t bytes = min_u64(DEPOT_BYTES_MAX, cache->limit / 1024);
    uint64_t magazines = bytes / ((uint64_t)cache->capacity * cache->stride);
    cache->depot_limit = min_u64(max_u64(magazines, 2), DEPOT_MAGAZINES_MAX);
    cache->keep_limit = (uint32_t)max_u64(bytes / (FRAME_BYTES << cache->order), 1);
    cache->keep = 1;
}

/* ---- Life of a cache ---- */

static enum slab_error check_config(const struct slab_cache_config *config)
{
    if (config->bytes == 0 || config->bytes > SLAB_OBJECT_MAX) {
        return SLAB_BAD_SIZE;
    }
    if (config->alignment != 0 &&
        (!is_power_of_two(config->alignment) || config->alignment > SLAB_ALIGNMENT_MAX)) {
        return SLAB_BAD_ALIGNMENT;
    }
    size_t length = config->name ? strnlen(config->name, SLAB_NAME_BYTES) : 0;
    return length > 0 && length < SLAB_NAME_BYTES ? SLAB_OK : SLAB_BAD_NAME;
}

/* Gives the cache a number; SLAB_BAD_NAME when another has its name, SLAB_TOO_MANY when all are taken. */
static enum slab_error enlist(struct slab_pool *pool, struct slab_cache *cache) REQUIRES(pool->lock)
{
    for (unsigned index = SLAB_CACHES_MAX; index-- > 0;) {
        const struct slab_cache *other = pool->caches[slab_number(index)];
        if (other && strcmp(other->name, cache->name) == 0) {
            return SLAB_BAD_NAME;
        }
        if (!other) {
            cache->number = slab_number(index);
        }
    }
    if (cache->number == 0) {
        return SLAB_TOO_MANY;
    }
    cache->live = slab_random(&pool->secret) | 1;
    cache->random = slab_random(&pool->secret) | 1;
    cache->parts = (struct slab_cpu *)((char *)pool->parts + (uint64_t)cache->number * SLAB_LINE_BYTES);
    for (unsigned i = 0; i < pool->config.cpus; i++) {
        slab_part_init(cache, slab_cpu(cache, i));
    }
    pool->caches[cache->number] = cache;
    return SLAB_OK;
}

static enum slab_error make_quarantine(struct slab_cache *cache)
{
    if (!(cache->policy & SLAB_QUARANTINE)) {
        return SLAB_OK;
    }
    phys_addr_t frame = frame_alloc_zeroed(cache->pool->config.frames, OWNER_SLABS);
    cache->quarantine = frame.raw == 0 ? NULL : slab_frame_pointer(cache->pool, frame);
    return cache->quarantine ? SLAB_OK : SLAB_NO_MEMORY;
}

static void free_quarantine(struct slab_cache *cache)
{
    struct slab_quarantine *quarantine = cache->quarantine;
    cache->quarantine = NULL;
    if (quarantine) {
        frame_free(cache->pool->config.frames, slab_frame_of(cache->pool, quarantine), 0);
    }
}

bool slab_cache_in_use(struct slab_pool *pool, const struct slab_cache *cache)
{
    bool found = false;
    spinlock_acquire(&pool->lock);
    for (unsigned i = 0; i < SLAB_NUMBERS && !found; i++) {
        found = pool->caches[i] == cache;
    }
    spinlock_release(&pool->lock);
    return found;
}

enum slab_error slab_cache_init(struct slab_pool *pool, struct slab_cache *cache,
                                const struct slab_cache_config *config)
{
    if (slab_cache_in_use(pool, cache)) {
        return SLAB_IN_USE;
    }
    enum slab_error error = check_config(config);
    if (error != SLAB_OK) {
        return error;
    }
    memset(cache, 0, sizeof *cache);
    spinlock_init(&cache->lock, LOCK_SLAB_CACHE, 0);
    cache->pool = pool;
    cache->config = *config;
    memcpy(cache->name, config->name, strlen(config->name) + 1);
    cache->config.name = cache->name;
    if (cache->config.alignment < 8) {
        cache->config.alignment = 8;
    }
    cache->base = pool->base;
    cache->limit = pool->limit;
    cache->policy = slab_rules_policy(pool, cache->name) & ~(uint32_t)SLAB_FAIL;
    atomic_store_explicit(&cache->failing.every, slab_rules_fail_every(pool, cache->name),
                          memory_order_relaxed);
    lay_out_object(cache);
    cache->inverse = UINT64_MAX / cache->stride + 1;
    choose_order(cache);
    choose_stock(cache);
    error = make_quarantine(cache);
    if (error != SLAB_OK) {
        return error;
    }
    spinlock_acquire(&pool->lock);
    error = enlist(pool, cache);
    spinlock_release(&pool->lock);
    if (error != SLAB_OK) {
        free_quarantine(cache);
    }
    return error;
}

/* Empties everything of a cache that holds free objects. No CPU uses the cache. */
static void drain_all(struct slab_cache *cache)
{
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        slab_drain_part(cache, slab_cpu(cache, i));
    }
    slab_drain_depot(cache);
    slab_debug_release(cache);
    slab_shrink(cache, true);
}

/* Gives up the slabs of a list, which have live objects, each under a hold of the lock and with preemption
 * off until it has no record either; returns how many objects are live. */
static uint64_t abandon(struct slab_cache *cache, struct slab_list *list)
{
    uint64_t live = 0;
    struct slab *slab;
    do {
        preempt_disable();
        spinlock_acquire(&cache->lock);
        slab = list->first;
        if (slab) {
            slab_list_remove(list, slab);
            cache->free_objects -= slab->free_count;
        }
        spinlock_release(&cache->lock);
        if (slab) {
            live += cache->per_slab - slab->free_count;
            slab_forget(cache, slab);
        }
        preempt_enable();
    } while (slab);
    return live;
}

uint64_t slab_cache_destroy(struct slab_cache *cache)
{
    DEBUG_ASSERT(slab_cache_is_valid(cache));
    struct slab_pool *pool = cache->pool;
    spinlock_acquire(&pool->lock);
    cache->ending = true; /* no walker comes any more */
    spinlock_release(&pool->lock);
    while (atomic_load_explicit(&cache->pins, memory_order_acquire) != 0) {
        cpu_relax();
    }
    drain_all(cache);
    uint64_t live = abandon(cache, &cache->partial) + abandon(cache, &cache->full);
    live += slab_guard_forget(pool->guard, cache);
    free_quarantine(cache);
    spinlock_acquire(&pool->lock);
    for (unsigned i = 0; i < pool->config.cpus; i++) {
        memset(slab_cpu(cache, i), 0, sizeof(struct slab_cpu));
    }
    pool->caches[cache->number] = NULL;
    spinlock_release(&pool->lock);
    if (live > 0) {
        struct slab_report report = {
            .fault = SLAB_LIVE_AT_DESTROY, .cache = cache, .pointer = cache, .found = live};
        slab_report(pool, &report);
    }
    return live;
}

/* ---- Walking over caches ---- */

/* The first cache from *number on, pinned, so that it stays; NULL at the end. *number moves behind it. */
static struct slab_cache *pin_next(struct slab_pool *pool, unsigned *number)
{
    struct slab_cache *cache = NULL;
    spinlock_acquire(&pool->lock);
    while (!cache && *number < SLAB_NUMBERS) {
        cache = pool->caches[(*number)++];
        if (cache && cache->ending) {
            cache = NULL;
        }
    }
    if (cache) {
        atomic_fetch_add_explicit(&cache->pins, 1, memory_order_relaxed);
    }
    spinlock_release(&pool->lock);
    return cache;
}

static void unpin(struct slab_cache *cache)
{
    atomic_fetch_sub_explicit(&cache->pins, 1, memory_order_release);
}

void slab_for_each_cache(struct slab_pool *pool, bool (*visit)(void *context, struct slab_cache *cache),
                         void *context)
{
    DEBUG_ASSERT(slab_pool_is_valid(pool));
    unsigned number = 0;
    struct slab_cache *cache;
    bool more = true;
    while (more && (cache = pin_next(pool, &number))) {
        more = visit(context, cache);
        unpin(cache);
    }
}

/* Asks the other CPUs to drain, and drains here. */
static void drain_magazines(struct slab_cache *cache)
{
    preempt_disable();
    unsigned here = cpu_number();
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        if (i != here) {
            atomic_store_explicit(&slab_cpu(cache, i)->drain, 1, memory_order_relaxed);
        }
    }
    slab_drain_part(cache, slab_cpu(cache, here));
    preempt_enable();
}

static bool reap_cache(void *context, struct slab_cache *cache)
{
    uint64_t *frames = context;
    spinlock_acquire(&cache->lock);
    uint64_t before = cache->returned;
    spinlock_release(&cache->lock);
    drain_magazines(cache);
    slab_drain_depot(cache);
    slab_debug_release(cache);
    slab_shrink(cache, true);
    spinlock_acquire(&cache->lock);
    *frames += (cache->returned - before) << cache->order;
    spinlock_release(&cache->lock);
    return true;
}

/* Also amid another operation of the pool's, which ran out of memory. */
static uint64_t reap(struct slab_pool *pool)
{
    uint64_t frames = 0;
    slab_for_each_cache(pool, reap_cache, &frames);
    frames += slab_records_release(pool, &pool->slabs);
    frames += slab_records_release(pool, &pool->magazines);
    return frames;
}

uint64_t slab_reap(struct slab_pool *pool)
{
    DEBUG_ASSERT(slab_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(slab, slab_check, pool);
    return reap(pool);
}

static bool drain_one(void *context, struct slab_cache *cache)
{
    slab_drain_part(cache, slab_cpu(cache, *(const unsigned *)context));
    return true;
}

void slab_drain_cpu(struct slab_pool *pool, unsigned cpu)
{
    DEBUG_ASSERT(slab_pool_is_valid(pool));
    if (cpu < pool->config.cpus) {
        slab_for_each_cache(pool, drain_one, &cpu);
    }
}

/* ---- Failures on purpose ---- */

static void fail_every(struct slab_failing *failing, uint64_t every)
{
    atomic_store_explicit(&failing->counted, 0, memory_order_relaxed);
    atomic_store_explicit(&failing->every, every, memory_order_relaxed);
}

/* Both empty the magazines: an allocation that found an object there would not be counted. */
void slab_fail_every(struct slab_pool *pool, uint64_t every)
{
    DEBUG_ASSERT(slab_pool_is_valid(pool));
    fail_every(&pool->failing, every);
    slab_reap(pool);
}

void slab_cache_fail_every(struct slab_cache *cache, uint64_t every)
{
    DEBUG_ASSERT(slab_cache_is_valid(cache));
    fail_every(&cache->failing, every);
    slab_reap(cache->pool);
}

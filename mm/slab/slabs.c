/* Slabs: blocks of frames cut into objects; which of them are free; and the cache's three lists of slabs. */
#include "internal.h"
#include "valid.h"

void slab_list_add(struct slab_list *list, struct slab *slab)
{
    DEBUG_ASSERT(slab_list_is_valid(list));
    slab->previous = NULL;
    slab->next = list->first;
    if (list->first) {
        list->first->previous = slab;
    } else {
        list->last = slab;
    }
    list->first = slab;
    list->count++;
}

void slab_list_remove(struct slab_list *list, struct slab *slab)
{
    DEBUG_ASSERT(slab_list_is_valid(list));
    if (slab->previous) {
        slab->previous->next = slab->next;
    } else {
        list->first = slab->next;
    }
    if (slab->next) {
        slab->next->previous = slab->previous;
    } else {
        list->last = slab->previous;
    }
    list->count--;
}

/* The list that a slab with this many free objects belongs to. */
static struct slab_list *list_for(struct slab_cache *cache, uint32_t free_count) REQUIRES(cache->lock)
{
    if (free_count == 0) {
        return &cache->full;
    }
    return free_count == cache->per_slab ? &cache->empty : &cache->partial;
}

/* Notes that the number of free objects changed, and moves the slab to the list where it now belongs. */
static void set_free_count(struct slab_cache *cache, struct slab *slab, uint32_t free_count)
    REQUIRES(cache->lock)
{
    DEBUG_ASSERT(slab_is_valid(cache, slab));
    struct slab_list *from = list_for(cache, slab->free_count);
    struct slab_list *to = list_for(cache, free_count);
    cache->free_objects += (uint64_t)free_count - slab->free_count;
    slab->free_count = free_count;
    if (from != to) {
        slab_list_remove(from, slab);
        slab_list_add(to, slab);
    }
}

/* ---- Making and returning slabs ---- */

/* The descriptor of a slab's first frame. */
static struct frame_descriptor *descriptor_of(const struct slab_pool *pool, const struct slab *slab)
{
    return frame_descriptor(pool->config.frames, slab_frame_of(pool, slab->memory));
}

static void make_objects(struct slab_cache *cache, struct slab *slab)
{
    memset(slab->free, 0, sizeof slab->free);
    for (uint32_t i = 0; i < cache->per_slab; i++) {
        void *object = slab_object(cache, slab, i);
        slab->free[i / 64] |= 1ULL << i % 64;
        if (cache->config.construct) {
            cache->config.construct(object);
        }
        if (cache->policy) {
            slab_debug_prepare(cache, object);
        } else {
            slab_mark_free(cache, object);
        }
    }
    /* What is left behind the last object could be the start of one: it is marked as never to be freed. */
    uint64_t used = cache->first + (uint64_t)cache->per_slab * cache->stride;
    if (cache->config.plain && used < FRAME_BYTES << cache->order) {
        *slab_mark(slab->memory + used) = SLAB_MARK_FREE;
    }
}

struct slab *slab_make(struct slab_cache *cache)
{
    struct slab_pool *pool = cache->pool;
    struct slab *slab = slab_record_alloc(pool, &pool->slabs);
    if (!slab) {
        return NULL;
    }
    phys_addr_t frames = frame_alloc(pool->config.frames, cache->order, OWNER_SLABS);
    if (frames.raw == 0) {
        slab_record_free(pool, &pool->slabs, slab);
        return NULL;
    }
    *slab = (struct slab){.cache = cache, .memory = slab_frame_pointer(pool, frames)};
    make_objects(cache, slab);
    slab->free_count = cache->per_slab;
    frame_note_set_slab(descriptor_of(pool, slab), cache->order, slab, cache->number);
    return slab;
}

static void release(struct slab_cache *cache, struct slab *slab)
{
    struct slab_pool *pool = cache->pool;
    frame_note_clear_slab(descriptor_of(pool, slab), cache->order);
    frame_free(pool->config.frames, slab_frame_of(pool, slab->memory), cache->order);
    slab_record_free(pool, &pool->slabs, slab);
}

void slab_forget(struct slab_cache *cache, struct slab *slab)
{
    frame_note_clear_slab(descriptor_of(cache->pool, slab), cache->order);
    slab_record_free(cache->pool, &cache->pool->slabs, slab);
}

/* Returns an empty slab, if there are more than stay. Preemption is off while it is in no list, and has its
 * record still. */
static bool shrink_by_one(struct slab_cache *cache, bool all)
{
    struct slab *slab = NULL;
    preempt_disable();
    spinlock_acquire(&cache->lock);
    cache->keep = all ? 1 : cache->keep;
    if (cache->empty.count > (all ? 0 : cache->keep)) {
        slab = cache->empty.last;
        slab_list_remove(&cache->empty, slab);
        cache->free_objects -= cache->per_slab;
        cache->returned++;
        cache->missed++;
    }
    spinlock_release(&cache->lock);
    if (slab) {
        release(cache, slab);
    }
    preempt_enable();
    return slab != NULL;
}

uint64_t slab_shrink(struct slab_cache *cache, bool all)
{
    uint64_t frames = 0;
    while (shrink_by_one(cache, all)) {
        frames += 1ULL << cache->order;
    }
    return frames;
}

/*
 * How many empty slabs stay follows use. For each one that is made though one was returned before, one more
 * stays from now on, up to a depot's worth. Where none is made while many magazines come back, half as many.
 */
static void note_made(struct slab_cache *cache) REQUIRES(cache->lock)
{
    cache->grown++;
    cache->came_back = 0;
    if (cache->missed > 0) {
        cache->missed--;
        cache->keep += cache->keep < cache->keep_limit;
    }
}

bool slab_note_emptied(struct slab_cache *cache)
{
    if (++cache->came_back == SLAB_CAME_BACK_MANY) {
        cache->came_back = 0;
        cache->missed /= 2;
        cache->keep = (uint32_t)max_u64(cache->keep / 2, 1);
    }
    return cache->empty.count > cache->keep;
}

/* ---- Objects ---- */

/* Takes up to `count` objects out of one word of a slab's free bits, beginning at a random bit. */
static uint32_t take_from_word(struct slab_cache *cache, struct slab *slab, uint32_t word, unsigned turn,
                               _Atomic(void *) *objects, uint32_t count)
{
    uint64_t bits = slab->free[word];
    char *base = slab_object(cache, slab, word * 64);
    uint32_t taken = 0;
    bits = bits >> turn | bits << ((64 - turn) & 63);
    while (bits != 0 && taken < count) {
        unsigned bit = (unsigned)__builtin_ctzll(bits);
        bits &= bits - 1;
        uint64_t index = (bit + turn) & 63;
        atomic_store_explicit(&objects[taken++], base + index * cache->stride, memory_order_relaxed);
    }
    slab->free[word] = bits << turn | bits >> ((64 - turn) & 63);
    return taken;
}

/* Begins at any object of the slab, each as likely as the others. */
static uint32_t take_from_slab(struct slab_cache *cache, struct slab *slab, _Atomic(void *) *objects,
                               uint32_t count) REQUIRES(cache->lock)
{
    uint32_t first = (uint32_t)((slab_random(&cache->random) >> 32) * cache->per_slab >> 32);
    uint32_t words = (cache->per_slab + 63) / 64;
    uint32_t word = first / 64;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < words && taken < count; i++) {
        taken += take_from_word(cache, slab, word, first % 64, objects + taken, count - taken);
        word = word + 1 == words ? 0 : word + 1;
    }
    set_free_count(cache, slab, slab->free_count - taken);
    return taken;
}

uint32_t slab_take(struct slab_cache *cache, struct slab *fresh, _Atomic(void *) *objects, uint32_t count)
{
    DEBUG_ASSERT(slab_cache_is_valid(cache));
    uint32_t taken = 0;
    spinlock_acquire(&cache->lock);
    if (fresh) {
        slab_list_add(&cache->empty, fresh);
        cache->free_objects += cache->per_slab;
        note_made(cache);
    }
    while (taken < count) {
        struct slab *slab = cache->partial.first ? cache->partial.first : cache->empty.first;
        if (!slab) {
            break;
        }
        taken += take_from_slab(cache, slab, objects + taken, count - taken);
    }
    spinlock_release(&cache->lock);
    return taken;
}

void *slab_take_one(struct slab_cache *cache)
{
    _Atomic(void *) object = NULL;
    if (slab_take(cache, NULL, &object, 1) == 0) {
        slab_take(cache, slab_make(cache), &object, 1);
    }
    return atomic_load_explicit(&object, memory_order_relaxed);
}

bool slab_give(struct slab_cache *cache, void *object)
{
    DEBUG_ASSERT(slab_cache_is_valid(cache));
    struct slab *slab = slab_of(cache, object);
    uint32_t index = slab_object_index(cache, slab, object);
    uint64_t bit = 1ULL << index % 64;
    if (slab->free[index / 64] & bit) {
        return false;
    }
    slab->free[index / 64] |= bit;
    set_free_count(cache, slab, slab->free_count + 1);
    return true;
}

/* Seeing inside a pool: one frame, the ledger, statistics. */
#include <ashlar/frame_note.h>

#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include <ashlar/frame_survey.h>

uint64_t frame_find_block(struct frame_pool *pool, uint64_t frame)
{
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        uint64_t first = align_down(frame, 1ULL << order);
        if (!frame_is_backed(pool, first)) {
            continue;
        }
        uint32_t tag = atomic_load_explicit(&pool->descriptors[first].tag, memory_order_relaxed);
        if (frame_tag_state(tag) >= FRAME_CACHED && first + (1ULL << frame_tag_order(tag)) > frame) {
            return first;
        }
    }
    return FRAME_NUMBER_NONE;
}

/* Follows the descriptors from a frame that is not free to the block it lies in. */
static void look_at_block(struct frame_pool *pool, uint64_t frame, struct frame_facts *facts)
    REQUIRES(pool->lock)
{
    uint64_t first = frame_find_block(pool, frame);
    if (first == FRAME_NUMBER_NONE) {
        return;
    }
    const struct frame_descriptor *descriptor = &pool->descriptors[first];
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    facts->state = frame_tag_state(tag);
    facts->order = frame_tag_order(tag);
    facts->block = phys_addr(first << FRAME_SHIFT);
    uint32_t use = atomic_load_explicit(&descriptor->use, memory_order_relaxed);
    facts->owner = frame_use_owner(use);
    facts->pins = frame_use_pins(use);
    facts->age = frame_use_age(use);
    facts->busy = frame_use_busy(use);
    facts->references = facts->state == FRAME_CACHED ? 0 : frame_tag_references(tag);
    facts->note = facts->state == FRAME_CACHED ? (union frame_note){.raw = 0} : frame_note_read(descriptor);
}

static void look_at_managed(struct frame_pool *pool, uint64_t frame, struct frame_facts *facts)
    REQUIRES(pool->lock)
{
    facts->descriptor_backed = frame_is_backed(pool, frame);
    int order = pool->config.policy->free_order(pool->policy_state, frame);
    if (order < 0) {
        look_at_block(pool, frame, facts);
        return;
    }
    facts->order = (unsigned)order;
    facts->block = phys_addr(align_down(frame, 1ULL << order) << FRAME_SHIFT);
    facts->state = FRAME_FREED;
    if (facts->descriptor_backed) {
        facts->owner = frame_descriptor_owner(&pool->descriptors[frame]);
    }
}

/* Owner of memory that the pool does not manage. */
static enum frame_owner fixed_owner(const struct frame_pool *pool, uint64_t address, enum memory_type type)
{
    if (address >= pool->state_base.raw && address < pool->state_base.raw + pool->state_bytes) {
        return OWNER_POOL;
    }
    return address < FRAME_BYTES && frame_type_is_ram(type) ? OWNER_KEPT : frame_owner_of_type(type);
}

void frame_pool_look(struct frame_pool *pool, phys_addr_t address, struct frame_facts *facts)
{
    uint64_t frame = address.raw >> FRAME_SHIFT;
    const struct memory_range *range = frame_pool_range(pool, frame);
    *facts = (struct frame_facts){.type = MEMORY_TYPE_COUNT, .owner = OWNER_KEPT};
    facts->block = phys_addr(frame << FRAME_SHIFT);
    if (!range) {
        return;
    }
    facts->type = range->type;
    spinlock_acquire(&pool->lock);
    facts->managed = frame_is_managed(pool, frame);
    if (facts->managed) {
        look_at_managed(pool, frame, facts);
    } else {
        facts->owner = fixed_owner(pool, address.raw, range->type);
    }
    spinlock_release(&pool->lock);
}

/* Length of what [first, end) and [other_first, other_end) share. */
static uint64_t overlap(uint64_t first, uint64_t end, uint64_t other_first, uint64_t other_end)
{
    first = max_u64(first, other_first);
    end = min_u64(end, other_end);
    return first < end ? end - first : 0;
}

/* Frames of [first, end) that the pool gives out or has given out. */
static uint64_t managed_in(struct frame_pool *pool, uint64_t first, uint64_t end) REQUIRES(pool->lock)
{
    uint64_t managed = 0;
    for (uint32_t i = 0; i < pool->config.map_count; i++) {
        const struct memory_range *range = &pool->config.map[i];
        uint64_t range_first = range->base.raw >> FRAME_SHIFT;
        uint64_t range_end = range_first + (range->bytes >> FRAME_SHIFT);
        if (pool->managed_types >> range->type & 1) {
            managed += overlap(first, end, max_u64(range_first, 1), range_end);
        }
    }
    uint64_t state_first = pool->state_base.raw >> FRAME_SHIFT;
    return managed - overlap(first, end, state_first, state_first + (pool->state_bytes >> FRAME_SHIFT));
}

bool frame_pool_arena(struct frame_pool *pool, uint64_t gib, struct frame_arena *arena)
{
    memset(arena, 0, sizeof *arena);
    arena->largest_order = -1;
    if (gib >= frame_pool_gibs(pool)) {
        return false;
    }
    uint64_t first = gib << FRAME_GIB_SHIFT;
    spinlock_acquire(&pool->lock);
    arena->managed_frames = managed_in(pool, first, first + (1ULL << FRAME_GIB_SHIFT));
    pool->config.policy->count(pool->policy_state, gib, arena->free_blocks);
    spinlock_release(&pool->lock);
    for (int order = 0; order < FRAME_ORDERS; order++) {
        arena->free_frames += arena->free_blocks[order] << order;
        arena->largest_order = arena->free_blocks[order] != 0 ? order : arena->largest_order;
    }
    return true;
}

/* Frames in all magazines. */
static uint64_t magazine_frames(const struct frame_pool *pool)
{
    uint64_t frames = 0;
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
            frames += frame_magazine_count(&pool->cpu[cpu].magazine[i]) << frame_magazine_order(i);
        }
    }
    return frames;
}

static int64_t owned_frames(const struct frame_pool *pool, unsigned owner)
{
    int64_t frames = 0;
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        frames += atomic_load_explicit(&pool->cpu[cpu].owned[owner], memory_order_relaxed);
    }
    return frames;
}

uint64_t frame_pool_free(struct frame_pool *pool)
{
    uint64_t frames = magazine_frames(pool);
    spinlock_acquire(&pool->lock);
    frames += pool->free_frames;
    spinlock_release(&pool->lock);
    return frames;
}

void frame_pool_ledger(struct frame_pool *pool, struct frame_ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
    for (uint32_t i = 0; i < pool->config.map_count; i++) {
        ledger->firmware_bytes += pool->config.map[i].bytes;
    }
    spinlock_acquire(&pool->lock);
    ledger->free_bytes = pool->free_frames << FRAME_SHIFT;
    memcpy(ledger->owner_bytes, pool->fixed_bytes, sizeof ledger->owner_bytes);
    spinlock_release(&pool->lock);
    ledger->magazine_bytes = magazine_frames(pool) << FRAME_SHIFT;
    uint64_t sum = ledger->free_bytes + ledger->magazine_bytes;
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        ledger->owner_bytes[owner] += (uint64_t)owned_frames(pool, owner) << FRAME_SHIFT;
        sum += ledger->owner_bytes[owner];
    }
    ledger->difference = (int64_t)(ledger->firmware_bytes - sum);
}

void frame_pool_statistics(struct frame_pool *pool, struct frame_statistics *statistics)
{
    memset(statistics, 0, sizeof *statistics);
    statistics->policy = pool->config.policy->name;
    statistics->largest_order = -1;
    statistics->state_bytes = pool->state_bytes;
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
            statistics->magazine_blocks[frame_magazine_order(i)] +=
                frame_magazine_count(&pool->cpu[cpu].magazine[i]);
        }
        statistics->slow_operations +=
            atomic_load_explicit(&pool->cpu[cpu].slow_operations, memory_order_relaxed);
        statistics->shortages += atomic_load_explicit(&pool->cpu[cpu].shortages, memory_order_relaxed);
    }
    spinlock_acquire(&pool->lock);
    statistics->managed_frames = pool->managed_frames;
    statistics->free_frames = pool->free_frames;
    spinlock_release(&pool->lock);
    statistics->magazine_frames = magazine_frames(pool);
    statistics->descriptor_bytes = (uint64_t)owned_frames(pool, OWNER_DESCRIPTORS) << FRAME_SHIFT;
    for (uint64_t gib = 0; gib < frame_pool_gibs(pool); gib++) { /* held for one GiB at a time */
        spinlock_acquire(&pool->lock);
        pool->config.policy->count(pool->policy_state, gib, statistics->free_blocks);
        spinlock_release(&pool->lock);
    }
    for (int order = 0; order < FRAME_ORDERS; order++) {
        if (statistics->free_blocks[order] != 0) {
            statistics->largest_order = order;
        }
    }
}

unsigned frame_fragmentation(const uint64_t free_blocks[FRAME_ORDERS], unsigned order)
{
    uint64_t free = 0;
    uint64_t usable = 0;
    for (unsigned i = 0; i < FRAME_ORDERS; i++) {
        free += free_blocks[i] << i;
        usable += i < order ? 0 : free_blocks[i] << i;
    }
    return free == 0 ? 0 : (unsigned)((free - usable) * 1000 / free);
}

/*
 * The frame pool: physical memory, handed out in blocks of 2^order frames.
 *
 * Concept. Three layers. A *policy* knows which frames are free and nothing more: the buddy system of
 * policy/buddy.c, or the plain bitmap of policy/bitmap.c. The *store* adds zones and counts
 * (zones.c), and sees that whatever leaves it has a backed descriptor (store.c, backing.c). *Magazines*
 * (cpu/magazine.c) keep a few free blocks per CPU, so that most operations need neither lock nor policy.
 *
 * What a block is, who owns it and how many references it has is in its first frame's descriptor, and only
 * there. The tag word holds state, order and references, so one comparison tells a rightful free from every
 * mistake.
 *
 * Where it lives. The allocator's state is the front of one usable range, the descriptors' frames come from
 * the pool itself; both have owners like all else. Free frames are never touched.
 *
 * Locks. One spinlock guards policy, reserve, counts. It is held for one block, or for fewer than
 * 2 * FRAME_BATCH single frames in few pieces or scattered, and no other lock is taken under it. Magazines
 * belong to their CPU: preemption off, no lock. Descriptor tags are relaxed atomics: written by whoever owns
 * the block, read by anybody who asks.
 *
 * To see inside: frame_pool_look(), _ledger(), _statistics(), and frame_pool_check(), which verifies all of
 * it.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include "valid.h"

/* ---- Validation ---- */

static bool range_is_normal(const struct memory_range *range, uint64_t previous_end)
{
    return range->bytes != 0 && is_aligned(range->base.raw | range->bytes, FRAME_BYTES) &&
           range->base.raw >= previous_end && range->base.raw + range->bytes > range->base.raw &&
           range->type < MEMORY_TYPE_COUNT;
}

/* Checks the map and finds the end of RAM, in frames. */
static enum frame_error measure_map(struct frame_layout *layout)
{
    uint64_t end = 0;
    layout->frame_limit = 0;
    for (uint32_t i = 0; i < layout->map_count; i++) {
        const struct memory_range *range = &layout->map[i];
        if (!range_is_normal(range, end)) {
            return FRAME_BAD_MAP;
        }
        end = range->base.raw + range->bytes;
        if (frame_type_is_ram(range->type)) {
            layout->frame_limit = end >> FRAME_SHIFT;
        }
    }
    return layout->frame_limit == 0 || layout->frame_limit > FRAME_LIMIT_MAX ? FRAME_BAD_MAP : FRAME_OK;
}

static enum frame_error check_config(const struct frame_config *config)
{
    if (config->cpus == 0 || !config->backing.descriptors || !config->backing.map || !config->map) {
        return FRAME_BAD_CONFIG;
    }
    return FRAME_OK;
}

/* ---- Layout of the state ---- */

struct state_layout {
    uint64_t cpus; /* offsets of the parts, in bytes */
    uint64_t backed;
    uint64_t policy;
    uint64_t bytes; /* of all, rounded up to frames */
};

static uint64_t backed_words(uint64_t frame_limit)
{
    return ((frame_limit >> FRAME_PAGE_SHIFT) + 64) / 64;
}

static struct state_layout state_layout(const struct frame_layout *layout, const struct frame_config *config)
{
    struct state_layout state = {.cpus = 0};
    state.backed = state.cpus + config->cpus * sizeof(struct frame_cpu);
    state.policy = state.backed + align_up(backed_words(layout->frame_limit) * sizeof(uint64_t), 64);
    state.bytes = align_up(state.policy + config->policy->state_bytes(layout), FRAME_BYTES);
    return state;
}

/* The lowest usable range part at or above `floor` that holds `bytes`; none is 0 (never frame 0). */
static uint64_t find_room(const struct frame_layout *layout, uint64_t bytes, uint64_t floor)
{
    for (uint32_t i = 0; i < layout->map_count; i++) {
        const struct memory_range *range = &layout->map[i];
        uint64_t start = max_u64(range->base.raw, floor);
        uint64_t end = range->base.raw + range->bytes;
        if (range->type == MEMORY_USABLE && start < end && end - start >= bytes) {
            return start;
        }
    }
    return 0;
}

static uint64_t place_state(const struct frame_layout *layout, uint64_t bytes)
{
    static const uint64_t floors[] = {MIB(16), MIB(1), FRAME_BYTES};
    uint64_t base = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(floors) && base == 0; i++) {
        base = find_room(layout, bytes, floors[i]);
    }
    return base;
}

/* ---- Making a pool ---- */

/* Adds [first, end), less the allocator's state and frame 0, to the free frames. */
static void add_range(struct frame_pool *pool, uint64_t first, uint64_t end) REQUIRES(pool->lock)
{
    uint64_t state_first = pool->state_base.raw >> FRAME_SHIFT;
    uint64_t state_end = state_first + (pool->state_bytes >> FRAME_SHIFT);
    first = max_u64(first, 1);
    if (first < state_end && end > state_first) {
        frame_for_each_block(pool->policy_state, first, state_first, pool->config.policy->add);
        frame_for_each_block(pool->policy_state, state_end, end, pool->config.policy->add);
        end -= state_end - state_first;
    } else {
        frame_for_each_block(pool->policy_state, first, end, pool->config.policy->add);
    }
    if (first < end) {
        pool->free_frames += end - first;
        pool->managed_frames += end - first;
    }
}

static void add_type(struct frame_pool *pool, enum memory_type type) REQUIRES(pool->lock)
{
    uint64_t bytes = 0;
    uint64_t managed = pool->managed_frames;
    for (uint32_t i = 0; i < pool->config.map_count; i++) {
        const struct memory_range *range = &pool->config.map[i];
        if (range->type == type) {
            bytes += range->bytes;
            add_range(pool, range->base.raw >> FRAME_SHIFT, (range->base.raw + range->bytes) >> FRAME_SHIFT);
        }
    }
    uint64_t kept = bytes - ((pool->managed_frames - managed) << FRAME_SHIFT);
    pool->fixed_bytes[frame_owner_of_type(type)] -= bytes;
    if (type == MEMORY_USABLE) { /* the rest is the state, and frame 0 if it was there */
        pool->fixed_bytes[OWNER_POOL] += pool->state_bytes;
        kept -= pool->state_bytes;
    }
    pool->fixed_bytes[OWNER_KEPT] += kept;
    pool->managed_types |= 1U << type;
}

static void init_state(struct frame_pool *pool, const struct frame_layout *layout,
                       const struct state_layout *state) REQUIRES(pool->lock)
{
    char *base = frame_pointer(pool, pool->state_base);
    pool->cpu = (struct frame_cpu *)(base + state->cpus);
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        frame_cpu_init(&pool->cpu[cpu], layout->frame_limit, pool->config.cpus, pool->config.no_magazines);
    }
    pool->backed = (uint64_t *)(base + state->backed);
    memset(pool->backed, 0, backed_words(layout->frame_limit) * sizeof(uint64_t));
    pool->policy_state = base + state->policy;
    pool->config.policy->init(layout, pool->policy_state);
    for (uint32_t i = 0; i < layout->map_count; i++) {
        pool->fixed_bytes[frame_owner_of_type(layout->map[i].type)] += layout->map[i].bytes;
    }
}

enum frame_error frame_pool_init(struct frame_pool *pool, const struct frame_config *config)
{
    memset(pool, 0, sizeof *pool);
    spinlock_init(&pool->lock, LOCK_FRAME_POOL, 0);
    enum frame_error error = check_config(config);
    if (error != FRAME_OK) {
        return error;
    }
    pool->config = *config;
    if (!pool->config.policy) {
        pool->config.policy = &frame_policy_buddy;
    }
    struct frame_layout layout = {.map = config->map, .map_count = config->map_count};
    error = measure_map(&layout);
    if (error != FRAME_OK) {
        return error;
    }
    struct state_layout state = state_layout(&layout, &pool->config);
    uint64_t base = place_state(&layout, state.bytes);
    if (base == 0) {
        return FRAME_NO_ROOM;
    }
    pool->state_base = phys_addr(base);
    pool->state_bytes = state.bytes;
    pool->frame_limit = layout.frame_limit;
    pool->descriptors = config->backing.descriptors;
    pool->first_zone = frame_first_zone(layout.frame_limit);
    pool->reserve_order = frame_reserve_order(layout.frame_limit);
    spinlock_acquire(&pool->lock);
    init_state(pool, &layout, &state);
    add_type(pool, MEMORY_USABLE);
    spinlock_release(&pool->lock);
    return FRAME_OK;
}

enum frame_error frame_pool_reclaim(struct frame_pool *pool, enum memory_type type)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    if ((unsigned)type >= MEMORY_TYPE_COUNT) {
        return FRAME_BAD_CONFIG;
    }
    spinlock_acquire(&pool->lock);
    bool allowed = frame_type_is_ram(type) && !(pool->managed_types >> type & 1);
    if (allowed) {
        add_type(pool, type);
    }
    spinlock_release(&pool->lock);
    return allowed ? FRAME_OK : FRAME_RESERVED;
}

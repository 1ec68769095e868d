/*
 * Inside the frame pool: what its files share. Not for users of the pool.
 */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/string.h>

#define FRAME_NO_FRAME   UINT64_MAX
#define FRAME_GIB_SHIFT  18                  /* frames in 1 GiB */
#define FRAME_PAGE_SHIFT 8                   /* frames described by one page of descriptors */
#define FRAME_LIMIT_MAX  ((uint64_t)1 << 34) /* 64 TiB: the room of the physmap (layout.h) */

_Static_assert(FRAME_DESCRIPTORS_PER_PAGE == 1 << FRAME_PAGE_SHIFT, "a page of descriptors");

/* What a policy must know to lay out its state. */
struct frame_layout {
    const struct memory_range *map; /* all ranges; those of frame_type_is_ram() can become free */
    uint32_t map_count;             /* ranges */
    uint64_t frame_limit;           /* behind the last frame of RAM */
};

/*
 * A policy knows which frames are free, and nothing else: no owners, no descriptors, no magazines.
 * All but state_bytes() and init() are called with the pool's lock held. "None" is FRAME_NO_FRAME.
 */
struct frame_policy {
    const char *name;

    /* Bytes of state needed for `layout`. */
    uint64_t (*state_bytes)(const struct frame_layout *layout);

    /* Prepares `state` (8-byte aligned, contents arbitrary): nothing is free. */
    void (*init)(const struct frame_layout *layout, void *state);

    /* Makes a block free for the first time; returns as give() does. */
    unsigned (*add)(void *state, uint64_t frame, unsigned order);

    /*
     * Makes a block free that was taken (as a whole, in parts, or as a part). Returns by how much this call
     * cost more than the cheapest, in steps of some 12 instructions.
     */
    unsigned (*give)(void *state, uint64_t frame, unsigned order);

    /*
     * Takes a block of at least 2^order frames that starts at or above `from` and whose first 2^order frames
     * end at or below `limit`; a block of up to 2^most may be given when there it costs no more. *got is its
     * order. `from` is a multiple of 512. `limit` is at most FRAME_LIMIT_MAX; if order < most, either both
     * are at most 8 and `limit` is a multiple of 512, or both are at least 9 and `limit` is FRAME_LIMIT_MAX.
     * Returns the first frame, or none.
     */
    uint64_t (*take)(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                     unsigned *got);

    /* Takes exactly this block, if all of it is free; returns whether it was. */
    bool (*take_at)(void *state, uint64_t frame, unsigned order);

    /* Order of the free block that `frame` lies in; -1 when the frame is not free. */
    int (*free_order)(void *state, uint64_t frame);

    /* Adds the number of free blocks of each order in one GiB of addresses to blocks[]. */
    void (*count)(void *state, uint64_t gib, uint64_t blocks[FRAME_ORDERS]);

    /* Verifies the policy's own structures and stores the number of free frames; false and *problem if not.
     */
    bool (*check)(void *state, uint64_t *free_frames, struct frame_problem *problem);
};

/* Whether memory of `type` can ever be handed out. */
bool frame_type_is_ram(enum memory_type type);

/* Reports a broken rule; returns false, for the caller to return. */
bool frame_problem_set(struct frame_problem *problem, const char *what, uint64_t frame, uint64_t found,
                       uint64_t expected);

/* Hands [first, end) to `visit` as the fewest naturally aligned blocks, lowest first. */
void frame_for_each_block(void *state, uint64_t first, uint64_t end,
                          unsigned (*visit)(void *state, uint64_t frame, unsigned order));

/* Smallest order whose block holds `frames` frames, and largest whose block fits into them. */
unsigned frame_order_above(uint64_t frames);
unsigned frame_order_below(uint64_t frames);

/* The range of the map that `frame` lies in, or NULL. */
const struct memory_range *frame_pool_range(const struct frame_pool *pool, uint64_t frame);

/* GiB of addresses up to the pool's last frame. */
static inline uint64_t frame_pool_gibs(const struct frame_pool *pool)
{
    return (pool->frame_limit + (1ULL << FRAME_GIB_SHIFT) - 1) >> FRAME_GIB_SHIFT;
}

/* Whether the pool gives out or has given out this frame. */
bool frame_is_managed(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* ---- frame_backing.c ---- */

/* Whether the descriptor of `frame` may be read. */
bool frame_is_backed(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* Sees to it that the descriptor of `frame` may be read; false when there is no memory for it. */
bool frame_back(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* Order by which the reserve of descriptor frames grows on a machine of this size. */
unsigned frame_reserve_order(uint64_t frame_limit);

/* ---- frame_store.c: the policy with its zones, descriptors and counts ---- */

/* The first zone in the order of search that a machine of this size has. */
unsigned frame_first_zone(uint64_t frame_limit);

/*
 * Takes a block of `order` (or up to `most`) below `limit` from the store, descriptors of blocks of `order`
 * backed but not yet written. Returns its first frame and *got, or none.
 */
uint64_t frame_store_take(struct frame_pool *pool, unsigned order, unsigned most, uint64_t limit,
                          unsigned *got) REQUIRES(pool->lock);

/* Takes exactly this block; false when it is not free or cannot be backed (*busy tells which). */
bool frame_store_take_at(struct frame_pool *pool, uint64_t frame, unsigned order, bool *busy)
    REQUIRES(pool->lock);

/* Returns a block whose descriptor was written; it becomes FRAME_FREED. */
void frame_store_give(struct frame_pool *pool, uint64_t frame, unsigned order) REQUIRES(pool->lock);

/* Returns frames whose descriptors say nothing that matters any more. */
void frame_store_give_plain(struct frame_pool *pool, uint64_t first, uint64_t end) REQUIRES(pool->lock);

/* Takes a block for the pool itself, of `order`; its descriptor is not backed. Returns none if there is none.
 */
uint64_t frame_store_take_plain(struct frame_pool *pool, unsigned order) REQUIRES(pool->lock);

/* Writes the descriptor of a block that is now allocated. */
static inline void frame_describe(struct frame_pool *pool, uint64_t frame, enum frame_state state,
                                  unsigned order, enum frame_owner owner)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    atomic_store_explicit(&descriptor->owner, owner, memory_order_relaxed);
    atomic_store_explicit(&descriptor->tag, frame_tag(state, order, 1), memory_order_relaxed);
}

/* Books frames for an owner on whatever CPU this is. */
static inline void frame_book(struct frame_pool *pool, enum frame_owner owner, int64_t frames)
{
    preempt_disable();
    frame_account(pool->cpu[cpu_number()], owner, frames);
    preempt_enable();
}

/* One more of something that this CPU counts. */
static inline void frame_count_event(_Atomic(uint64_t) *counter)
{
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + 1, memory_order_relaxed);
}

/* ---- frame_magazine.c ---- */

void frame_cpu_init(struct frame_cpu *cpu, uint64_t frames, unsigned cpus, bool no_magazines);

/* Empties this CPU's magazines; returns whether there was anything in them. */
bool frame_magazines_drain_here(struct frame_pool *pool) EXCLUDES(pool->lock);

/* Drains here and asks the others. Whether anything came back here. */
bool frame_magazines_reclaim(struct frame_pool *pool) EXCLUDES(pool->lock);

/* Blocks a CPU holds in a magazine now. */
static inline uint64_t frame_magazine_count(const struct frame_magazine *magazine)
{
    return atomic_load_explicit(&magazine->top, memory_order_relaxed) - magazine->bottom;
}

/* Blocks that a magazine has room for. */
static inline uint64_t frame_magazine_capacity(const struct frame_magazine *magazine)
{
    return magazine->end - magazine->bottom;
}

/* Order of the blocks in magazine number `index`. */
static inline unsigned frame_magazine_order(unsigned index)
{
    return index == FRAME_MAGAZINE_ZERO ? 0 : index;
}

/* Books a checked block out and puts it into a magazine, or into the store. */
void frame_magazine_free(struct frame_pool *pool, uint64_t frame, unsigned order) EXCLUDES(pool->lock);

/* ---- frame_reclaim.c ---- */

/*
 * What to try next for an allocation of `frames` frames that found no memory: *step is 0 at first. Returns
 * whether to try again; false when nothing is left to be done.
 */
bool frame_reclaim(struct frame_pool *pool, unsigned *step, uint64_t frames) EXCLUDES(pool->lock);

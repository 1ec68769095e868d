/*
 * Inside the frame pool: what its files share. Not for users of the pool.
 */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/string.h>

#define FRAME_NUMBER_NONE UINT64_MAX          /* no frame: a number that none has */
#define FRAME_GIB_SHIFT   18                  /* frames in 1 GiB */
#define FRAME_PAGE_SHIFT  8                   /* frames described by one page of descriptors */
#define FRAME_LIMIT_MAX   ((uint64_t)1 << 34) /* 64 TiB: the room of the physmap (layout.h) */

_Static_assert(FRAME_DESCRIPTORS_PER_PAGE == 1 << FRAME_PAGE_SHIFT, "a page of descriptors");

/* What a policy must know to lay out its state. */
struct frame_layout {
    const struct memory_range *map; /* all ranges; those of frame_type_is_ram() can become free */
    uint32_t map_count;             /* ranges */
    uint64_t frame_limit;           /* behind the last frame of RAM */
};

/* A free block. */
struct frame_piece {
    uint64_t frame;
    unsigned order;
};

/*
 * A policy knows which frames are free, and nothing else: no owners, no descriptors, no magazines.
 * All but state_bytes() and init() are called with the pool's lock held. "None" is FRAME_NUMBER_NONE.
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
     * Makes a block free that was taken, as a whole, in parts, or as a part of a larger one. Returns how many
     * entries of the indexes over all memory changed, which is what makes some calls cost more than others.
     */
    unsigned (*give)(void *state, uint64_t frame, unsigned order);

    /*
     * Makes scattered single frames free that were taken: those whose addresses stand below `top`, from there
     * down. At most `count`, and no more than one hold of the lock allows, but at least one. They may stay
     * unmerged until merge() is called. Returns how many.
     */
    uint64_t (*give_frames)(void *state, const uint64_t *top, uint64_t count);

    /* Merges some of what give_frames() left; false when there is nothing more. */
    bool (*merge)(void *state);

    /*
     * Takes a block that starts at or above `from` and whose first 2^order frames end at or below `limit`. It
     * has 2^order frames, or up to 2^most if that costs no more; *got is its order. Returns its first frame,
     * or none. For orders 1 to 8 a block may be missed that only merging would make.
     * `from` is a multiple of 512, `limit` at most FRAME_LIMIT_MAX. If order < most, either order is at most
     * 8, most at most 9 and `limit` a multiple of 512, or both are at least 9 and `limit` is FRAME_LIMIT_MAX.
     */
    uint64_t (*take)(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                     unsigned *got);

    /*
     * Takes more blocks out of the same 512 frames that take() has just taken `frame` from: free blocks of at
     * least 2^order frames, as they are, for up to `frames` frames in all. At most `most` blocks, and no more
     * than one hold of the lock allows after that take(). Stores them in pieces[] and returns how many.
     */
    unsigned (*take_more)(void *state, uint64_t frame, unsigned order, uint64_t frames,
                          struct frame_piece pieces[], unsigned most);

    /* Takes exactly this block, if all of it is free, and returns none; else the first frame that is not. */
    uint64_t (*take_at)(void *state, uint64_t frame, unsigned order);

    /* Order of the free block that `frame` lies in, merged or not; -1 when the frame is not free. */
    int (*free_order)(void *state, uint64_t frame);

    /* Adds the number of free blocks of each order in one GiB of addresses to blocks[], merged. */
    void (*count)(void *state, uint64_t gib, uint64_t blocks[FRAME_ORDERS]);

    /*
     * Verifies the policy's own structures and stores the number of free frames; false and *problem if not.
     */
    bool (*check)(void *state, uint64_t *free_frames, struct frame_problem *problem);
};

/* Reports a broken rule; returns false, for the caller to return. */
static inline bool frame_problem_set(struct frame_problem *problem, const char *what, uint64_t frame,
                                     uint64_t found, uint64_t expected)
{
    *problem = (struct frame_problem){what, frame, found, expected};
    return false;
}

/* Smallest order whose block holds `frames` frames, and largest whose block fits into them. */
static inline unsigned frame_order_above(uint64_t frames)
{
    return frames <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(frames - 1);
}

static inline unsigned frame_order_below(uint64_t frames)
{
    return 63U - (unsigned)__builtin_clzll(frames);
}

/*
 * Order of the first and of the last of the blocks that a run is made of: the largest that are aligned and
 * lie inside it. `first` and `end` are not 0.
 */
static inline unsigned frame_run_first_order(uint64_t first, uint64_t frames)
{
    return (unsigned)min_u64(frame_order_below(frames), (uint64_t)__builtin_ctzll(first));
}

static inline unsigned frame_run_last_order(uint64_t end, uint64_t frames)
{
    return frame_run_first_order(end, frames);
}

/* ---- map.c ---- */

/* The range of the map that `frame` lies in, or NULL. */
const struct memory_range *frame_pool_range(const struct frame_pool *pool, uint64_t frame);

/* GiB of addresses up to the pool's last frame. */
static inline uint64_t frame_pool_gibs(const struct frame_pool *pool)
{
    return (pool->frame_limit + (1ULL << FRAME_GIB_SHIFT) - 1) >> FRAME_GIB_SHIFT;
}

/* Whether memory of `type` can ever be handed out. */
bool frame_type_is_ram(enum memory_type type);

/* Whether the pool gives out or has given out this frame. */
bool frame_is_managed(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* ---- Descriptors and accounts ---- */

/* The tag of a frame whose descriptor may be read. */
static inline uint32_t frame_tag_of(const struct frame_pool *pool, uint64_t frame)
{
    return atomic_load_explicit(&pool->descriptors[frame].tag, memory_order_relaxed);
}

/* Replaces the tag of a block's first frame if it still is `seen`; whether it was. */
static inline bool frame_tag_change(struct frame_pool *pool, uint64_t frame, uint32_t seen, uint32_t tag)
{
    return atomic_compare_exchange_strong_explicit(&pool->descriptors[frame].tag, &seen, tag,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* Tag and use of a frame whose descriptor may be read. */
static inline uint64_t frame_both_of(const struct frame_pool *pool, uint64_t frame)
{
    return atomic_load_explicit(&pool->descriptors[frame].both, memory_order_relaxed);
}

/* Replaces both if they still are `seen`; whether they were. */
static inline bool frame_both_change(struct frame_pool *pool, uint64_t frame, uint64_t seen, uint32_t tag,
                                     uint32_t use)
{
    return atomic_compare_exchange_strong_explicit(&pool->descriptors[frame].both, &seen,
                                                   frame_both(tag, use), memory_order_acq_rel,
                                                   memory_order_relaxed);
}

#define FRAME_ONE_REFERENCE (1U << FRAME_TAG_REFERENCES_SHIFT)

/* Whether an allocated block or a run starts at the frame whose tag this is. */
static inline bool frame_tag_starts_block(uint32_t tag)
{
    return frame_tag_state(tag) == FRAME_ALLOCATED || frame_tag_state(tag) == FRAME_RUN;
}

/* Writes the descriptor of a block that is now allocated. */
static inline void frame_describe(struct frame_pool *pool, uint64_t frame, enum frame_state state,
                                  unsigned order, enum frame_owner owner)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    atomic_store_explicit(&descriptor->use, frame_use(owner, 0, false, 0), memory_order_relaxed);
    atomic_store_explicit(&descriptor->tag, frame_tag(state, order, 1), memory_order_relaxed);
}

/* Books frames for an owner on whatever CPU this is. */
static inline void frame_book(struct frame_pool *pool, enum frame_owner owner, int64_t frames)
{
    preempt_disable();
    frame_account(frame_cpu_here(pool), owner, frames);
    preempt_enable();
}

/* One more of something that this CPU counts. */
static inline void frame_count_event(_Atomic(uint64_t) *counter)
{
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + 1, memory_order_relaxed);
}

/* ---- look.c ---- */

/* First frame of the block, allocated or in a magazine, that `frame` lies in; none if it lies in none. */
uint64_t frame_find_block(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* ---- zones.c: the policy with its zones and the count of free frames ---- */

#define FRAME_ZONES 4

/* First frames of the zones, in the order of search. */
extern const uint64_t frame_zone_starts[FRAME_ZONES];

/* The first zone in the order of search that a machine of this size has. */
unsigned frame_first_zone(uint64_t frame_limit);

/* Hands [first, end) to `visit` as the fewest naturally aligned blocks, lowest first. */
void frame_for_each_block(void *state, uint64_t first, uint64_t end,
                          unsigned (*visit)(void *state, uint64_t frame, unsigned order));

/*
 * Takes a block as frame_policy.take() does, from the zone that is to be used first; its descriptor need not
 * be backed. Returns its first frame and *got, or none.
 */
static inline uint64_t frame_zones_take(struct frame_pool *pool, unsigned order, unsigned most,
                                        uint64_t limit, unsigned *got) REQUIRES(pool->lock)
{
    uint64_t end = min_u64(limit, FRAME_LIMIT_MAX);
    if (pool->free_frames >> order == 0) { /* no zone can have it: none is searched */
        return FRAME_NUMBER_NONE;
    }
    for (unsigned zone = pool->first_zone; zone < FRAME_ZONES; zone++) {
        uint64_t from = frame_zone_starts[zone];
        uint64_t frame = FRAME_NUMBER_NONE;
        if (from < end) {
            pool->work.searches++;
            frame = pool->config.policy->take(pool->policy_state, order, most, from, end, got);
        }
        if (frame != FRAME_NUMBER_NONE) {
            pool->free_frames -= 1ULL << *got;
            return frame;
        }
    }
    return FRAME_NUMBER_NONE;
}

/* Returns frames to the policy without writing descriptors: none of them says that its block is allocated. */
void frame_store_give_plain(struct frame_pool *pool, uint64_t first, uint64_t end) REQUIRES(pool->lock);

/* The same, with the lock held for one block at a time. */
void frame_store_return(struct frame_pool *pool, uint64_t first, uint64_t end) EXCLUDES(pool->lock);

/* The policy's give(), counted; returns what it does. */
static inline unsigned frame_policy_give(struct frame_pool *pool, uint64_t frame, unsigned order)
    REQUIRES(pool->lock)
{
    unsigned changes = pool->config.policy->give(pool->policy_state, frame, order);
    pool->free_frames += 1ULL << order;
    pool->work.given++;
    pool->work.changes += changes;
    return changes;
}

/* The policy's give_frames(), counted but for changes; returns what it does. */
static inline uint64_t frame_policy_give_frames(struct frame_pool *pool, const uint64_t *top, uint64_t count)
    REQUIRES(pool->lock)
{
    uint64_t given = pool->config.policy->give_frames(pool->policy_state, top, count);
    pool->free_frames += given;
    pool->work.given += given;
    return given;
}

/* Merges some of the free frames that the policy has not merged yet; false when there are none. */
bool frame_store_merge(struct frame_pool *pool) EXCLUDES(pool->lock);

/* The number of calls after which all is merged, if nothing is freed meanwhile. */
static inline uint64_t frame_store_merges_max(const struct frame_pool *pool)
{
    return (pool->frame_limit >> FRAME_ORDER_2M) + 1;
}

/* Merges all there is, in at most so many calls; whether there was anything. */
bool frame_store_merge_all(struct frame_pool *pool) EXCLUDES(pool->lock);

/* ---- backing.c ---- */

/* Whether the descriptor of `frame` is backed, so that it can be read. */
bool frame_is_backed(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* Backs the descriptor of `frame`, if it is not; false when there is no memory for it. */
bool frame_back(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock);

/* The same for all of [frame, end), with the lock held for one page of descriptors at a time. */
bool frame_back_all(struct frame_pool *pool, uint64_t frame, uint64_t end) EXCLUDES(pool->lock);

/* Whether backing another page takes a block from the store first, for the reserve. */
bool frame_reserve_is_low(const struct frame_pool *pool) REQUIRES(pool->lock);

/* Order by which the reserve of descriptor frames grows on a machine of this size. */
unsigned frame_reserve_order(uint64_t frame_limit);

/* ---- store.c: what is free, with descriptors backed for what leaves ---- */

/*
 * Takes a block of `order` (or up to `most`) below `limit` from the store, descriptors of blocks of `order`
 * backed but not yet written. Returns its first frame and *got, or none.
 */
uint64_t frame_store_take(struct frame_pool *pool, unsigned order, unsigned most, uint64_t limit,
                          unsigned *got) REQUIRES(pool->lock);

/*
 * Takes more blocks out of the same 512 frames that `frame` was just taken from, as frame_policy.take_more()
 * does, if all descriptors there are backed.
 */
unsigned frame_store_take_more(struct frame_pool *pool, uint64_t frame, unsigned order, uint64_t frames,
                               struct frame_piece pieces[], unsigned most) REQUIRES(pool->lock);

/*
 * Takes exactly this block. False when *missing, the first frame of it that is not, is not free; or, where
 * that is none, when it cannot be backed.
 */
bool frame_store_take_at(struct frame_pool *pool, uint64_t frame, unsigned order, uint64_t *missing)
    REQUIRES(pool->lock);

/* Returns a block whose descriptor was written; it becomes FRAME_FREED. */
void frame_store_give(struct frame_pool *pool, uint64_t frame, unsigned order) REQUIRES(pool->lock);

/* ---- fit.c ---- */

/* Order of the block that a request is cut from, if it finds one. */
unsigned frame_request_order(const struct frame_request *request);

/*
 * One attempt to serve a checked request, descriptors and accounts included; the first frame, or none.
 * Preemption is off, as long as memory is neither free nor described.
 */
uint64_t frame_request_take(struct frame_pool *pool, const struct frame_request *request)
    EXCLUDES(pool->lock);

/* ---- run.c ---- */

/* Backs the descriptor of every block that a run is made of but the first, which the store has seen to. */
bool frame_run_back(struct frame_pool *pool, uint64_t first, uint64_t frames) EXCLUDES(pool->lock);

/* Writes the descriptors of a run, or of a block, that is now allocated. */
void frame_run_describe(struct frame_pool *pool, uint64_t first, uint64_t frames, enum frame_owner owner);

/* Frees a run whose one reference is the caller's; false when somebody else has changed it meanwhile. */
bool frame_run_put(struct frame_pool *pool, phys_addr_t run) EXCLUDES(pool->lock);

/* ---- free.c ---- */

/*
 * Makes an allocated block or a run (`state`) of `order` with one reference, neither pinned nor busy, a free
 * one that only the caller knows; whether it was one.
 */
bool frame_claim(struct frame_pool *pool, uint64_t frame, enum frame_state state, unsigned order);

/* ---- diagnose.c ---- */

/* What of its use stands against freeing a block: FRAME_PINNED, FRAME_IN_CHANGE, or FRAME_OK. */
enum frame_error frame_diagnose_use(const struct frame_pool *pool, uint64_t frame);

/*
 * What is wrong with using `block` as the start of an allocated block or run, whatever its order; FRAME_OK if
 * nothing.
 */
enum frame_error frame_diagnose_start(struct frame_pool *pool, phys_addr_t block) REQUIRES(pool->lock);

/* What is wrong with freeing `block`, of `order`; FRAME_OK if nothing. */
enum frame_error frame_diagnose_block(struct frame_pool *pool, phys_addr_t block, unsigned order)
    REQUIRES(pool->lock);

/* As frame_diagnose_start(), with the tag as it was then; another CPU may have changed it since. */
enum frame_error frame_find_start(struct frame_pool *pool, phys_addr_t block, uint32_t *tag)
    EXCLUDES(pool->lock);

/* Panics with all that is known about the mistake `error` that `operation` made with `frames` frames. */
_Noreturn void frame_report(struct frame_pool *pool, const char *operation, phys_addr_t block,
                            uint64_t frames, enum frame_error error);

/* ---- zero.c ---- */

/* A frame of this CPU's stock of zeroed ones, for a valid owner; none when it is empty. */
phys_addr_t frame_zeroed_take(struct frame_pool *pool, enum frame_owner owner);

/* ---- reclaim.c ---- */

/* An allocation that found no memory. */
struct frame_shortage {
    unsigned order;  /* of a block that would help */
    uint64_t frames; /* wanted */
    bool begun;      /* counted, and the other CPUs asked; false at first */
    unsigned rounds; /* after collecting from other CPUs; 0 at first */
    uint64_t merges; /* of free frames since there were new ones; 0 at first */
    unsigned next;   /* reclaimer to be called next; 0 at first */
};

/*
 * Does the next thing that may help: returns something of this CPU's magazines to the store, merges what is
 * free there, or calls a reclaimer. Returns whether to try again; false when nothing is left to be done.
 */
bool frame_reclaim(struct frame_pool *pool, struct frame_shortage *shortage) EXCLUDES(pool->lock);

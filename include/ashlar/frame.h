/*
 * Physical memory, frame by frame.
 *
 * A pool hands out blocks of 2^order frames, naturally aligned, and takes them back; every block has an
 * owner. A pool is an instance: it manages the RAM of one memory map, keeps its own state in that RAM, and
 * touches memory only through the `frame_backing` it was given. docs/physical.md explains how it works
 * inside.
 *
 * Any number of CPUs may use one pool at once, unless a function says otherwise. Not from interrupt handlers.
 * The caller must not hold a lock that is taken after the pool's (docs/architecture.md has the order); the
 * pool takes no lock while it holds its own. "None" below is FRAME_NONE, the address 0: frame 0 is never
 * handed out.
 */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/frame_note.h>
#include <ashlar/lock.h>
#include <ashlar/owner.h>
#include <ashlar/types.h>

#define FRAME_ORDERS    19 /* orders 0 (4 KiB) .. 18 (1 GiB) */
#define FRAME_ORDER_MAX (FRAME_ORDERS - 1)
#define FRAME_ORDER_2M  9
#define FRAME_RUN_MAX   ((uint64_t)1 << FRAME_ORDER_MAX) /* frames in the longest run */
#define FRAME_NONE      ((phys_addr_t){0})

enum frame_error {
    FRAME_OK,
    FRAME_NO_MEMORY,     /* no free block fits */
    FRAME_BAD_ORDER,     /* order above FRAME_ORDER_MAX, or a run of 0 or too many frames */
    FRAME_BAD_OWNER,     /* not an enum frame_owner */
    FRAME_BAD_ALIGNMENT, /* not a power of two, or above 1 GiB; or a block's address that is not aligned */
    FRAME_BAD_MAP,       /* the map is not normalised, or has no RAM */
    FRAME_BAD_CONFIG,    /* a value of struct frame_config that cannot be */
    FRAME_NO_ROOM,       /* no usable range holds the allocator's state */
    FRAME_NOT_MANAGED,   /* no RAM of this pool */
    FRAME_RESERVED,      /* in the map, but not the pool's to give or take */
    FRAME_BUSY,          /* in use by somebody else */
    FRAME_NOT_ALLOCATED, /* never handed out */
    FRAME_DOUBLE_FREE,   /* handed out once, and given back already */
    FRAME_WRONG_ORDER,   /* a block starts here, but of another order */
    FRAME_WRONG_LENGTH,  /* a run starts here, but of another length; or a run freed as a block */
    FRAME_PART_OF_BLOCK, /* inside an allocated block, not its start */
    FRAME_PINNED,        /* held for a device */
    FRAME_IN_CHANGE,     /* busy: somebody changes or writes it */
    FRAME_SHARED,        /* other references are held */
    FRAME_TOO_SHARED,    /* no room for another reference, or pin */
    FRAME_NOT_PINNED,    /* held for no device */
    FRAME_NOT_IN_CHANGE, /* not busy */
    FRAME_ERROR_COUNT
};

/* The error's name for people, such as "double free"; the same for a state, such as "free, in a magazine". */
const char *frame_error_name(enum frame_error error);
const char *frame_state_name(enum frame_state state);

/* How the pool reaches the memory it manages, and where its descriptors appear. */
struct frame_backing {
    /* Address at which physical address 0 would be: pointer = base + physical address. */
    uintptr_t base;
    /* Descriptor of frame 0 in a virtual array for all frames, of which nothing needs to be mapped yet. */
    struct frame_descriptor *descriptors;
    /*
     * Makes `frame`, already zeroed, appear at `page` in the array of descriptors. It may use up to
     * FRAME_TABLES_MAX frames of `tables`, in order, as page tables for that, and keeps them; they are not
     * zeroed. Returns how many it used. Called with the pool's lock held: calls nothing of the pool.
     */
    unsigned (*map)(void *context, void *page, phys_addr_t frame, const phys_addr_t *tables);
    void *context; /* passed to map */
};

#define FRAME_TABLES_MAX 4

struct frame_config {
    const struct memory_range *map;    /* normalised (boot_info.h); unchanged as long as the pool lives */
    uint32_t map_count;                /* ranges */
    uint32_t cpus;                     /* CPUs that will use the pool, at least 1: numbers 0 .. cpus - 1 */
    struct frame_backing backing;      /* access to memory */
    const struct frame_policy *policy; /* which free frame is taken; NULL for frame_policy_buddy */
    bool (*collect)(void *context);    /* see below; NULL where nobody can make other CPUs do anything */
    void *collect_context;             /* passed to collect */
    bool no_magazines;                 /* every operation goes to the policy: for tests and comparisons */
};

/*
 * collect() has what the magazines of all other CPUs hold returned to the store. For each of them it calls
 * frame_pool_drain_cpu(), if that CPU is idle and stays so meanwhile, or has it do that for itself at a
 * moment when its preemption is on; and it waits until all have done so. While it waits it does for its own
 * CPU what the others ask for in the same way: of two CPUs that collect at once, each waits for the other.
 * Returns false when some CPU did not answer. The pool calls it without its lock, and only where the calling
 * CPU may wait (cpu_may_wait()).
 */

/*
 * The two policies: a buddy system of bitmaps, and first fit over one bitmap (for comparison, small
 * machines).
 */
extern const struct frame_policy frame_policy_buddy;
extern const struct frame_policy frame_policy_bitmap;

/* Somebody who can give frames back when the pool has run out: see frame_pool_add_reclaimer(). */
struct frame_reclaimer {
    /*
     * Frees what it can spare, `frames` or more if it has them, with frame_free() and the like; returns how
     * many frames that were.
     */
    uint64_t (*reclaim)(void *context, uint64_t frames);
    void *context; /* passed to reclaim */
};

#define FRAME_RECLAIMERS_MAX 8

#include <ashlar/frame_types.h>

/* ---- Life of a pool ---- */

/*
 * Makes a pool of all MEMORY_USABLE ranges of the map, its state placed in them. Frame 0 is kept back.
 * Cost: some instructions per range, and per GiB of address space up to the last RAM; not per frame.
 * Fails with FRAME_BAD_MAP, FRAME_BAD_CONFIG or FRAME_NO_ROOM, and then has changed nothing but *pool.
 */
enum frame_error frame_pool_init(struct frame_pool *pool, const struct frame_config *config);

/*
 * Adds all ranges of `type` to the free memory: MEMORY_BOOT_RECLAIMABLE once nothing of the firmware's boot
 * services and of the loader is in use, and so on. Each type once. Fails with FRAME_RESERVED for a type that
 * is not RAM to be had or was added before; with FRAME_BAD_CONFIG for a number that is no type.
 */
enum frame_error frame_pool_reclaim(struct frame_pool *pool, enum memory_type type);

/*
 * Backs the descriptors of all frames of [base, base + bytes) ahead of their first use, so that no later
 * allocation in the range needs memory for them. Fails with FRAME_NO_MEMORY, having backed a part.
 */
enum frame_error frame_pool_back(struct frame_pool *pool, phys_addr_t base, uint64_t bytes);

/* ---- Allocating ---- */

/*
 * One block of 2^order frames for `owner`, with one reference; its contents and its descriptor's note are
 * unspecified. None when there is no memory. Up to order FRAME_ORDER_2M it mostly takes some 15 instructions
 * and no lock. Inline, below.
 */
static inline phys_addr_t frame_alloc(struct frame_pool *pool, unsigned order, enum frame_owner owner)
    EXCLUDES(pool->lock);

/* The same for callers that cannot go on without it: panics, naming the owner, instead of returning none. */
phys_addr_t frame_alloc_must(struct frame_pool *pool, unsigned order, enum frame_owner owner)
    EXCLUDES(pool->lock);

/* One frame filled with zeros; from the stock that frame_pool_idle() prepares, if it has one. None on
 * failure. */
phys_addr_t frame_alloc_zeroed(struct frame_pool *pool, enum frame_owner owner) EXCLUDES(pool->lock);

/* Frees a single frame that is full of zeros, as an empty page table is: it goes to the stock of zeroed ones
 * while that has room. Mistakes are found as frame_free() finds them. */
void frame_free_zeroed(struct frame_pool *pool, phys_addr_t frame) EXCLUDES(pool->lock);

struct frame_request {
    uint64_t frames;        /* length, 1 .. FRAME_RUN_MAX; need not be a power of two */
    uint64_t alignment;     /* bytes, a power of two up to 1 GiB; 0 for natural */
    uint64_t limit;         /* every byte lies below this physical address; 0 for no limit */
    enum frame_owner owner; /* who will own it */
    bool zeroed;            /* fill with zeros */
    bool try_only;          /* fail at once: merge nothing, ask no magazine and no reclaimer */
};

/*
 * The general allocation. `frames` that are a power of two give a block, to be freed with frame_free();
 * others give a run, to be freed with frame_free_run(). A run is found where an aligned block of the next
 * power of two is free; what is left over stays free. Natural alignment of a run is that of its first block.
 * A single zeroed frame without further wishes comes from the stock that frame_pool_idle() prepares, if it
 * has one. The lock is held for one block at a time, of which a run and what is left over make at most 18.
 * On success *address is the first byte. Fails with FRAME_NO_MEMORY, FRAME_BAD_ORDER, FRAME_BAD_ALIGNMENT or
 * FRAME_BAD_OWNER, and has changed nothing then.
 */
enum frame_error frame_alloc_request(struct frame_pool *pool, const struct frame_request *request,
                                     phys_addr_t *address) EXCLUDES(pool->lock);

/*
 * The block of 2^order frames at `address`. Fails with FRAME_BUSY when a part of it has an owner (who is not
 * asked to give it up), or is not memory that the pool hands out, or is free but in another CPU's magazine:
 * that CPU is asked to return it, so a later attempt may succeed. Fails with FRAME_NO_MEMORY when its
 * descriptor cannot be backed, or with FRAME_NOT_MANAGED, FRAME_RESERVED, FRAME_BAD_ORDER,
 * FRAME_BAD_ALIGNMENT or FRAME_BAD_OWNER. What fails has changed nothing.
 */
enum frame_error frame_alloc_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                enum frame_owner owner) EXCLUDES(pool->lock);

/*
 * Up to `count` single frames, their addresses to frames[]; as neighbours where that costs nothing. Returns
 * how many: fewer than `count` only when memory has run out. The lock is held for fewer than 2 * FRAME_BATCH
 * frames at a time.
 */
uint64_t frame_alloc_batch(struct frame_pool *pool, uint64_t count, phys_addr_t *frames,
                           enum frame_owner owner) EXCLUDES(pool->lock);

#define FRAME_BATCH 64

/*
 * ---- Freeing: a caller's mistake is always noticed, and panics with its name, the owner and the state ----
 *
 * There is one exception, the price of a free without a locked instruction. frame_free() first looks at the
 * block's descriptor and then writes to it. When two CPUs free the same block within these few instructions,
 * both may succeed. Builds with assertions notice it when the block is handed out, frame_pool_check() notices
 * it always. The functions that return an error, references, and the slow paths of frame_free() look and
 * write in one step.
 */

/* Gives a block back. Its one reference must be the caller's. Inline, below. */
static inline void frame_free(struct frame_pool *pool, phys_addr_t block, unsigned order)
    EXCLUDES(pool->lock);

/* The same, but a mistake is returned, any of FRAME_NOT_MANAGED .. FRAME_SHARED, and has changed nothing. */
enum frame_error frame_try_free(struct frame_pool *pool, phys_addr_t block, unsigned order)
    EXCLUDES(pool->lock);

/* Gives a run (or a block) of `frames` frames back. */
void frame_free_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames) EXCLUDES(pool->lock);
enum frame_error frame_try_free_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
    EXCLUDES(pool->lock);

/* Gives single frames back. */
void frame_free_batch(struct frame_pool *pool, uint64_t count, const phys_addr_t *frames)
    EXCLUDES(pool->lock);

/*
 * For the handler of page faults: the functions above read a descriptor before they know that it is mapped.
 * If `address` lies in a descriptor that is not backed, this panics as they do, with the mistake's name, the
 * owner and the state; else it returns. Any address, with any lock held: it waits for the pool's lock, and
 * panics without those details when this CPU itself holds it.
 */
void frame_pool_explain_fault(struct frame_pool *pool, uintptr_t address);

/*
 * Makes 2^order single frames, each with one reference and the owner it had, of an allocated block with one
 * reference. Their descriptors' notes are unspecified. Fails with FRAME_NOT_ALLOCATED when it is no such
 * block, FRAME_NO_MEMORY when a descriptor cannot be backed (never after frame_pool_back()). Nobody else
 * frees or shares the block meanwhile. The lock is held only to back descriptors, for one page of them at a
 * time.
 */
enum frame_error frame_split(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);

/* ---- References ---- */

/*
 * Adds a reference to an allocated block or run, by its first frame: for page-table entries and pagers, under
 * their lock. Panics on what is not allocated, or has FRAME_REFERENCES_MAX references already;
 * frame_try_get() returns the mistake instead.
 */
void frame_get(struct frame_pool *pool, phys_addr_t block);
enum frame_error frame_try_get(struct frame_pool *pool, phys_addr_t block);

/* The same for a block that a page-table entry shows, which therefore has a reference that stays meanwhile;
 * false when a device has pinned it, or it has FRAME_REFERENCES_MAX already. Inline: a fork calls it for
 * every page. */
static inline __attribute__((always_inline)) bool frame_share(struct frame_descriptor *descriptor);

/* frame_put() for a block of which others have references as well; false, and nothing is changed, when they
 * have not, or a device has pinned it. Inline: the end of a fork's child calls it for every page. */
static inline __attribute__((always_inline)) bool frame_unshare(struct frame_descriptor *descriptor);

/*
 * Drops a reference; the last one frees the block or run. Returns whether it was the last one. Panics as
 * frame_free() does, and also when the only references left are pins. Takes no lock where frame_free() takes
 * none.
 */
bool frame_put(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);

/* ---- Marks: pins, busy, age; of an allocated block or run, by its first frame ---- */

/*
 * Pins a block for a device that reads or writes it: takes a reference and counts it as a pin, so that the
 * block is neither moved nor freed meanwhile. The caller has a reference already, one that it took from a
 * page-table entry or a pager under that one's lock; a frame is never pinned just because its number is
 * known. A user who has the only reference beyond the pins is the last user (frame_descriptor_users()). Fails
 * with FRAME_TOO_SHARED when there are FRAME_PINS_MAX pins or FRAME_REFERENCES_MAX references, or as
 * frame_try_get() does, and has changed nothing then.
 */
enum frame_error frame_try_pin(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);

/* The same, but panics instead of failing. */
void frame_pin(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);

/*
 * Takes a pin back, and its reference; the last reference frees the block or run. Returns whether it did.
 * Panics with the mistake's name on what is not pinned.
 */
bool frame_unpin(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);

/*
 * Marks a block as being changed or written: as busy. False when somebody else has already done that. Whoever
 * begins a change has a reference or a pin of his own, which he keeps until frame_end_change(): so another
 * user may drop his with frame_put() meanwhile, and the block is not freed. Where the last reference to a
 * busy block is dropped, or the block freed, somebody broke this rule, and that call panics with "being
 * changed". frame_begin_change() panics on what is no allocated block or run, frame_end_change() on what is
 * not busy.
 */
bool frame_begin_change(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);
void frame_end_change(struct frame_pool *pool, phys_addr_t block) EXCLUDES(pool->lock);

/*
 * Notes the age of a block, 0 .. FRAME_AGE_MAX; a larger one counts as that. Its user decides what is
 * counted. The age of a new block is 0, and so is that of a block that was split. Panics on what is no
 * allocated block or run.
 */
void frame_set_age(struct frame_pool *pool, phys_addr_t block, unsigned age) EXCLUDES(pool->lock);

/* ---- Owners ---- */

/*
 * Makes `to` the owner of an allocated block that is `from`'s, in one step: of two CPUs that try, one
 * succeeds. Nobody frees the block meanwhile. Fails with FRAME_BUSY when it is not `from`'s, FRAME_BAD_OWNER,
 * FRAME_WRONG_LENGTH for a run, or as frame_try_free() does for what is no allocated block.
 */
enum frame_error frame_change_owner(struct frame_pool *pool, phys_addr_t block, enum frame_owner from,
                                    enum frame_owner to) EXCLUDES(pool->lock);

/* ---- Magazines ---- */

/*
 * Returns what this CPU's magazines hold to the common store, merges what is free there, and asks the other
 * CPUs to return theirs when they can.
 */
void frame_pool_drain(struct frame_pool *pool) EXCLUDES(pool->lock);

/* Returns what the magazines of `cpu` hold. That CPU does not use the pool meanwhile: it is off, or waits. */
void frame_pool_drain_cpu(struct frame_pool *pool, unsigned cpu) EXCLUDES(pool->lock);

/*
 * Has the magazines of all other CPUs emptied, and waits for that: for a caller whose allocation failed under
 * a spinlock, once it has let go of it, and before it tries again. Where the calling CPU may wait,
 * allocations do this themselves. Returns whether there was anything.
 */
bool frame_pool_collect(struct frame_pool *pool) EXCLUDES(pool->lock);

/*
 * For the idle loop: does one piece of work for this CPU. If another CPU has asked for it, a part of this
 * CPU's magazines goes back to the common store; else a zeroed frame is prepared; else free frames are
 * merged. Returns whether there was anything to do.
 */
bool frame_pool_idle(struct frame_pool *pool) EXCLUDES(pool->lock);

/* ---- When memory runs out ---- */

/*
 * From now on, an allocation that finds no memory asks the other CPUs for what their magazines hold, returns
 * this CPU's to the store, a part at a time, merges what is free there, collects from the other CPUs if it
 * may wait for them, and at last calls the reclaimers, in the order they were added, each once, until it can
 * be served. A reclaimer is called
 * - without the pool's lock, preemption off, on the CPU and in the middle of the call that wants memory: so
 *   it may take only locks that no caller of the pool holds while it allocates;
 * - never from within a reclaimer: what allocates inside one fails when there is nothing left;
 * - perhaps on several CPUs at once.
 * The same one may be added again with another context. Fails with FRAME_BAD_CONFIG without a function, with
 * FRAME_BUSY when it is there already, with FRAME_NO_ROOM when there are FRAME_RECLAIMERS_MAX others.
 */
enum frame_error frame_pool_add_reclaimer(struct frame_pool *pool, const struct frame_reclaimer *reclaimer)
    EXCLUDES(pool->lock);

/*
 * Takes back what was added (same function, same context), and waits until no CPU is inside it. Not from
 * within a reclaimer. Fails with FRAME_BAD_CONFIG when it was not added.
 */
enum frame_error frame_pool_remove_reclaimer(struct frame_pool *pool, const struct frame_reclaimer *reclaimer)
    EXCLUDES(pool->lock);

/* Whether it was added, and not removed since. */
bool frame_pool_has_reclaimer(struct frame_pool *pool, const struct frame_reclaimer *reclaimer)
    EXCLUDES(pool->lock);

/* ---- Seeing inside ---- */

/* Where the pool sees physical memory. Only for memory that the backing covers. */
static inline void *frame_pointer(const struct frame_pool *pool, phys_addr_t address)
{
    return (void *)(pool->config.backing.base + address.raw);
}

/*
 * Descriptor of the frame at `address`. Only for frames of allocated blocks: of a block the first frame's is
 * always backed, another frame's when frame_pool_back() or an earlier use saw to it.
 */
static inline struct frame_descriptor *frame_descriptor(const struct frame_pool *pool, phys_addr_t address)
{
    return &pool->descriptors[address.raw >> FRAME_SHIFT];
}

/* All that is known about one frame. */
struct frame_facts {
    enum memory_type type;  /* what the firmware said; MEMORY_TYPE_COUNT when its map has no such address */
    enum frame_state state; /* of the block it lies in */
    bool managed;           /* the pool gives or has given it out; else state means nothing */
    unsigned order;         /* of the free or allocated block */
    phys_addr_t block;      /* first byte of that block */
    enum frame_owner owner; /* of the block; of the last one when free, if descriptor_backed */
    uint32_t references;    /* to the block */
    uint32_t pins;          /* of them, those for devices */
    unsigned age;           /* of the block, as its user noted it */
    bool busy;              /* the block is being changed or written */
    bool descriptor_backed; /* this frame's descriptor can be read */
    union frame_note note;  /* what the owner noted in the block's descriptor */
};

/* Fills *facts for any address whatever. Exact while no other CPU uses the block. */
void frame_pool_look(struct frame_pool *pool, phys_addr_t address, struct frame_facts *facts)
    EXCLUDES(pool->lock);

/* Every byte of the firmware's map, by owner. Exact, to the byte, while no other CPU allocates or frees. */
struct frame_ledger {
    uint64_t firmware_bytes;           /* sum of all ranges of the map */
    uint64_t free_bytes;               /* held by the policy */
    uint64_t magazine_bytes;           /* free too, but held for one CPU */
    uint64_t owner_bytes[OWNER_COUNT]; /* allocated, or fixed by the map */
    int64_t difference;                /* firmware_bytes minus all the others: 0 */
};
void frame_pool_ledger(struct frame_pool *pool, struct frame_ledger *ledger) EXCLUDES(pool->lock);

/* Free frames, magazines included. */
uint64_t frame_pool_free(struct frame_pool *pool) EXCLUDES(pool->lock);

struct frame_statistics {
    const char *policy; /* "buddy" or "bitmap" */
    uint64_t managed_frames;
    uint64_t free_frames;                   /* held by the policy */
    uint64_t magazine_frames;               /* free, in magazines */
    uint64_t free_blocks[FRAME_ORDERS];     /* by order, held by the policy */
    uint64_t magazine_blocks[FRAME_ORDERS]; /* by order */
    uint64_t state_bytes;                   /* allocator's state */
    uint64_t descriptor_bytes;              /* memory taken for descriptors */
    uint64_t slow_operations;               /* operations that took the lock, ever */
    uint64_t shortages;                     /* allocations that found no memory at first, ever */
    int largest_order;                      /* largest free block; -1 when there is none */
};

/* Walks the used part of the bitmaps, a GiB under one hold of the lock: the cost grows with memory in use. */
void frame_pool_statistics(struct frame_pool *pool, struct frame_statistics *statistics) EXCLUDES(pool->lock);

/*
 * Share of free memory, in 1/1000, that a request of 2^order frames cannot use because it lies in smaller
 * blocks: 0 is not fragmented at all.
 */
unsigned frame_fragmentation(const uint64_t free_blocks[FRAME_ORDERS], unsigned order);

/* What frame_pool_check() found wrong first. */
struct frame_problem {
    const char *what;  /* the broken rule */
    uint64_t frame;    /* where, a frame number; 0 when it concerns no one frame */
    uint64_t found;    /* the value that is wrong */
    uint64_t expected; /* the value it should have */
};

/*
 * Verifies the whole pool: bitmaps, indexes, descriptors, magazines, accounts, ledger. Returns whether all is
 * well; if not, *problem says what is not. No other CPU uses the pool meanwhile.
 */
bool frame_pool_check(struct frame_pool *pool, struct frame_problem *problem) EXCLUDES(pool->lock);

#include <ashlar/frame_inline.h>

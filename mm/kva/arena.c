/*
 * Kernel virtual addresses: who has which stretch of an arena.
 *
 * Concept. Ranges tile the arena; each has a record, and records are linked in the order of addresses. A
 * range is free, taken, or held. Free ranges are in lists by size (by_size.c); neighbours are never both
 * free, because a range that is freed is joined with free neighbours. Taken and held ranges are in a tree by
 * address (tree.c). Records and nodes lie in frames that the arena takes for itself (records.c), so that an
 * arena works before there is a heap.
 *
 * The fast path: most ranges are small and live briefly. A freed one is kept as it is, "held", in the quick
 * list of its kind (so many pages, so many guards), and given to the next request of that kind: neither lists
 * nor tree are touched. Held ranges are made free when an allocation would fail otherwise, so they are never
 * lost. A small table of ranges that were found lately saves most look-ups in the tree.
 *
 * Locks. One spinlock for each arena. Under it the frame pool's is taken, for records and nodes.
 *
 * To see inside: kva_look(), kva_next(), kva_statistics(), and kva_check(), which verifies all of it.
 */
#include "internal.h"
#include "valid.h"
#include <ashlar/shortage.h>

const char *kva_error_name(enum kva_error error)
{
    static const char *const names[KVA_ERROR_COUNT] = {
        [KVA_OK] = "no error",
        [KVA_BAD_ARENA] = "not an arena: empty, unaligned, too large, or past the last address",
        [KVA_BAD_SIZE] = "size of 0, or larger than the arena",
        [KVA_BAD_ALIGNMENT] = "alignment is no power of two, or too large",
        [KVA_BAD_GUARDS] = "too many guard pages",
        [KVA_NO_SPACE] = "no free addresses",
        [KVA_NO_MEMORY] = "no memory for records",
        [KVA_FOREIGN] = "address outside the arena",
        [KVA_INTERIOR] = "address inside a range",
        [KVA_NOT_ALLOCATED] = "freed already, or never allocated",
        [KVA_WRONG_PURPOSE] = "a range for another purpose",
    };
    return (unsigned)error < KVA_ERROR_COUNT ? names[error] : "unknown error";
}

/* ---- By address ---- */

/*
 * What is wrong with an address at which no allocated range starts. Not inlined: a function with an array on
 * its stack pays for the stack protector, and its callers shall not.
 */
static __attribute__((noinline)) enum kva_error explain(const struct kva_arena *arena, virt_addr_t address)
{
    struct kva_facts facts;
    if (!kva_look_stopped(arena, address, &facts)) {
        return KVA_FOREIGN;
    }
    return facts.state == KVA_TAKEN ? KVA_INTERIOR : KVA_NOT_ALLOCATED;
}

static struct kva_range **recent_slot(struct kva_arena *arena, virt_addr_t base)
{
    return &arena->recent[kva_recent_index(base)];
}

/* Asks the tree, and remembers what it said. */
static __attribute__((noinline)) struct kva_range *ask_tree(struct kva_arena *arena, virt_addr_t address)
    REQUIRES(arena->lock)
{
    uint64_t offset = address.raw - arena->base.raw;
    if (offset >= arena->bytes || !is_aligned(offset, FRAME_BYTES)) {
        return NULL;
    }
    struct kva_range *range = kva_tree_find(arena, offset >> FRAME_SHIFT);
    if (range) {
        *recent_slot(arena, address) = range;
    }
    return range;
}

/* The allocated range that starts at `address`, or NULL. */
static inline struct kva_range *find_locked(struct kva_arena *arena, virt_addr_t address)
    REQUIRES(arena->lock)
{
    struct kva_range *range = *recent_slot(arena, address);
    if (!range || range->base.raw != address.raw) {
        range = ask_tree(arena, address);
    }
    return range && range->state == KVA_TAKEN ? range : NULL;
}

/* Takes a range that ceases to be allocated out of the tree. */
static void forget(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock)
{
    struct kva_range **recent = recent_slot(arena, range->base);
    if (*recent == range) {
        *recent = NULL;
    }
    kva_tree_erase(arena, kva_page(arena, range));
}

/* ---- Life of an arena ---- */

enum kva_error kva_init(struct kva_arena *arena, virt_addr_t base, uint64_t bytes, struct frame_pool *frames)
{
    memset(arena, 0, sizeof *arena);
    spinlock_init(&arena->lock, LOCK_ARENA, 0);
    if (bytes == 0 || bytes > KVA_BYTES_MAX || !is_aligned(base.raw | bytes, FRAME_BYTES) ||
        base.raw + bytes < base.raw) {
        return KVA_BAD_ARENA;
    }
    arena->base = base;
    arena->bytes = bytes;
    arena->frames = frames;
    arena->tree_shift = kva_tree_shift(bytes >> FRAME_SHIFT);
    spinlock_acquire(&arena->lock);
    struct kva_range *whole = kva_record_take(arena);
    if (whole) {
        *whole = (struct kva_range){.base = base, .bytes = bytes};
        arena->lowest = whole;
        kva_space_add(arena, whole);
    }
    spinlock_release(&arena->lock);
    return whole ? KVA_OK : KVA_NO_MEMORY;
}

uint64_t kva_destroy(struct kva_arena *arena)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    kva_reap(arena);
    spinlock_acquire(&arena->lock);
    uint64_t live = arena->taken_ranges;
    struct kva_range *next;
    for (struct kva_range *range = arena->lowest; range; range = next) {
        next = range->higher;
        if (range->state == KVA_TAKEN) {
            forget(arena, range);
        }
        kva_record_give(arena, range);
    }
    arena->lowest = NULL;
    kva_frame_give(arena, arena->memory.partial); /* the one frame that is kept */
    spinlock_release(&arena->lock);
    return live;
}

/* ---- Allocating ---- */

static enum kva_error check_request(const struct kva_arena *arena, const struct kva_request *request,
                                    struct kva_demand *demand)
{
    if (request->bytes == 0 || request->bytes > arena->bytes) {
        return KVA_BAD_SIZE;
    }
    if ((request->alignment & (request->alignment - 1)) != 0 || request->alignment > KVA_BYTES_MAX) {
        return KVA_BAD_ALIGNMENT;
    }
    if (request->guard_pages > KVA_GUARDS_MAX) {
        return KVA_BAD_GUARDS;
    }
    demand->pages = (request->bytes + FRAME_BYTES - 1) >> FRAME_SHIFT;
    demand->guards = request->guard_pages;
    demand->alignment = max_u64(request->alignment, FRAME_BYTES);
    return KVA_OK;
}

/* Records for what remains of a free range in front of and behind the cut; false when there is no memory. */
static bool take_records(struct kva_arena *arena, struct kva_cut *cut) REQUIRES(arena->lock)
{
    uint64_t front = cut->base - (cut->demand.guards << FRAME_SHIFT) - cut->from->base.raw;
    uint64_t used = front + ((cut->demand.pages + 2 * cut->demand.guards) << FRAME_SHIFT);
    bool enough = true;
    if (front > 0) {
        cut->front = kva_record_take(arena);
        enough = cut->front != NULL;
    }
    if (enough && used < cut->from->bytes) {
        cut->back = kva_record_take(arena);
        enough = cut->back != NULL;
    }
    return enough;
}

/* Takes all the memory that the cut needs, or none. */
static bool prepare(struct kva_arena *arena, struct kva_cut *cut) REQUIRES(arena->lock)
{
    if (take_records(arena, cut)) {
        uint64_t page = (cut->base - arena->base.raw) >> FRAME_SHIFT;
        if (kva_tree_insert(arena, page, cut->front ? cut->front : cut->from)) {
            return true;
        }
    }
    if (cut->back) {
        kva_record_give(arena, cut->back);
    }
    if (cut->front) {
        kva_record_give(arena, cut->front);
    }
    return false;
}

/* Makes all held ranges free; returns whether there were any. */
static bool let_go(struct kva_arena *arena) REQUIRES(arena->lock)
{
    bool any = false;
    for (unsigned kind = 0; kind < KVA_KINDS; kind++) {
        struct kva_quick *quick = &arena->quick[kind];
        while (quick->count > 0) {
            struct kva_range *range = quick->ranges[--quick->count];
            forget(arena, range);
            kva_space_give(arena, range);
            any = true;
        }
    }
    return any;
}

static enum kva_error alloc_locked(struct kva_arena *arena, const struct kva_demand *demand,
                                   struct kva_range **range) REQUIRES(arena->lock)
{
    struct kva_cut cut = {.demand = *demand};
    arena->slow_operations++;
    cut.from = kva_space_find(arena, demand, &cut.base);
    if (!cut.from && let_go(arena)) {
        cut.from = kva_space_find(arena, demand, &cut.base);
    }
    if (!cut.from) {
        return KVA_NO_SPACE;
    }
    if (!prepare(arena, &cut)) {
        return KVA_NO_MEMORY;
    }
    *range = cut.front ? cut.front : cut.from;
    kva_space_take(arena, &cut);
    return KVA_OK;
}

static enum kva_error alloc_once(struct kva_arena *arena, const struct kva_request *request,
                                 const struct kva_demand *demand, struct kva_range **range)
{
    struct kva_range *got;
    spinlock_acquire(&arena->lock);
    enum kva_error error = alloc_locked(arena, demand, &got);
    if (error == KVA_OK) {
        got->purpose = request->purpose;
        got->object = request->object;
        *range = got;
    }
    spinlock_release(&arena->lock);
    return error;
}

enum kva_error kva_alloc_slow(struct kva_arena *arena, const struct kva_request *request,
                              struct kva_range **range)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    VALIDATE_AT_RANDOM(kva, kva_check, arena);
    struct kva_demand demand;
    enum kva_error error = check_request(arena, request, &demand);
    if (error != KVA_OK) {
        return error;
    }
    return COLLECTING(arena->frames, KVA_NO_MEMORY, alloc_once(arena, request, &demand, range));
}

/* ---- Freeing ---- */

static __attribute__((noinline)) void give_slowly(struct kva_arena *arena, struct kva_range *range)
    REQUIRES(arena->lock)
{
    arena->slow_operations++;
    forget(arena, range);
    kva_space_give(arena, range);
}

static inline void give(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock)
{
    if (range->kind < KVA_KINDS) {
        struct kva_quick *quick = &arena->quick[range->kind];
        if (quick->count < KVA_QUICK_SLOTS) {
            range->state = KVA_HELD;
            quick->ranges[quick->count++] = range;
            return;
        }
    }
    give_slowly(arena, range);
}

enum kva_error kva_free(struct kva_arena *arena, virt_addr_t address)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    VALIDATE_AT_RANDOM(kva, kva_check, arena);
    enum kva_error error = KVA_OK;
    spinlock_acquire(&arena->lock);
    struct kva_range *range = find_locked(arena, address);
    if (range) {
        give(arena, range);
    } else {
        error = explain(arena, address);
    }
    spinlock_release(&arena->lock);
    return error;
}

void kva_release(struct kva_arena *arena, struct kva_range *range)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    spinlock_acquire(&arena->lock);
    ASSERT(range->state == KVA_TAKEN);
    give(arena, range);
    spinlock_release(&arena->lock);
}

enum kva_error kva_find(struct kva_arena *arena, virt_addr_t address, struct kva_range **range)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    enum kva_error error = KVA_OK;
    spinlock_acquire(&arena->lock);
    struct kva_range *found = find_locked(arena, address);
    if (found) {
        *range = found;
    } else {
        error = explain(arena, address);
    }
    spinlock_release(&arena->lock);
    return error;
}

enum kva_error kva_claim(struct kva_arena *arena, virt_addr_t address, const struct kva_purpose *from,
                         const struct kva_purpose *to, struct kva_range **range)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    enum kva_error error = KVA_OK;
    spinlock_acquire(&arena->lock);
    struct kva_range *found = find_locked(arena, address);
    if (!found) {
        error = explain(arena, address);
    } else if (found->purpose != from) {
        error = KVA_WRONG_PURPOSE;
    } else {
        found->purpose = to;
        *range = found;
    }
    spinlock_release(&arena->lock);
    return error;
}

void kva_reap(struct kva_arena *arena)
{
    DEBUG_ASSERT(kva_arena_is_valid(arena));
    spinlock_acquire(&arena->lock);
    let_go(arena);
    spinlock_release(&arena->lock);
}

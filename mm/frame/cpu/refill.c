/*
 * Refilling an empty magazine: from a larger block in this CPU's own magazines, without a lock, or else from
 * the store.
 *
 * The store gives up to 512 frames at once, of which the magazine gets what it has room for. What is left
 * over goes to the magazines of larger blocks, a half, a quarter and so on of what came, and serves the next
 * refills. So a CPU that allocates small blocks takes the lock once for 512 frames, and CPUs that do so at
 * the same time seldom meet: each works in 2 MiB of its own.
 *
 * Under the lock no more is done than others have to see: the block leaves the store, and is counted as held
 * by this CPU. It is cut up afterwards.
 */
#include "mm/frame/cpu/cpu.h"
#include "mm/frame/valid.h"

#define REFILL_ORDER  6 /* single frames are refilled at most this many at a time: 2^6 */
#define MORE_PIECES   1 /* small ones that a refill of single frames takes beside the first one */
#define SCARCE_FRAMES (MIB(32) / FRAME_BYTES) /* in the store: little */
#define LAST_FRAMES   (MIB(2) / FRAME_BYTES)  /* in the store: as good as nothing */

_Static_assert(FRAME_BATCH == 1 << REFILL_ORDER, "one bound for both");

/* Writes `blocks` blocks that follow each other into the slots below `slot`, and their tags. */
static inline __attribute__((always_inline)) void write_blocks(struct frame_descriptor *descriptor,
                                                               uint64_t *slot, uint64_t address,
                                                               uint64_t blocks, unsigned order)
{
    uint32_t tag = frame_tag(FRAME_CACHED, order, 1);
#pragma clang loop unroll_count(4)
    for (uint64_t i = 0; i < blocks; i++) {
        *--slot = address + (i << order << FRAME_SHIFT);
        atomic_store_explicit(&descriptor[i << order].tag, tag, memory_order_relaxed);
    }
}

/* Cuts a piece into blocks of `order` and puts them into the slots below `slot`, the lowest on top. */
static void cut(struct frame_pool *pool, uint64_t *slot, struct frame_piece piece, unsigned order)
{
    struct frame_descriptor *descriptor = &pool->descriptors[piece.frame];
    uint64_t blocks = 1ULL << (piece.order - order);
    if (order == 0) {
        write_blocks(descriptor, slot, piece.frame << FRAME_SHIFT, blocks, 0);
    } else {
        write_blocks(descriptor, slot, piece.frame << FRAME_SHIFT, blocks, order);
    }
}

/*
 * The largest block that a magazine is refilled with at once: its half for single frames and 2 MiB blocks,
 * else its quarter.
 */
static unsigned refill_order(const struct frame_magazine *magazine, unsigned order)
{
    uint64_t capacity = frame_magazine_capacity(magazine);
    if (order == 0 || order == FRAME_ORDER_2M) {
        return order + (unsigned)min_u64(REFILL_ORDER, frame_order_below((capacity + 1) / 2));
    }
    return (unsigned)min_u64(order + frame_order_below((capacity + 3) / 4), FRAME_STOCK_ORDER_MAX);
}

void frame_magazine_push(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index, uint64_t frame)
{
    DEBUG_ASSERT(frame_magazine_is_valid(&cpu->magazine[index]));
    struct frame_magazine *magazine = &cpu->magazine[index];
    uint64_t count = frame_magazine_count(magazine);
    DEBUG_ASSERT(count < frame_magazine_capacity(magazine));
    uint32_t tag = frame_tag(FRAME_CACHED, frame_magazine_order(index), 1);
    atomic_store_explicit(&pool->descriptors[frame].tag, tag, memory_order_relaxed);
    cpu->slots[magazine->bottom + count] = frame << FRAME_SHIFT;
    frame_magazine_set_count(magazine, count + 1);
}

/* Puts what follows the first 2^whole frames of a piece into the magazines of larger blocks, which are empty.
 */
static void stock_rest(struct frame_pool *pool, struct frame_cpu *cpu, struct frame_piece piece,
                       unsigned whole)
{
    for (unsigned order = whole; order < piece.order; order++) {
        frame_magazine_push(pool, cpu, order, piece.frame + (1ULL << order));
    }
}

/* ---- From this CPU's own magazines ---- */

/*
 * Refills a magazine with the smallest block of this CPU's own that is large enough; whether there is one. If
 * not, the magazines of all such blocks are empty.
 */
static bool refill_from_stock(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order, unsigned whole)
{
    struct frame_magazine *magazine = &cpu->magazine[order];
    unsigned from = whole;
    if (whole == order) {
        return false;
    }
    while (from <= FRAME_STOCK_ORDER_MAX && frame_magazine_count(&cpu->magazine[from]) == 0) {
        from++;
    }
    if (from > FRAME_STOCK_ORDER_MAX) {
        return false;
    }
    struct frame_magazine *stock = &cpu->magazine[from];
    uint64_t left = frame_magazine_count(stock) - 1;
    struct frame_piece piece = {cpu->slots[stock->bottom + left] >> FRAME_SHIFT, from};
    uint64_t blocks = 1ULL << (whole - order);
    frame_move_begin(cpu);
    frame_magazine_set_count(stock, left);
    stock_rest(pool, cpu, piece, whole);
    frame_magazine_set_count(magazine, blocks);
    frame_move_end(cpu);
    cut(pool, &cpu->slots[magazine->bottom + blocks], (struct frame_piece){piece.frame, whole}, order);
    return true;
}

/* ---- From the store ---- */

/*
 * The largest block that is taken for a magazine that is refilled with one of `whole`. Mostly it is one of
 * 512 frames, whose rest has room in the magazines of larger blocks: they are empty. Where little is free,
 * CPUs hold less.
 */
static unsigned take_order(const struct frame_pool *pool, const struct frame_cpu *cpu, unsigned order,
                           unsigned whole) REQUIRES(pool->lock)
{
    if (order == whole) {
        return order;
    }
    if (pool->free_frames < SCARCE_FRAMES) {
        return pool->free_frames <= LAST_FRAMES ? (order + whole) / 2 : whole - 1;
    }
    bool can_stock = whole <= FRAME_STOCK_ORDER_MAX &&
                     frame_magazine_capacity(&cpu->magazine[FRAME_STOCK_ORDER_MAX]) > 0 &&
                     !frame_reserve_is_low(pool); /* growing it is work enough */
    return can_stock ? FRAME_STOCK_ORDER_MAX + 1 : whole;
}

/* What one hold of the store's lock gives for a magazine. */
struct haul {
    struct frame_piece piece;             /* the first one */
    struct frame_piece more[MORE_PIECES]; /* for single frames, where the first one is small */
    unsigned count;                       /* of more[] */
};

/*
 * Takes more small pieces that lie beside the first one, for up to 2^most frames with it; returns how many
 * frames.
 */
static uint64_t take_more(struct frame_pool *pool, unsigned most, struct haul *haul) REQUIRES(pool->lock)
{
    uint64_t frames = 0;
    uint64_t left = (1ULL << most) - (1ULL << haul->piece.order);
    haul->count = frame_store_take_more(pool, haul->piece.frame, 0, left, haul->more, MORE_PIECES);
    for (unsigned i = 0; i < haul->count; i++) {
        frames += 1ULL << haul->more[i].order;
    }
    return frames;
}

/*
 * Refills a magazine from the store; whether there was anything. Memory that is free in small pieces refills
 * less, which bounds the time that the lock is held.
 */
static bool refill_from_store(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order, unsigned whole)
{
    struct frame_magazine *magazine = &cpu->magazine[order];
    struct haul haul;
    haul.count = 0;
    spinlock_acquire(&pool->lock);
    uint64_t pages = pool->work.pages;
    unsigned most = take_order(pool, cpu, order, whole);
    haul.piece.frame = frame_store_take(pool, order, most, FRAME_LIMIT_MAX, &haul.piece.order);
    if (haul.piece.frame == FRAME_NUMBER_NONE) {
        spinlock_release(&pool->lock);
        return false;
    }
    pool->work.refills++;
    if (haul.piece.order > whole) {
        stock_rest(pool, cpu, haul.piece, whole);
        haul.piece.order = whole;
    }
    uint64_t blocks = 1ULL << (haul.piece.order - order);
    most = (unsigned)min_u64(most, whole);
    if (order == 0 && haul.piece.order < most && pool->work.pages == pages) { /* backing is enough work */
        blocks += take_more(pool, most, &haul);
    }
    frame_magazine_set_count(magazine, blocks);
    spinlock_release(&pool->lock);
    uint64_t *slot = &cpu->slots[magazine->bottom + blocks];
    cut(pool, slot, haul.piece, order);
    slot -= 1ULL << (haul.piece.order - order);
    for (unsigned i = 0; i < haul.count; i++) {
        cut(pool, slot, haul.more[i], 0);
        slot -= 1ULL << haul.more[i].order;
    }
    return true;
}

bool frame_magazine_refill(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
{
    DEBUG_ASSERT(frame_magazine_is_valid(&cpu->magazine[order]));
    unsigned whole = refill_order(&cpu->magazine[order], order);
    return refill_from_stock(pool, cpu, order, whole) || refill_from_store(pool, cpu, order, whole);
}

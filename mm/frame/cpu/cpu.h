/* What each CPU keeps of free memory for itself: its magazines, how they are filled and emptied. */
#pragma once

#include "mm/frame/internal.h"

/* ---- cpu/magazine.c ---- */

/* The largest blocks of which smaller magazines are refilled: one page of descriptors describes so much. */
#define FRAME_STOCK_ORDER_MAX FRAME_PAGE_SHIFT

/*
 * Begins and ends a move of free blocks between magazines of this CPU. Others who look whether it holds any
 * might see neither where a block was nor where it is now; while `moves` is odd, or when it has changed, they
 * take it that it does.
 */
static inline void frame_move_begin(struct frame_cpu *cpu)
{
    uint32_t moves = atomic_load_explicit(&cpu->moves, memory_order_relaxed);
    atomic_store_explicit(&cpu->moves, moves + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void frame_move_end(struct frame_cpu *cpu)
{
    uint32_t moves = atomic_load_explicit(&cpu->moves, memory_order_relaxed);
    atomic_store_explicit(&cpu->moves, moves + 1, memory_order_release);
}

void frame_cpu_init(struct frame_cpu *cpu, uint64_t frames, unsigned cpus, bool no_magazines);

/* Allocates the block on top of a magazine of this CPU that is not empty; preemption is off. */
phys_addr_t frame_magazine_pop(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index,
                               enum frame_owner owner);

/*
 * One attempt of an allocation that found the magazine empty: refills it, or takes the block from the store.
 * None when there is no memory. Preemption is off, order and owner are valid.
 */
phys_addr_t frame_magazine_alloc(struct frame_pool *pool, unsigned order, enum frame_owner owner)
    EXCLUDES(pool->lock);

/* Blocks a CPU holds in a magazine now. */
static inline uint64_t frame_magazine_count(const struct frame_magazine *magazine)
{
    return atomic_load_explicit(&magazine->top, memory_order_relaxed) - magazine->bottom;
}

static inline void frame_magazine_set_count(struct frame_magazine *magazine, uint64_t count)
{
    atomic_store_explicit(&magazine->top, magazine->bottom + (uint32_t)count, memory_order_relaxed);
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

/* Books a checked block out and puts it into a magazine, or into the store. Preemption is off. */
void frame_magazine_free(struct frame_pool *pool, uint64_t frame, unsigned order) EXCLUDES(pool->lock);

/* ---- cpu/refill.c ---- */

/* Puts a free block, which is in no other place, into a magazine of this CPU that has room; preemption is
 * off. */
void frame_magazine_push(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index, uint64_t frame);

/*
 * Takes blocks into a magazine of this CPU that is empty, and of an order that is refilled; whether there
 * were any.
 */
bool frame_magazine_refill(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
    EXCLUDES(pool->lock);

/* ---- cpu/drain.c ---- */

/*
 * Returns up to `blocks` blocks of a magazine of `cpu` that is not empty to the store: as many of them as one
 * hold of the lock allows.
 */
void frame_magazine_drain_blocks(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index,
                                 uint64_t blocks) REQUIRES(pool->lock);

/* The same, for as many as there are, up to FRAME_BATCH. */
void frame_magazine_drain(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index)
    EXCLUDES(pool->lock);

/* ---- cpu/collect.c ---- */

/*
 * As frame_magazine_drain(), for one that another CPU has asked for; when it is empty, it is used again.
 * `cpu` is this one, preemption off. Whether there was anything in it.
 */
bool frame_magazine_drain_asked(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index)
    EXCLUDES(pool->lock);

/* The same for the first magazine that was asked for and is not empty; whether there is one. */
bool frame_magazines_drain_asked(struct frame_pool *pool, struct frame_cpu *cpu) EXCLUDES(pool->lock);

/* Asks the other CPUs to return what is in their magazines. */
void frame_magazines_ask(struct frame_pool *pool);

/*
 * Empties the magazines of all other CPUs, if there is a way to, and this CPU may wait for it. Whether frames
 * came of it; all are empty now but for what was put into them meanwhile.
 */
bool frame_magazines_collect(struct frame_pool *pool) EXCLUDES(pool->lock);

/*
 * Returns something of what this CPU's magazines hold to the store, for an allocation of `order` that found
 * nothing there: a block that is large enough, else all of a magazine, part by part, as it may merge. Whether
 * they held anything.
 */
bool frame_magazines_give(struct frame_pool *pool, unsigned order) EXCLUDES(pool->lock);

/* Takes a free block out of a magazine of this CPU, if it is in one; whether it was. */
bool frame_magazine_remove(struct frame_pool *pool, uint64_t frame, unsigned order) REQUIRES(pool->lock);

/* Handing an allocated block from one owner to another. */
#include "internal.h"
#include "valid.h"

/* Preemption is off: the block has another owner a moment before the accounts say so. */
static bool hand_over(struct frame_pool *pool, phys_addr_t block, unsigned order, enum frame_owner from,
                      enum frame_owner to)
{
    _Atomic(uint32_t) *use = &frame_descriptor(pool, block)->use;
    uint32_t seen = atomic_load_explicit(use, memory_order_relaxed);
    do { /* marks may change meanwhile */
        if (frame_use_owner(seen) != from) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(use, &seen, seen - (uint32_t)from + (uint32_t)to,
                                                    memory_order_acq_rel, memory_order_relaxed));
    frame_book(pool, from, -((int64_t)1 << order));
    frame_book(pool, to, (int64_t)1 << order);
    return true;
}

enum frame_error frame_change_owner(struct frame_pool *pool, phys_addr_t block, enum frame_owner from,
                                    enum frame_owner to)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    uint32_t tag;
    if ((unsigned)to >= OWNER_COUNT) {
        return FRAME_BAD_OWNER;
    }
    enum frame_error error = frame_find_start(pool, block, &tag);
    if (error != FRAME_OK) {
        return error;
    }
    if (frame_tag_state(tag) != FRAME_ALLOCATED) {
        return FRAME_WRONG_LENGTH;
    }
    preempt_disable();
    bool handed_over = hand_over(pool, block, frame_tag_order(tag), from, to);
    preempt_enable();
    return handed_over ? FRAME_OK : FRAME_BUSY;
}

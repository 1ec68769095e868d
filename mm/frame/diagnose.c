/*
 * What is wrong with a free, a reference or an owner, by name. What does not match the one comparison of the
 * fast paths is looked at here until the mistake has a name; the caller returns it, or panics with it.
 */
#include "internal.h"

enum frame_error frame_diagnose_start(struct frame_pool *pool, phys_addr_t block)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (!is_aligned(block.raw, FRAME_BYTES)) {
        return FRAME_BAD_ALIGNMENT;
    }
    if (frame >= pool->frame_limit || !frame_pool_range(pool, frame)) {
        return FRAME_NOT_MANAGED;
    }
    if (!frame_is_managed(pool, frame)) {
        return FRAME_RESERVED;
    }
    enum frame_state state =
        frame_is_backed(pool, frame) ? frame_tag_state(frame_tag_of(pool, frame)) : FRAME_UNKNOWN;
    if (state == FRAME_ALLOCATED || state == FRAME_RUN) {
        return FRAME_OK;
    }
    if (state == FRAME_CACHED) {
        return FRAME_DOUBLE_FREE;
    }
    uint64_t first = frame_find_block(pool, frame);
    if (state == FRAME_RUN_PART || (first != FRAME_NUMBER_NONE && first != frame)) {
        return first != FRAME_NUMBER_NONE && frame_tag_state(frame_tag_of(pool, first)) == FRAME_CACHED
                   ? FRAME_DOUBLE_FREE
                   : FRAME_PART_OF_BLOCK;
    }
    return state == FRAME_FREED ? FRAME_DOUBLE_FREE : FRAME_NOT_ALLOCATED;
}

enum frame_error frame_diagnose_block(struct frame_pool *pool, phys_addr_t block, unsigned order)

{
    if (order > FRAME_ORDER_MAX) {
        return FRAME_BAD_ORDER;
    }
    enum frame_error error = frame_diagnose_start(pool, block);
    if (error != FRAME_OK) {
        return error;
    }
    uint32_t tag = frame_tag_of(pool, block.raw >> FRAME_SHIFT);
    if (frame_tag_state(tag) == FRAME_RUN) {
        return FRAME_WRONG_LENGTH;
    }
    if (frame_tag_order(tag) != order) {
        return FRAME_WRONG_ORDER;
    }
    error = frame_diagnose_use(pool, block.raw >> FRAME_SHIFT);
    return error != FRAME_OK || frame_tag_references(tag) == 1 ? error : FRAME_SHARED;
}

enum frame_error frame_diagnose_use(const struct frame_pool *pool, uint64_t frame)
{
    uint32_t use = (uint32_t)(frame_both_of(pool, frame) >> 32);
    return frame_use_pins(use) != 0 ? FRAME_PINNED : frame_use_busy(use) ? FRAME_IN_CHANGE : FRAME_OK;
}

_Noreturn void frame_report(struct frame_pool *pool, const char *operation, phys_addr_t block,
                            uint64_t frames, enum frame_error error)
{
    struct frame_facts facts;
    frame_pool_look(pool, block, &facts);
    bool never_owned = facts.managed && facts.state < FRAME_CACHED && !facts.descriptor_backed;
    panic("%s: %s: address %#" PRIx64 ", %" PRIu64 " frames; the block there: %#" PRIx64
          " order %u, %s, owner %s, %u references, %u pins%s",
          operation, frame_error_name(error), block.raw, frames, facts.block.raw, facts.order,
          facts.managed ? frame_state_name(facts.state) : "not the pool's",
          never_owned ? "nobody yet" : frame_owner_name(facts.owner), facts.references, facts.pins,
          facts.busy ? ", busy" : "");
}

enum frame_error frame_find_start(struct frame_pool *pool, phys_addr_t block, uint32_t *tag)

{
    enum frame_error error;
    spinlock_acquire(&pool->lock);
    do {
        error = frame_diagnose_start(pool, block);
        *tag = error == FRAME_OK ? frame_tag_of(pool, block.raw >> FRAME_SHIFT) : 0;
    } while (error == FRAME_OK && !frame_tag_starts_block(*tag));
    spinlock_release(&pool->lock);
    return error;
}

void frame_pool_explain_fault(struct frame_pool *pool, uintptr_t address)
{
    uint64_t frame = (address - (uintptr_t)pool->descriptors) / sizeof(struct frame_descriptor);
    phys_addr_t block = phys_addr(frame << FRAME_SHIFT);
    if (frame >= pool->frame_limit) {
        return;
    }
    if (!spinlock_acquire_in_time(&pool->lock)) { /* this CPU itself holds it, it seems */
        panic("frames: use of the descriptor of %#" PRIx64
              ", which cannot be read, with the pool's lock held",
              block.raw);
    }
    bool backed = frame_is_backed(pool, frame);
    enum frame_error error = frame_diagnose_start(pool, block);
    spinlock_release(&pool->lock);
    if (!backed) {
        frame_report(pool, "frame_free, or use of a descriptor", block, 1, error);
    }
}

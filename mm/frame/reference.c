/* References to blocks and runs: taking another, and dropping one; the last one frees. */
#include "internal.h"
#include "valid.h"

enum frame_error frame_try_get(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    uint32_t tag;
    enum frame_error error;
    do {
        error = frame_find_start(pool, block, &tag);
        if (error == FRAME_OK && frame_tag_references(tag) == FRAME_REFERENCES_MAX) {
            error = FRAME_TOO_SHARED;
        }
    } while (error == FRAME_OK &&
             !frame_tag_change(pool, block.raw >> FRAME_SHIFT, tag, tag + FRAME_ONE_REFERENCE));
    return error;
}

void frame_get(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    enum frame_error error = frame_try_get(pool, block);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_get", block, 1, error);
    }
}

/* The tag of the block that starts at `block`; 0, which no block has, where none can start. */
static uint32_t tag_at(const struct frame_pool *pool, phys_addr_t block)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    return is_aligned(block.raw, FRAME_BYTES) && frame < pool->frame_limit ? frame_tag_of(pool, frame) : 0;
}

/*
 * Drops a reference, not the last one, to a block whose tag was `tag`; whether nobody changed it meanwhile.
 * The marks are read anew, so the tag is compared: what was not the last reference may be it now.
 */
static bool drop(struct frame_pool *pool, phys_addr_t block, uint32_t tag)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (!(tag & FRAME_TAG_MARKED)) {
        return frame_tag_change(pool, frame, tag, tag - FRAME_ONE_REFERENCE);
    }
    uint64_t both = frame_both_of(pool, frame);
    uint32_t use = (uint32_t)(both >> 32);
    if ((uint32_t)both != tag) {
        return false;
    }
    if (frame_tag_references(tag) <= frame_use_pins(use)) {
        frame_report(pool, "frame_put", block, 1, FRAME_PINNED);
    }
    return frame_both_change(pool, frame, both, tag - FRAME_ONE_REFERENCE, use);
}

/* Frees a block or run of which the caller has the only reference. False, and nothing has changed, when its
 * descriptor was changed meanwhile. */
static bool free_last(struct frame_pool *pool, phys_addr_t block, uint32_t tag)
{
    if (frame_tag_state(tag) == FRAME_RUN) {
        return frame_run_put(pool, block);
    }
    frame_free(pool, block, frame_tag_order(tag));
    return true;
}

bool frame_put(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    uint32_t tag;
    while (frame_tag_starts_block(tag = tag_at(pool, block))) {
        if (frame_tag_references(tag) <= 1) {
            if (free_last(pool, block, tag)) {
                return true;
            }
        } else if (drop(pool, block, tag)) {
            return false;
        }
    }
    frame_report(pool, "frame_put", block, 1, frame_find_start(pool, block, &tag));
}

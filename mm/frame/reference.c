/* References to blocks and runs: taking another, and dropping one; the last one frees. */
#include "internal.h"

#define ONE_REFERENCE (1U << FRAME_TAG_REFERENCES_SHIFT)

enum frame_error frame_try_get(struct frame_pool *pool, phys_addr_t block)
{
    uint32_t tag;
    enum frame_error error;
    do {
        error = frame_find_start(pool, block, &tag);
        if (error == FRAME_OK && frame_tag_references(tag) == FRAME_REFERENCES_MAX) {
            error = FRAME_TOO_SHARED;
        }
    } while (error == FRAME_OK &&
             !frame_tag_change(pool, block.raw >> FRAME_SHIFT, tag, tag + ONE_REFERENCE));
    return error;
}

void frame_get(struct frame_pool *pool, phys_addr_t block)
{
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

bool frame_put(struct frame_pool *pool, phys_addr_t block)
{
    uint32_t tag;
    while (frame_tag_starts_block(tag = tag_at(pool, block))) {
        bool last =
            frame_tag_references(tag) <= 1; /* nobody else can add one: they would need one to do so */
        if (last && frame_tag_state(tag) == FRAME_ALLOCATED) {
            frame_free(pool, block, frame_tag_order(tag));
            return true;
        }
        if (last ? frame_run_put(pool, block)
                 : frame_tag_change(pool, block.raw >> FRAME_SHIFT, tag, tag - ONE_REFERENCE)) {
            return last;
        }
    }
    frame_report(pool, "frame_put", block, 1, frame_find_start(pool, block, &tag));
}

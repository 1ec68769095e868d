/*
 * Marks: what a descriptor says of a block besides owner and references. Each change is one
 * compare-and-exchange of tag and use together: so pins never outnumber references, and the tag says whether
 * there is any mark.
 */
#include "internal.h"
#include "valid.h"

/* One mark more or less: changes *tag and *use, or says why not. */
typedef enum frame_error frame_mark(uint32_t *tag, uint32_t *use, unsigned value);

/* Changes the marks of a block or run; fails as `mark` does, or as frame_find_start(). */
static enum frame_error change(struct frame_pool *pool, phys_addr_t block, frame_mark *mark, unsigned value)
    EXCLUDES(pool->lock)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    uint32_t tag;
    for (;;) {
        enum frame_error error = frame_find_start(pool, block, &tag);
        if (error != FRAME_OK) {
            return error;
        }
        uint64_t both = frame_both_of(pool, frame);
        uint32_t use = (uint32_t)(both >> 32);
        tag = (uint32_t)both;
        error = frame_tag_starts_block(tag) ? mark(&tag, &use, value) : FRAME_OK;
        if (error != FRAME_OK ||
            (frame_tag_starts_block(tag) && frame_both_change(pool, frame, both, tag, use))) {
            return error;
        }
    }
}

/* ---- Pins ---- */

#define ONE_PIN (1U << FRAME_USE_PINS_SHIFT)

static enum frame_error add_pin(uint32_t *tag, uint32_t *use, unsigned value)
{
    (void)value;
    if (frame_tag_references(*tag) == FRAME_REFERENCES_MAX || frame_use_pins(*use) == FRAME_PINS_MAX) {
        return FRAME_TOO_SHARED;
    }
    *tag += FRAME_ONE_REFERENCE;
    *use += ONE_PIN;
    return FRAME_OK;
}

/* The reference stays: the caller has it now, and drops it. */
static enum frame_error remove_pin(uint32_t *tag, uint32_t *use, unsigned value)
{
    (void)tag;
    (void)value;
    if (frame_use_pins(*use) == 0) {
        return FRAME_NOT_PINNED;
    }
    *use -= ONE_PIN;
    return FRAME_OK;
}

enum frame_error frame_try_pin(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    return change(pool, block, add_pin, 0);
}

void frame_pin(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    enum frame_error error = frame_try_pin(pool, block);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_pin", block, 1, error);
    }
}

bool frame_unpin(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    enum frame_error error = change(pool, block, remove_pin, 0);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_unpin", block, 1, error);
    }
    return frame_put(pool, block);
}

/* ---- Busy ---- */

static enum frame_error add_busy(uint32_t *tag, uint32_t *use, unsigned value)
{
    (void)tag;
    (void)value;
    if (frame_use_busy(*use)) {
        return FRAME_IN_CHANGE;
    }
    *use |= FRAME_USE_BUSY;
    return FRAME_OK;
}

static enum frame_error remove_busy(uint32_t *tag, uint32_t *use, unsigned value)
{
    (void)tag;
    (void)value;
    if (!frame_use_busy(*use)) {
        return FRAME_NOT_IN_CHANGE;
    }
    *use &= ~FRAME_USE_BUSY;
    return FRAME_OK;
}

bool frame_begin_change(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    enum frame_error error = change(pool, block, add_busy, 0);
    if (error != FRAME_OK && error != FRAME_IN_CHANGE) {
        frame_report(pool, "frame_begin_change", block, 1, error);
    }
    return error == FRAME_OK;
}

void frame_end_change(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    enum frame_error error = change(pool, block, remove_busy, 0);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_end_change", block, 1, error);
    }
}

/* ---- Age ---- */

static enum frame_error put_age(uint32_t *tag, uint32_t *use, unsigned value)
{
    (void)tag;
    *use = frame_use(frame_use_owner(*use), value, frame_use_busy(*use), frame_use_pins(*use));
    return FRAME_OK;
}

void frame_set_age(struct frame_pool *pool, phys_addr_t block, unsigned age)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    enum frame_error error = change(pool, block, put_age, (unsigned)min_u64(age, FRAME_AGE_MAX));
    if (error != FRAME_OK) {
        frame_report(pool, "frame_set_age", block, 1, error);
    }
}

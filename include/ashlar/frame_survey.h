/*
 * A pool of frames (<ashlar/frame.h>) from afar: what each GiB holds, and what a stretch of addresses looks
 * like when it is one dot of a picture.
 */
#pragma once

#include <ashlar/frame.h>

/* One GiB of addresses, as far as the pool manages it. */
struct frame_arena {
    uint64_t managed_frames;            /* free, or given out */
    uint64_t free_frames;               /* held by the policy; those in magazines are not in it */
    uint64_t free_blocks[FRAME_ORDERS]; /* by order, held by the policy */
    int largest_order;                  /* of the largest free block; -1 when there is none */
};

/*
 * Counts GiB number `gib`: with an empty result where there is no RAM. Returns false behind the last one. The
 * cost grows with what is in use there.
 */
bool frame_pool_arena(struct frame_pool *pool, uint64_t gib, struct frame_arena *arena) EXCLUDES(pool->lock);

#define FRAME_SURVEY_PARTS 16

/* What the parts of a stretch are. */
struct frame_survey {
    uint16_t parts;              /* that the stretch was cut into: a power of two up to FRAME_SURVEY_PARTS */
    uint16_t outside;            /* parts that the firmware's map does not name */
    uint16_t free;               /* parts that are free, in magazines or not */
    uint16_t owned[OWNER_COUNT]; /* parts by owner */
    bool exact; /* every part is one thing from end to end; if not, the mixed ones were looked at once */
};

/*
 * Surveys 2^order frames from `base` on, which is a multiple of their length. The stretch is cut into parts;
 * a part that is one free block, one owner's block, or of one type that the pool does not manage, counts as
 * what it is, another one as what a frame somewhere inside it is. So the cost does not depend on the order.
 */
void frame_pool_survey(struct frame_pool *pool, phys_addr_t base, unsigned order, struct frame_survey *survey)
    EXCLUDES(pool->lock);

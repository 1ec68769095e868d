/* Looking at a stretch of memory in a few places: what a picture of it is drawn from. */
#include <ashlar/frame_survey.h>

#include "internal.h"
#include "valid.h"

/* One thing from its first frame on, and where it ends. */
struct thing {
    bool outside; /* no memory of the map */
    bool free;
    unsigned owner; /* if neither */
    uint64_t end;   /* behind its last frame */
};

/* End of what is at a frame that the pool does not manage: of the range, or where the next one starts. */
static uint64_t fixed_end(const struct frame_pool *pool, uint64_t frame)
{
    const struct memory_range *range = frame_pool_range(pool, frame);
    uint64_t state_first = pool->state_base.raw >> FRAME_SHIFT;
    uint64_t state_end = state_first + (pool->state_bytes >> FRAME_SHIFT);
    if (frame >= state_first && frame < state_end) {
        return state_end;
    }
    if (range) { /* frame 0 is the only other frame that a managed range keeps back */
        return frame == 0 ? 1 : (range->base.raw + range->bytes) >> FRAME_SHIFT;
    }
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < pool->config.map_count; i++) {
        uint64_t first = pool->config.map[i].base.raw >> FRAME_SHIFT;
        next = first > frame ? min_u64(next, first) : next;
    }
    return next;
}

static struct thing thing_at(struct frame_pool *pool, uint64_t frame)
{
    struct frame_facts facts;
    frame_pool_look(pool, phys_addr(frame << FRAME_SHIFT), &facts);
    struct thing thing = {.outside = facts.type == MEMORY_TYPE_COUNT, .owner = facts.owner};
    if (!facts.managed) {
        thing.end = fixed_end(pool, frame);
        return thing;
    }
    thing.free = facts.state < FRAME_ALLOCATED;
    thing.end = (facts.block.raw >> FRAME_SHIFT) + (1ULL << facts.order);
    return thing;
}

static void count(struct frame_survey *survey, const struct thing *thing, uint64_t parts)
{
    if (thing->outside) {
        survey->outside += (uint16_t)parts;
    } else if (thing->free) {
        survey->free += (uint16_t)parts;
    } else {
        survey->owned[thing->owner] += (uint16_t)parts;
    }
}

/* Some place in a part, scattered so that no regular pattern in memory is always met at the same place. */
static uint64_t place_in(uint64_t part, uint64_t frames)
{
    uint64_t scattered = part * 0x9e3779b97f4a7c15; /* 2^64 divided by the golden ratio (Knuth, 6.4) */
    return part + (scattered >> 32) % frames;
}

void frame_pool_survey(struct frame_pool *pool, phys_addr_t base, unsigned order, struct frame_survey *survey)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    uint64_t first = base.raw >> FRAME_SHIFT;
    uint64_t end = first + (1ULL << order);
    uint64_t parts = min_u64(1ULL << order, FRAME_SURVEY_PARTS);
    uint64_t size = (1ULL << order) / parts;
    *survey = (struct frame_survey){.parts = (uint16_t)parts, .exact = true};
    for (uint64_t part = first; part < end;) {
        struct thing thing = thing_at(pool, part);
        uint64_t whole = (min_u64(thing.end, end) - part) / size;
        if (whole == 0) {
            thing = thing_at(pool, place_in(part, size));
            whole = 1;
            survey->exact = false;
        }
        count(survey, &thing, whole);
        part += whole * size;
    }
}

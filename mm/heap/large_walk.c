/* Finding large blocks: the one that a pointer lies in, or all of them by walking the frame pool; and the
 * check of them. */
#include "large.h"
#include "mm/frame/internal.h"

/* Fills *large if a frame lies in the first piece of a large block of this heap; whether it does. */
static bool describe(const struct heap *heap, const struct frame_facts *facts, struct heap_large *large)
{
    bool allocated = facts->managed && (facts->state == FRAME_ALLOCATED || facts->state == FRAME_RUN);
    if (!allocated || facts->owner != OWNER_HEAP || heap_note_bytes(heap, facts->note) == 0) {
        return false;
    }
    *large = heap_large_of(heap, facts->block, facts->note);
    return true;
}

bool heap_large_find(struct heap *heap, const void *pointer, struct heap_large *large)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    struct frame_facts facts;
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit) {
        return false;
    }
    frame_pool_look(pool, phys_addr(address), &facts);
    bool part = facts.state == FRAME_RUN_PART || facts.state == FRAME_ALLOCATED;
    if (facts.managed && part && facts.owner == OWNER_HEAP && facts.note.number == HEAP_NOTE_PART) {
        frame_pool_look(pool, phys_addr(heap_note_first_frame(facts.note) << FRAME_SHIFT), &facts);
    }
    return describe(heap, &facts, large);
}

void heap_large_mark(struct heap *heap, const struct heap_large *large, uint32_t marks)
{
    phys_addr_t frame = slab_frame_of(&heap->slabs, large->pointer);
    struct frame_descriptor *descriptor = frame_descriptor(heap->slabs.config.frames, frame);
    union frame_note note = descriptor->note;
    note.number = (uint8_t)((note.number & ~(unsigned)HEAP_NOTE_MARKS) | marks);
    frame_note_set_large(descriptor, note);
}

/* Visits the blocks in one range of the memory map; whether `visit` never returned false. */
static bool visit_range(struct heap *heap, const struct memory_range *range,
                        bool (*visit)(void *context, const struct heap_large *large), void *context)
{
    bool more = true;
    uint64_t end = range->base.raw + range->bytes;
    for (uint64_t address = range->base.raw; address < end && more;) {
        struct frame_facts facts;
        struct heap_large large;
        frame_pool_look(heap->slabs.config.frames, phys_addr(address), &facts);
        uint64_t next = facts.managed ? facts.block.raw + (FRAME_BYTES << facts.order) : 0;
        /* A block may reach into the next range of the map: it is met where it starts. */
        if (facts.block.raw == address && describe(heap, &facts, &large)) {
            next = facts.block.raw + (large.frames << FRAME_SHIFT);
            more = visit(context, &large);
        }
        address = max_u64(next, address + FRAME_BYTES);
    }
    return more;
}

bool heap_large_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_large *large),
                      void *context)
{
    const struct frame_config *config = &heap->slabs.config.frames->config;
    struct heap_statistics statistics = {0};
    heap_large_sum(heap, &statistics);
    bool more = true;
    for (uint32_t i = 0; i < config->map_count && statistics.large_blocks > 0 && more; i++) {
        if (frame_type_is_ram(config->map[i].type)) {
            more = visit_range(heap, &config->map[i], visit, context);
        }
    }
    return more;
}

/* The check of all blocks. */
struct inspection {
    struct heap *heap;            /* whose they are */
    struct heap_statistics found; /* large_... are counted */
    struct slab_problem *problem; /* what was wrong first; problem->what is NULL so far */
};

static bool inspect(void *context, const struct heap_large *large)
{
    struct inspection *inspection = context;
    struct slab_report report;
    inspection->found.large_blocks++;
    inspection->found.large_bytes += large->frames << FRAME_SHIFT;
    inspection->found.large_asked += large->bytes;
    if (!inspection->problem->what && !heap_large_examine(inspection->heap, large, &report)) {
        *inspection->problem = (struct slab_problem){slab_fault_name(report.fault), NULL, large->pointer,
                                                     report.found, report.expected};
    }
    return true;
}

bool heap_large_check(struct heap *heap, struct slab_problem *problem)
{
    struct inspection inspection = {.heap = heap, .problem = problem};
    struct heap_statistics counted = {0};
    *problem = (struct slab_problem){.what = NULL};
    heap_large_visit(heap, inspect, &inspection);
    heap_large_sum(heap, &counted);
    struct heap_statistics found = inspection.found;
    if (problem->what) {
        return false;
    }
    if (found.large_blocks != counted.large_blocks) {
        *problem = (struct slab_problem){"count of large blocks", NULL, heap, counted.large_blocks,
                                         found.large_blocks};
    } else if (found.large_bytes != counted.large_bytes) {
        *problem = (struct slab_problem){"frames of large blocks", NULL, heap, counted.large_bytes,
                                         found.large_bytes};
    } else if (found.large_asked != counted.large_asked) {
        *problem = (struct slab_problem){"bytes of large blocks", NULL, heap, counted.large_asked,
                                         found.large_asked};
    }
    return !problem->what;
}

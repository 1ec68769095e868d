/* Seeing inside: what a pointer is, how much memory there is for what, and the validator. */
#include <ashlar/slab_guard.h>

#include "internal.h"

static bool look_at_virtual(struct heap *heap, const void *pointer, struct heap_facts *facts)
{
    struct heap_virtual_block block;
    if (!heap->virtually.find || !heap->virtually.find(heap->virtually.context, pointer, &block)) {
        return false;
    }
    facts->kind = HEAP_VIRTUAL;
    facts->block = block.pointer;
    facts->bytes = block.bytes;
    facts->room = block.bytes;
    return true;
}

static bool look_at_large(struct heap *heap, const void *pointer, struct heap_facts *facts)
{
    struct heap_large large;
    if (!heap_large_find(heap, pointer, &large)) {
        return false;
    }
    facts->kind = HEAP_LARGE;
    facts->block = large.pointer;
    facts->bytes = large.bytes;
    facts->room = large.frames << FRAME_SHIFT;
    facts->allocated = large.allocated;
    return true;
}

void heap_look(struct heap *heap, const void *pointer, struct heap_facts *facts)
{
    *facts = (struct heap_facts){.kind = HEAP_NONE};
    slab_look(&heap->slabs, pointer, &facts->object);
    if (facts->object.place != SLAB_NONE) {
        facts->kind = HEAP_OBJECT;
    } else if (look_at_large(heap, pointer, facts) || look_at_virtual(heap, pointer, facts)) {
        facts->offset = (uint64_t)((const char *)pointer - (const char *)facts->block);
    }
}

size_t heap_usable_bytes(const struct heap *heap, const struct heap_facts *facts)
{
    switch (facts->kind) {
    case HEAP_OBJECT:
        return facts->object.place == SLAB_LIVE && facts->object.offset == 0 ? facts->object.bytes : 0;
    case HEAP_LARGE:
        return facts->offset != 0 ? 0 : heap->large_policy & SLAB_REDZONE ? facts->bytes : facts->room;
    case HEAP_VIRTUAL:
        return facts->offset == 0 ? facts->room : 0;
    case HEAP_NONE:
        break;
    }
    return 0;
}

size_t heap_usable_size(struct heap *heap, const void *pointer)
{
    struct heap_facts facts;
    heap_look(heap, pointer, &facts);
    return heap_usable_bytes(heap, &facts);
}

/* ---- Sums and the validator ---- */

static bool add_cache(void *context, struct slab_cache *cache)
{
    struct heap_statistics *sum = context;
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    sum->slab_bytes += statistics.slab_bytes;
    sum->waste_bytes += statistics.waste_bytes;
    sum->resting_bytes += cache->quarantine ? FRAME_BYTES : 0;
    if (cache->config.plain) {
        sum->class_bytes += statistics.slab_bytes;
        sum->class_live += (statistics.live + statistics.guarded) * cache->config.bytes;
    }
    return true;
}

static bool add_virtual(void *to, const struct heap_virtual_block *block)
{
    struct heap_statistics *sum = to;
    sum->virtual_blocks++;
    sum->virtual_bytes += block->bytes;
    return true;
}

void heap_statistics(struct heap *heap, struct heap_statistics *statistics)
{
    struct slab_pool *slabs = &heap->slabs;
    *statistics = (struct heap_statistics){.class_bytes = 0};
    slab_for_each_cache(slabs, add_cache, statistics);
    heap_large_sum(heap, statistics);
    if (heap->virtually.visit) {
        heap->virtually.visit(heap->virtually.context, add_virtual, statistics);
    }
    statistics->part_bytes = slabs->config.cpus * CPU_PART_BYTES;
    statistics->guard_bytes = slabs->guard ? slab_guard_shown_bytes(slabs->guard) : 0;
    spinlock_acquire(&slabs->records_lock);
    statistics->slab_records = slabs->slabs.pages * FRAME_BYTES;
    statistics->magazine_bytes = slabs->magazines.pages * FRAME_BYTES;
    spinlock_release(&slabs->records_lock);
    statistics->record_bytes = statistics->magazine_bytes + statistics->slab_records +
                               statistics->part_bytes + statistics->resting_bytes + statistics->guard_bytes;
}

bool heap_check(struct heap *heap, struct slab_problem *problem)
{
    return slab_check(&heap->slabs, problem) && heap_large_check(heap, problem);
}

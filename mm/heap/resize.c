/*
 * Resizing: a block stays where it is while that wastes at most half of it; else its contents move to a new
 * one. A large block that grows once is likely to grow again: it gets room for that.
 */
#include "large.h"
#include "valid.h"

/* The class of a block, if it is one without debug policy; NULL for all else. It decides nothing about
 * mistakes. */
static const struct slab_cache *simple_class(struct heap *heap, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit) {
        return NULL;
    }
    union frame_note note = heap->slabs.descriptors[address >> FRAME_SHIFT].note;
    if (frame_note_kind(note) != FRAME_NOTE_SLAB) {
        return NULL;
    }
    const struct slab *slab = frame_note_slab(note);
    const struct slab_cache *cache = slab->cache;
    bool simple = cache->config.plain && !cache->policy &&
                  ((address & ((FRAME_BYTES << cache->order) - 1)) * cache->inverse) < cache->inverse &&
                  !slab_is_marked_free(cache, pointer);
    return simple ? cache : NULL;
}

/* Whether a block of which `usable` bytes can be used may stay where it is: not if more than half would be
 * unused. */
static bool may_stay(size_t usable, size_t bytes)
{
    return bytes <= usable && (bytes > usable / 2 || usable <= HEAP_BYTES_MIN);
}

/* Notes the new length of a block that may stay, or grows; false when it must move after all. */
static bool note_length(struct heap *heap, const struct heap_facts *facts, size_t bytes, const void *caller)
{
    void *object = facts->object.object;
    uint32_t asked = (uint32_t)max_u64(bytes, 1);
    if (facts->kind == HEAP_LARGE) {
        return heap_large_resize(heap, facts->block, max_u64(bytes, 1), caller);
    }
    if (facts->kind == HEAP_OBJECT && slab_guard_owns(heap->slabs.guard, object)) {
        slab_guard_resize(heap->slabs.guard, object, asked, caller);
    } else if (facts->kind == HEAP_OBJECT && facts->object.cache->policy) {
        slab_debug_resize(facts->object.cache, object, asked, caller);
    }
    return true;
}

/* Makes a virtual block longer without a copy, and with room if there is memory for that; NULL if there is no
 * way. */
static void *grow_virtually(struct heap *heap, void *pointer, size_t bytes)
{
    const struct heap_virtual *source = &heap->virtually;
    /* While some allocations are made to fail, the block moves: an allocation counts. */
    if (!source->grow || bytes > HEAP_BYTES_MAX || slab_is_failing(&heap->slabs, &heap->large_failing)) {
        return NULL;
    }
    uint64_t roomy = heap_large_frames(heap, bytes, true) << FRAME_SHIFT;
    void *grown = source->grow(source->context, pointer, roomy);
    return grown ? grown : source->grow(source->context, pointer, bytes);
}

static void *move(struct heap *heap, void *pointer, size_t usable, size_t bytes, const void *caller)
{
    bool grows = bytes > usable && usable > HEAP_CLASS_MAX;
    void *moved = grows ? heap_large_alloc_roomy(heap, bytes, caller) : heap_alloc_for(heap, bytes, caller);
    if (!moved) {
        return bytes <= usable ? pointer : NULL;
    }
    memcpy(moved, pointer, min_u64(usable, bytes));
    if (!heap_push(heap, pointer)) {
        heap_free_for(heap, pointer, caller);
    }
    return moved;
}

void *heap_resize(struct heap *heap, void *pointer, size_t bytes)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    VALIDATE_AT_RANDOM(slab, heap_check, heap);
    const void *caller = __builtin_return_address(0);
    if (!pointer) {
        return heap_alloc_for(heap, bytes, caller);
    }
    const struct slab_cache *simple = simple_class(heap, pointer);
    if (simple) {
        size_t usable = simple->config.bytes;
        return may_stay(usable, bytes) ? pointer : move(heap, pointer, usable, bytes, caller);
    }
    struct heap_facts facts;
    heap_look(heap, pointer, &facts);
    size_t usable = heap_usable_bytes(heap, &facts);
    if (usable == 0) { /* not a block: freeing it names the mistake */
        heap_free_for(heap, pointer, caller);
        return NULL;
    }
    void *grown = facts.kind == HEAP_VIRTUAL && bytes > usable ? grow_virtually(heap, pointer, bytes) : NULL;
    if (grown) {
        return grown;
    }
    size_t room = facts.kind == HEAP_LARGE ? facts.room : usable; /* a red zone can move */
    bool may_grow = facts.kind == HEAP_LARGE && bytes > room;
    bool stays = (may_grow || may_stay(room, bytes)) && note_length(heap, &facts, bytes, caller);
    return stays ? pointer : move(heap, pointer, usable, bytes, caller);
}

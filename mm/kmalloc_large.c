/*
 * Blocks above the largest class: runs of whole frames, each with a record in a list. The descriptor of the
 * first frame leads to the record.
 */
#include "kmalloc_internal.h"

static void link_block(struct heap *heap, struct heap_large *large) REQUIRES(heap->large_lock)
{
    large->previous = NULL;
    large->next = heap->large;
    if (large->next) {
        large->next->previous = large;
    }
    heap->large = large;
    heap->large_count++;
    heap->large_bytes += large->frames << FRAME_SHIFT;
    heap->large_asked += large->bytes;
}

static void unlink_block(struct heap *heap, struct heap_large *large) REQUIRES(heap->large_lock)
{
    if (large->previous) {
        large->previous->next = large->next;
    } else {
        heap->large = large->next;
    }
    if (large->next) {
        large->next->previous = large->previous;
    }
    heap->large_count--;
    heap->large_bytes -= large->frames << FRAME_SHIFT;
    heap->large_asked -= large->bytes;
}

/* `frames` frames; a power of two of them comes out of the frame pool's magazines. */
static phys_addr_t take_frames(struct heap *heap, uint64_t frames, uint64_t alignment)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    if (is_power_of_two(frames) && alignment <= frames << FRAME_SHIFT) {
        return frame_alloc(pool, (unsigned)__builtin_ctzll(frames), OWNER_HEAP);
    }
    struct frame_request request = {.frames = frames, .alignment = alignment, .owner = OWNER_HEAP};
    phys_addr_t address = FRAME_NONE;
    return frame_alloc_request(pool, &request, &address) == FRAME_OK ? address : FRAME_NONE;
}

static void *take_run(struct heap *heap, struct heap_large *large, uint64_t alignment)
{
    phys_addr_t run = take_frames(heap, large->frames, alignment);
    if (run.raw == 0 && slab_reap(&heap->slabs) > 0) {
        run = take_frames(heap, large->frames, alignment);
    }
    if (run.raw == 0) {
        return NULL;
    }
    large->pointer = slab_frame_pointer(&heap->slabs, run);
    frame_descriptor(heap->slabs.config.frames, run)->object = slab_encode(large, SLAB_NUMBER_LARGE);
    spinlock_acquire(&heap->large_lock);
    link_block(heap, large);
    spinlock_release(&heap->large_lock);
    return large->pointer;
}

static void *take_virtually(struct heap *heap, uint64_t bytes, uint64_t alignment)
{
    if (!heap->virtually.alloc || alignment > FRAME_BYTES) {
        return NULL;
    }
    return heap->virtually.alloc(heap->virtually.context, bytes);
}

void *heap_large_alloc(struct heap *heap, uint64_t bytes, uint64_t alignment, const void *caller)
{
    if (bytes > HEAP_BYTES_MAX) {
        return NULL;
    }
    /* The record is an allocation like any other: where one is to fail on purpose, it fails here. */
    struct heap_large *large = slab_cache_alloc(&heap->records);
    if (!large) {
        return NULL;
    }
    large->bytes = bytes;
    large->frames = max_u64((bytes + FRAME_BYTES - 1) >> FRAME_SHIFT, 1);
    large->allocated.ticks = 0;
    if (heap->large_policy & SLAB_OWNER) {
        slab_who_note(&heap->slabs, &large->allocated, caller);
    }
    void *pointer = take_run(heap, large, alignment);
    if (!pointer) {
        slab_cache_free(&heap->records, large);
        pointer = take_virtually(heap, bytes, alignment);
    }
    return pointer;
}

struct heap_large *heap_large_find(struct heap *heap, const void *pointer)
{
    struct frame_facts facts;
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit || !is_aligned(address, FRAME_BYTES)) {
        return NULL;
    }
    frame_pool_look(heap->slabs.config.frames, phys_addr(address), &facts);
    bool is_large = facts.managed && facts.state >= FRAME_ALLOCATED && facts.owner == OWNER_HEAP &&
                    facts.block.raw == address && slab_encoded_number(facts.object) == SLAB_NUMBER_LARGE;
    return is_large ? slab_decode(facts.object) : NULL;
}

void heap_large_free(struct heap *heap, struct heap_large *large)
{
    phys_addr_t run = slab_frame_of(&heap->slabs, large->pointer);
    spinlock_acquire(&heap->large_lock);
    unlink_block(heap, large);
    spinlock_release(&heap->large_lock);
    frame_descriptor(heap->slabs.config.frames, run)->object = NULL;
    uint64_t frames = large->frames;
    slab_cache_free(&heap->records, large);
    if (is_power_of_two(frames)) {
        frame_free(heap->slabs.config.frames, run, (unsigned)__builtin_ctzll(frames));
    } else {
        frame_free_run(heap->slabs.config.frames, run, frames);
    }
}

bool heap_large_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_block *block),
                      void *context)
{
    bool more = true;
    spinlock_acquire(&heap->large_lock);
    for (const struct heap_large *large = heap->large; large && more; large = large->next) {
        struct heap_block block = {.pointer = large->pointer,
                                   .bytes = large->frames << FRAME_SHIFT,
                                   .allocated = large->allocated.ticks ? &large->allocated : NULL};
        more = visit(context, &block);
    }
    spinlock_release(&heap->large_lock);
    return more;
}

bool heap_large_check(struct heap *heap, struct slab_problem *problem)
{
    uint64_t count = 0;
    uint64_t bytes = 0;
    const struct heap_large *previous = NULL;
    *problem = (struct slab_problem){.what = NULL};
    spinlock_acquire(&heap->large_lock);
    for (const struct heap_large *large = heap->large; large && !problem->what; large = large->next) {
        void *encoded = slab_encode(large, SLAB_NUMBER_LARGE);
        phys_addr_t run = slab_frame_of(&heap->slabs, large->pointer);
        void *noted = frame_descriptor(heap->slabs.config.frames, run)->object;
        if (noted != encoded || large->previous != previous) {
            *problem = (struct slab_problem){"a large block's frame leads elsewhere", NULL, large,
                                             (uintptr_t)noted, (uintptr_t)encoded};
        }
        count++;
        bytes += large->frames << FRAME_SHIFT;
        previous = large;
    }
    if (!problem->what && (count != heap->large_count || bytes != heap->large_bytes)) {
        *problem =
            (struct slab_problem){"bytes of large blocks", NULL, heap->large, heap->large_bytes, bytes};
    }
    spinlock_release(&heap->large_lock);
    return !problem->what;
}

void heap_large_destroy(struct heap *heap)
{
    uint64_t live = 0;
    struct heap_large *large;
    do {
        spinlock_acquire(&heap->large_lock);
        large = heap->large;
        spinlock_release(&heap->large_lock);
        if (large) {
            heap_large_free(heap, large);
            live++;
        }
    } while (large);
    if (live > 0) {
        struct slab_report report = {.fault = SLAB_LIVE_AT_DESTROY, .pointer = heap, .found = live};
        slab_report(&heap->slabs, &report);
    }
}

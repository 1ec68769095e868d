/*
 * Blocks above the largest class: whole frames, described by the descriptor of their first frame alone. What
 * the owner notes there holds the length that was asked for and the heap it belongs to; the tag says how many
 * frames there are. So a block costs no record, no list and no lock. To enumerate them, the frame pool is
 * walked: only those who look do that. With the owner policy, a note leads to a record instead, which says
 * who allocated the block.
 */
#include "large.h"

#include "mm/frame/internal.h"
#include "valid.h"

const uint32_t heap_track_bytes = sizeof(struct heap_track);

/* The heap's part of CPU 0 is nobody else's: its address tells it from others, up to 1 TiB. */
void heap_large_init(struct heap *heap)
{
    uint64_t block = slab_frame_of(&heap->slabs, heap->slabs.parts).raw / CPU_PART_BYTES;
    heap->large_note = (block & HEAP_NOTE_IDENTITY_MASK) << HEAP_NOTE_IDENTITY_SHIFT | HEAP_NOTE_LARGE;
}

/* ---- Accounts ---- */

void heap_large_sum(const struct heap *heap, struct heap_statistics *statistics)
{
    for (unsigned i = 0; i < heap->slabs.config.cpus; i++) {
        const struct heap_large_count *here = slab_part_of(heap->slabs.parts, i);
        statistics->large_blocks += (uint64_t)atomic_load_explicit(&here->blocks, memory_order_relaxed);
        statistics->large_bytes += (uint64_t)atomic_load_explicit(&here->frames, memory_order_relaxed)
                                   << FRAME_SHIFT;
        statistics->large_asked += (uint64_t)atomic_load_explicit(&here->bytes, memory_order_relaxed);
    }
}

/* ---- Allocating ---- */

/* The further pieces of a run, whose length is no power of two, lead to its first frame. */
static void note_parts(struct heap *heap, uint64_t first, uint64_t frames)
{
    uint64_t at = first;
    uint64_t left = frames;
    for (;;) {
        uint64_t piece = 1ULL << frame_run_first_order(at, left);
        at += piece;
        left -= piece;
        if (left == 0) {
            return;
        }
        frame_note_set_large(&heap->slabs.config.frames->descriptors[at], heap_note_part(first));
    }
}

/* Notes a run in its descriptor and the accounts. */
static inline __attribute__((always_inline)) void *
book_run(struct heap *heap, phys_addr_t run, uint64_t frames, uint64_t bytes, union frame_note note)
{
    preempt_disable();
    frame_note_set_large(&heap->slabs.config.frames->descriptors[run.raw >> FRAME_SHIFT], note);
    heap_large_book(heap, 1, frames, bytes);
    preempt_enable();
    return slab_frame_pointer(&heap->slabs, run);
}

static void *take_run(struct heap *heap, uint64_t bytes, uint64_t alignment, union frame_note note)
{
    bool roomy = heap_note_is_roomy(note);
    struct frame_request request = {.frames = heap_large_frames(heap, bytes, roomy),
                                    .alignment = alignment,
                                    .owner = OWNER_HEAP,
                                    .try_only = roomy};
    phys_addr_t run;
    if (frame_alloc_request(heap->slabs.config.frames, &request, &run) != FRAME_OK) {
        return NULL;
    }
    note_parts(heap, run.raw >> FRAME_SHIFT, request.frames);
    heap_large_fill(heap, slab_frame_pointer(&heap->slabs, run), bytes, request.frames);
    return book_run(heap, run, request.frames, bytes, note);
}

static void *take_tracked_run(struct heap *heap, uint64_t bytes, uint64_t alignment, unsigned roomy,
                              const void *caller)
{
    struct heap_track *track = slab_cache_alloc(&heap->tracks);
    if (!track) {
        return NULL;
    }
    track->heap = heap;
    track->bytes = bytes;
    slab_who_note(&heap->slabs, &track->allocated, caller);
    union frame_note note = frame_note_of_record(track, HEAP_NOTE_LARGE | HEAP_NOTE_TRACKED | roomy);
    void *pointer = take_run(heap, bytes, alignment, note);
    if (!pointer) {
        slab_cache_free(&heap->tracks, track);
    }
    return pointer;
}

static void *take_virtually(struct heap *heap, uint64_t bytes, uint64_t alignment)
{
    if (!heap->virtually.alloc || alignment > FRAME_BYTES) {
        return NULL;
    }
    return heap->virtually.alloc(heap->virtually.context, bytes);
}

/* A run, tracked if the policy says so; `roomy`: HEAP_NOTE_ROOMY or 0. */
static void *alloc_run(struct heap *heap, uint64_t bytes, uint64_t alignment, unsigned roomy,
                       const void *caller)
{
    if (heap->large_policy & SLAB_OWNER) {
        return take_tracked_run(heap, bytes, alignment, roomy, caller);
    }
    union frame_note note = heap_note_plain(heap, bytes);
    note.raw |= roomy;
    return take_run(heap, bytes, alignment, note);
}

/* Whatever the frame pool's magazines do not serve. Not inlined: the short way below would save its
 * registers. */
__attribute__((noinline)) void *heap_large_alloc(struct heap *heap, uint64_t bytes, uint64_t alignment,
                                                 const void *caller)
{
    VALIDATE_AT_RANDOM(slab, heap_check, heap);
    if (bytes > HEAP_BYTES_MAX || slab_fail_now(&heap->slabs, &heap->large_failing)) {
        return NULL;
    }
    bytes = max_u64(bytes, 1);
    void *pointer = alloc_run(heap, bytes, alignment, 0, caller);
    return pointer ? pointer : take_virtually(heap, bytes, alignment);
}

void *heap_large_alloc_roomy(struct heap *heap, uint64_t bytes, const void *caller)
{
    if (bytes > HEAP_BYTES_MAX || slab_fail_now(&heap->slabs, &heap->large_failing)) {
        return NULL;
    }
    void *pointer = alloc_run(heap, bytes, FRAME_BYTES, HEAP_NOTE_ROOMY, caller);
    pointer = pointer ? pointer : alloc_run(heap, bytes, FRAME_BYTES, 0, caller);
    return pointer ? pointer : take_virtually(heap, bytes, FRAME_BYTES);
}

/* The short way, as the fast paths of the classes are: a block of a power of two of frames. */
void *heap_alloc_large(struct heap *heap, size_t bytes)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    bool simple = bytes <= HEAP_BYTES_MAX && heap->large_policy == 0 &&
                  atomic_load_explicit(&heap->slabs.failing.every, memory_order_relaxed) == 0;
    if (simple) {
        uint64_t frames = (bytes + FRAME_BYTES - 1) >> FRAME_SHIFT;
        unsigned order = 63 - (unsigned)__builtin_clzll(frames);
        phys_addr_t block;
        if (1ULL << order == frames &&
            frame_alloc_cached(heap->slabs.config.frames, order, OWNER_HEAP, &block)) {
            return book_run(heap, block, frames, bytes, heap_note_plain(heap, bytes));
        }
    }
    return heap_large_alloc(heap, bytes, FRAME_BYTES, __builtin_return_address(0));
}

/* ---- Freeing ---- */

void heap_large_free(struct heap *heap, struct frame_descriptor *descriptor, const void *caller)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    phys_addr_t run = heap_large_frame(heap, descriptor);
    union frame_note note = descriptor->note;
    struct heap_large large = heap_large_of(heap, run, note);
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    if (!heap_large_leave(heap, &large, caller)) {
        return;
    }
    preempt_disable();
    frame_note_clear(descriptor);
    heap_large_book(heap, -1, large.frames, large.bytes);
    preempt_enable();
    if (heap_note_is_tracked(note)) {
        slab_cache_free(&heap->tracks, heap_note_track(note));
    }
    heap_large_spoil(heap, &large);
    if (heap_note_is_roomy(note)) {
        heap_large_free_grown(heap, &large);
    } else if (frame_tag_state(tag) == FRAME_ALLOCATED) {
        frame_free(pool, run, frame_tag_order(tag));
    } else {
        frame_free_run(pool, run, large.frames);
    }
}

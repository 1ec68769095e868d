/*
 * Large blocks that stay where they are when they are resized. A block that grows takes room. The frames that
 * follow are taken if all of them are free, as blocks of their own, each with a note that leads to the first
 * frame, as the further pieces of a run have. With the room that a growing block gets, there are few of them:
 * four where it has become twice as long.
 */
#include "large.h"

#include "mm/frame/internal.h"

static phys_addr_t address_of(uint64_t frame)
{
    return phys_addr(frame << FRAME_SHIFT);
}

static uint32_t tag_of(const struct heap *heap, uint64_t frame)
{
    return atomic_load_explicit(&heap->slabs.config.frames->descriptors[frame].tag, memory_order_relaxed);
}

/* Frees the blocks that frames [at, end) are made of. */
static void free_blocks(struct heap *heap, uint64_t at, uint64_t end)
{
    while (at < end) {
        unsigned order = frame_tag_order(tag_of(heap, at));
        frame_free(heap->slabs.config.frames, address_of(at), order);
        at += 1ULL << order;
    }
}

/* Takes frames [from, end), as the largest aligned blocks, for the large block at `first`; all or none. */
static bool take_behind(struct heap *heap, uint64_t first, uint64_t from, uint64_t end)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    for (uint64_t at = from; at < end;) {
        unsigned order = (unsigned)min_u64(frame_order_below(end - at), (uint64_t)__builtin_ctzll(at));
        if (frame_alloc_at(pool, address_of(at), order, OWNER_HEAP) != FRAME_OK) {
            free_blocks(heap, from, at);
            return false;
        }
        frame_note_set_large(&pool->descriptors[at], heap_note_part(first));
        at += 1ULL << order;
    }
    return true;
}

/* Notes a block's length, and the frames that it has now. Preemption is off. */
static void note_length(struct heap *heap, const struct heap_large *large, uint64_t frames, uint64_t bytes)
{
    phys_addr_t frame = slab_frame_of(&heap->slabs, large->pointer);
    struct frame_descriptor *descriptor = frame_descriptor(heap->slabs.config.frames, frame);
    union frame_note note = descriptor->note;
    if (heap_note_is_tracked(note)) {
        heap_note_track(note)->bytes = bytes;
    } else {
        unsigned roomy = note.number & HEAP_NOTE_ROOMY;
        note = heap_note_plain(heap, bytes);
        note.raw |= roomy;
    }
    if (frames != large->frames) {
        note.raw |= HEAP_NOTE_ROOMY;
    }
    frame_note_set_large(descriptor, note);
    struct heap_large_count *here = heap_large_here(heap);
    heap_large_add(&here->frames, (int64_t)(frames - large->frames));
    heap_large_add(&here->bytes, (int64_t)(bytes - large->bytes));
}

/*
 * Takes the frames behind a block that are needed for `bytes` bytes and some room. False, and nothing has
 * changed, if they are not all free. A damaged block is reported, and keeps its length.
 */
static bool grow(struct heap *heap, const struct heap_large *large, uint64_t bytes, const void *caller)
{
    uint64_t first = slab_frame_of(&heap->slabs, large->pointer).raw >> FRAME_SHIFT;
    uint64_t room = large->frames << FRAME_SHIFT;
    uint64_t frames = heap_large_frames(heap, bytes, true);
    /* While some allocations are made to fail, a block that grows moves: an allocation counts. */
    if (bytes > HEAP_BYTES_MAX || slab_is_failing(&heap->slabs, &heap->large_failing) ||
        !take_behind(heap, first, first + large->frames, first + frames)) {
        return false;
    }
    heap_large_fill(heap, (char *)large->pointer + room, max_u64(bytes, room) - room, frames - large->frames);
    preempt_disable();
    bool sound = heap_large_stretch(heap, large, bytes, caller);
    if (sound) {
        note_length(heap, large, frames, bytes);
    }
    preempt_enable();
    if (!sound) {
        free_blocks(heap, first + large->frames, first + frames);
    }
    return true;
}

bool heap_large_resize(struct heap *heap, void *pointer, uint64_t bytes, const void *caller)
{
    phys_addr_t frame = slab_frame_of(&heap->slabs, pointer);
    union frame_note note = frame_descriptor(heap->slabs.config.frames, frame)->note;
    struct heap_large large = heap_large_of(heap, frame, note);
    uint64_t frames = heap_large_frames(heap, bytes, heap_note_is_roomy(note));
    if (bytes > HEAP_BYTES_MAX || frames != large.frames) {
        return frames >= large.frames && grow(heap, &large, bytes, caller);
    }
    preempt_disable(); /* else a validator could find one of red zone, note and account changed */
    if (heap_large_stretch(heap, &large, bytes, caller)) {
        note_length(heap, &large, frames, bytes);
    }
    preempt_enable();
    return true;
}

void heap_large_free_grown(struct heap *heap, const struct heap_large *large)
{
    uint64_t first = slab_frame_of(&heap->slabs, large->pointer).raw >> FRAME_SHIFT;
    uint64_t end = first + large->frames;
    uint64_t next = first;
    do { /* to the end of the block or run that it was before it grew */
        next += 1ULL << frame_tag_order(tag_of(heap, next));
    } while (next < end && frame_tag_state(tag_of(heap, next)) == FRAME_RUN_PART);
    frame_free_run(heap->slabs.config.frames, address_of(first), next - first);
    free_blocks(heap, next, end);
}

/*
 * What the descriptor of a large block's first frame holds: its note. Shared by large.c, large_walk.c and
 * free.c.
 *
 * The lowest byte of a note is a number like those of slabs, one that no cache can have. Behind it are 26
 * bits that tell the heaps on one frame pool apart, and 30 of the length, less one. A note that is marked
 * HEAP_NOTE_TRACKED holds the address of a record instead, as a slab's note does.
 */
#pragma once

#include "internal.h"

#define HEAP_NOTE_LARGE          0x80
#define HEAP_NOTE_TRACKED        0x08
#define HEAP_NOTE_PART           0x40 /* alone: of a further piece of a run, the number of its first frame */
#define HEAP_NOTE_ROOMY          0x40 /* with HEAP_NOTE_LARGE: see heap_large_frames() */
#define HEAP_NOTE_MARKS          (HEAP_LARGE_REACHED | HEAP_LARGE_SEARCHED)
#define HEAP_NOTE_VARIABLE       (HEAP_NOTE_MARKS | HEAP_NOTE_ROOMY) /* not whose block it is */
#define HEAP_NOTE_IDENTITY_SHIFT 8
#define HEAP_NOTE_BYTES_SHIFT    34
#define HEAP_NOTE_IDENTITY_MASK  ((1ULL << (HEAP_NOTE_BYTES_SHIFT - HEAP_NOTE_IDENTITY_SHIFT)) - 1)

_Static_assert(HEAP_BYTES_MAX == 1ULL << (64 - HEAP_NOTE_BYTES_SHIFT), "every length fits into a note");
_Static_assert(((HEAP_NOTE_LARGE | HEAP_NOTE_TRACKED | HEAP_NOTE_MARKS | HEAP_NOTE_PART) &
                ((1 << FRAME_NOTE_KIND_BITS) - 1)) == 0,
               "plain notes");

/* Who allocated a block, with the owner policy. */
struct heap_track {
    const struct heap *heap;   /* whose block it is */
    uint64_t bytes;            /* as asked for */
    struct slab_who allocated; /* by whom */
};

/* Whether a note of a large block leads to a record. */
static inline bool heap_note_is_tracked(union frame_note note)
{
    return note.number & HEAP_NOTE_TRACKED;
}

static inline struct heap_track *heap_note_track(union frame_note note)
{
    return frame_note_record(note);
}

/* The note of a further piece of a run: it leads to the run's first frame. */
static inline union frame_note heap_note_part(uint64_t first_frame)
{
    return (union frame_note){.raw = first_frame << FRAME_NOTE_RECORD_SHIFT | HEAP_NOTE_PART};
}

static inline uint64_t heap_note_first_frame(union frame_note part)
{
    return part.raw >> FRAME_NOTE_RECORD_SHIFT;
}

/* The note of a block of this heap that is not tracked. */
static inline union frame_note heap_note_plain(const struct heap *heap, uint64_t bytes)
{
    return (union frame_note){.raw = heap->large_note | (bytes - 1) << HEAP_NOTE_BYTES_SHIFT};
}

/* The length that a note gives, if it is that of a block of this heap which is not tracked; else 0. */
static inline uint64_t heap_note_plain_bytes(const struct heap *heap, union frame_note note)
{
    uint64_t identity = note.raw & ~(~0ULL << HEAP_NOTE_BYTES_SHIFT) & ~(uint64_t)HEAP_NOTE_VARIABLE;
    return identity == heap->large_note ? (note.raw >> HEAP_NOTE_BYTES_SHIFT) + 1 : 0;
}

/* The length that a note gives, if it is that of any block of this heap; else 0. */
static inline uint64_t heap_note_bytes(const struct heap *heap, union frame_note note)
{
    uint64_t plain = heap_note_plain_bytes(heap, note);
    unsigned number = note.number & ~(unsigned)HEAP_NOTE_VARIABLE;
    if (__builtin_expect(plain != 0, 1)) {
        return plain;
    }
    if (number != (HEAP_NOTE_LARGE | HEAP_NOTE_TRACKED)) {
        return 0;
    }
    return heap_note_track(note)->heap == heap ? heap_note_track(note)->bytes : 0;
}

/*
 * Frames of a block of so many bytes: under the red zone policy with room for that behind it, if there can be
 * any. A roomy one is a block that has grown, and may grow on: it has the next multiple of a quarter of a
 * power of two, so that growing to twice its length, by however little at a time, moves it four times.
 */
static inline uint64_t heap_large_frames(const struct heap *heap, uint64_t bytes, bool roomy)
{
    uint64_t behind = heap->large_policy & SLAB_REDZONE ? SLAB_REDZONE_MIN : 0;
    uint64_t frames = (min_u64(bytes + behind, HEAP_BYTES_MAX) + FRAME_BYTES - 1) >> FRAME_SHIFT;
    return roomy ? align_up(frames, max_u64((1ULL << (63 - __builtin_clzll(frames))) / 4, 1)) : frames;
}

static inline bool heap_note_is_roomy(union frame_note note)
{
    return note.number & HEAP_NOTE_ROOMY;
}

/* A block whose first frame has this note. */
static inline struct heap_large heap_large_of(const struct heap *heap, phys_addr_t frame,
                                              union frame_note note)
{
    uint64_t bytes = heap_note_bytes(heap, note);
    return (struct heap_large){.pointer = slab_frame_pointer(&heap->slabs, frame),
                               .bytes = bytes,
                               .frames = heap_large_frames(heap, bytes, heap_note_is_roomy(note)),
                               .allocated =
                                   heap_note_is_tracked(note) ? &heap_note_track(note)->allocated : NULL,
                               .marks = note.number & HEAP_NOTE_MARKS};
}

/* Whether a block of some heap starts at the frame of this descriptor. */
static inline bool heap_large_starts(const struct frame_descriptor *descriptor)
{
    enum frame_state state = frame_tag_state(atomic_load_explicit(&descriptor->tag, memory_order_relaxed));
    return (state == FRAME_ALLOCATED || state == FRAME_RUN) &&
           frame_descriptor_owner(descriptor) == OWNER_HEAP;
}

/* ---- Accounts ---- */

/* This CPU's. Preemption is off. */
static inline struct heap_large_count *heap_large_here(struct heap *heap)
{
    return cpu_part(heap->slabs.parts);
}

static inline void heap_large_add(_Atomic(int64_t) *account, int64_t value)
{
    atomic_store_explicit(account, atomic_load_explicit(account, memory_order_relaxed) + value,
                          memory_order_relaxed);
}

/* Books a block that came (sign 1) or goes (sign -1). Preemption is off, and has been since its note was
 * written or cleared: a validator, for which all CPUs are stopped, counts the notes. */
static inline void heap_large_book(struct heap *heap, int64_t sign, uint64_t frames, uint64_t bytes)
{
    struct heap_large_count *here = heap_large_here(heap);
    heap_large_add(&here->blocks, sign);
    heap_large_add(&here->frames, sign * (int64_t)frames);
    heap_large_add(&here->bytes, sign * (int64_t)bytes);
}

/* ---- The short way of freeing ---- */

/* The first frame of a block. */
static inline phys_addr_t heap_large_frame(const struct heap *heap, const struct frame_descriptor *descriptor)
{
    const struct frame_descriptor *first = heap->slabs.config.frames->descriptors;
    return phys_addr((uint64_t)(descriptor - first) << FRAME_SHIFT);
}

/*
 * Frees a block, `bytes` long, of a power of two of frames and without policy (so that no record tracks it)
 * into this CPU's magazine of frames. False, and nothing has changed, when it is another kind of block or the
 * magazine is full. The tag of a run is no such block's. Not for one with room, which may have grown
 * beyond its tag. Inline, as the fast paths of the classes are.
 */
static inline __attribute__((always_inline)) bool
heap_large_free_cached(struct heap *heap, struct frame_descriptor *descriptor, uint64_t bytes)
{
    unsigned order = frame_tag_order(atomic_load_explicit(&descriptor->tag, memory_order_relaxed));
    if (heap->large_policy != 0) {
        return false;
    }
    preempt_disable(); /* as long as it is, nobody takes the block out of the magazine */
    bool freed = frame_free_cached(heap->slabs.config.frames, heap_large_frame(heap, descriptor), order);
    if (freed) {
        frame_note_clear(descriptor);
        heap_large_book(heap, -1, 1ULL << order, bytes);
    }
    preempt_enable();
    return freed;
}

/*
 * The note in a frame's descriptor: what each kind of owner keeps there, and the functions for it.
 *
 * The lowest three bits tell the kind:
 *
 *   all 0          FRAME_NOTE_PLAIN   one of those below
 *   lowest one 1   FRAME_NOTE_PAGE    of a frame that spaces show: where
 *   others         FRAME_NOTE_SLAB    of a slab: its record and the number of its cache
 *
 * A plain note is, by who has the frame:
 *
 *   anybody                           nothing: the word is 0
 *   a chain of frames                 the next of those that wait to be used or freed
 *   a page table                      the count of its entries in use, shifted
 *   the root of page tables           a pointer to their struct page_table
 *   vmalloc                           a pointer to the range of addresses that shows the frame
 *   a heap, for a large block         its length, or a record and a number
 *
 * heap_free() looks at no more of a descriptor than the note: so no other owner's may look like a slab's. The
 * lock of a note is its owner's affair. Functions that take a descriptor assert, in builds with ASHLAR_DEBUG,
 * that the block's owner is one who keeps such a note.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/frame_descriptor.h>

enum frame_note_kind {
    FRAME_NOTE_PLAIN,
    FRAME_NOTE_PAGE,
    FRAME_NOTE_SLAB,
};

#define FRAME_NOTE_KIND_BITS 3
#define FRAME_NOTE_PAGE_BIT  1ULL

static inline enum frame_note_kind frame_note_kind(union frame_note note)
{
    if (note.raw & FRAME_NOTE_PAGE_BIT) {
        return FRAME_NOTE_PAGE;
    }
    return note.raw % (1 << FRAME_NOTE_KIND_BITS) != 0 ? FRAME_NOTE_SLAB : FRAME_NOTE_PLAIN;
}

/* Whether a block is of this owner. */
static inline bool frame_note_is_of(const struct frame_descriptor *descriptor, enum frame_owner owner)
{
    return frame_descriptor_owner(descriptor) == owner;
}

/* Notes nothing. A frame that is given to a space, for one, has such a note. */
static inline void frame_note_clear(struct frame_descriptor *descriptor)
{
    descriptor->note.raw = 0;
}

/* ---- Chains of frames ---- */

static inline phys_addr_t frame_note_next(const struct frame_descriptor *descriptor)
{
    DEBUG_ASSERT(frame_note_kind(descriptor->note) == FRAME_NOTE_PLAIN);
    return descriptor->note.next;
}

static inline void frame_note_set_next(struct frame_descriptor *descriptor, phys_addr_t next)
{
    DEBUG_ASSERT(!frame_note_is_of(descriptor, OWNER_SLABS));
    descriptor->note.next = next;
}

/* ---- Page tables: the entries in use of one that is not a root; the root's leads to the page table ---- */

static inline uint64_t frame_note_used(const struct frame_descriptor *descriptor)
{
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_PAGE_TABLES));
    return descriptor->note.raw >> FRAME_NOTE_KIND_BITS;
}

/* Whether more than `count` entries are in use. */
static inline bool frame_note_used_exceeds(const struct frame_descriptor *descriptor, uint64_t count)
{
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_PAGE_TABLES));
    return descriptor->note.raw > count << FRAME_NOTE_KIND_BITS;
}

/* Counts `more` entries; fewer, if negative. */
static inline void frame_note_use(struct frame_descriptor *descriptor, int64_t more)
{
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_PAGE_TABLES));
    descriptor->note.raw += (uint64_t)more << FRAME_NOTE_KIND_BITS;
}

static inline void frame_note_set_root(struct frame_descriptor *descriptor, struct page_table *table)
{
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_PAGE_TABLES));
    descriptor->note.root = table;
}

/* ---- Kernel addresses ---- */

static inline void frame_note_set_range(struct frame_descriptor *descriptor, struct kva_range *range)
{
    DEBUG_ASSERT(!frame_note_is_of(descriptor, OWNER_SLABS) &&
                 !frame_note_is_of(descriptor, OWNER_PAGE_TABLES));
    descriptor->note.range = range;
}

/* ---- Spaces: mm/space/share/reverse.c says what a code is ---- */

/* A note as it is now: those of spaces are read without a lock. */
static inline union frame_note frame_note_read(const struct frame_descriptor *descriptor)
{
    return (union frame_note){.raw = __atomic_load_n(&descriptor->note.raw, __ATOMIC_RELAXED)};
}

/* Notes where spaces show a frame. */
static inline void frame_note_set_page(struct frame_descriptor *descriptor, uint64_t code)
{
    DEBUG_ASSERT(code & FRAME_NOTE_PAGE_BIT);
    DEBUG_ASSERT(!frame_note_is_of(descriptor, OWNER_SLABS) &&
                 !frame_note_is_of(descriptor, OWNER_PAGE_TABLES));
    __atomic_store_n(&descriptor->note.raw, code, __ATOMIC_RELAXED);
}

/* ---- A record and a number: slabs, and large blocks of which a record is kept ---- */

#define FRAME_NOTE_RECORD_SHIFT 16 /* an address without what follows from the rest, above a number */

static inline union frame_note frame_note_of_record(const void *record, unsigned number)
{
    return (union frame_note){.raw = (uintptr_t)record << FRAME_NOTE_RECORD_SHIFT | number};
}

static inline void *frame_note_record(union frame_note note)
{
    return (void *)((int64_t)note.raw >> FRAME_NOTE_RECORD_SHIFT);
}

/* ---- Slabs ---- */

struct slab;

static inline struct slab *frame_note_slab(union frame_note note)
{
    DEBUG_ASSERT(frame_note_kind(note) == FRAME_NOTE_SLAB);
    return frame_note_record(note);
}

/* Notes a slab of 2^order frames, all of which lead to it, of the cache of this number. */
static inline void frame_note_set_slab(struct frame_descriptor *descriptor, unsigned order,
                                       const struct slab *slab, unsigned number)
{
    union frame_note note = frame_note_of_record(slab, number);
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_SLABS) && frame_note_kind(note) == FRAME_NOTE_SLAB);
    for (uint32_t i = 0; i < 1U << order; i++) {
        descriptor[i].note = note;
    }
}

/* Makes all frames of a slab lead nowhere. */
static inline void frame_note_clear_slab(struct frame_descriptor *descriptor, unsigned order)
{
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_SLABS));
    for (uint32_t i = 0; i < 1U << order; i++) {
        frame_note_clear(&descriptor[i]);
    }
}

/* ---- Large blocks of a heap: mm/heap/large.h says what is in such a note ---- */

static inline void frame_note_set_large(struct frame_descriptor *descriptor, union frame_note note)
{
    DEBUG_ASSERT(frame_note_is_of(descriptor, OWNER_HEAP) && frame_note_kind(note) == FRAME_NOTE_PLAIN);
    descriptor->note = note;
}

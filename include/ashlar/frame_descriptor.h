/*
 * The descriptor of a frame: 16 bytes that say what the block starting at this frame is, and who has it.
 *
 * Descriptors form one virtual array by frame number. Its pages are backed when the first block that starts
 * in their reach (1 MiB) is handed out; an unbacked page reads as all FRAME_UNKNOWN or, on the machine,
 * faults.
 */
#pragma once

#include <ashlar/types.h>
#include <stdatomic.h>

/* What a frame is, as seen from its descriptor. */
enum frame_state {
    FRAME_UNKNOWN,   /* no block that was ever handed out starts here */
    FRAME_FREED,     /* a block started here and was given back */
    FRAME_CACHED,    /* a free block in a magazine starts here */
    FRAME_ALLOCATED, /* an allocated block starts here */
    FRAME_RUN,       /* the first block of a run starts here */
    FRAME_RUN_PART,  /* a further block of a run starts here */
    FRAME_STATE_COUNT
};

struct frame_descriptor {
    _Atomic(uint32_t) tag; /* frame_tag(): state, order and references in one word, to be compared at once */
    _Atomic(uint32_t) owner; /* enum frame_owner; of the last one when freed */
    void *object;            /* FRAME_ALLOCATED, FRAME_RUN: the owner's, unspecified until set; see below */
};

/* ---- The word `object` ---- */

/*
 * What an owner keeps in `object` is its own business but for the lowest three bits, which say what kind of
 * word it is. heap_free() looks at nothing else of a descriptor: no other owner's word may look like a
 * slab's. 000   an address aligned to 8, a frame's address, a count, the note of a large block, NULL xx1   a
 * page of an address space (mm/space/share/reverse.c) else  the record and the cache of a slab
 * (mm/slab/internal.h) Whoever keeps something else there makes it a word of the first kind, or names its
 * kind here.
 */
enum frame_word {
    FRAME_WORD_PLAIN,
    FRAME_WORD_PAGE,
    FRAME_WORD_SLAB,
};

#define FRAME_WORD_KIND_BITS 3
#define FRAME_WORD_PAGE_BIT  1ULL

/* The kind of a word of which the lowest byte at least is known. */
static inline enum frame_word frame_word_kind(uintptr_t word)
{
    if (word & FRAME_WORD_PAGE_BIT) {
        return FRAME_WORD_PAGE;
    }
    return word % (1 << FRAME_WORD_KIND_BITS) != 0 ? FRAME_WORD_SLAB : FRAME_WORD_PLAIN;
}

/* A count as a plain word, and back. */
static inline void *frame_word_of_count(uint64_t count)
{
    return (void *)(uintptr_t)(count << FRAME_WORD_KIND_BITS);
}

static inline uint64_t frame_word_count(const void *word)
{
    return (uintptr_t)word >> FRAME_WORD_KIND_BITS;
}

/* The word of a count that is `more` than that of another; less, if negative. */
static inline void *frame_word_add(const void *word, int64_t more)
{
    return (void *)((uintptr_t)word + ((uint64_t)more << FRAME_WORD_KIND_BITS));
}

_Static_assert(sizeof(struct frame_descriptor) == 16, "promised: at most 16 bytes per frame");

#define FRAME_DESCRIPTORS_PER_PAGE (FRAME_BYTES / sizeof(struct frame_descriptor))

/* Tag layout: bits 0-3 state, bits 4-8 order, bits 9-31 references. */
#define FRAME_TAG_ORDER_SHIFT      4
#define FRAME_TAG_REFERENCES_SHIFT 9
#define FRAME_REFERENCES_MAX       ((1U << 23) - 1)

static inline uint32_t frame_tag(enum frame_state state, unsigned order, uint32_t references)
{
    return references << FRAME_TAG_REFERENCES_SHIFT | order << FRAME_TAG_ORDER_SHIFT | (uint32_t)state;
}

static inline enum frame_state frame_tag_state(uint32_t tag)
{
    return (enum frame_state)(tag & 0xf);
}

static inline unsigned frame_tag_order(uint32_t tag)
{
    return tag >> FRAME_TAG_ORDER_SHIFT & 0x1f;
}

static inline uint32_t frame_tag_references(uint32_t tag)
{
    return tag >> FRAME_TAG_REFERENCES_SHIFT;
}

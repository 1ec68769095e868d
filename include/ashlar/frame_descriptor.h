/*
 * The descriptor of a frame: 16 bytes that say what the block starting at this frame is, and who has it.
 *
 * Descriptors form one virtual array by frame number. Its pages are backed when the first block that starts
 * in their reach (1 MiB) is handed out; an unbacked page reads as all FRAME_UNKNOWN or, on the machine,
 * faults.
 */
#pragma once

#include <ashlar/owner.h>
#include <ashlar/types.h>
#include <stdatomic.h>
#include <stddef.h>

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

struct page_table;
struct kva_range;

/*
 * What the owner of a block notes in its descriptor: one word. Who keeps what there, and the functions that
 * read and write it, stand in <ashlar/frame_note.h>; nobody else converts one kind of note to another.
 */
union frame_note {
    uint64_t raw;            /* all of it, for whoever shows or compares it; 0 where nothing is noted */
    uint8_t number;          /* its lowest byte: a cache's number, if it is a slab's note */
    phys_addr_t next;        /* the next frame of a chain, or none */
    struct page_table *root; /* the page table whose root this frame is */
    struct kva_range *range; /* the kernel addresses that show the frame */
};

struct frame_descriptor {
    union {
        struct {
            _Atomic(uint32_t) tag; /* frame_tag(): what a free compares at once */
            _Atomic(uint32_t) use; /* frame_use(): the owner, which stays when freed, and the marks */
        };
        _Atomic(uint64_t) both; /* frame_both(): the two, to be changed in one step */
    };
    union frame_note note; /* FRAME_ALLOCATED, FRAME_RUN: the owner's, unspecified until the owner sets it */
};

_Static_assert(sizeof(struct frame_descriptor) == 16, "promised: at most 16 bytes per frame");
_Static_assert(_Alignof(struct frame_descriptor) == 8, "tag and use change in one step");
_Static_assert(offsetof(struct frame_descriptor, use) == offsetof(struct frame_descriptor, both) + 4,
               "frame_both() has the tag in its low half");
_Static_assert(OWNER_COUNT <= 1 << 8, "an owner has 8 bits");

#define FRAME_DESCRIPTORS_PER_PAGE (FRAME_BYTES / sizeof(struct frame_descriptor))

/*
 * Tag layout: bits 0-2 state, bit 3 marked, bits 4-8 order, bits 9-31 references. Marked says that age, busy
 * and pins are not all 0: so the one comparison of frame_free() lets no such block pass.
 */
#define FRAME_TAG_MARKED           (1U << 3)
#define FRAME_TAG_ORDER_SHIFT      4
#define FRAME_TAG_REFERENCES_SHIFT 9
#define FRAME_REFERENCES_MAX       ((1U << 23) - 1)

static inline uint32_t frame_tag(enum frame_state state, unsigned order, uint32_t references)
{
    return references << FRAME_TAG_REFERENCES_SHIFT | order << FRAME_TAG_ORDER_SHIFT | (uint32_t)state;
}

static inline enum frame_state frame_tag_state(uint32_t tag)
{
    return (enum frame_state)(tag & 0x7);
}

static inline unsigned frame_tag_order(uint32_t tag)
{
    return tag >> FRAME_TAG_ORDER_SHIFT & 0x1f;
}

static inline uint32_t frame_tag_references(uint32_t tag)
{
    return tag >> FRAME_TAG_REFERENCES_SHIFT;
}

/* A tag without the mark. */
static inline uint32_t frame_tag_plain(uint32_t tag)
{
    return tag & ~FRAME_TAG_MARKED;
}

/*
 * Use layout: bits 0-7 owner, bits 8-14 age, bit 15 busy, bits 16-31 pins. A block is handed out with age 0,
 * not busy, not pinned, and a free one is so again.
 */
#define FRAME_USE_AGE_SHIFT  8
#define FRAME_USE_BUSY       (1U << 15)
#define FRAME_USE_PINS_SHIFT 16
#define FRAME_AGE_MAX        0x7fU
#define FRAME_PINS_MAX       0xffffU

static inline uint32_t frame_use(enum frame_owner owner, unsigned age, bool busy, uint32_t pins)
{
    return pins << FRAME_USE_PINS_SHIFT | (busy ? FRAME_USE_BUSY : 0) | age << FRAME_USE_AGE_SHIFT |
           (uint32_t)owner;
}

static inline enum frame_owner frame_use_owner(uint32_t use)
{
    return (enum frame_owner)(use & 0xff);
}

static inline unsigned frame_use_age(uint32_t use)
{
    return use >> FRAME_USE_AGE_SHIFT & FRAME_AGE_MAX;
}

static inline bool frame_use_busy(uint32_t use)
{
    return use & FRAME_USE_BUSY;
}

static inline uint32_t frame_use_pins(uint32_t use)
{
    return use >> FRAME_USE_PINS_SHIFT;
}

/* Whether there is any of age, busy and pins. */
static inline bool frame_use_is_marked(uint32_t use)
{
    return use >> FRAME_USE_AGE_SHIFT != 0;
}

/* Tag and use in one word, the tag marked as the use demands. */
static inline uint64_t frame_both(uint32_t tag, uint32_t use)
{
    return (uint64_t)use << 32 | frame_tag_plain(tag) | (frame_use_is_marked(use) ? FRAME_TAG_MARKED : 0);
}

/* The least of both with a pin: pins are its highest bits. */
#define FRAME_BOTH_PINNED (1ULL << (32 + FRAME_USE_PINS_SHIFT))

/* Who owns the block that starts here; of a free one, who had it last. */
static inline enum frame_owner frame_descriptor_owner(const struct frame_descriptor *descriptor)
{
    return frame_use_owner(atomic_load_explicit(&descriptor->use, memory_order_relaxed));
}

/* Pins of a block or frame. */
static inline uint32_t frame_descriptor_pins(const struct frame_descriptor *descriptor)
{
    return frame_use_pins(atomic_load_explicit(&descriptor->use, memory_order_relaxed));
}

/* References beyond the pins: 1 says that who has one of them is the last user. */
static inline uint32_t frame_descriptor_users(const struct frame_descriptor *descriptor)
{
    uint64_t both = atomic_load_explicit(&descriptor->both, memory_order_acquire);
    return frame_tag_references((uint32_t)both) - frame_use_pins((uint32_t)(both >> 32));
}

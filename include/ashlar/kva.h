/*
 * Kernel virtual addresses: which stretch of an arena of address space belongs to whom. Nothing is mapped
 * here, and no byte of the arena is touched; vmalloc, device mappings and kernel stacks do that on top of it.
 * docs/kernel-addresses.md explains how it works inside.
 *
 * An arena is an instance: it manages [base, base + bytes), and keeps its own records in frames of the pool
 * it was given. Ranges are whole pages; guard pages on both sides belong to the range, and are never to be
 * mapped.
 *
 * A range that is freed may be handed out again at once. So before its owner frees it, it is unmapped and
 * flushed: no TLB holds a translation of it any more.
 *
 * Any number of CPUs may use an arena at once, unless a function says otherwise. Not from interrupt handlers.
 * Lock order: the arena's lock, then the frame pool's.
 */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/lock.h>
#include <ashlar/types.h>

#define KVA_BYTES_MAX   ((uint64_t)1 << 48) /* of an arena */
#define KVA_GUARDS_MAX  0xffff              /* guard pages on one side */
#define KVA_QUICK_PAGES 16 /* longest range that a quick list keeps; with 0 or 1 guard page */
#define KVA_QUICK_SLOTS 31 /* ranges in one quick list, at most */
#define KVA_RECENT      64 /* slots for ranges that were found lately */
#define KVA_SUBCLASSES  16 /* size classes to a doubling */
#define KVA_DOUBLINGS   34 /* as many as sizes up to KVA_BYTES_MAX need */

enum kva_error {
    KVA_OK,
    KVA_BAD_ARENA,     /* kva_init(): empty, unaligned, wraps, or above KVA_BYTES_MAX */
    KVA_BAD_SIZE,      /* 0 bytes, or more than the whole arena */
    KVA_BAD_ALIGNMENT, /* no power of two, or larger than KVA_BYTES_MAX */
    KVA_BAD_GUARDS,    /* more than KVA_GUARDS_MAX */
    KVA_NO_SPACE,      /* no free stretch holds it */
    KVA_NO_MEMORY,     /* no frame for the arena's records */
    KVA_FOREIGN,       /* an address outside the arena */
    KVA_INTERIOR,      /* inside a range or its guard pages, not its first byte */
    KVA_NOT_ALLOCATED, /* freed already, or never allocated */
    KVA_WRONG_PURPOSE, /* kva_claim(): a range of somebody else */
    KVA_ERROR_COUNT
};

/* The error's name for people, such as "address inside a range". */
const char *kva_error_name(enum kva_error error);

/* What a range is for, in words. The structure and its texts live at least as long as the range. */
struct kva_purpose {
    const char *name;  /* "virtual block" */
    const char *below; /* "guard page below virtual block" */
    const char *above; /* "guard page above virtual block" */
};

/* The texts of a purpose that has a constant name: KVA_PURPOSE("virtual block"). */
#define KVA_PURPOSE(text)                                                                                    \
    {                                                                                                        \
        text, "guard page below " text, "guard page above " text                                             \
    }

enum kva_state {
    KVA_FREE,  /* nobody's */
    KVA_TAKEN, /* allocated */
    KVA_HELD,  /* freed, and kept as it is for the next request of its kind */
};

/*
 * A stretch of the arena. What kva_alloc() hands out is one of these: base, bytes, guard_pages and purpose
 * may be read, object is its owner's to use.
 */
struct kva_range {
    virt_addr_t base;                  /* first byte; the guard pages lie before it */
    uint64_t bytes;                    /* length, whole pages; without the guard pages */
    uint16_t guard_pages;              /* on each side; 0 when free */
    uint8_t kind;                      /* which quick list it waits in when freed; KVA_KINDS for none */
    uint8_t state;                     /* enum kva_state */
    uint32_t reserved;                 /* fills the word */
    const struct kva_purpose *purpose; /* what it is for */
    void *object;                      /* the owner's; NULL while it is not ready to be looked at */
    struct kva_range *lower;           /* the range that ends where this one starts, or NULL */
    struct kva_range *higher;          /* the range that starts where this one ends, or NULL */
    struct kva_range *next;            /* free: in the list of its class; taken: the owner's */
    struct kva_range *previous;        /* free: in the list of its class */
};

#define KVA_KINDS (2 * KVA_QUICK_PAGES)

/* Ranges of one kind (pages, guards) that wait: the last one in is the first one out. */
struct kva_quick {
    uint64_t count;                            /* used slots */
    struct kva_range *ranges[KVA_QUICK_SLOTS]; /* KVA_HELD */
};

/* The arena's own memory: frames cut into records, and nodes of its tree. */
struct kva_memory {
    struct kva_record_page *partial; /* frames with free records */
    uint64_t record_frames;          /* all frames of records */
    uint64_t unused_frames;          /* of them, those without a record in use */
    uint64_t records;                /* records in use */
    uint64_t node_frames;            /* nodes of the tree, a frame each */
};

struct kva_arena {
    struct spinlock lock;                 /* guards all that is not constant */
    virt_addr_t base;                     /* constant */
    uint64_t bytes;                       /* constant */
    struct frame_pool *frames;            /* constant: where records come from */
    unsigned tree_shift;                  /* constant: bits of a page number below the tree's root */
    uint64_t tree;                        /* link to the tree's root; see mm/kva/tree.c */
    struct kva_range *lowest;             /* the range at `base`; they all are linked from here */
    uint64_t taken_ranges;                /* taken or held */
    uint64_t taken_pages;                 /* in them */
    uint64_t guard_pages;                 /* around them */
    uint64_t free_ranges;                 /* in the class lists */
    uint64_t slow_operations;             /* that no quick list served */
    struct kva_memory memory;             /* records and nodes */
    struct kva_range *recent[KVA_RECENT]; /* by page number: found lately, and still taken or held */
    struct kva_quick quick[KVA_KINDS];    /* by kind: 2 * (pages - 1) + guard pages */
    uint64_t doublings;                   /* bit n: subclasses[n] is not 0 */
    uint16_t subclasses[KVA_DOUBLINGS];   /* bit m: lists[n][m] is not empty */
    struct kva_range *lists[KVA_DOUBLINGS][KVA_SUBCLASSES]; /* free ranges by size class */
};

/*
 * Makes an arena of [base, base + bytes), all of it free; both page-aligned. Takes one frame of `frames`.
 * Fails with KVA_BAD_ARENA or KVA_NO_MEMORY, and keeps nothing then.
 */
enum kva_error kva_init(struct kva_arena *arena, virt_addr_t base, uint64_t bytes, struct frame_pool *frames);

/* Returns all frames of the arena. No other CPU uses it. Returns how many ranges were still allocated. */
uint64_t kva_destroy(struct kva_arena *arena) EXCLUDES(arena->lock);

struct kva_request {
    uint64_t bytes;                    /* length; rounded up to pages */
    uint64_t alignment;                /* of the first byte: a power of two; 0 for a page */
    uint32_t guard_pages;              /* unmapped pages on each side */
    const struct kva_purpose *purpose; /* what for */
    void *object;                      /* the owner's; kva_range.object */
};

/*
 * Allocates a range and stores it in *range. Succeeds whenever some free stretch can hold it. Takes constant
 * time as long as there is a free stretch that is large enough whatever its alignment; otherwise it tries all
 * smaller ones that may do, one by one, before it fails. A range that waits in a quick list is handed out in
 * some 30 instructions, inline. Fails with KVA_BAD_SIZE, KVA_BAD_ALIGNMENT, KVA_BAD_GUARDS, KVA_NO_SPACE or
 * KVA_NO_MEMORY, and has changed nothing then.
 */
static inline enum kva_error kva_alloc(struct kva_arena *arena, const struct kva_request *request,
                                       struct kva_range **range) EXCLUDES(arena->lock);

/*
 * Frees the range whose first byte `address` is; see above for what must have happened before. Constant time.
 * Fails with KVA_FOREIGN, KVA_INTERIOR or KVA_NOT_ALLOCATED, and has changed nothing then.
 */
enum kva_error kva_free(struct kva_arena *arena, virt_addr_t address) EXCLUDES(arena->lock);

/* The same for an allocated range that the caller has a pointer to, which saves finding it. Cannot fail. */
void kva_release(struct kva_arena *arena, struct kva_range *range) EXCLUDES(arena->lock);

/*
 * Stores the allocated range whose first byte `address` is in *range. The caller sees to it that nobody frees
 * the range while it uses it. Fails as kva_free() does. Constant time.
 */
enum kva_error kva_find(struct kva_arena *arena, virt_addr_t address, struct kva_range **range)
    EXCLUDES(arena->lock);

/*
 * The same, for a range whose purpose is `from`; the purpose becomes `to`. Of several callers only one
 * succeeds, so that one owns the range: it may unmap it and free it in the end. Fails with KVA_WRONG_PURPOSE,
 * too.
 */
enum kva_error kva_claim(struct kva_arena *arena, virt_addr_t address, const struct kva_purpose *from,
                         const struct kva_purpose *to, struct kva_range **range) EXCLUDES(arena->lock);

/* Gives an allocated range another owner, or its first. The caller owns it; no lock is needed. */
static inline void kva_range_set_object(struct kva_range *range, void *object)
{
    __atomic_store_n(&range->object, object, __ATOMIC_RELEASE);
}

/* Frees all held ranges for good, so that they are joined with their free neighbours. */
void kva_reap(struct kva_arena *arena) EXCLUDES(arena->lock);

/* ---- Seeing inside ---- */

/* Where in a range an address lies. */
enum kva_place {
    KVA_INSIDE,
    KVA_GUARD_BELOW,
    KVA_GUARD_ABOVE,
};

/* All that is known about an address. */
struct kva_facts {
    enum kva_state state;              /* of the range it lies in */
    enum kva_place place;              /* where in it */
    virt_addr_t base;                  /* the range's first byte behind its lower guard pages */
    uint64_t bytes;                    /* from there, without guard pages */
    uint64_t guard_bytes;              /* on each side */
    const struct kva_purpose *purpose; /* NULL when free */
    void *object;                      /* NULL when free */
};

/* Fills *facts; returns false when `address` is outside the arena. Its time is bounded by a constant. */
bool kva_look(struct kva_arena *arena, virt_addr_t address, struct kva_facts *facts) EXCLUDES(arena->lock);

/* The same without the lock, for a panic: all other CPUs are stopped. Never faults. */
bool kva_look_stopped(const struct kva_arena *arena, virt_addr_t address, struct kva_facts *facts);

/*
 * Walks the arena: fills *facts with the range that *at lies in and moves *at behind it. Starts with
 * virt_addr(0), which means the arena's base; returns false at the end. The lock is not held between calls.
 */
bool kva_next(struct kva_arena *arena, virt_addr_t *at, struct kva_facts *facts) EXCLUDES(arena->lock);

struct kva_statistics {
    uint64_t bytes;              /* of the arena */
    uint64_t taken_ranges;       /* allocated */
    uint64_t taken_bytes;        /* in them, without guard pages */
    uint64_t guard_bytes;        /* their guard pages */
    uint64_t held_ranges;        /* kept for their next user */
    uint64_t held_bytes;         /* with guard pages */
    uint64_t free_ranges;        /* free stretches */
    uint64_t free_bytes;         /* in them */
    uint64_t largest_free_bytes; /* in the largest of them; or it is up to a sixteenth longer */
    uint64_t memory_bytes;       /* frames of records and tree */
    uint64_t slow_operations;    /* allocations and frees that no quick list served, ever */
};

/* Walks the free ranges of the largest size class in use; the rest takes constant time. */
void kva_statistics(struct kva_arena *arena, struct kva_statistics *statistics) EXCLUDES(arena->lock);

/* What kva_check() found wrong first. */
struct kva_problem {
    const char *what;  /* the broken rule */
    virt_addr_t where; /* the range's address; 0 when it concerns none */
    uint64_t found;    /* the value that is wrong */
    uint64_t expected; /* the value it should have */
};

/*
 * Verifies the whole arena: that ranges tile it, neighbours, classes and their bitmaps, quick lists, tree,
 * records, counts. Returns whether all is well; if not, *problem says what is not. Holds the lock throughout.
 */
bool kva_check(struct kva_arena *arena, struct kva_problem *problem) EXCLUDES(arena->lock);

/* ---- The fast path ---- */

/* The rest of kva_alloc(), for kva_alloc() only. */
enum kva_error kva_alloc_slow(struct kva_arena *arena, const struct kva_request *request,
                              struct kva_range **range) EXCLUDES(arena->lock);

static inline enum kva_error kva_alloc(struct kva_arena *arena, const struct kva_request *request,
                                       struct kva_range **range)
{
    uint64_t page = ((request->bytes + FRAME_BYTES - 1) >> FRAME_SHIFT) - 1; /* the last; huge for 0 bytes */
    uint64_t alignment = request->alignment;
    if (page < KVA_QUICK_PAGES && request->guard_pages <= 1 && (alignment == 0 || alignment == FRAME_BYTES)) {
        struct kva_quick *quick = &arena->quick[2 * page + request->guard_pages];
        spinlock_acquire(&arena->lock);
        uint64_t count = quick->count;
        if (count != 0) {
            struct kva_range *found = quick->ranges[count - 1];
            quick->count = count - 1;
            found->state = KVA_TAKEN;
            found->purpose = request->purpose;
            found->object = request->object;
            spinlock_release(&arena->lock);
            *range = found;
            return KVA_OK;
        }
        spinlock_release(&arena->lock);
    }
    return kva_alloc_slow(arena, request, range);
}

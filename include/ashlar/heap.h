/*
 * The heap: memory of any size, freed by its pointer alone.
 *
 * A request of up to HEAP_CLASS_MAX bytes is served from the slab cache of its size class. The classes are
 * the multiples of 8 up to 64 bytes, and four to each doubling beyond. A larger request gets a run of whole
 * frames; when no run is long enough, virtually contiguous pages, if the heap was given a source of them.
 * docs/heap.md explains the choice.
 *
 * A heap is an instance; the kernel has one, `kernel_heap`. What <ashlar/slab.h> says of locks and contexts
 * holds here too. All memory is aligned to 8 bytes; an object of a class that is a multiple of a larger power
 * of two is aligned to that. Contents are unspecified unless zeroed. When there is no memory, NULL is
 * returned; nothing panics.
 */
#pragma once

#include <ashlar/slab.h>

#define HEAP_CLASS_MAX KIB(8)                         /* bytes of the largest size class */
#define HEAP_CLASSES   35                             /* size classes */
#define HEAP_BYTES_MAX (FRAME_RUN_MAX << FRAME_SHIFT) /* largest request */

/* A block of virtually contiguous pages. */
struct heap_virtual_block {
    void *pointer;  /* first byte */
    uint64_t bytes; /* its length, whole pages */
};

/* A source of virtually contiguous pages, for what is too large for a run. All NULL: there is none. */
struct heap_virtual {
    void *(*alloc)(void *context, uint64_t bytes); /* page-aligned, or NULL */
    /* Makes a block longer, by mapping its pages elsewhere: returns where. NULL, and nothing has changed,
     * without memory. Or NULL: there is no such way. */
    void *(*grow)(void *context, void *pointer, uint64_t bytes);
    bool (*free)(void *context, void *pointer); /* false: not the start of such a block */
    /* Finds the block that a pointer, of any value, lies in; false when it lies in none. */
    bool (*find)(void *context, const void *pointer, struct heap_virtual_block *block);
    /* Calls `visit` for each block by address until it returns false. */
    void (*visit)(void *context, bool (*visit)(void *to, const struct heap_virtual_block *block), void *to);
    void *context; /* passed to all */
};

struct heap_config {
    struct slab_pool_config slabs; /* frames, CPUs, seed, debug rules, reports */
    struct heap_virtual virtually; /* where larger requests go, or zeros */
};

#include <ashlar/heap_types.h>

/* ---- Life ---- */

/*
 * Makes a heap. On failure nothing is kept; with SLAB_IN_USE, for one that was not destroyed, it is what it
 * was.
 */
enum slab_error heap_init(struct heap *heap, const struct heap_config *config);

/*
 * Returns all memory, whatever is still allocated (reported as LIVE_AT_DESTROY). No other CPU uses the heap.
 */
void heap_destroy(struct heap *heap);

/* ---- Allocating and freeing ---- */

/* `bytes` bytes, or NULL. 0 bytes give a valid pointer to nothing, to be freed like any other. Inline. */
static inline void *heap_alloc(struct heap *heap, size_t bytes);

/* The same, filled with zeros. */
void *heap_alloc_zeroed(struct heap *heap, size_t bytes);

/*
 * count * bytes, filled with zeros. A product that does not fit is reported as SIZE_OVERFLOW and gives NULL.
 */
void *heap_alloc_array(struct heap *heap, size_t count, size_t bytes);

/* Aligned to `alignment`, a power of two up to 1 GiB; anything else gives NULL. */
void *heap_alloc_aligned(struct heap *heap, size_t bytes, size_t alignment);

/* Aligned, and filled with zeros. */
void *heap_alloc_aligned_zeroed(struct heap *heap, size_t bytes, size_t alignment);

/*
 * Makes a block `bytes` long, and moves it if that is necessary; the contents are kept as far as they fit. A
 * pointer of NULL allocates. 0 bytes make the smallest block. On failure NULL is returned, and the old block
 * is as it was; making a block shorter never fails. The new block is aligned as heap_alloc() aligns.
 */
void *heap_resize(struct heap *heap, void *pointer, size_t bytes);

/* A copy of `bytes` bytes, or NULL. */
void *heap_duplicate(struct heap *heap, const void *source, size_t bytes);

/* Gives a block back; NULL does nothing. A mistake is reported, and then nothing is freed. Inline. */
static inline void heap_free(struct heap *heap, void *pointer);

/*
 * Bytes that may be used at `pointer`, at least as many as were asked for; 0 for what is no allocated block.
 */
size_t heap_usable_size(struct heap *heap, const void *pointer);

/* What a pointer is to a heap. */
enum heap_kind {
    HEAP_NONE,    /* not the heap's */
    HEAP_OBJECT,  /* in a slab or a guarded slot, of a size class or another cache: see `object` */
    HEAP_LARGE,   /* in a block with frames of its own */
    HEAP_VIRTUAL, /* in a block of virtually contiguous pages */
};

struct heap_facts {
    enum heap_kind kind;
    struct slab_facts object;         /* OBJECT: more about it */
    void *block;                      /* LARGE, VIRTUAL: first byte of the block */
    uint64_t offset;                  /* of the pointer in it */
    uint64_t bytes;                   /* as asked for; VIRTUAL: whole pages */
    uint64_t room;                    /* bytes of its frames */
    const struct slab_who *allocated; /* LARGE, with the owner policy; else NULL */
};

/* Fills *facts for any value of `pointer`, mapped or not. Exact while no other CPU uses the block. */
void heap_look(struct heap *heap, const void *pointer, struct heap_facts *facts);

/* ---- Giving memory back, seeing inside ---- */

/* slab_bytes and record_bytes together are what the frame pool's ledger calls slabs. */
struct heap_statistics {
    uint64_t class_bytes;    /* frames of all slabs of the size classes */
    uint64_t class_live;     /* bytes of live objects, by the size of their class */
    uint64_t slab_bytes;     /* frames of all slabs, those of the classes among them */
    uint64_t waste_bytes;    /* of them: what no object can use */
    uint64_t record_bytes;   /* all that follows */
    uint64_t magazine_bytes; /* frames of magazines */
    uint64_t slab_records;   /* bytes: frames of slabs' records */
    uint64_t part_bytes;     /* of the CPUs' parts of the caches */
    uint64_t resting_bytes;  /* of quarantines' lists */
    uint64_t guard_bytes;    /* frames behind guarded slots */
    uint64_t large_blocks;   /* blocks with frames of their own */
    uint64_t large_bytes;    /* their frames */
    uint64_t large_asked;    /* their bytes as asked for */
    uint64_t virtual_blocks; /* blocks of virtually contiguous pages */
    uint64_t virtual_bytes;  /* their pages */
};

/* Walks all caches and virtual blocks. Exact while no other CPU uses the heap. */
void heap_statistics(struct heap *heap, struct heap_statistics *statistics);

/* The class that serves `bytes` bytes, 0 .. HEAP_CLASSES - 1, and its size. Only up to HEAP_CLASS_MAX. */
static inline unsigned heap_class(size_t bytes);
static inline size_t heap_class_bytes(unsigned index);

/* Verifies all caches, records and large blocks. Conditions and result as for slab_check(). */
bool heap_check(struct heap *heap, struct slab_problem *problem);

/* One allocated block, as heap_visit() and heap_leaks() show it. */
struct heap_block {
    const void *pointer;              /* first byte */
    enum heap_kind kind;              /* what it is */
    uint64_t bytes;                   /* usable length */
    const struct slab_cache *cache;   /* OBJECT: its cache */
    const struct slab_who *allocated; /* with the owner policy; else NULL */
};

/* Calls `visit` for each allocated block until it returns false. No other CPU uses the heap meanwhile. */
void heap_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_block *block),
                void *context);

/* A leak scan under way. */
struct heap_scan;

/* One root of it: memory that is known to be in use, aligned to 8. To be called by the scan's `roots`. */
void heap_scan_root(struct heap_scan *scan, const void *base, uint64_t bytes);

/*
 * The leak scan: every aligned word of the roots, and of every block that is found reachable, counts as a
 * pointer if it could be one into a block. `roots` calls heap_scan_root() for all memory that may hold such
 * pointers: static data, stacks, memory of other allocators. Then `visit` is called for each block that
 * nothing reaches, until it returns false. Returns how many there are, or -1 when there is no memory for the
 * marks. Empties all magazines. No other CPU uses the heap meanwhile, and neither function uses it.
 */
int64_t heap_leaks(struct heap *heap, void (*roots)(void *context, struct heap_scan *scan),
                   bool (*visit)(void *context, const struct heap_block *block), void *context);

/* ---- The kernel's heap ---- */

extern struct heap kernel_heap;

/* The roots of its leak scan: all memory outside it that may hold a pointer into it. Ignores `context`. */
void heap_roots(void *context, struct heap_scan *scan);

#include <ashlar/heap_inline.h>

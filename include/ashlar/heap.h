/*
 * The heap: memory of any size, freed by its pointer alone.
 *
 * Up to HEAP_CLASS_MAX bytes a request is served from the slab cache of its size class (four to a doubling,
 * from 32 bytes on; multiples of 8 below), beyond that from a run of whole frames, and when no run is long
 * enough from virtually contiguous pages, if the heap was given a source of them. docs/heap.md explains the
 * choice.
 *
 * A heap is an instance; the kernel has one, `kernel_heap`. Locks and contexts are
 * as in <ashlar/slab.h>. All memory is aligned to 8 bytes; a class that is a multiple of a larger power of
 * two is aligned to that. Contents are unspecified unless zeroed. Nothing panics for want of memory: NULL is
 * returned.
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

/* Virtually contiguous pages, for what is too large for a run. All may be NULL together. */
struct heap_virtual {
    void *(*alloc)(void *context, uint64_t bytes); /* page-aligned, or NULL */
    bool (*free)(void *context, void *pointer);    /* false: not the start of such a block */
    /* The block that a pointer, any whatever, lies in; false when it lies in none. */
    bool (*find)(void *context, const void *pointer, struct heap_virtual_block *block);
    /* Calls `visit` for each block by address until it returns false. */
    void (*visit)(void *context, bool (*visit)(void *to, const struct heap_virtual_block *block), void *to);
    void *context; /* passed to all */
};

struct heap_config {
    struct slab_pool_config slabs; /* frames, CPUs, seed, debug rules, reports */
    struct heap_virtual virtually; /* where larger requests go, or zeros */
};

/* A CPU's account of blocks that have frames of their own: allocated minus freed here; the sum over all CPUs
 * counts. */
struct heap_large_count {
    _Atomic(int64_t) blocks; /* how many */
    _Atomic(int64_t) frames; /* theirs */
    _Atomic(int64_t) bytes;  /* as asked for */
    uint64_t reserved[5];    /* fills a cache line: no two CPUs write to the same */
};

struct heap {
    struct slab_pool slabs;                  /* its caches; other caches may be made in it, too */
    uint16_t part[HEAP_CLASS_MAX / 8 + 1];   /* by (bytes + 7) / 8: offset of the class's slab_cpu */
    struct slab_cache tracks;                /* of who allocated large blocks, where a rule asks for that */
    struct slab_cache classes[HEAP_CLASSES]; /* by class */
    struct heap_large_count large[CPUS_MAX]; /* accounts of large blocks */
    uint64_t large_note;                     /* what marks a frame as the first of this heap's large blocks */
    uint32_t large_policy;                   /* enum slab_policy, or'ed, for large blocks */
    struct slab_failing large_failing;       /* of large blocks' allocations */
    struct heap_virtual virtually;           /* as given */
};

/* ---- Life ---- */

/* Makes a heap. On failure nothing is kept. */
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

/* Both. */
void *heap_alloc_aligned_zeroed(struct heap *heap, size_t bytes, size_t alignment);

/*
 * Makes a block `bytes` long, moving it when it must; what fits of the contents is kept. A pointer of NULL
 * allocates. 0 bytes shrink the block to the smallest. On failure NULL, and the old block is as it was;
 * making a block shorter never fails. The new block is aligned as heap_alloc() does it.
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
 * The leak scan: every word of the roots, and of every block that is found reachable, is taken for a possible
 * pointer into a block. `roots` tells heap_scan_root() all memory that is in use: statics, stacks, whatever
 * others keep pointers in. Then `visit` is called for each block that nothing reaches, until it returns
 * false. Returns how many there are, or -1 when there is no memory for the marks. Empties all magazines. No
 * other CPU uses the heap meanwhile, nor do these two functions.
 */
int64_t heap_leaks(struct heap *heap, void (*roots)(void *context, struct heap_scan *scan),
                   bool (*visit)(void *context, const struct heap_block *block), void *context);

/* ---- The fast paths ---- */

void *heap_alloc_slow(struct heap *heap, size_t bytes);
void *heap_alloc_large(struct heap *heap, size_t bytes);
void heap_free_slow(struct heap *heap, void *pointer);

static inline unsigned heap_class(size_t bytes)
{
    if (bytes <= 64) { /* 16, 24, 32, 40, 48, 56, 64 */
        return bytes <= 16 ? 0 : (unsigned)((bytes + 7) / 8 - 2);
    }
    unsigned doubling =
        63 - (unsigned)__builtin_clzll(bytes - 1); /* bytes is in (2^doubling, 2^(doubling+1)] */
    return (doubling - 6) * 4 + 6 + (unsigned)((bytes - 1) >> (doubling - 2)) - 3;
}

static inline size_t heap_class_bytes(unsigned index)
{
    if (index <= 6) {
        return (index + 2) * (size_t)8;
    }
    unsigned step = (index - 7) % 4 + 1;
    unsigned doubling = (index - 7) / 4 + 6;
    return ((size_t)4 + step) << (doubling - 2);
}

/* A class's part of a CPU: known to the compiler when the size is. */
static inline uint32_t heap_part(const struct heap *heap, size_t bytes)
{
    if (__builtin_constant_p(bytes)) {
        return slab_number(heap_class(bytes)) * SLAB_LINE_BYTES;
    }
    return heap->part[(bytes + 7) / 8];
}

/*
 * Takes an object of a class from this CPU's loaded magazine, up to HEAP_CLASS_MAX; false when that is empty.
 */
SLAB_INLINE bool heap_pop(struct heap *heap, size_t bytes, void **object)
{
    LOCK_CHECK_ALLOCATE();
    uint32_t part = heap_part(heap, bytes);
    preempt_disable();
    struct slab_cpu *cpu = (struct slab_cpu *)((char *)heap->slabs.cpu[cpu_number()] + part);
    _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
    if (__builtin_expect(top != cpu->bottom, 1)) {
        *object = atomic_load_explicit(&top[-1], memory_order_relaxed);
        atomic_store_explicit(&cpu->top, top - 1, memory_order_relaxed);
        *slab_mark(*object) = SLAB_MARK_LIVE;
        preempt_enable();
        return true;
    }
    preempt_enable();
    return false;
}

/* Puts an object of a class into this CPU's loaded magazine; false when that is full, or all is not well. */
SLAB_INLINE bool heap_push(struct heap *heap, void *pointer)
{
    LOCK_CHECK_ALLOCATE();
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (__builtin_expect(address < heap->slabs.limit, 1)) {
        /*
         * The lowest byte of what the descriptor holds is a cache's number, or leads to a line without room.
         */
        uint8_t number = heap->slabs.descriptors[address >> FRAME_SHIFT].note.number;
        preempt_disable();
        struct slab_cpu *cpu =
            (struct slab_cpu *)((char *)heap->slabs.cpu[cpu_number()] + (uint64_t)number * SLAB_LINE_BYTES);
        __asm__("" : "+r"(cpu)); /* one register: else each access below adds the two again */
        _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
        if (__builtin_expect((address & cpu->mask) * cpu->inverse < cpu->bound &&
                                 *slab_mark(pointer) != SLAB_MARK_FREE && top < cpu->end,
                             1)) {
            *slab_mark(pointer) = SLAB_MARK_FREE;
            atomic_store_explicit(top, pointer, memory_order_relaxed);
            atomic_store_explicit(&cpu->top, top + 1, memory_order_relaxed);
            preempt_enable();
            return true;
        }
        preempt_enable();
    }
    return false;
}

SLAB_INLINE void *heap_alloc(struct heap *heap, size_t bytes)
{
    if (__builtin_expect(bytes > HEAP_CLASS_MAX, 0)) {
        return heap_alloc_large(heap, bytes);
    }
    void *object;
    return heap_pop(heap, bytes, &object) ? object : heap_alloc_slow(heap, bytes);
}

SLAB_INLINE void heap_free(struct heap *heap, void *pointer)
{
    if (!heap_push(heap, pointer)) {
        heap_free_slow(heap, pointer);
    }
}

/* ---- The kernel's heap ---- */

extern struct heap kernel_heap;

/* The roots of its leak scan: whatever may hold a pointer into it and is not its own. Any context will do. */
void heap_roots(void *context, struct heap_scan *scan);

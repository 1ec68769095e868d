/* What a heap consists of. <ashlar/heap.h> includes this, for its inline half; nobody else needs it. */
#pragma once

/* A CPU's account of blocks that have frames of their own: allocated minus freed here; the sum over all CPUs
 * counts. It lies in the CPU's part of the heap's slab pool, at line 0, which is no cache's: the word that
 * would be `bound` is 0 there, too (struct slab_cpu). */
struct heap_large_count {
    _Atomic(int64_t) blocks; /* how many */
    _Atomic(int64_t) frames; /* theirs */
    _Atomic(int64_t) bytes;  /* as asked for */
    uint64_t reserved[5];    /* 0: fills the cache line */
};
_Static_assert(offsetof(struct heap_large_count, reserved) <= offsetof(struct slab_cpu, bound) &&
                   sizeof(struct heap_large_count) == SLAB_LINE_BYTES,
               "a line without `bound`");

struct heap {
    struct slab_pool slabs;                  /* its caches; other caches may be made in it, too */
    uint16_t part[HEAP_CLASS_MAX / 8 + 1];   /* by (bytes + 7) / 8: offset of the class's slab_cpu */
    struct slab_cache tracks;                /* of who allocated large blocks, where a rule asks for that */
    struct slab_cache classes[HEAP_CLASSES]; /* by class */
    uint64_t large_note;                     /* what marks a frame as the first of this heap's large blocks */
    uint32_t large_policy;                   /* enum slab_policy, or'ed, for large blocks */
    struct slab_failing large_failing;       /* of large blocks' allocations */
    struct heap_virtual virtually;           /* as given */
};

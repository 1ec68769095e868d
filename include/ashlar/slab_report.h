/*
 * The mistakes that slab caches and the heap notice, and the report that is made of each.
 */
#pragma once

#include <ashlar/types.h>

#define SLAB_STACK_DEPTH 6 /* return addresses kept of who allocated and who freed */

struct slab_cache;

/* clang-format off */
#define SLAB_FAULTS(X)                                                                                       \
    X(DOUBLE_FREE, "double free")                  /* the object is free already */                          \
    X(INTERIOR_POINTER, "pointer into an object")  /* or between objects: no object starts here */           \
    X(FOREIGN_POINTER, "not heap memory")          /* a stack, a device, another owner's frame, NULL + 1 */  \
    X(FREE_MEMORY, "memory that nobody has")       /* the frame is free: its slab was given back */         \
    X(WRONG_CACHE, "wrong cache")                  /* an object, but of another cache */                     \
    X(OVERRUN, "write past the end")               /* the red zone behind is damaged */                      \
    X(UNDERRUN, "write before the start")          /* the red zone or header in front is damaged */          \
    X(WRITE_AFTER_FREE, "write after free")        /* the poison of a free object is damaged */              \
    X(ACCESS_OUTSIDE, "access outside an object")  /* of a guarded object: a page fault */                  \
    X(ACCESS_AFTER_FREE, "access after free")      /* of a guarded object: a page fault */                  \
    X(CONSTRUCTED_STATE, "not in its constructed state") /* freed in another state than it was given in */   \
    X(LIVE_AT_DESTROY, "cache destroyed with live objects")                                                  \
    X(LEAK, "unreachable object")                  /* nothing points to it any more */                       \
    X(SIZE_OVERFLOW, "size overflow")              /* count times size does not fit; the call failed */
#define SLAB_FAULT_ENUMERATOR(name, text) SLAB_##name,
enum slab_fault {
    SLAB_FAULT_NONE,
    SLAB_FAULTS(SLAB_FAULT_ENUMERATOR)
    SLAB_FAULT_COUNT
};
#undef SLAB_FAULT_ENUMERATOR
/* clang-format on */

/* The fault's name for people, such as "double free". */
const char *slab_fault_name(enum slab_fault fault);

/* Who did something to an object, and when. */
struct slab_who {
    void *stack[SLAB_STACK_DEPTH]; /* return addresses, innermost first; NULL ends it early */
    uint64_t ticks;                /* time stamp; 0 when never */
    uint32_t cpu;                  /* on which CPU */
};

/* All that is known about one mistake. */
struct slab_report {
    enum slab_fault fault;
    const struct slab_cache *cache;   /* the object's cache, or NULL */
    const struct slab_cache *claimed; /* the cache it was freed to; NULL for heap_free() */
    const void *pointer;              /* what the caller gave, or the damaged object */
    const void *object;               /* object it belongs to, or NULL */
    int64_t offset;                   /* first wrong byte, from the object's start */
    uint32_t length;                  /* wrong bytes from there to the last wrong one */
    uint64_t expected;                /* up to 8 bytes there, as a little-endian number: as they should be */
    uint64_t found;                   /* and as they are. LIVE_AT_DESTROY: how many; SIZE_OVERFLOW: the size,
                                       * and `expected` the count */
    const struct slab_who *allocated; /* NULL without the owner policy */
    const struct slab_who *freed;     /* NULL without the owner policy, or when never freed */
    const void *caller;               /* return address in the code that made the call, or NULL */
};

#define SLAB_REPORT_BYTES 512

/*
 * Writes the report in one line; returns `text`. `caller` is the report's caller in words, NULL for its
 * number.
 */
const char *slab_report_text(const struct slab_report *report, const char *caller,
                             char text[SLAB_REPORT_BYTES]);

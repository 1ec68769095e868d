/*
 * Touching memory that may not be there, and knowing what an address belongs to.
 */
#pragma once

#include <ashlar/types.h>

/*
 * Copies `bytes` bytes from `source` (any address at all) to `destination`. Returns false when a byte of the
 * source cannot be read; then `destination` holds what came before it. Any context, also while panicking.
 */
bool memory_try_read(void *destination, virt_addr_t source, size_t bytes);

/* The same the other way: false when a byte of `destination` cannot be written; the bytes before it have
 * been. */
bool memory_try_write(virt_addr_t destination, const void *source, size_t bytes);

/* A stretch of kernel address space with one owner. */
struct memory_region {
    virt_addr_t base; /* first byte */
    uint64_t bytes;   /* length */
    const char *name; /* "page-fault stack"; stays where it is */
    bool guard;       /* unmapped on purpose: whoever touches it has overrun its neighbour */
};

/* One subsystem's knowledge of its addresses. Static; it stays registered. */
struct region_resolver {
    /* Fills *region and returns true if `address` is the subsystem's. Called while panicking: no locks, no
     * faults. */
    bool (*resolve)(virt_addr_t address, struct memory_region *region);
    /* NULL, or prints a few more lines about `address` into the panic's report; false if it is not the
     * subsystem's. Called while panicking. */
    bool (*describe)(virt_addr_t address);
    struct region_resolver *next; /* set by region_resolver_add() */
};

/* Adds a resolver; the newest is asked first. At start, before other CPUs run. */
void region_resolver_add(struct region_resolver *resolver);

/* What `address` belongs to: false when nobody knows it. */
bool region_find(virt_addr_t address, struct memory_region *region);

/*
 * Prints what the subsystem that `address` belongs to knows about it, if that is more than a name. While
 * panicking only.
 */
void region_describe(virt_addr_t address);

/*
 * What the physmap maps: all RAM of a normalised memory map, piece by piece, and which of it is read-only.
 *
 * The loader builds the first physmap and the kernel its own; both follow this plan, so that they cannot
 * differ. Executable memory must not be writable at any other address: such stretches are made read-only with
 * physmap_plan_protect(). All memory of the UEFI runtime services, code and data, is read-only. Device memory
 * and reserved memory are not mapped. Pure: no locks, no state but the plan.
 */
#pragma once

#include <ashlar/boot_info.h>

#define PHYSMAP_READ_ONLY_MAX 32 /* stretches of code in loader and kernel */

/* Physical memory from `base` up to `end`. */
struct physmap_stretch {
    uint64_t base; /* first byte */
    uint64_t end;  /* behind the last byte */
};

struct physmap_plan {
    const struct memory_range *ranges; /* normalised map; stays valid while the plan is used */
    size_t range_count;                /* entries */
    uint64_t limit;                    /* nothing from this physical address on is mapped */
    struct physmap_stretch read_only[PHYSMAP_READ_ONLY_MAX]; /* ascending; may overlap */
    size_t read_only_count;                                  /* entries used */
    size_t next;                /* first range not yet looked at; 0 at the start */
    struct physmap_stretch run; /* what is left of the current run of ranges; empty at the start */
    bool run_writable;          /* whether the current run is writable outside protected stretches */
};

/* A piece of RAM that is mapped in one way. base and bytes are multiples of FRAME_BYTES. */
struct physmap_piece {
    phys_addr_t base; /* first byte */
    uint64_t bytes;   /* length */
    bool writable;    /* or read-only; executable never */
};

/*
 * Begins a plan; `ranges` is a normalised map. limit: first physical address that is not mapped, because the
 * physmap or the CPU's addresses end there.
 */
void physmap_plan_start(struct physmap_plan *plan, const struct memory_range *ranges, size_t count,
                        uint64_t limit);

/*
 * Makes [base, base + bytes) read-only. Before the first physmap_plan_next(). False, with nothing changed,
 * when PHYSMAP_READ_ONLY_MAX stretches are protected already.
 */
bool physmap_plan_protect(struct physmap_plan *plan, phys_addr_t base, uint64_t bytes);

/* The next piece, ascending; false at the end. Pieces that touch differ in access or in kind of memory. */
bool physmap_plan_next(struct physmap_plan *plan, struct physmap_piece *piece);

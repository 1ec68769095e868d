/*
 * Memory that goes on at another address, or becomes longer where it is. <ashlar/vm_space.h> says who may
 * call what.
 */
#pragma once

#include <ashlar/vm_space.h>

/* What vm_space_move() is asked for. */
struct vm_move {
    virt_addr_t from;    /* first byte of what moves: part of one region, or all of it */
    uint64_t bytes;      /* length of that; 0: nothing moves, and what a shared region shows is shown again */
    uint64_t new_bytes;  /* length that it gets, at least `bytes`: what is new is filled as the rest was */
    bool fixed;          /* to `address` exactly; else the space chooses, lowest fitting gap first */
    bool replace;        /* fixed: what lies there goes, in one step */
    bool keep;           /* the old region stays where it was, without its pages */
    virt_addr_t address; /* fixed: where; else: not below this, if not 0 */
};

/*
 * Moves pages to another address; *address is its first byte. No page is copied, forks show the same pages as
 * before, and frames are found from their pages and the other way round. Meanwhile whoever comes to a page in
 * one of both ranges by a fault waits until all is done; what is mapped still or already can be used. Fails
 * with VM_NOT_MAPPED (not part of one region), VM_OVERLAP (both ranges overlap, or something lies there and
 * shall not go), VM_BAD_SOURCE (0 bytes of a region that is not shared; VM_FRAMES or VM_DEVICE with another
 * length or to be kept), VM_NO_MEMORY, VM_NO_ROOM, VM_EMPTY, VM_WRAPS, VM_CONFLICT, VM_BUSY, or for a bad
 * range.
 */
enum vm_error vm_space_move(struct vm_space *space, const struct vm_move *move, virt_addr_t *address)
    EXCLUDES(space->change, space->lock);

/*
 * Makes the region that ends at `end` longer by `bytes`. Fails with VM_NOT_MAPPED (none ends there),
 * VM_OVERLAP (something lies behind it), VM_BAD_SOURCE (VM_FRAMES, VM_DEVICE), VM_NO_MEMORY, VM_WRAPS, or for
 * a bad range.
 */
enum vm_error vm_space_extend(struct vm_space *space, virt_addr_t end, uint64_t bytes)
    EXCLUDES(space->change, space->lock);

/*
 * Makes the VM_STACK region that begins at `base` longer by `bytes`, downwards, into its guard. `gap`: bytes
 * below the new first one in which nothing may lie but stacks and what allows no access; of these, what is
 * free becomes its guard. Fails as the function above does.
 */
enum vm_error vm_space_extend_down(struct vm_space *space, virt_addr_t base, uint64_t bytes, uint64_t gap)
    EXCLUDES(space->change, space->lock);

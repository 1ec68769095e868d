/*
 * The numbers by which the TLB tells address spaces apart (PCIDs, SDM volume 3, 4.10.1), and per CPU which of
 * them hold translations that must be dropped before they are used again. Pure bookkeeping.
 *
 * A number that was given back may be given out again at once: all CPUs are told to drop what they hold under
 * it. TLB_SPACE_KERNEL is what the kernel's tables use, and every space when there are no more numbers (or no
 * PCIDs); loading it always drops its translations, so nobody sees another's.
 */
#pragma once

#include <ashlar/arch/tlb.h>
#include <ashlar/lock.h>

#define TLB_SPACES      4096 /* 12 bits in CR3 */
#define TLB_SPACE_WORDS (TLB_SPACES / 64)

/* One CPU's part: the numbers whose translations it must drop before it uses them. */
struct tlb_stale {
    _Atomic(uint64_t) numbers[TLB_SPACE_WORDS]; /* a bit for each */
};

/* Zeros in `used`, and in the CPUs' parts: only the kernel's number is given out. */
struct tlb_spaces {
    struct spinlock lock;           /* guards what is marked (L) */
    uint64_t used[TLB_SPACE_WORDS]; /* (L) numbers given out, and 0 */
    unsigned next_word;             /* (L) where the search begins */
    unsigned cpus;                  /* parts there are: of CPUs 0 .. cpus - 1 */
    struct tlb_stale *stale;        /* the parts, by CPU; the caller's */
};

tlb_space_t tlb_spaces_alloc(struct tlb_spaces *spaces);
void tlb_spaces_free(struct tlb_spaces *spaces, tlb_space_t space);

/* Notes that `cpu` must drop its translations of `space` before it uses them again. */
void tlb_spaces_mark(struct tlb_spaces *spaces, unsigned cpu, tlb_space_t space);

/* Notes the same for all spaces but `current`. */
void tlb_spaces_mark_others(struct tlb_spaces *spaces, unsigned cpu, tlb_space_t current);

/*
 * Whether loading `space` on `cpu` must drop its translations; the caller does so, and the note is deleted.
 */
bool tlb_spaces_take_stale(struct tlb_spaces *spaces, unsigned cpu, tlb_space_t space);

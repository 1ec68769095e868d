/*
 * A model of the CPU's memory management unit, written from the SDM (volume 3, 4.5 to 4.10) and not from the
 * code under test. Its physical memory is a buffer; it walks page tables that lie there, checks rights, sets
 * accessed and dirty bits, and has the worst of all TLBs: it forgets nothing that it was not told to, holds
 * every translation of a page side by side, and may at any time have read ahead everything there is.
 *
 * It takes the place of mm/paging/shootdown.c, so what the code under test flushes is flushed here, at once
 * and for all CPUs; mmu_cpu.h runs that file itself, over CPUs with a TLB each. A test calls mmu_model_fill()
 * before an operation and mmu_model_check() after it: then each translation and each paging-structure entry
 * that is still cached must agree with the tables. A flush that comes after the frame it protects was freed
 * is found at the flush, and so is an entry that was overwritten: whatever is dropped must have been cleared,
 * or be the same still, as another CPU uses it up to that moment.
 */
#pragma once

#include <ashlar/page_table.h>

enum mmu_use { MMU_READ, MMU_WRITE, MMU_EXECUTE };

enum mmu_result {
    MMU_OK,
    MMU_NON_CANONICAL,
    MMU_NOT_PRESENT,
    MMU_PROTECTION,
    MMU_RESERVED,
};

/* What a walk of the tables finds; the TLB is not asked. */
struct mmu_walk {
    enum mmu_result result; /* MMU_OK, MMU_NON_CANONICAL, MMU_NOT_PRESENT or MMU_RESERVED */
    unsigned level;         /* of the last entry read */
    uint64_t page;          /* physical address of the page */
    uint64_t target;        /* of the byte */
    bool write, execute, user, global;
    unsigned pat;        /* index into the page attribute table */
    uint64_t entries[6]; /* as read, by level */
    uint64_t tables[6];  /* physical addresses of the tables, by level */
};

/* Everything the flushes did. */
struct mmu_counts {
    uint64_t page_flushes;  /* pages dropped one by one */
    uint64_t space_flushes; /* everything of a space */
    uint64_t total_flushes; /* everything of all */
};

#define MMU_SPACES_MAX 16

/* Starts a machine whose physical address 0 is at `memory`; its frames belong to `pool` (or NULL: then no
 * check of freed frames). All spaces, caches and counts of an earlier one are forgotten. */
void mmu_model_start(void *memory, uint64_t bytes, struct frame_pool *pool);

/* The CPU may use these tables from now on, under their `space`; and no more. */
void mmu_model_add(struct page_table *table);
void mmu_model_remove(struct page_table *table);

/* Caches all that can be cached in all spaces, as reading ahead may at any time. */
void mmu_model_fill(void);

/* From now on also whenever the code under test has let go of its last lock; and no more. */
void mmu_model_fill_between(bool on);

/* From now on also after each flush: what was not cleared before it is cached again; and no more. */
void mmu_model_fill_after_flush(bool on);

/* Aborts, saying which, when a stale translation is still cached. What spans nothing but addresses in
 * [base, end) may be, as long as its frame is not free. */
void mmu_model_check_beside(uint64_t base, uint64_t end);

/* The same with no exception. */
static inline void mmu_model_check(void)
{
    mmu_model_check_beside(0, 0);
}

/* Whether a CPU may still write to the frame without setting a dirty bit that anybody will look at: through a
 * cached translation that the tables have no more. */
bool mmu_model_writes_unseen(phys_addr_t frame);

/* Calls `meanwhile` at the beginning of each flush from now on: what another CPU does at this moment, with
 * all still cached. NULL: nothing. */
void mmu_model_at_flush(void (*meanwhile)(void));

struct mmu_counts mmu_model_counts(void);

/* Translations and paging-structure entries cached now. */
uint64_t mmu_model_cached(void);

/* Walks the tables like the CPU, without caches. */
struct mmu_walk mmu_model_walk(const struct page_table *table, uint64_t address);

/*
 * One access by the CPU, kernel mode or user mode, write protection on: the TLB is asked first. On MMU_OK
 * *target is the physical address. Sets accessed and dirty bits.
 */
enum mmu_result mmu_model_access(const struct page_table *table, uint64_t address, enum mmu_use use,
                                 bool user, uint64_t *target);

/* The byte of physical memory that an access by the kernel reaches; aborts when it faults. */
void *mmu_model_pointer(const struct page_table *table, uint64_t address, enum mmu_use use);

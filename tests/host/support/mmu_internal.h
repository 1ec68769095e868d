/* Inside the model of the MMU: what its two files share. */
#pragma once

#include "mmu_model.h"

/* One cached translation, or one cached paging-structure entry when `table` is set. */
struct cached {
    uint64_t base;   /* first virtual address it is for */
    uint64_t target; /* page, or the next lower table */
    uint64_t space;  /* whose, as the TLB tells them apart; ignored for global translations */
    uint8_t level;   /* of the entry */
    uint8_t pat;
    bool table, write, execute, user, global, dirty;
    bool owned;    /* the frame was allocated when this was cached */
    uint32_t next; /* place of another one of the chain, or NO_PLACE */
};

#define CHAINS   4096
#define NO_PLACE UINT32_MAX

/* What one CPU's TLB holds. */
struct mmu_tlb {
    struct cached *cache; /* of `capacity` places the first `count` are used */
    uint64_t capacity;
    uint64_t count;
    uint32_t chains[CHAINS]; /* the first place of each chain, chosen by address and level; or NO_PLACE */
};

struct mmu_model {
    uint8_t *memory;
    uint64_t bytes;
    struct frame_pool *pool;
    struct page_table *spaces[MMU_SPACES_MAX]; /* what the CPU may use */
    uint64_t tags[MMU_SPACES_MAX];             /* under which its TLB keeps what is cached of them */
    struct mmu_tlb *tlb;                       /* of the CPU that is at work */
    struct mmu_counts counts;
    void (*at_flush)(void); /* or NULL */
    bool fill_after_flush;
};

extern struct mmu_model mmu;

#define SPAN(level) (4096ULL << (9 * ((level)-1)))

/* Forgets everything. */
void mmu_tlb_start(struct mmu_tlb *tlb);

_Noreturn void mmu_model_fail(const char *what, uint64_t address, uint64_t found);

/* Keeps all but what `drop` chooses. */
void mmu_cache_drop(bool (*drop)(const struct cached *, const void *), const void *context);

/* Whether what is cached agrees no longer with the tables. */
bool mmu_cached_is_stale(const struct cached *entry);

/* Whether the tables translate, at this moment, what is cached to something else, or by pages of another
 * size: two CPUs could use both. */
bool mmu_cached_is_replaced(const struct cached *entry);

bool mmu_frame_is_allocated(uint64_t frame);

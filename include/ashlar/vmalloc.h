/*
 * Virtually contiguous memory: blocks of any length, made of frames from anywhere in physical memory, and of
 * 2 MiB pages where the block is long enough and such pages are free. Unmapped guard pages lie on both sides.
 * docs/kernel-addresses.md explains how it works inside.
 *
 * A `struct vmalloc` is an instance: it maps into one page table, at addresses of one arena. What is freed is
 * unmapped at once, but its frames and addresses are used again only after a TLB flush, which many frees
 * share: until then it is "retired".
 *
 * Any number of CPUs may use one instance at once. Not from interrupt handlers. Lock order: vmalloc.lock,
 * then the arena's and the page table's, then the frame pool's. The caller holds none of them.
 */
#pragma once

#include <ashlar/kva.h>
#include <ashlar/page_table.h>

#define VMALLOC_RETIRED_RANGES 24 /* retired blocks that cause a flush */
#define VMALLOC_RETIRED_PAGES  48 /* pages in them that cause one; not more than a magazine takes back */

/* What the range of a retired block is for, as the arena sees it: nothing is mapped there, or in a moment. */
extern const struct kva_purpose vmalloc_purpose_retired;

struct vmalloc {
    struct kva_arena *arena;   /* constant: where addresses come from */
    struct page_table *table;  /* constant: where blocks are mapped */
    struct frame_pool *frames; /* constant: where memory comes from */
    struct spinlock lock;      /* guards (L) */
    struct tlb_batch batch;    /* (L) what is stale of the retired blocks */
    struct kva_range *retired; /* (L) their ranges, linked by `next` */
    phys_addr_t frames_head;   /* (L) their frames, chained through their descriptors' notes */
    uint64_t retired_ranges;   /* (L) ranges in the list */
    uint64_t retired_pages;    /* (L) 4 KiB pages in them */
    uint64_t flushes;          /* (L) flushes of retired blocks, ever */
};

/* Makes an instance without blocks. Cannot fail. */
void vmalloc_init(struct vmalloc *vmalloc, struct kva_arena *arena, struct page_table *table,
                  struct frame_pool *frames);

struct vmalloc_request {
    uint64_t bytes;                    /* length; rounded up to pages */
    uint64_t alignment;                /* of the first byte: a power of two; 0 for a page */
    const struct kva_purpose *purpose; /* what for; NULL for an ordinary block */
    enum frame_owner owner;            /* who owns the frames */
    bool zeroed;                       /* fill with zeros */
    bool small_pages;                  /* only 4 KiB pages */
};

/*
 * A block, readable and writable; its contents are arbitrary unless zeroed. NULL, and nothing has changed,
 * when there is no memory, no free address range, or the request has an impossible value. The time it takes
 * grows with the length.
 */
void *vmalloc_request(struct vmalloc *vmalloc, const struct vmalloc_request *request) EXCLUDES(vmalloc->lock);

/* An ordinary block. */
void *vmalloc_alloc(struct vmalloc *vmalloc, uint64_t bytes) EXCLUDES(vmalloc->lock);
void *vmalloc_alloc_zeroed(struct vmalloc *vmalloc, uint64_t bytes) EXCLUDES(vmalloc->lock);

/*
 * Frees an ordinary block, by its first byte. NULL is allowed and does nothing. Any other pointer that is not
 * the first byte of an ordinary block is noticed, and a panic says what it is.
 */
void vmalloc_free(struct vmalloc *vmalloc, void *block) EXCLUDES(vmalloc->lock);

/*
 * The same for a block of any purpose (NULL for an ordinary one), but a mistake is returned: KVA_FOREIGN,
 * KVA_INTERIOR, KVA_NOT_ALLOCATED, or KVA_WRONG_PURPOSE for a range of somebody else or a retired block.
 */
enum kva_error vmalloc_try_free(struct vmalloc *vmalloc, void *block, const struct kva_purpose *purpose)
    EXCLUDES(vmalloc->lock);

/*
 * Makes a block longer: `request` says how long it is to be, whose it is (its purpose) and who owns the
 * frames that are added. Its pages are mapped at other addresses, and what those behind them hold is
 * arbitrary; nothing is copied. Returns the first byte there. NULL, and nothing has changed, when there is no
 * memory, no free address range, or `block` is not the first byte of such a block or as long already. Nobody
 * uses the block meanwhile. The time it takes grows with the length.
 */
void *vmalloc_grow(struct vmalloc *vmalloc, void *block, const struct vmalloc_request *request)
    EXCLUDES(vmalloc->lock);

/* Usable length of an ordinary block, in bytes; 0 for any other pointer. */
uint64_t vmalloc_bytes(struct vmalloc *vmalloc, const void *block);

/* Flushes what is retired, so that its frames and addresses can be used again. */
void vmalloc_flush(struct vmalloc *vmalloc) EXCLUDES(vmalloc->lock);

/* ---- Seeing inside ---- */

struct vmalloc_statistics {
    uint64_t blocks;         /* of all purposes, not retired */
    uint64_t bytes;          /* in them */
    uint64_t large_pages;    /* 2 MiB pages among them */
    uint64_t retired_ranges; /* blocks that wait for a flush */
    uint64_t retired_bytes;  /* in them */
    uint64_t flushes;        /* ever */
};

/* Walks all blocks and their page tables. Exact while no other CPU allocates or frees. */
void vmalloc_statistics(struct vmalloc *vmalloc, struct vmalloc_statistics *statistics)
    EXCLUDES(vmalloc->lock);

/* What vmalloc_check() found wrong first. */
struct vmalloc_problem {
    const char *what;  /* the broken rule */
    virt_addr_t where; /* the address it concerns */
    uint64_t found;    /* the value that is wrong */
    uint64_t expected; /* the value it should have */
};

/*
 * Verifies all blocks: every page is mapped, writable and not executable, to a frame whose descriptor leads
 * back to the block; guard pages and retired blocks are not mapped. Returns whether all is well; if not,
 * *problem says what is not. No other CPU uses the instance meanwhile; it may be in the midst of that,
 * holding no lock.
 */
bool vmalloc_check(struct vmalloc *vmalloc, struct vmalloc_problem *problem) EXCLUDES(vmalloc->lock);

/* ---- The kernel's ---- */

extern struct vmalloc kernel_vmalloc;

static inline void *vmalloc(uint64_t bytes)
{
    return vmalloc_alloc(&kernel_vmalloc, bytes);
}

static inline void *vzalloc(uint64_t bytes)
{
    return vmalloc_alloc_zeroed(&kernel_vmalloc, bytes);
}

static inline void vfree(void *block)
{
    vmalloc_free(&kernel_vmalloc, block);
}

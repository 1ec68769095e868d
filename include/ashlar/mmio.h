/*
 * Device memory: registers and frame buffers, which the physmap does not show, mapped at addresses of an
 * arena. docs/kernel-addresses.md explains how it works inside.
 *
 * A `struct mmio` is an instance. It knows every mapping it made and how that is cached, and refuses to map a
 * frame with two cache kinds: the CPU could then serve an access from a stale cache line, or worse (SDM
 * volume 3, 11.12.4). For the same reason RAM, which the physmap maps write-back, is mapped here write-back
 * only. And it is mapped read-only: a second writable mapping could be one of code.
 *
 * Any number of CPUs may use one instance at once. Not from interrupt handlers. Lock order: mmio.lock, then
 * the arena's, the page table's, those of the heap's caches, then the frame pool's. The caller holds none
 * of them.
 */
#pragma once

#include <ashlar/kva.h>
#include <ashlar/page_table.h>
#include <ashlar/physmap.h>
#include <ashlar/slab.h>

enum mmio_error {
    MMIO_OK,
    MMIO_EMPTY,      /* 0 bytes */
    MMIO_BEYOND,     /* reaches past the CPU's physical addresses */
    MMIO_BAD_ACCESS, /* executable, for users, or unknown bits; of mmio_claim(): writable and executable */
    MMIO_BAD_CACHE,  /* no such cache kind */
    MMIO_RAM,        /* RAM, other than write-back and read-only; of mmio_claim(): other than write-back */
    MMIO_READ_ONLY,  /* writing what is read-only everywhere: code, constants, the firmware's memory */
    MMIO_WRITABLE,   /* executing what is, or may be, writable elsewhere */
    MMIO_CONFLICT,   /* a part is mapped already, cached in another way */
    MMIO_NO_SPACE,   /* no free addresses */
    MMIO_NO_MEMORY,  /* no memory for records or page tables */
    MMIO_NOT_MAPPED, /* mmio_unmap(): no mapping with users is at the address */
    MMIO_ERROR_COUNT
};

/* The error's name for people, such as "mapped already, cached in another way". */
const char *mmio_error_name(enum mmio_error error);

/* One mapping: whole frames. */
struct mmio_mapping {
    phys_addr_t base;          /* first byte of the first frame */
    uint64_t bytes;            /* length, whole frames */
    virt_addr_t where;         /* address of `base` */
    unsigned access;           /* enum page_access */
    enum page_cache cache;     /* how it is cached */
    uint64_t users;            /* calls of mmio_map() without `stays`, less those of mmio_unmap() */
    bool stays;                /* it is kept when it has no users */
    struct kva_range *range;   /* its addresses; NULL for one that was made known by mmio_adopt() */
    struct mmio_mapping *next; /* in the list */
};

struct mmio_config {
    struct kva_arena *arena;     /* where addresses come from */
    struct page_table *table;    /* where it is mapped; its physical_end is the CPU's */
    struct slab_pool *slabs;     /* where records come from */
    struct physmap_plan physmap; /* how the kernel maps its RAM; physmap_plan_next() was not called yet */
};

/* Physical memory that somebody else maps at other addresses. */
struct mmio_claim {
    phys_addr_t base;        /* first byte */
    uint64_t bytes;          /* length, whole frames */
    enum page_cache cache;   /* how it is cached */
    struct mmio_claim *next; /* in the list */
};

struct mmio {
    struct mmio_config config;  /* as given */
    struct slab_cache records;  /* of struct mmio_mapping */
    struct slab_cache claims;   /* of struct mmio_claim */
    struct spinlock lock;       /* guards (L) */
    struct mmio_mapping *first; /* (L) all mappings, linked by `next`; there are some dozens */
    uint64_t count;             /* (L) mappings in the list */
    struct mmio_claim *claimed; /* (L) all claims, linked by `next` */
};

/* Makes an instance without mappings. Fails with MMIO_NO_MEMORY. */
enum mmio_error mmio_init(struct mmio *mmio, const struct mmio_config *config);

/* Ends an instance that nobody uses any more: unmaps all mappings but the adopted ones. */
void mmio_destroy(struct mmio *mmio) EXCLUDES(mmio->lock);

struct mmio_request {
    phys_addr_t address;               /* first byte; any alignment */
    uint64_t bytes;                    /* length */
    unsigned access;                   /* PAGE_READ or PAGE_WRITE */
    enum page_cache cache;             /* CACHE_UNCACHED, CACHE_WRITE_COMBINING, ... */
    const struct kva_purpose *purpose; /* what for; NULL for "device registers" */
    bool stays;                        /* for good: the mapping is never undone */
};

/*
 * Maps a range of physical memory and stores the address of its first byte in *pointer. If a mapping shows
 * the range already, with the same access and cache kind, that one is shared. Fails with any error but
 * MMIO_NOT_MAPPED, and has mapped nothing then. Walks the list of mappings.
 */
enum mmio_error mmio_map(struct mmio *mmio, const struct mmio_request *request, void **pointer)
    EXCLUDES(mmio->lock);

/*
 * Gives back a mapping that mmio_map() returned. When the last of its users does so, it is unmapped and
 * flushed, unless it stays. Fails with MMIO_NOT_MAPPED.
 */
enum mmio_error mmio_unmap(struct mmio *mmio, const void *pointer) EXCLUDES(mmio->lock);

/*
 * Makes a mapping known that somebody else made and keeps, so that the same memory is not mapped with another
 * cache kind; mmio_map() may share it. `address`, `where` and `bytes` are page-aligned. Fails with
 * MMIO_CONFLICT or MMIO_NO_MEMORY.
 */
enum mmio_error mmio_adopt(struct mmio *mmio, phys_addr_t address, virt_addr_t where, uint64_t bytes,
                           unsigned access, enum page_cache cache) EXCLUDES(mmio->lock);

/* ---- What others map: spaces with device regions ---- */

/*
 * Asks for permission to map [base, base + bytes) at other addresses, and notes it until mmio_release().
 * access: enum page_access; PAGE_USER and PAGE_GLOBAL make no difference here. Refused is what would
 * contradict another mapping: RAM in any way but write-back (MMIO_RAM), writing what is read-only everywhere
 * (MMIO_READ_ONLY), executing what is not read-only everywhere (MMIO_WRITABLE), another cache kind than a
 * mapping or a claim has (MMIO_CONFLICT). Fails also with MMIO_EMPTY, MMIO_BEYOND, MMIO_BAD_ACCESS,
 * MMIO_BAD_CACHE or MMIO_NO_MEMORY. The same memory may be claimed several times; each claim is released by
 * itself.
 */
enum mmio_error mmio_claim(struct mmio *mmio, phys_addr_t base, uint64_t bytes, unsigned access,
                           enum page_cache cache) EXCLUDES(mmio->lock);

/*
 * Gives up memory that was claimed with this cache kind, or a part of it; by then it is unmapped and flushed.
 * Never fails: when the part lies in the middle of a claim and there is no memory for a second record, it
 * stays claimed, so that later requests may be refused needlessly, but never granted wrongly. Panics when the
 * memory is not claimed.
 */
void mmio_release(struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
    EXCLUDES(mmio->lock);

/* ---- Looking ---- */

/* Copies the mapping that the address `where` lies in to *mapping; false when it lies in none. */
bool mmio_find(struct mmio *mmio, virt_addr_t where, struct mmio_mapping *mapping) EXCLUDES(mmio->lock);

/* Copies mapping number `index`, from 0 on, to *mapping; false when there are fewer. */
bool mmio_look(struct mmio *mmio, uint64_t index, struct mmio_mapping *mapping) EXCLUDES(mmio->lock);

/* What mmio_check() found wrong first. */
struct mmio_problem {
    const char *what;  /* the broken rule */
    virt_addr_t where; /* the address it concerns */
    uint64_t found;    /* the value that is wrong */
    uint64_t expected; /* the value it should have */
};

/* Verifies all mappings: that they are mapped as the list says, to the frames it says, and that no frame is
 * mapped in two ways. Returns whether all is well; if not, *problem says what is not. */
bool mmio_check(struct mmio *mmio, struct mmio_problem *problem) EXCLUDES(mmio->lock);

/* The name of a cache kind, such as "write-combining"; NULL for any other number. */
const char *page_cache_name(enum page_cache cache);

/* ---- The kernel's ---- */

extern struct mmio kernel_mmio;

/*
 * mmio_map() by the kernel's instance, for good. Returns NULL, with a line in the log that names the error,
 * when it fails. After addresses_start().
 */
void *device_map(phys_addr_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                 const struct kva_purpose *purpose);

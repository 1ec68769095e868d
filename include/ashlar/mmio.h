/*
 * Device memory: registers, frame buffers and firmware tables that the physmap does not show, mapped at
 * addresses of an arena. docs/kernel-addresses.md explains how it works inside.
 *
 * A `struct mmio` is an instance. It knows every mapping it made and how that is cached, and refuses to map a
 * frame in two ways: the CPU may then serve an access from a stale cache line, or worse (SDM volume 3,
 * 11.12.4). For the same reason RAM, which the physmap maps write-back, is mapped in no other way here, and
 * only to be read: writing has one way, which knows what is code.
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
    MMIO_BAD_CACHE,  /* a cache kind that there is not */
    MMIO_RAM,        /* RAM, other than write-back and read-only */
    MMIO_READ_ONLY,  /* writing what is read-only everywhere: code, constants, the firmware's memory */
    MMIO_WRITABLE,   /* executing what is, or may be, writable elsewhere */
    MMIO_CONFLICT,   /* a part is mapped already, cached in another way */
    MMIO_NO_SPACE,   /* no free addresses */
    MMIO_NO_MEMORY,  /* no memory for records or page tables */
    MMIO_NOT_MAPPED, /* mmio_unmap(): not an address that mmio_map() returned */
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
    uint64_t users;            /* mmio_map() minus mmio_unmap(); those for whom it stays do not count */
    bool stays;                /* also without users */
    struct kva_range *range;   /* its addresses; NULL for one that mmio_adopt() was told of */
    struct mmio_mapping *next; /* in the list */
};

struct mmio_config {
    struct kva_arena *arena;     /* where addresses come from */
    struct page_table *table;    /* where it is mapped; its physical_end is the CPU's */
    struct slab_pool *slabs;     /* where records come from */
    struct physmap_plan physmap; /* what the kernel shows of its RAM: begun, nothing asked yet */
};

/* Physical memory that somebody else shows at addresses of his own. */
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

/* Ends an instance; all is unmapped but what was adopted. */
void mmio_destroy(struct mmio *mmio) EXCLUDES(mmio->lock);

struct mmio_request {
    phys_addr_t address;               /* first byte; any alignment */
    uint64_t bytes;                    /* length */
    unsigned access;                   /* PAGE_READ or PAGE_WRITE */
    enum page_cache cache;             /* CACHE_UNCACHED, CACHE_WRITE_COMBINING, ... */
    const struct kva_purpose *purpose; /* what for; NULL for "device registers" */
    bool stays;                        /* for good: not to be unmapped, by nobody */
};

/*
 * Maps a range of physical memory and stores the address of its first byte in *pointer. What is mapped
 * already, in the same way, is found again. Fails with any error but MMIO_NOT_MAPPED, and has mapped nothing
 * then. Searches the list of mappings.
 */
enum mmio_error mmio_map(struct mmio *mmio, const struct mmio_request *request, void **pointer)
    EXCLUDES(mmio->lock);

/*
 * Gives back what mmio_map() returned; the last one of those who got the same mapping unmaps it, and flushes,
 * unless it stays.
 * Fails with MMIO_NOT_MAPPED.
 */
enum mmio_error mmio_unmap(struct mmio *mmio, const void *pointer) EXCLUDES(mmio->lock);

/*
 * Tells of a mapping that somebody else made and keeps, so that none of another kind is made beside it; it
 * can be found again, too. `address`, `where` and `bytes` are page-aligned. Fails with MMIO_CONFLICT or
 * MMIO_NO_MEMORY.
 */
enum mmio_error mmio_adopt(struct mmio *mmio, phys_addr_t address, virt_addr_t where, uint64_t bytes,
                           unsigned access, enum page_cache cache) EXCLUDES(mmio->lock);

/* ---- What others show: spaces with device regions ---- */

/*
 * Asks for leave to show [base, base + bytes) at other addresses, and notes that it will be until
 * mmio_release(). access: enum page_access; PAGE_USER and PAGE_GLOBAL say nothing here. Refused is what would
 * contradict another mapping: RAM in any way but write-back (MMIO_RAM), writing what is read-only everywhere
 * (MMIO_READ_ONLY), executing what is not (MMIO_WRITABLE), another cache kind than a mapping or a claim has
 * (MMIO_CONFLICT); besides MMIO_EMPTY, MMIO_BEYOND, MMIO_BAD_ACCESS, MMIO_BAD_CACHE, MMIO_NO_MEMORY. Several
 * claims of the same memory are as good as one; each is released by itself.
 */
enum mmio_error mmio_claim(struct mmio *mmio, phys_addr_t base, uint64_t bytes, unsigned access,
                           enum page_cache cache) EXCLUDES(mmio->lock);

/*
 * Gives up what has been claimed with this cache kind, or a part of it, once nothing shows it any more and no
 * TLB holds it. Never fails; where a part in the middle is given up and there is no memory for a second
 * record, that part stays claimed: too much is refused then, never too little. Panics when it is not claimed.
 */
void mmio_release(struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
    EXCLUDES(mmio->lock);

/* ---- Looking ---- */

/* Copies the mapping that shows something at `where` to *mapping; false when none does. */
bool mmio_find(struct mmio *mmio, virt_addr_t where, struct mmio_mapping *mapping) EXCLUDES(mmio->lock);

/* Copies mapping number `index` to *mapping; false when there are not so many. */
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

/* The name of a cache kind, such as "write-combining"; NULL for a number that is none. */
const char *page_cache_name(enum page_cache cache);

/* ---- The kernel's ---- */

extern struct mmio kernel_mmio;

/*
 * mmio_map() by the kernel's instance, for good. Returns NULL, with a line in the log that names the error,
 * when it fails. Valid once the heap is.
 */
void *device_map(phys_addr_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                 const struct kva_purpose *purpose);

/*
 * Page tables of one address space: mapping, unmapping, protecting and translating ranges of virtual memory,
 * with 4 or 5 levels and pages of 4 KiB, 2 MiB and 1 GiB (SDM volume 3, chapter 4).
 *
 * A `struct page_table` is a value: the kernel has one, every user space has one, tests have as many as they
 * like. Tables come from its frame pool (OWNER_PAGE_TABLES) and go back when their last entry goes. How many
 * entries of a table are in use is noted in the descriptor of the table's frame, so that nobody searches. The
 * structure itself is in <ashlar/page_table_types.h>, and how tables are reached in
 * <ashlar/page_table_access.h>.
 *
 * Nothing is half done: an operation that fails leaves every translation as it was. Every operation but
 * page_table_translate() takes the table's lock; what becomes stale in the TLB is added to the caller's batch
 * (<ashlar/tlb.h>), which the caller finishes. Operations finish it themselves where the flush must come
 * before something else; each says so. The frames that leaves map belong to the caller: mapping takes
 * no reference and unmapping drops none.
 */
#pragma once

#include <ashlar/page_table_types.h>
#include <ashlar/page_walk.h>
#include <ashlar/tlb.h>

/* ---- A set of tables ---- */

enum page_table_error {
    PAGE_TABLE_OK,
    PAGE_TABLE_NO_MEMORY,     /* a table was needed and there is no frame */
    PAGE_TABLE_EMPTY,         /* 0 bytes */
    PAGE_TABLE_UNALIGNED,     /* an address or a length is no multiple of FRAME_BYTES */
    PAGE_TABLE_WRAPS,         /* the range passes the end of the address space */
    PAGE_TABLE_NON_CANONICAL, /* the CPU has no such virtual address with these levels, or the range crosses
                                 the gap */
    PAGE_TABLE_BAD_PHYSICAL,  /* beyond the CPU's physical addresses */
    PAGE_TABLE_BAD_ACCESS,    /* writable and executable at once, unknown bits, a cache kind or page size that
                                 there is not, or a leaf that is none */
    PAGE_TABLE_WRONG_HALF,    /* a kernel address in a user space's own part, PAGE_USER in the kernel's half,
                                 or PAGE_GLOBAL in the lower half */
    PAGE_TABLE_OCCUPIED,   /* there is something already: a page, inaccessible, swapped or held, or a table */
    PAGE_TABLE_NOT_MAPPED, /* a page of the range is not mapped, or is part of a larger one */
    PAGE_TABLE_UNREACHABLE, /* the way of access does not reach these tables now */
    PAGE_TABLE_ERROR_COUNT
};

/* The error's name for people, such as "not page-aligned". */
const char *page_table_error_name(enum page_table_error error);

/*
 * Makes an empty set of tables (one frame). levels: 4 or 5. kernel: NULL, or the tables whose upper half it
 * shares from now on, new entries included. The frame must be within reach of `frames` itself
 * (frame_pointer()). `physical_end` is what the format can express, or the kernel's; `swaps` is false. The
 * caller may set these two before the first use. The structure stays where it is: CPUs that have it loaded
 * are noted in it. Fails with PAGE_TABLE_NO_MEMORY.
 */
enum page_table_error page_table_init(struct page_table *table, struct frame_pool *frames,
                                      const struct page_table_access *access, unsigned levels,
                                      enum page_level largest_level, struct page_table *kernel);

/*
 * Returns all tables of a space that maps nothing any more of its own; panics when it does. Tables shared
 * with the kernel stay; the kernel's own can be destroyed once nobody shares them. Loaded on no CPU.
 */
void page_table_destroy(struct page_table *table);

/*
 * Lets entry `slot` (256 .. 511) of the root name the root itself, for PAGE_TABLE_RECURSIVE: writable, never
 * executable. The room of the slot maps nothing else meanwhile, and nobody who shares the upper half sees
 * it. Panics when the slot is in use. Ending it flushes all TLBs.
 *
 * It is not left in place for good: the room shows large pages as if they were tables, with another cache
 * kind than their own, and tables at an address that anybody can compute.
 */
void page_table_make_recursive(struct page_table *table, unsigned slot) EXCLUDES(table->lock);
void page_table_end_recursive(struct page_table *table) EXCLUDES(table->lock);

/*
 * Links a table of somebody else's, `lower`, for the 512 GiB from `base` on. `base` is a multiple of that in
 * the upper half, and with 5 levels the PML4 for it exists. The owner of `lower` changes it and the tables
 * below by himself, and only ever makes absent entries present. Here they can be translated and looked at;
 * mapping there fails with PAGE_TABLE_OCCUPIED, and other operations leave them alone. To be called at most
 * once for a page table, before anybody shares it; the page table is never destroyed afterwards.
 */
void page_table_lend(struct page_table *table, virt_addr_t base, phys_addr_t lower) EXCLUDES(table->lock);

/* ---- Ranges: each table is visited once ---- */

/*
 * Maps `bytes` bytes at `base` to `target`, with the largest pages that alignment, the CPU and
 * `largest` allow. access: enum page_access; reading always, unless it is PAGE_INACCESSIBLE. All or nothing.
 * Needs no flush: only absent entries become present. Fails with any error.
 */
enum page_table_error page_table_map(struct page_table *table, virt_addr_t base, phys_addr_t target,
                                     uint64_t bytes, unsigned access, enum page_cache cache,
                                     enum page_level largest) EXCLUDES(table->lock);

/* Maps `count` frames, scattered as they are, one after the other from `base`, as 4 KiB pages. */
enum page_table_error page_table_map_frames(struct page_table *table, virt_addr_t base,
                                            const phys_addr_t *frames, uint64_t count, unsigned access,
                                            enum page_cache cache) EXCLUDES(table->lock);

/*
 * What unmapping found, page by page, in ascending order. `entry` is as it was, with accessed and dirty bits:
 * a leaf, an inaccessible one, or a swapped page's, whose slot is the visitor's from now on.
 */
typedef void page_table_visitor(void *context, virt_addr_t base, page_table_entry_t entry,
                                enum page_level level);

/*
 * Unmaps whatever is mapped in the range; holes are no error. A large page that is cut is split first, which
 * may need memory: PAGE_TABLE_NO_MEMORY, and then nothing has changed. Empty tables go back with the batch;
 * for those of the kernel's half it is finished at once. `removed` is called for each page, the table's lock
 * held; NULL only where none can be swapped.
 */
enum page_table_error page_table_unmap(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                       struct tlb_batch *batch, page_table_visitor *removed, void *context)
    EXCLUDES(table->lock);

/*
 * The inverse of page_table_map_frames(): unmaps `count` 4 KiB pages from `base` on; the frames they showed
 * go to frames[], in order. All or nothing: fails as other ranges do, or with PAGE_TABLE_NOT_MAPPED.
 */
enum page_table_error page_table_unmap_frames(struct page_table *table, virt_addr_t base, uint64_t count,
                                              struct tlb_batch *batch, phys_addr_t *frames)
    EXCLUDES(table->lock);

/* Gives what is mapped in the range, inaccessible or not, another access and cache kind; holes are left, and
 * swapped pages keep their slots. Splits large pages that are cut, as unmapping does.
 * A page whose cache kind changes is cleared, flushed and set, as page_table_set() does. */
enum page_table_error page_table_protect(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                         unsigned access, enum page_cache cache, struct tlb_batch *batch)
    EXCLUDES(table->lock);

/*
 * Makes one large page, up to `largest`, of 512 smaller ones where they are one after the other, alike and
 * aligned; returns how many large pages were made. Each is cleared and flushed before it is set, with what
 * the batch has noted, and its table goes back. For whoever cut a large page, and has made its parts alike
 * again; where the frames behind were split as well, it is too late.
 */
uint64_t page_table_merge(struct page_table *table, virt_addr_t base, uint64_t bytes, enum page_level largest,
                          struct tlb_batch *batch) EXCLUDES(table->lock);

/*
 * Makes smaller pages of the large page that `address` (page-aligned) lies inside of, so that one begins
 * there; they translate the same. The large one is cleared and flushed before. Nothing to do where there is
 * none. Fails with PAGE_TABLE_NO_MEMORY, or for a bad address.
 */
enum page_table_error page_table_split(struct page_table *table, virt_addr_t address, struct tlb_batch *batch)
    EXCLUDES(table->lock);

/* Calls `visit` for every leaf that the range touches and the CPU can use, in ascending order; a large page
 * may begin before the range. The lock is held. Fails for a bad range, but the half that a space shares with
 * the kernel may be looked at, too. */
enum page_table_error page_table_each(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                      page_table_visitor *visit, void *context) EXCLUDES(table->lock);

/* ---- Runs: what is mapped, for whoever looks at all of it ---- */

/* Mappings one after the other, alike in all but their addresses. */
struct page_run {
    virt_addr_t base;      /* first byte */
    uint64_t bytes;        /* length, a multiple of the page size */
    phys_addr_t target;    /* what the first byte shows */
    unsigned access;       /* enum page_access, of the leaves */
    enum page_cache cache; /* how they are cached */
    enum page_level level; /* page size */
};

/* The last address of the lower half, user space's. */
static inline virt_addr_t page_table_lower_end(const struct page_table *table)
{
    return virt_addr((1ULL << (page_level_shift(table->levels + 1) - 1)) - 1);
}

/* A walk over the runs of a page table. */
struct page_runs {
    struct page_table *table; /* where */
    uint64_t next;            /* first address not yet looked at */
    uint64_t last;            /* last one to look at */
    bool done;                /* nothing is left */
};

/* Begins a walk over the runs between two addresses; a large page may begin before `first`. */
static inline void page_runs_start(struct page_runs *walk, struct page_table *table, virt_addr_t first,
                                   virt_addr_t last)
{
    *walk = (struct page_runs){table, first.raw, last.raw, first.raw > last.raw};
}

/*
 * Finds the next run and returns true; false at the end, or when the tables are out of reach. The last run
 * may reach beyond the walk's end. The lock is free between two steps, so that the caller may change the
 * tables.
 */
bool page_runs_next(struct page_runs *walk, struct page_run *run) EXCLUDES(walk->table->lock);

/*
 * Maps in `table` what `from` maps between `first` and `last` (as page_runs_start() takes them), page size by
 * page size. All or nothing. `from` may be tables that somebody else made, and nobody changes them meanwhile.
 * Fails as page_table_map() does.
 */
enum page_table_error page_table_copy(struct page_table *table, struct page_table *from, virt_addr_t first,
                                      virt_addr_t last) EXCLUDES(table->lock, from->lock);

/* ---- One page, for the page fault ---- */

/*
 * Sets the entry of the 4 KiB or 2 MiB page at `base`, whatever page (inaccessible, swapped or neither) or
 * hole of that size was there: the fault's way to fill, copy and open a page. `leaf` is a leaf, inaccessible
 * or not, a swapped page's entry where the table swaps, or raw 0 for a hole. The old entry goes to *old (raw
 * 0 for a hole), and with it a slot. What was present and allowed something the new one does not is added to
 * the batch. Where a leaf gives way to one of another frame or cache kind, the entry is cleared first, the
 * batch is finished, and then the new one is set, so that no two CPUs see both. Fails with
 * PAGE_TABLE_NO_MEMORY, or PAGE_TABLE_OCCUPIED when a table lies where a 2 MiB leaf should go or a larger
 * leaf covers it.
 */
enum page_table_error page_table_set(struct page_table *table, virt_addr_t base, page_table_entry_t leaf,
                                     enum page_level level, page_table_entry_t *old, struct tlb_batch *batch)
    EXCLUDES(table->lock);

/*
 * Takes the pages of a range out of the tables' hands, for whoever switches mappings without lock or walk:
 * *entries are their level 1 entries, in order and in place for good, held but absent, and nothing of them is
 * cached. The caller writes leaves there and page_entry_held(), nothing else, and flushes himself. Nothing
 * else maps there any more.
 * The range lies in one table (2 MiB, aligned; else PAGE_TABLE_UNALIGNED), and tables are reached directly
 * (else PAGE_TABLE_UNREACHABLE). Fails with PAGE_TABLE_OCCUPIED when something is mapped or held in it, with
 * PAGE_TABLE_NO_MEMORY, or for a bad range.
 */
enum page_table_error page_table_hold(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                      page_table_entry_t **entries) EXCLUDES(table->lock);

/*
 * The entry for the 4 KiB page at `base`, where tables have addresses for good and the table for it exists;
 * else NULL. It stays while nobody unmaps in the 2 MiB around it; that is the caller's to see to. Unlocked.
 */
page_table_entry_t *page_table_slot(const struct page_table *table, virt_addr_t base);

/* page_table_set() for a slot that is a hole, without its checks. */
void page_table_fill(struct page_table *table, page_table_entry_t *slot, page_table_entry_t leaf)
    EXCLUDES(table->lock);

/* The same for `count` slots one after the other, each with its leaf of leaves[]; where that is a hole, the
 * slot is left as it is. Returns how many are filled. */
uint64_t page_table_fill_some(struct page_table *table, page_table_entry_t *slots,
                              const page_table_entry_t *leaves, unsigned count) EXCLUDES(table->lock);

/* Counts leaves that the caller has written to so many holes of the table that `slots` lie in, whose space is
 * his: for a fork, which makes them there. */
void page_table_filled(struct page_table *table, page_table_entry_t *slots, unsigned filled)
    EXCLUDES(table->lock);

/* Takes write access from the pages of `count` slots one after the other, the first of which is that of the
 * page at `base`. Other kinds than leaves are left as they are. */
void page_table_close(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                      struct tlb_batch *batch) EXCLUDES(table->lock);

/* page_table_protect() for what `count` slots one after the other show, the first of which is that of the
 * page at `base`; how they are cached stays as it is. */
void page_table_allow(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                      unsigned access, struct tlb_batch *batch) EXCLUDES(table->lock);

/*
 * The first step of taking pages away in two: makes inaccessible what `count` slots one after the other show,
 * the first of which is that of the page at `base`. Their memory stays where it is, in the table, until the
 * batch has been flushed: so that any number can wait for one flush.
 */
void page_table_hide(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                     struct tlb_batch *batch) EXCLUDES(table->lock);

/*
 * The second step: makes holes of slots that show nothing present, and whose memory is the caller's already.
 * Of `whole`, which they are a part of, nobody but the caller changes anything before the batch is flushed:
 * so a table that has become empty waits in the batch if it spans nothing else, and is flushed at once if it
 * does.
 */
void page_table_clear(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                      const struct tlb_range *whole, struct tlb_batch *batch) EXCLUDES(table->lock);

/*
 * Both steps in one: makes holes of `count` slots one after the other, the first of which is that of the page
 * at `base`; what they were goes to taken[], and it is the caller's when the batch has been flushed, which it
 * sees to before anybody else changes anything in the 2 MiB around. A table that has become empty waits in
 * the batch.
 */
void page_table_take(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                     page_table_entry_t *taken, struct tlb_batch *batch) EXCLUDES(table->lock);
/* ---- Moving pages: nothing fails once the tables for their new places have been reserved ---- */

/* Frames for tables, zeroed, taken before anything is changed. */
struct table_reserve {
    phys_addr_t first; /* chained through their descriptors' notes */
};

/* Takes frames for `count` tables, or none at all and returns false. They count as tables that wait. */
bool page_table_reserve(struct page_table *table, struct table_reserve *reserve, uint64_t count)
    EXCLUDES(table->lock);

/* Gives back those that are left. */
void page_table_unreserve(struct page_table *table, struct table_reserve *reserve) EXCLUDES(table->lock);

/*
 * Moves what `count` slots show, pages or none, from the page at `from` on, which lie in one table that is
 * there, to the pages from `to` on, which are holes and lie in one table; those that are missing are taken
 * from the reserve, which has enough. Entries keep all their bits; they go to moved[] as well. Returns how
 * many were no holes. Their old translations are stale. Of `whole`, which they are a part of, nobody but the
 * caller changes anything before the batch is flushed.
 */
unsigned page_table_move(struct page_table *table, virt_addr_t from, virt_addr_t to, unsigned count,
                         struct table_reserve *reserve, page_table_entry_t *moved,
                         const struct tlb_range *whole, struct tlb_batch *batch) EXCLUDES(table->lock);

/* The same for the 2 MiB page at `from`, both aligned; returns its entry. The batch is finished where a table
 * became empty. */
page_table_entry_t page_table_move_large(struct page_table *table, virt_addr_t from, virt_addr_t to,
                                         struct table_reserve *reserve, struct tlb_batch *batch)
    EXCLUDES(table->lock);

/* page_table_set() for the slot of the page at `base`, which is no hole, without its checks. */
void page_table_replace(struct page_table *table, page_table_entry_t *slot, virt_addr_t base,
                        page_table_entry_t leaf, struct tlb_batch *batch) EXCLUDES(table->lock);

/* ---- Looking ---- */

/* What the CPU finds for an address. */
struct page_translation {
    bool mapped;             /* a leaf was found */
    enum page_level level;   /* of the last entry */
    phys_addr_t target;      /* physical address of the byte, if mapped */
    unsigned access;         /* enum page_access that all levels together allow, if mapped */
    enum page_cache cache;   /* the leaf's, if mapped */
    page_table_entry_t leaf; /* the last entry read; its kind says why nothing is mapped */
};

/*
 * Virtual to physical, as the CPU does it, without the lock: exact while nobody changes the range, and only
 * while nobody takes out tables on the way. Inline, below: what the caller does not use is not computed.
 */
static inline struct page_translation page_table_translate(const struct page_table *table,
                                                           virt_addr_t address);

/*
 * Fills in what page_table_translate() does not say of an inaccessible page, which it reports as not mapped:
 * afterwards it is mapped, with the access PAGE_INACCESSIBLE. The last entry read is such a page's.
 */
void page_translation_uncover(struct page_translation *page, virt_addr_t address);

/* The same as page_table_translate() by any way of access, with every entry; returns the number of steps (0:
 * not canonical). */
unsigned page_table_walk(const struct page_table *table, const struct page_table_access *access,
                         virt_addr_t address, struct page_walk_step steps[PAGE_WALK_STEPS_MAX]);

/* What page_table_check() found wrong first. */
struct page_table_problem {
    const char *what;    /* the broken rule */
    virt_addr_t address; /* where */
    uint64_t found;      /* the value that is wrong */
    uint64_t expected;   /* what it should be */
};

/* Verifies every table: use counts, owners, reserved bits, kinds of entries, no table empty, none shared by
 * mistake, the count of tables. */
bool page_table_check(struct page_table *table, struct page_table_problem *problem) EXCLUDES(table->lock);

#include <ashlar/page_table_inline.h>

/*
 * Inside address spaces: what the files of mm/space/ share. Not for users of a space.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/string.h>
#include <ashlar/vm_space.h>

/* A stretch of a space that one rule fills. */
struct vm_region {
    struct vm_region *lower;     /* tree: regions below */
    struct vm_region *upper;     /* tree: regions above */
    struct vm_region *previous;  /* list: the next lower region, or NULL */
    struct vm_region *next;      /* list: the next higher region, or NULL */
    uint64_t priority;           /* random; no child's is greater, which balances the tree */
    uint64_t gap;                /* free bytes below this region's guard */
    uint64_t largest_gap;        /* largest gap of this subtree */
    uint64_t base;               /* first byte */
    uint64_t bytes;              /* length */
    uint64_t guard;              /* bytes kept free below base */
    uint64_t offset;             /* of the first byte: in the pager, or physical address */
    struct vm_pager *pager;      /* VM_PAGER: a reference is held; else NULL */
    struct vm_family *family;    /* whose pages it shows, if not those of its space's family; a reference is
                                    held, `relative` is in its ring. Always so for VM_PAGER; else NULL where
                                    the space's family has each page at the same address */
    uint64_t shift;              /* address of a page minus its offset in the family; 0 where that is NULL */
    struct vm_relative relative; /* its place in `family` */
    const char *name;            /* for people; never NULL */
    uint8_t source;              /* enum vm_source */
    uint8_t access;              /* enum vm_access: what pages allow that are filled now */
    uint8_t before;              /* the same; while that changes, what it was: pages that the change has not
                                    come to are so still */
    uint8_t denied;              /* enum vm_access that a fault may not want: what one of the two forbids */
    uint8_t cache;               /* enum page_cache */
    uint8_t around;              /* pages that one fault may fill, at least 1 */
    uint8_t marks;               /* enum vm_mark */
    bool large;                  /* 2 MiB pages where they fit */
    bool shared;                 /* VM_PAGER: writes go to the pager's frames */
    int8_t use;                  /* what it adds to the pager's `uses` */
};

/* Says what a region allows, and what its pages may allow that are not changed yet. */
static inline void vm_region_set_access(struct vm_region *region, unsigned access, unsigned before)
{
    region->access = (uint8_t)access;
    region->before = (uint8_t)before;
    region->denied = (uint8_t) ~(access & before);
}

static inline uint64_t vm_region_end(const struct vm_region *region)
{
    return region->base + region->bytes;
}

/* Whether each space has its own contents there, copied when it writes to what it shares. */
static inline bool vm_region_is_private(const struct vm_region *region)
{
    return region->source == VM_ZERO || region->source == VM_STACK ||
           (region->source == VM_PAGER && !region->shared);
}

/* Whether frames that are mapped there are counted, referenced and in the reverse map. */
static inline bool vm_region_has_frames(const struct vm_region *region)
{
    return region->source != VM_DEVICE && region->source != VM_NOTHING;
}

/* Whether the region is its program's data: what it alone writes to, stacks excepted. */
static inline bool vm_region_is_data(const struct vm_region *region)
{
    return region->access & VM_WRITE && region->source != VM_STACK && vm_region_is_private(region);
}

/* Adds `bytes` bytes, which are or become the region's, to the sums over the space; 0 - bytes: takes them
 * off. */
static inline void vm_region_count(struct vm_space *space, const struct vm_region *region, uint64_t bytes)
    REQUIRES(space->lock)
{
    space->region_bytes += bytes;
    space->locked_bytes += region->marks & VM_LOCKED ? bytes : 0;
    space->data_bytes += vm_region_is_data(region) ? bytes : 0;
}

/*
 * ---- region/tree.c: regions by address ----
 *
 * Regions are changed with both `change` and the lock, and so are read with either.
 */

/* The lowest region that ends above `address`, or NULL: the one that holds it, if one does. */
struct vm_region *vm_region_above(const struct vm_space *space, uint64_t address);

/* The region at `address`, also the one on its way in or out, or NULL. */
const struct vm_region *vm_region_at(const struct vm_space *space, uint64_t address) REQUIRES(space->lock);

/* Adds a region that overlaps none. */
void vm_tree_insert(struct vm_space *space, struct vm_region *region) REQUIRES(space->change, space->lock);
void vm_tree_remove(struct vm_space *space, struct vm_region *region) REQUIRES(space->change, space->lock);

/* To be called when base, bytes or guard of a region in the tree have changed, its neighbours unchanged. */
void vm_tree_resized(struct vm_space *space, struct vm_region *region) REQUIRES(space->change, space->lock);

/* Lowest address for `bytes` bytes with `guard` free bytes below, aligned and not below `from`; 0 if there is
 * none. */
uint64_t vm_tree_place(struct vm_space *space, uint64_t bytes, uint64_t guard, uint64_t alignment,
                       uint64_t from) REQUIRES(space->change);

/* Verifies tree, list and gaps. */
bool vm_tree_check(struct vm_space *space, struct vm_problem *problem) REQUIRES(space->lock);

/* ---- hold.c: holds of bounded work ---- */

/* One hold of a space's lock after the other. A 2 MiB page, a hole and a region count as a page of work. */
struct vm_hold {
    struct vm_space *space;  /* locked */
    struct vm_space *other;  /* locked as well, or NULL */
    struct tlb_batch *batch; /* flushed before the locks are let go; NULL: nothing becomes stale */
    unsigned left;           /* pages of work that there is time for in this hold */
    bool defers;             /* what is stale lies in a region on its way out, and waits for a flush of the
                                holder's own */
    bool ends;               /* the space is on its way out, and no CPU is told of a flush */
};

/* Takes the space's lock. */
void vm_hold_begin(struct vm_hold *hold, struct vm_space *space, struct tlb_batch *batch)
    ACQUIRES(space->lock);

/* Takes the locks of two spaces, which may be the same. */
void vm_hold_begin_both(struct vm_hold *hold, struct vm_space *space, struct vm_space *other,
                        struct tlb_batch *batch) ACQUIRES(space->lock);

/* Flushes, and releases what was taken. */
void vm_hold_end(struct vm_hold *hold, struct vm_space *space) RELEASES(space->lock);

/* Flushes, lets others in, and begins the next hold: what is known of page tables has become old. */
void vm_hold_pause(struct vm_hold *hold);

/* The same if there is no time left; returns whether it was so. */
static inline bool vm_hold_renew(struct vm_hold *hold)
{
    bool pauses = hold->left == 0;
    if (pauses) {
        vm_hold_pause(hold);
    }
    return pauses;
}

/*
 * The end of what can be worked on next, from `at` on and below `end`: one 2 MiB page (at its start, or from
 * where `at` cuts it), one hole as large as an absent entry makes it, or entries of one table for 4 KiB
 * pages, as many as there is time for; *page says which, and of what lies at `at` its level and entry and
 * whether it is mapped, no more. There is time for one page.
 */
uint64_t vm_hold_step(struct vm_hold *hold, const struct page_table *table, uint64_t at, uint64_t end,
                      struct page_translation *page);

/* ---- region/cut.c: cutting and joining regions ---- */

#define VM_SPARES_MAX 5 /* a region that moves, and the pieces at the ends of two ranges */

/*
 * What an operation that changes regions brings along and leaves behind: records got before anything changes,
 * stale translations, and regions that are gone but whose pagers can only be told without locks.
 */
struct vm_work {
    struct vm_region *spare[VM_SPARES_MAX]; /* for what will be made */
    unsigned spares;                        /* how many are left */
    struct vm_region *dead;                 /* list by `next` */
    struct tlb_batch batch;                 /* what is stale */
    struct vm_hold hold;                    /* of the space's lock */
};

/* Gets the records; without memory it does nothing and returns false. With no spares it needs none. */
bool vm_work_prepare(struct vm_space *space, struct vm_work *work, unsigned spares);

/* Frees what is left. No lock is held, since pagers are told. */
void vm_work_free(struct vm_space *space, struct vm_work *work);

/* Gets the records and begins to change the space; without memory it does nothing and returns false. */
bool vm_work_begin(struct vm_space *space, struct vm_work *work, unsigned spares)
    TRY_ACQUIRES(true, space->change);

/* Ends the change, and frees what is left. */
void vm_work_end(struct vm_space *space, struct vm_work *work) RELEASES(space->change);

/* Takes the space's lock for it, and releases it. */
static inline void vm_work_lock(struct vm_space *space, struct vm_work *work) ACQUIRES(space->lock)
{
    vm_hold_begin(&work->hold, space, &work->batch);
}

static inline void vm_work_unlock(struct vm_space *space, struct vm_work *work) RELEASES(space->lock)
{
    vm_hold_end(&work->hold, space);
}

/* Takes one of the spares. */
struct vm_region *vm_work_spare(struct vm_work *work);

/* Makes a region that is in no tree and no family of what another one says. */
void vm_region_describe(struct vm_region *made, const struct vm_region *as);

/* Cuts `region` at `address` inside it; the upper part, made of a spare, is returned. */
struct vm_region *vm_region_split(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                                  uint64_t address) REQUIRES(space->change, space->lock);

/* The same, but that the upper part is in no tree. */
struct vm_region *vm_region_split_off(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                                      uint64_t address) REQUIRES(space->change, space->lock);

/* Puts a region into the tree; one that it continues or that continues it becomes longer instead. */
void vm_region_add(struct vm_space *space, struct vm_work *work, struct vm_region *region)
    REQUIRES(space->change, space->lock);

/* Joins `region` with the neighbours that it continues or that continue it; returns what it has become. */
struct vm_region *vm_region_merge(struct vm_space *space, struct vm_work *work, struct vm_region *region)
    REQUIRES(space->change, space->lock);

/* ---- region/range.c: is a range or a request fit for a space? ---- */

enum vm_error vm_range_check(const struct vm_space *space, uint64_t base, uint64_t bytes);
enum vm_error vm_access_check(unsigned access);

/* The name of regions that have none. */
extern const char vm_no_name[];

/* Whether such a region can have these marks. */
bool vm_marks_fit(enum vm_source source, unsigned marks);
enum vm_error vm_request_check(const struct vm_space *space, const struct vm_request *request);

/* Whether regions cover all of the range. */
bool vm_range_is_covered(struct vm_space *space, uint64_t base, uint64_t bytes) REQUIRES(space->change);

/* Whether a region or a guard lies in it. */
bool vm_range_is_taken(struct vm_space *space, uint64_t base, uint64_t bytes) REQUIRES(space->change);

/* ---- region/change.c: cutting at the bounds of a range ---- */

#define VM_CUTS 2 /* a range has two ends: spares that cutting may need */

/* Sees to it that the range cuts no large page. Fails with VM_NO_MEMORY or VM_BUSY. */
enum vm_error vm_range_cut_pages(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
    REQUIRES(space->change, space->lock);

/* Cuts the regions at the bounds; returns the first one inside, or NULL. */
struct vm_region *vm_range_cut_regions(struct vm_space *space, struct vm_work *work, uint64_t base,
                                       uint64_t end) REQUIRES(space->change, space->lock);

/* ---- translate.c: what page tables have ---- */

/* What the tables have for an address: page_table_translate(), but that inaccessible pages are mapped. */
struct page_translation vm_page_at(const struct page_table *table, uint64_t address);

/* Stops the kernel: a space's tables hold an entry that no space makes. */
_Noreturn void vm_entry_is_foreign(const struct page_translation *page, uint64_t address);

/* Finds the lowest page at or above *address and below `end`, whatever the kind of its entry, holes excepted:
 * its first byte to *address. Skips holes by whole tables. */
bool vm_next_page(const struct page_table *table, uint64_t *address, uint64_t end,
                  struct page_translation *page);

/* ---- pages.c: pages of regions ---- */

/* enum page_access of a page that nobody shares, in a region that allows `access` (enum vm_access). */
unsigned vm_page_access_for(const struct vm_space *space, unsigned access);

/* The same of a page that is filled now in `region`. */
unsigned vm_page_access(const struct vm_space *space, const struct vm_region *region);

/* The same, but that private pages are not writable yet: the fault decides who may write in place. */
unsigned vm_page_access_shared(const struct vm_space *space, const struct vm_region *region);

/* First byte of the mapped page (of the block, for 2 MiB). */
static inline phys_addr_t vm_page_frame(const struct page_translation *page)
{
    return page_entry_leaf_address(page->leaf, page->level);
}

/* References to a frame besides those of devices' pins; 1: whoever has one of them is the last user. */
static inline uint32_t vm_references(const struct vm_space *space, phys_addr_t frame)
{
    return frame_descriptor_users(frame_descriptor(space->manager->config.frames, frame));
}

/* Whether the block behind a 2 MiB page may be made 512 frames: nobody else has a reference to it, a device's
 * pins included, and nobody has marked it as busy. */
bool vm_block_is_cuttable(const struct vm_space *space, phys_addr_t block);

/*
 * Makes 4 KiB pages of the 2 MiB page that `address` lies inside of, so that it may be cut there; nothing to
 * do where there is none. Fails with VM_NO_MEMORY, or with VM_BUSY when the block cannot be cut now.
 */
enum vm_error vm_page_cut(struct vm_space *space, struct vm_region *region, uint64_t address,
                          struct tlb_batch *batch) REQUIRES(space->lock);

/* ---- drop.c: pages that go ---- */

/* Unmaps all pages of a region that is not in the tree, in as many holds as it takes, and drops what they
 * held. The region may allow nothing afterwards, and `before` says what it did. */
void vm_pages_drop(struct vm_space *space, struct vm_hold *hold, struct vm_region *region)
    REQUIRES(space->change, space->lock);

/*
 * Empties the pages of [base, end), which lie in a region that stays, a step at a time: faults may fill them
 * again. A large page that the range cuts, made since it was seen to that there is none, stays. copies:
 * frames that the space has filled itself go too; else only those that somebody else has given.
 */
void vm_pages_empty(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region,
                    uint64_t base, uint64_t end, bool copies) REQUIRES(space->change, space->lock);

/*
 * ---- region/change.c ----
 *
 * A region on its way in or out is not in the tree: no fault finds it, so that nothing is filled there, and
 * the mutex sees to it that nothing is placed there. `moving` names it for whoever looks at the pages.
 */

/* Puts a region that is in no tree, and has no pages, to the dead ones. */
static inline void vm_region_bury(struct vm_work *work, struct vm_region *region)
{
    region->next = work->dead;
    work->dead = region;
}

/* Empties the region that is on its way, and puts it to the dead ones. */
void vm_region_abandon(struct vm_space *space, struct vm_work *work) REQUIRES(space->change, space->lock);

/* Unmaps what there is in [base, end). No region lies on both sides of `end`; one that does of `base` is cut.
 */
void vm_range_remove(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
    REQUIRES(space->change, space->lock);

/*
 * ---- region/replace.c: a range on its way from one meaning to another ----
 *
 * While a range is held, a fault there that would be refused waits until the operation is over, and then
 * looks again.
 */

enum vm_held { VM_HELD_TARGET, VM_HELD_SOURCE };

/* Holds [base, end), or lets go what is held so. */
void vm_range_hold(struct vm_space *space, enum vm_held which, uint64_t base, uint64_t end)
    REQUIRES(space->change, space->lock);
void vm_range_let_go(struct vm_space *space) REQUIRES(space->change, space->lock);

/* Whether a fault at the address has to wait. */
bool vm_is_held(const struct vm_space *space, uint64_t address) REQUIRES(space->lock);

/* Takes away what lies in [base, end), and guards that reach into it: large pages have been cut at its
 * bounds. It is held, and nothing of it is cached any more. Needs two spares. */
void vm_range_vacate(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
    REQUIRES(space->change, space->lock);

/* ---- region/use.c: what regions have of their pagers ---- */

/*
 * Takes for a new region what it needs of its pager, if it has one: a reference, and its place among the
 * shared ones and among those that write or execute. VM_SEALED or VM_BAD_ACCESS: it may not, and nothing was
 * taken.
 */
enum vm_error vm_region_begin_use(struct vm_region *region);
/* The same for a part or a copy of a region that has it. */
void vm_region_use_as(struct vm_region *region, const struct vm_region *as);
/* Returns it. No lock is held. */
void vm_region_end_use(struct vm_region *region);

/* Counts the regions of a range that `access` makes executable: each of them once, be it cut or not.
 * VM_BAD_ACCESS: one may not, and nothing was counted. The second undoes it. */
enum vm_error vm_use_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
    REQUIRES(space->change);
void vm_unuse_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
    REQUIRES(space->change);
/* One of them, cut, gets the access. */
void vm_region_change_use(struct vm_region *region, unsigned access);

/* ---- region/device.c: claims on given physical memory ---- */

/* Claims what `region` shows in `bytes` bytes from `base` on, for `access` (enum vm_access); false when
 * somebody else shows it in another way. Nothing to do for other sources, and for 0 bytes. */
bool vm_device_claim(const struct vm_space *space, const struct vm_region *region, uint64_t base,
                     uint64_t bytes, unsigned access);
void vm_device_release(const struct vm_space *space, const struct vm_region *region, uint64_t base,
                       uint64_t bytes, unsigned access);

/* Claims for `access` what regions of another access show in the range: all of it, or VM_CONFLICT. */
enum vm_error vm_device_claim_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
    REQUIRES(space->change);

/* Releases what that has claimed. */
void vm_device_unclaim_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
    REQUIRES(space->change);

/* ---- numbers.c: who has which number. The manager's lock is held ---- */

union vm_number *vm_numbers_entry(struct vm_numbers *numbers, uint32_t number);

/* The entry of a number that was given out, or 0 when there is none. */
uint64_t vm_numbers_word(struct vm_numbers *numbers, uint32_t number);

/* Gives out a number below `most`, a multiple of VM_NUMBERS_CHUNK. Fails with VM_TOO_MANY or VM_NO_MEMORY. */
enum vm_error vm_numbers_take(struct vm_manager *manager, struct vm_numbers *numbers, uint32_t most,
                              union vm_number whose, uint32_t *number) REQUIRES(manager->lock);
void vm_numbers_return(struct vm_numbers *numbers, uint32_t number);

/* Returns a table's frames. */
void vm_numbers_destroy(struct vm_manager *manager, struct vm_numbers *numbers);

/* ---- manager.c ---- */

/* Gives a space its number; false when all are taken or there is no memory (*error says which). */
bool vm_number_take(struct vm_space *space, enum vm_error *error) EXCLUDES(space->manager->lock);

/* Whether `space`, perhaps never made, is a space of the manager. Its number is what tells, and decides
 * nothing by itself: the table must lead back to this very structure. */
bool vm_number_is_taken(struct vm_manager *manager, const struct vm_space *space) EXCLUDES(manager->lock);

/* Makes a space that is about to go unfindable, and waits for those who found it before. */
void vm_number_retire(struct vm_space *space) EXCLUDES(space->manager->lock);

/* Gives the number of a retired space back, none of whose pages is in the reverse map any more. */
void vm_number_return(struct vm_space *space) EXCLUDES(space->manager->lock);

/* The space of that number, perhaps one being destroyed, or NULL. For whoever has stopped all others. */
struct vm_space *vm_number_space(struct vm_manager *manager, uint32_t number) EXCLUDES(manager->lock);

/* ---- fault/need.c: what a fault needs and can only get without the space's lock ---- */

enum vm_need_kind {
    VM_NEED_NOTHING,
    VM_NEED_LARGE, /* a zeroed 2 MiB block, if there is one */
    VM_NEED_PAGES, /* pages of a pager */
};

struct vm_need {
    enum vm_need_kind kind;           /* what is wanted, then what is there */
    bool stale;                       /* the region has changed: to be dropped, and the fault tried again */
    bool settled;                     /* where nothing lies, nothing will: that has been asked */
    phys_addr_t block;                /* LARGE: the block, or none if memory has none */
    struct vm_pager *pager;           /* PAGES: who gives them; a reference is held */
    uint32_t revocations;             /* PAGES: its count of these, before it was asked */
    uint64_t offset;                  /* PAGES: of pages[0] */
    unsigned count;                   /* PAGES: how many are wanted */
    unsigned wanted;                  /* PAGES: index of the one that must be there */
    phys_addr_t pages[VM_AROUND_MAX]; /* PAGES: or none where the pager had none at hand */
};

/* Gets what is wanted, or drops what is stale; false when a pager could not. */
bool vm_need_obtain(struct vm_space *space, struct vm_need *need);

/* Returns what was not used, and forgets what was wanted. */
void vm_need_drop(struct vm_space *space, struct vm_need *need);

/* ---- fault/fill.c: the cases of a fault ---- */

#define VM_FAULT_WANTS VM_FAULT_COUNT /* not resolved yet: *need says what is missing */
#define VM_FAULT_WAITS ((enum vm_fault)(VM_FAULT_COUNT + 1)) /* nor this: the range is held */
#define VM_FAULT_GROWS ((enum vm_fault)(VM_FAULT_COUNT + 2)) /* nor this: a stack may reach there soon */

/* One fault on its way. */
struct vm_case {
    struct vm_region *region; /* it allows the access */
    page_table_entry_t *slot; /* the page's entry, where the table exists; else NULL */
    bool hole;                /* nothing is mapped there */
    uint64_t page;            /* first byte of the 4 KiB page */
    enum vm_access access;    /* what was wanted; VM_NONE for a neighbour that is filled along with it */
    struct vm_need *need;     /* what was got, or is wanted */
    struct tlb_batch *batch;  /* what becomes stale */
};

/* Nothing is mapped at the page. */
enum vm_fault vm_fill(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock);

/* `mapped` is there, but may not be written yet. */
enum vm_fault vm_open(struct vm_space *space, const struct vm_case *fault,
                      const struct page_translation *mapped) REQUIRES(space->lock);

/* ---- inside/look.c ---- */

/* What is told of a region. */
void vm_region_facts(const struct vm_region *region, struct vm_region_facts *facts);

/* ---- For the validators: inside/check.c, and region/tree.c for its tree ---- */

/* Notes what is wrong, and returns false. */
static inline bool vm_problem_set(struct vm_problem *problem, const char *what, uint64_t address,
                                  uint64_t found, uint64_t expected)
{
    *problem = (struct vm_problem){what, virt_addr(address), found, expected};
    return false;
}

/*
 * Address spaces: which stretches of virtual memory mean what, and the page fault that delivers what they
 * promise. docs/spaces.md explains how it works inside.
 *
 * A `struct vm_space` is a value: a set of regions over a range of addresses, with the page tables that show
 * what of them has been delivered so far. A user space has tables of its own; a space over a part of the
 * kernel's half works on the kernel's. What all spaces on one frame pool share (record caches, the zero page,
 * the reverse map) is a `struct vm_manager`, a value too. <ashlar/vm_space_types.h> has both structures.
 *
 * Nothing is half done: an operation that fails has changed no region and no contents. Pages may have been
 * made smaller where it would have cut them, or may fault once more before they are written to, which no
 * program can see.
 *
 * Whoever changes the structure of a space holds its mutex `change` for the whole operation, and its spinlock
 * for at most VM_HOLD_PAGES pages of work at a time. Page faults take the spinlock only: while a long
 * operation is under way they are resolved between its steps. What it has not come to yet is for them as it
 * was before, what it has come to is as it will be; each operation says what else they may see. What an
 * operation takes away nobody has any more when it returns: before a spinlock is let go, what lost rights
 * under it is flushed.
 *
 * Locks, in this order: `change` (of two spaces: by ascending number), spinlocks of spaces (the same), those
 * of device_claim and device_release, page tables, families, the manager's own, slab caches, the frame pool.
 * Every function takes what it needs and holds nothing when it returns. What takes `change` is called with
 * preemption and interrupts on. Memory of a kernel space is not touched with a spinlock held or from an
 * interrupt handler, since the touch may be a fault. Pagers are called without any lock, but for `dirty`.
 */
#pragma once

#include <ashlar/lock.h>
#include <ashlar/page_table.h>
#include <ashlar/slab.h>

/* ---- What can go wrong ---- */

enum vm_error {
    VM_OK,
    VM_NO_MEMORY,      /* no frame, or no record; nothing has changed */
    VM_NO_ROOM,        /* no gap of the space is large enough */
    VM_EMPTY,          /* 0 bytes */
    VM_UNALIGNED,      /* an address, length, offset or guard is no multiple of FRAME_BYTES */
    VM_WRAPS,          /* the range passes the end of the address space, or the offset that of its source */
    VM_NON_CANONICAL,  /* the CPU has no such virtual address */
    VM_KERNEL_ADDRESS, /* an address of the kernel's half in a user space */
    VM_OUTSIDE,        /* not in the range this space may use */
    VM_OVERLAP,        /* a region, or its guard, lies there already */
    VM_NOT_MAPPED,     /* part of the range belongs to no region */
    VM_BAD_ACCESS,     /* writable and executable, writing without reading, or unknown bits */
    VM_BAD_ALIGNMENT,  /* not a power of two of at least FRAME_BYTES */
    VM_BAD_SOURCE,     /* a source without what it needs, or with what it cannot use */
    VM_BAD_CACHE,      /* a cache kind that the page attribute table does not have */
    VM_BAD_PHYSICAL,   /* beyond the CPU's physical addresses */
    VM_CONFLICT,       /* somebody else shows the physical memory in another way */
    VM_BAD_FRAME, /* not an allocated frame by itself, one whose descriptor's note is in use, or one with too
                     many references */
    VM_BAD_RANGE, /* a space over such a range cannot be made */
    VM_TOO_MANY,  /* VM_SPACES_MAX spaces exist */
    VM_IN_USE,    /* the structure is a space of this manager already */
    VM_BUSY,      /* the range cuts a 2 MiB page whose block is pinned or being changed: it may later */
    VM_SEALED,    /* the pager has no shared regions any more: vm_pager_seal() */
    VM_ERROR_COUNT
};

/* The error's name for people, such as "overlaps a region". */
const char *vm_error_name(enum vm_error error);

/* What an access wanted, and what a region allows: a set of these. */
enum vm_access {
    VM_NONE = 0, /* by nobody: what is there is kept, and inaccessible to the kernel as well */
    VM_READ = 1 << 0,
    VM_WRITE = 1 << 1,
    VM_EXECUTE = 1 << 2,
};

/* What is remembered of a region beside its access: a set of these. Parts of it may differ. */
enum vm_mark {
    VM_LOCKED = 1 << 0,       /* counted as locked; its pages stay when vm_space_discard() comes by */
    VM_NO_FORK = 1 << 1,      /* vm_space_clone() leaves it out */
    VM_WIPE_ON_FORK = 1 << 2, /* the clone gets it empty; only of zeros and stacks */
    VM_NO_DUMP = 1 << 3,      /* kept for whoever writes dumps */
    VM_NO_RESERVE = 1 << 4,   /* kept for whoever counts what was promised */
};

#define VM_MARKS (VM_LOCKED | VM_NO_FORK | VM_WIPE_ON_FORK | VM_NO_DUMP | VM_NO_RESERVE)

/* What became of a page fault. */
enum vm_fault {
    /* resolved: the access may be repeated */
    VM_FAULT_SPURIOUS,  /* the page allowed it already: somebody else was faster, or the TLB was stale */
    VM_FAULT_ZERO_READ, /* the shared zero page was mapped, read-only */
    VM_FAULT_ZERO,      /* a zeroed frame of its own */
    VM_FAULT_LARGE,     /* a zeroed 2 MiB block of its own */
    VM_FAULT_COPIED,    /* a shared frame was copied for its writer */
    VM_FAULT_REUSED,    /* a frame that was shared once, opened for its last user */
    VM_FAULT_STACK,     /* a stack grew by a frame */
    VM_FAULT_DEVICE,    /* a page of given physical memory */
    VM_FAULT_PAGED,     /* a page that its pager gave */
    /* not resolved: nothing has changed */
    VM_FAULT_NO_REGION,    /* nothing lies there */
    VM_FAULT_GUARD,        /* the guard gap below a region */
    VM_FAULT_STACK_LIMIT,  /* the guard gap below a stack: it may not grow further */
    VM_FAULT_RESERVED,     /* a region of VM_NOTHING */
    VM_FAULT_DENIED,       /* the region does not allow it */
    VM_FAULT_NO_MEMORY,    /* no frame for the page or for a table */
    VM_FAULT_PAGER_FAILED, /* the pager could not give the page */
    VM_FAULT_COUNT
};

/* The result's name for people, such as "copied". */
const char *vm_fault_name(enum vm_fault fault);

static inline bool vm_fault_resolved(enum vm_fault fault)
{
    return fault < VM_FAULT_NO_REGION;
}

/* ---- What fills a region ---- */

enum vm_source {
    VM_NOTHING, /* reserved: every access is an error */
    VM_ZERO,    /* zeros; each page gets a frame when it is first written */
    VM_STACK,   /* the same, growing down: what lies above its lowest touched page is the stack */
    VM_FRAMES,  /* frames that the caller gives, shared with whoever else has them; mapped at once */
    VM_DEVICE,  /* a stretch of physical memory that somebody else answers for; no references are kept */
    VM_PAGER,   /* pages that a pager gives: a file, swap */
    VM_SOURCE_COUNT
};

/* The source's name for people, such as "zeros". */
const char *vm_source_name(enum vm_source source);

struct vm_family;

/*
 * Where the pages of VM_PAGER regions come from, all of one manager's spaces. The regions hold references to
 * it; who made it has the first one, and returns it by vm_pager_put() while the manager is there. Its frames
 * are single (order 0), and a frame is the page of one offset; their descriptors' notes are the spaces'.
 */
struct vm_pager {
    /*
     * Gives the frame with the page at `offset` (bytes, a multiple of FRAME_BYTES) and a reference to it, or
     * FRAME_NONE when it cannot. May sleep if `wait`; without, only what is at hand. Called with no lock
     * held. A pager that keeps a reference for itself gives the same frame to all who share the page.
     * Programs decide how often it is asked: so it takes the reference by frame_try_get(), and has no page to
     * give where a frame has as many as it can have.
     */
    phys_addr_t (*get)(struct vm_pager *pager, uint64_t offset, bool wait);
    /*
     * Notes that the page was written to through a shared region: it must reach its home sooner or later. Or
     * NULL. No CPU still writes through a translation older than the call: what is written from now on it
     * will be told again. Called with the space's spinlock held, before its reference is dropped: only notes,
     * uses no space.
     */
    void (*dirty)(struct vm_pager *pager, uint64_t offset, phys_addr_t frame);
    /* The last reference is gone. Or NULL. No lock is held. */
    void (*release)(struct vm_pager *pager);
    /* Its pages are shown to be written to (shared) or to be executed, never both at a time: mapping and
     * protecting fail with VM_BAD_ACCESS where the other is the case. */
    bool exclusive;
    _Atomic(int32_t) uses;         /* exclusive: shared regions; below 0: those that execute; starts as 0 */
    _Atomic(uint32_t) references;  /* regions, and its maker: starts as 1 */
    _Atomic(uint32_t) revocations; /* starts as 0, and is the spaces' affair: of vm_pager_revoke() */
    _Atomic(struct vm_family *) family; /* its regions: starts as NULL, and is the spaces' affair */
    _Atomic(int32_t) shared;            /* how many regions are shared; -1: there may be none. Starts as 0 */
};

/*
 * Takes pages of the pager away from all spaces that show them: those at offsets from `offset` on, `bytes`
 * bytes (cut at the end of all offsets), both multiples of FRAME_BYTES. copies: the copies that private
 * regions have made of them, too; else these stay, known by their owner, which is the space's and not that of
 * the pager's frames. The next access asks the pager again. A pager calls it when it has parted from the
 * pages: what it gave before, and what is still on its way into a region, no program sees any more when this
 * returns. Waits for operations that are under way in each space; the caller holds no spinlock, and no mutex
 * of a rank above a space's.
 */
void vm_pager_revoke(struct vm_pager *pager, uint64_t offset, uint64_t bytes, bool copies);

void vm_pager_get(struct vm_pager *pager);
void vm_pager_put(struct vm_pager *pager);

/* Sees to it that the pager has no shared regions from now on: making one fails with VM_SEALED. False, and
 * nothing has changed, where it has some now. */
bool vm_pager_seal(struct vm_pager *pager);

/* ---- What a manager and a space are made with ---- */

#define VM_HOLD_PAGES   64  /* pages of work in one hold of a space's spinlock */
#define VM_ROUND_PAUSES 128 /* pauses of unmapping between two flushes, so some 8,192 pages of work */

struct vm_manager_config {
    struct frame_pool *frames;              /* where pages come from */
    struct slab_pool *slabs;                /* where records come from */
    const struct page_table_access *access; /* how page tables are reached: `open` is NULL */
    unsigned levels;                        /* of page tables: 4 or 5 */
    enum page_level largest_level;          /* largest leaf the CPU has */
    unsigned physical_bits;                 /* of the CPU's physical addresses: 32 .. 52 */
    struct page_table *kernel; /* the tables whose upper half all spaces share, or NULL: for the books only */
    uint64_t exclusive;        /* 1 << enum frame_owner, for each owner all of whose frames are pages
                                  of spaces, or tables of spaces and of the kernel */
    /*
     * Claims physical memory that a VM_DEVICE region will show, and says whether it may: false when it is
     * shown elsewhere cached in another way, or not for such an access (enum page_access: PAGE_WRITE,
     * PAGE_EXECUTE). For each mapping, copy, and other access by vm_space_protect(); released in parts as
     * they go. Called with a space's `change` held, and maybe its spinlock. NULL: everything may be shown.
     */
    bool (*device_claim)(void *context, phys_addr_t base, uint64_t bytes, unsigned access,
                         enum page_cache cache);
    void (*device_release)(void *context, phys_addr_t base, uint64_t bytes, unsigned access,
                           enum page_cache cache);
    void *device_context; /* for both */
};

#define VM_NAME_BYTES 24 /* with the terminator */

struct vm_space_config {
    const char *name;          /* for people; copied, cut to VM_NAME_BYTES - 1 */
    virt_addr_t base;          /* first address it may use */
    uint64_t bytes;            /* length of the range it may use */
    enum frame_owner owner;    /* of the pages it fills */
    struct page_table *kernel; /* the kernel's tables, shared by a user space; or NULL */
    struct page_table *tables; /* for a part of the kernel's half: the tables to work on; else NULL */
};

#include <ashlar/vm_space_types.h>

#define VM_SPACES_MAX VM_NUMBERS_MAX /* spaces of one manager */

/* ---- What all spaces of a frame pool share ---- */

/* Makes a manager: one zeroed frame, two slab caches. Fails with VM_NO_MEMORY, VM_TOO_MANY (slab caches). */
enum vm_error vm_manager_init(struct vm_manager *manager, const struct vm_manager_config *config);

/* Returns everything. No space is left. */
void vm_manager_destroy(struct vm_manager *manager);

/*
 * The space with that number and a reference to it, or NULL when there is none or it is being destroyed. The
 * space stays until the reference is returned by vm_space_put(); whoever holds one does not destroy it.
 */
struct vm_space *vm_space_get(struct vm_manager *manager, uint32_t number) EXCLUDES(manager->lock);

/* The same for the first space whose number is not below *number, which becomes the number behind it: to
 * visit all spaces, start at 0. */
struct vm_space *vm_space_get_next(struct vm_manager *manager, uint32_t *number) EXCLUDES(manager->lock);

/* Returns a reference. The space may be gone afterwards. */
void vm_space_put(struct vm_space *space);

/* ---- Spaces ---- */

/*
 * Makes an empty space. Costs the root table of a user space, nothing else. Fails with VM_NO_MEMORY,
 * VM_TOO_MANY, VM_UNALIGNED, VM_NON_CANONICAL, VM_KERNEL_ADDRESS (a user space in the kernel's half),
 * VM_BAD_RANGE (empty, over both halves, or up to the last byte of all) or VM_IN_USE (`space` was made
 * already and not destroyed; nothing of it has changed).
 */
enum vm_error vm_space_create(struct vm_space *space, struct vm_manager *manager,
                              const struct vm_space_config *config);

/*
 * Unmaps everything and returns all memory. First nobody finds the space by its number any more, then those
 * who found it before are waited for; after the patience of a mutex (<ashlar/lock.h>) that is a panic which
 * names the space. The number is given out again when the last page has left the reverse map. The caller
 * holds no reference from vm_space_get(). Panics while a CPU has the space loaded, be it by one who found it
 * before.
 */
void vm_space_destroy(struct vm_space *space) EXCLUDES(space->change, space->lock);

/* A CPU is about to load the tables of a user space, and has loaded others. */
static inline void vm_space_enter(struct vm_space *space)
{
    atomic_fetch_add_explicit(&space->loaded, 1, memory_order_relaxed);
}

static inline void vm_space_leave(struct vm_space *space)
{
    atomic_fetch_sub_explicit(&space->loaded, 1, memory_order_release);
}

/*
 * Makes `child` a space with the same range, regions and contents: fork. What was private is shared until one
 * of the two writes, or copied at once where a device has it pinned, so that its frame stays with `space`;
 * given frames, devices and shared pages stay shared. Marks (enum vm_mark) decide what is left out and what
 * comes empty; nothing of the child is VM_LOCKED. Only of a user space. Fails with VM_NO_MEMORY,
 * VM_TOO_MANY, VM_BAD_RANGE (not a user space), VM_IN_USE (`child` is a space already), VM_CONFLICT or
 * VM_BAD_FRAME (too many references); then no child is made.
 *
 * No region comes or goes meanwhile. Each page is taken at one moment, in ascending order: what other CPUs
 * write to it before that moment the child has, what they write after it the child has not. So of two writes
 * to different pages the child may have the later one alone, unless the caller keeps the program's other
 * threads from writing.
 */
enum vm_error vm_space_clone(struct vm_space *space, struct vm_space *child, const char *name)
    EXCLUDES(space->change, space->lock);

/* ---- Regions ---- */

/* What vm_space_map() is asked for. Zeros everywhere mean: 0 bytes reserved anywhere. */
struct vm_request {
    const char *name;          /* for people; stays where it is; or NULL */
    enum vm_source source;     /* what fills it */
    uint64_t bytes;            /* length, a multiple of FRAME_BYTES */
    unsigned access;           /* enum vm_access */
    unsigned marks;            /* enum vm_mark */
    bool fixed;                /* at `address` exactly; else the space chooses, lowest fitting gap first */
    bool replace;              /* fixed: what lies there goes, as by vm_space_unmap(), but in one step; the
                                  guard has to be free. Not for VM_FRAMES */
    virt_addr_t address;       /* fixed: where; else: not below this, if not 0 */
    uint64_t alignment;        /* when the space chooses; a power of two; 0 for FRAME_BYTES */
    uint64_t guard;            /* bytes below that nobody else may use and that are never filled */
    bool large;                /* VM_ZERO, VM_DEVICE: 2 MiB pages where one fits */
    bool shared;               /* VM_PAGER: writes go to the pager's frames; else to copies */
    unsigned around;           /* pages that one fault may fill, of the aligned group of so many: a power of
                                  two up to VM_AROUND_MAX; 0 or 1 for only the one */
    const phys_addr_t *frames; /* VM_FRAMES: one allocated single frame for each page; the space takes a
                                  reference to each, and their descriptors' notes, which
                                  are empty before, and again when no page shows the frame */
    phys_addr_t target;        /* VM_DEVICE: physical address of the first page */
    enum page_cache cache;     /* VM_DEVICE: how it is cached; else CACHE_WRITE_BACK */
    struct vm_pager *pager;    /* VM_PAGER: who gives the pages */
    uint64_t offset;           /* VM_PAGER: of the first page in what the pager has */
};

#define VM_AROUND_MAX 64

/*
 * Makes a region; *address is its first byte. A region that continues its neighbour becomes part of it. Fails
 * with any error but VM_NOT_MAPPED, VM_BAD_RANGE and VM_IN_USE.
 *
 * One that replaces others takes their place at once: each access sees what was there, or what comes, and
 * never nothing; who comes to a page in between waits. What could fail has been done before anything goes.
 * Guards of other regions that reach into its range become shorter.
 */
enum vm_error vm_space_map(struct vm_space *space, const struct vm_request *request, virt_addr_t *address)
    EXCLUDES(space->change, space->lock);

/*
 * Makes a region whose contents are those of [source, source + bytes) of `from` (which may be the same space)
 * now: copied when one of the two is written, or at once, as by vm_space_clone(). The range may span regions;
 * it keeps their sources, names and access. Fails as vm_space_map() does, or with VM_NOT_MAPPED when part of
 * the source belongs to no region. Each page is taken at one moment, as in vm_space_clone(). A region of the
 * copy is there when all of its pages are: until then faults find nothing there.
 */
enum vm_error vm_space_copy(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                            virt_addr_t source, uint64_t bytes)
    EXCLUDES(space->change, space->lock, from->change, from->lock);

/*
 * Unmaps what there is in the range; regions it cuts become smaller, or two. A region that loses its first
 * byte loses its guard. Region by region: as soon as one begins to go, faults find nothing there, though
 * pages of it can still be reached until the operation comes to them. Fails with VM_NO_MEMORY, VM_BUSY, or
 * for a bad range.
 */
enum vm_error vm_space_unmap(struct vm_space *space, virt_addr_t base, uint64_t bytes)
    EXCLUDES(space->change, space->lock);

/*
 * Gives the range another access (enum vm_access); regions it cuts become several, alike ones become one.
 * While a region is under way, faults allow only what was allowed and will be. Fails with VM_NO_MEMORY,
 * VM_NOT_MAPPED, VM_BAD_ACCESS, VM_CONFLICT, VM_BUSY, or for a bad range.
 */
enum vm_error vm_space_protect(struct vm_space *space, virt_addr_t base, uint64_t bytes, unsigned access)
    EXCLUDES(space->change, space->lock);

/* Tells the pagers of shared regions in the range about every page written to since they were last told: of
 * those written to meanwhile now or the next time. */
enum vm_error vm_space_sync(struct vm_space *space, virt_addr_t base, uint64_t bytes)
    EXCLUDES(space->change, space->lock);

/*
 * Resolves a page fault: `address` is any byte, access one of enum vm_access. Not while any lock is held; may
 * call a pager.
 */
enum vm_fault vm_space_fault(struct vm_space *space, virt_addr_t address, enum vm_access access)
    EXCLUDES(space->lock);

/* ---- Seeing inside ---- */

/* One region, as it was when asked for. */
struct vm_region_facts {
    virt_addr_t base;             /* first byte */
    uint64_t bytes;               /* length */
    uint64_t guard;               /* bytes kept free below */
    enum vm_source source;        /* what fills it */
    unsigned access;              /* enum vm_access */
    unsigned before;              /* the same; while it changes, what it was: pages may be so still */
    unsigned marks;               /* enum vm_mark */
    bool large;                   /* 2 MiB pages where they fit */
    bool shared;                  /* writes go to the pager's frames */
    enum page_cache cache;        /* how it is cached */
    unsigned around;              /* pages that one fault may fill */
    uint64_t offset;              /* of its first byte: in the pager, or physical */
    const struct vm_pager *pager; /* or NULL */
    uint64_t pager_serial;        /* the pager's: no other one ever has it; 0 without a pager */
    const char *name;             /* or "" */
};

/* The region at `address`, its guard not included; false when there is none. Also one that is on its way in
 * or out, which faults do not find. */
bool vm_space_find(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts)
    EXCLUDES(space->lock);

/* The lowest region that ends above `address`: to iterate, start at 0 and go on at base + bytes. */
bool vm_space_next(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts)
    EXCLUDES(space->lock);

/* The same with a reference to the region's pager, if it has one: for whoever asks that for something. */
bool vm_space_next_kept(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts)
    EXCLUDES(space->lock);

/* What a range holds. In 4 KiB pages, unless it says otherwise. */
struct vm_counts {
    uint64_t resident; /* a frame of RAM lies behind */
    uint64_t shared;   /* of these, frames that somebody else has too */
    uint64_t large;    /* of these, in 2 MiB pages */
    uint64_t zero;     /* show the zero page: cost nothing */
    uint64_t device;   /* show given physical memory */
    uint64_t swapped;  /* lie on disk */
    /* Of the resident ones: */
    uint64_t anonymous;     /* are no pager's: the space's own, or copies */
    uint64_t used;          /* read or written since somebody cleared that */
    uint64_t alone;         /* no other page shows the frame */
    uint64_t dirty;         /* written to; all that are no pager's count as that */
    uint64_t dirty_alone;   /* both */
    uint64_t portion;       /* bytes; of a frame that several pages show, each counts its part */
    uint64_t dirty_portion; /* the same, of those written to */
};

/* Counts what is mapped in the range; costs a visit of every mapped page. Others come between: each page is
 * counted as it was at one moment. */
void vm_space_count(struct vm_space *space, virt_addr_t base, uint64_t bytes, struct vm_counts *counts)
    EXCLUDES(space->lock);

/* How many tables the space has: its own; of a space over a part of the kernel's half, those that lie in its
 * range as a whole. For these it walks through the range. */
uint64_t vm_space_tables(struct vm_space *space) EXCLUDES(space->lock);

/* All that is known about one address. */
struct vm_look {
    bool found;                     /* a region lies there, as for vm_space_find() */
    bool guard;                     /* the guard below a region lies there; `region` is that region */
    struct vm_region_facts region;  /* which */
    struct page_translation mapped; /* by the page tables; an inaccessible page too (PAGE_INACCESSIBLE) */
    bool zero_page;                 /* the shared zero page is mapped */
    uint32_t references;            /* to the frame behind; 0 when none is kept */
};
void vm_space_look(struct vm_space *space, virt_addr_t address, struct vm_look *look) EXCLUDES(space->lock);

/*
 * Whether the space has put `frame` (a whole block, for a 2 MiB page) at a page of a region that has frames:
 * it is the zero page, to be read, or an allocated block whose note leads there. For an audit of the tables:
 * any frame, whoever it belongs to.
 */
bool vm_space_has_given(struct vm_space *space, virt_addr_t page, phys_addr_t frame, bool write)
    EXCLUDES(space->lock);

/* One place where a frame is seen. */
struct vm_place {
    virt_addr_t address;      /* first byte of the page that shows it */
    uint32_t number;          /* of the space */
    char name[VM_NAME_BYTES]; /* of the space */
    bool device;              /* through a VM_DEVICE region, which keeps no reference */
};

/*
 * The reverse question: where is the frame at `address` mapped? Fills places[] up to `limit` and returns how
 * many there are. A page that was never shared is found at once, others by asking all relatives, as
 * docs/spaces.md explains; device regions, and those of given frames for such a frame, are searched in all
 * spaces. For addresses that are no RAM as well. The frame's own pages do not change meanwhile; pages of a
 * space that is being destroyed are left out, and of a region of given frames that is on its way in or out.
 */
uint64_t vm_frame_places(struct vm_manager *manager, phys_addr_t address, struct vm_place *places,
                         uint64_t limit) EXCLUDES(manager->lock);

/* What vm_space_check() found wrong first. */
struct vm_problem {
    const char *what;    /* the broken rule */
    virt_addr_t address; /* where */
    uint64_t found;      /* the value that is wrong */
    uint64_t expected;   /* what it should be */
};

/*
 * Verifies a space: tree, list, gaps and sums; that every page mapped belongs to a region and allows no more
 * than it; frames and owners; that references are as many as pages where nobody else can have one (zeros,
 * stacks), and no fewer elsewhere; the reverse map both ways; the page tables. True whenever its spinlock is
 * free, in the midst of an operation as well. One long hold, for whoever may stop all others: nobody uses
 * the space meanwhile.
 */
bool vm_space_check(struct vm_space *space, struct vm_problem *problem) EXCLUDES(space->lock);

/* The same for all spaces of a manager, and for what they share: every family and its relatives know each
 * other, the frame pool's ledger closes, and no owner shows more frames than it has, or
 * less if it is an exclusive one. No other CPU makes, changes or destroys a space meanwhile; it may be in the
 * midst of that, holding no lock and stopped with preemption on. */
bool vm_manager_check(struct vm_manager *manager, struct vm_problem *problem) EXCLUDES(manager->lock);

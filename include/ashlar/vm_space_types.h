/*
 * What a manager and an address space consist of. <ashlar/vm_space.h> includes this, since their owners have
 * them by value; nobody else needs it.
 */
#pragma once

#define VM_NUMBERS_CHUNK 512        /* entries of one page of a table of numbers */
#define VM_NUMBERS_MAX   (1U << 17) /* entries of a table of numbers */

struct vm_space;
struct vm_region;
struct vm_family;

/* Entry of a table of numbers: taken, or a link in the list of free numbers. */
union vm_number {
    struct vm_space *space;   /* whose number it is, in the table of spaces */
    struct vm_family *family; /* the same, in that of families */
    uint64_t word;            /* bit 0 set: free, the rest is 2 * next free number, the last one leads to the
                                 table's limit; bit 1 set: the pointer of a space that is being destroyed */
};

/* Who has which number. */
struct vm_numbers {
    union vm_number *chunks[VM_NUMBERS_MAX / VM_NUMBERS_CHUNK]; /* a frame each */
    uint32_t limit;                                             /* numbers that have an entry */
    uint32_t free;                                              /* first free one, or `limit` */
    uint32_t count;                                             /* numbers that are taken */
};

/* One of a family: a space, with all regions that it has from the family's first space at the same addresses,
 * or one region. */
struct vm_relative {
    struct vm_relative *next;     /* in the family's ring */
    struct vm_relative *previous; /* the same */
    struct vm_space *space;       /* whose it is; NULL: the ring's beginning, or the place of one who walks */
    struct vm_region *region;     /* or NULL, for a space */
};

/* A stretch of addresses. */
struct vm_range {
    uint64_t base; /* first byte */
    uint64_t end;  /* behind the last one; the same as base: nothing */
};

struct vm_manager {
    struct vm_manager_config config;  /* as given */
    struct slab_cache regions;        /* of struct vm_region */
    struct slab_cache families;       /* of struct vm_family */
    phys_addr_t zero_frame;           /* zeros for all who only read; never freed, never counted */
    struct spinlock lock;             /* guards (L) */
    struct vm_numbers space_numbers;  /* (L) the spaces in being */
    struct vm_numbers family_numbers; /* (L) the families in being */
    uint64_t families_made;           /* (L) so far */
};

struct vm_space {
    struct vm_manager *manager; /* as given */
    struct page_table *table;   /* its tables: `own`, or those of the kernel */
    struct mutex change;        /* held for one whole operation on its structure */
    struct spinlock lock;       /* guards all that follows */
    struct vm_region *tree;     /* the regions by address: these and the next two change with both held */
    struct vm_region *first;    /* lowest region, or NULL */
    struct vm_region *moving;   /* region on its way in or out, whose pages come or go; or NULL */
    struct vm_region *recent;   /* found last, or NULL */
    struct vm_range held[2];    /* what is being replaced or moved: who would be refused there waits for
                                   `change`; these change with both held */
    /*
     * Asked about a fault where nothing lies, or the guard of a stack, with no lock held: true when that may
     * be otherwise now (vm_space_extend_down()), so that the fault looks again. Or NULL. Set before the first
     * fault; a child gets it too.
     */
    bool (*grow)(struct vm_space *space, virt_addr_t address);
    uint64_t base;                   /* first address it may use */
    uint64_t end;                    /* behind the last address it may use */
    uint64_t random;                 /* state of the generator that balances the tree */
    uint64_t region_count;           /* regions in the tree */
    uint64_t region_bytes;           /* their sum, guards not included */
    uint64_t locked_bytes;           /* of these, in regions marked VM_LOCKED */
    uint64_t data_bytes;             /* of these, private and writable, stacks not counted */
    uint64_t resident;               /* 4 KiB pages with a frame of RAM behind, the zero page not counted */
    uint64_t faults[VM_FAULT_COUNT]; /* page faults by what became of them */
    struct vm_family *family;        /* of the pages it has shared, or NULL; changes with both held */
    struct vm_relative relative;     /* its place in that; guarded by the family's lock */
    uint32_t number;                 /* in the manager's table */
    _Atomic(uint32_t) references;    /* of those who found it by its number */
    _Atomic(uint32_t) loaded;        /* CPUs that have its tables loaded */
    enum frame_owner owner;          /* of the pages it fills */
    bool user;                       /* pages are the user's */
    char name[VM_NAME_BYTES];        /* for people */
    struct page_table own;           /* when it is a user space */
};

/*
 * The order of all locks, written once: whoever holds a lock waits only for locks of a higher rank. Two of
 * the same rank are held together only where each was given a key, and then the lower key is taken first.
 * What each lock guards is in docs/architecture.md.
 */
#pragma once

enum lock_rank {
    LOCK_UNRANKED, /* of a lock that was never initialised */

    /* Mutexes. */
    LOCK_DESCRIPTORS,   /* a table of descriptors, while it changes */
    LOCK_EPOLL,         /* what all epolls watch, while it is looked at or changes */
    LOCK_FILE_SEEKING,  /* the position of an open file */
    LOCK_FILE_NAMES,    /* a tree of names, while it changes */
    LOCK_TIMER_FILES,   /* the list of timers that are files */
    LOCK_FILE_CONTENTS, /* the contents of a regular file while it is written to or cut; a pipe, a timer */
    LOCK_HEAP_END,      /* where a program's heap ends */
    LOCK_SPACE_CHANGE,  /* an address space's structure; key: the space's number */
    LOCK_DATE,          /* what date the firmware told, and when */
    LOCK_FIRMWARE,      /* the firmware's runtime services and the buffers they are given */
    LOCK_FILE_LOCKS,    /* the locks of files that programs agree on */
    LOCK_PROCESSES,     /* the tree of processes, and their numbers */

    /* Spinlocks. */
    LOCK_SIGNALS,         /* what handlers a process has, and what signals are pending */
    LOCK_DESCRIPTOR,      /* the descriptors in a table, and how large it is */
    LOCK_PLACES,          /* a process's root and working directory */
    LOCK_FILE_NODE,       /* a node: its attributes, names in a directory, pages; key: its number */
    LOCK_FUTEX,           /* who sleeps for words of programs; key: the bucket's place */
    LOCK_FILE_PARENTS,    /* which directory a name lies in */
    LOCK_SPACE,           /* an address space; key: its number */
    LOCK_DEVICE_MAPPINGS, /* the mappings of devices */
    LOCK_VMALLOC,         /* blocks of vmalloc that wait for a flush */
    LOCK_ARENA,           /* an arena of kernel addresses */
    LOCK_TABLE_SLOTS,     /* the making of the slots for temporary views of page tables */
    LOCK_PAGE_TABLE,      /* a set of page tables */
    LOCK_FAMILY,          /* the ring of a family: who may show the same page at the same offset */
    LOCK_SPACE_NUMBERS,   /* a manager's tables of spaces and families */
    LOCK_SLAB_POOL,       /* a slab pool's list of caches */
    LOCK_SLAB_GUARD,      /* guarded slots */
    LOCK_SLAB_CACHE,      /* a slab cache */
    LOCK_SLAB_RECORDS,    /* records about slabs and large blocks */
    LOCK_FRAME_POOL,      /* a frame pool's store */
    LOCK_VECTORS,         /* interrupt vectors and who has them */
    LOCK_THREADS,         /* the list of all threads */
    LOCK_CONSOLE,         /* the console's sinks */

    /* Spinlocks with interrupts off. */
    LOCK_IO_APIC,    /* the IO-APICs' registers */
    LOCK_TIMERS,     /* a CPU's timers */
    LOCK_WATCHERS,   /* who watches an event of a file */
    LOCK_EPOLL_NEWS, /* what of the watched may be ready, of one epoll */
    LOCK_WAIT_QUEUE, /* who waits for one thing */
    LOCK_ENDED,      /* threads that have ended, to be freed */
    LOCK_RUN_QUEUE,  /* a CPU's ready threads; key: the CPU's number */

    LOCK_RANKS,
    LOCK_LAST_MUTEX = LOCK_PROCESSES,
    LOCK_LAST_SPINLOCK = LOCK_CONSOLE
};

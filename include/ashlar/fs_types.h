/* What a tree of names consists of. <ashlar/fs.h> includes this, as its owners have it by value. */
#pragma once

struct fs {
    struct fs_config config;       /* as given */
    struct mutex names;            /* held for one whole change of names */
    struct mutex locks;            /* guards the locks that programs agree on, of all files */
    struct spinlock parents;       /* guards which entry is whose parent */
    struct fs_entry *root;         /* its root directory's */
    _Atomic(uint64_t) nodes;       /* in being */
    _Atomic(uint64_t) frames;      /* of contents */
    _Atomic(uint64_t) next_number; /* of the next node */
    _Atomic(uint64_t) next_random; /* state of the generator that balances directories */

    struct fs_lock_waiter *lock_waiters; /* who waits for a process's lock; guarded by `locks` */
};

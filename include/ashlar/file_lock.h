/*
 * Locks that programs agree on (advisory locks): ranges of a file for a process (fcntl) or an open file
 * (OFD), and whole files for an open file (flock). Nobody but those who ask for locks is kept from anything.
 * Behaviour and errors are Linux's (fs/locks.c).
 *
 * Ranges of processes and of open files exclude each other; whole locks are a world of their own. The caller
 * holds no lock of the kernel's but mutexes of ranks before LOCK_FILE_LOCKS, and none where it may wait.
 */
#pragma once

#include <ashlar/file.h>

#define FILE_LOCK_END ((uint64_t)INT64_MAX) /* last byte of a range without an end */

enum file_lock_kind {
    FILE_LOCK_PROCESS, /* owner: a number that the caller gives to those who share a table of descriptors */
    FILE_LOCK_OPEN,    /* owner: the file */
    FILE_LOCK_WHOLE,   /* the same; of the whole file */
};

struct file_lock {
    enum file_lock_kind kind;
    bool writes; /* excludes all others; else only those that write */
    uint64_t first;
    uint64_t last; /* the last byte that belongs to it */
    uint64_t owner;
    uint32_t process; /* number of who has taken it, to be told to others */
};

/*
 * Takes the lock: what its owner had in this range becomes part of it. Fails with -EAGAIN where another
 * excludes it, or waits until none does; with -EDEADLK where that one waits for this owner (of processes),
 * -EINTR, or -ENOLCK: there is no memory.
 */
int file_lock_take(struct file *file, const struct file_lock *lock, bool waits);

/* Gives the range back, whatever the owner has of it. -ENOLCK: there is no memory for the two parts that
 * stay. */
int file_lock_give(struct file *file, const struct file_lock *lock);

/* The first that excludes the lock, stored in *other; false: none does. */
bool file_lock_find(struct file *file, const struct file_lock *lock, struct file_lock *other);

/* Gives all back that the owner has of that kind: at the end of it, or when a process closes the file. */
void file_locks_end(struct file *file, enum file_lock_kind kind, uint64_t owner);

/* What the system calls of memory share. */
#pragma once

#include "calls.h"

/* The space of the calling process. */
static inline struct vm_space *current_space(void)
{
    return &process_current()->memory->space;
}

/* Unmaps what there is in a range of the program's half: 0, or a number with a minus. */
int64_t memory_unmap(struct process *process, uint64_t base, uint64_t bytes);

/*
 * Limits and promises. A promise is private memory that its program may write to: it is refused where one
 * alone is more than the machine has (Linux's rule when nothing else is set, mm/util.c), unless it was asked
 * for with MAP_NORESERVE.
 */

/* Whether `bytes` bytes more are within the limits of the whole and, if they are `data`, of data. */
bool memory_may_grow(const struct process *process, uint64_t bytes, bool data);

/* Whether the machine could ever keep such a promise. */
bool memory_can_promise(uint64_t bytes);

/* The same two questions about a range that is to allow `access`: 0 or -ENOMEM. */
int64_t memory_may_protect(const struct process *process, uint64_t base, uint64_t end, unsigned access);

/* Whether `bytes` bytes may be locked that are not yet: 0, -EPERM (none may be), or -EAGAIN. */
int64_t memory_may_lock(const struct process *process, uint64_t bytes);

/* Marks (enum vm_mark) of memory that the process maps now, beside those it asks for, and MEMORY_WAITS:
 * mlockall(). Another thread may change them at any time: so they are asked for once for each mapping. */
unsigned memory_future_marks(const struct process *process);

/*
 * Fills [base, end) as `wanted` asks, up to the first page that cannot be: then returns -EFAULT (a pager
 * failed), -ENOMEM (no memory, or nothing lies there), -EINVAL (the access is not allowed), or -EINTR; else
 * 0.
 */
int64_t memory_fill(struct vm_space *space, uint64_t base, uint64_t end, enum vm_access wanted);

/* The end of what regions cover from `base` on, `end` at most. */
uint64_t memory_covered(struct vm_space *space, uint64_t base, uint64_t end);

/* madvise() for a space: one's own, or advice_is_for_others(). length: in bytes. */
int64_t memory_advise(struct vm_space *space, uint64_t base, uint64_t length, uint32_t advice);

/* Whether a process may give the advice to another one. */
bool advice_is_for_others(uint32_t advice);

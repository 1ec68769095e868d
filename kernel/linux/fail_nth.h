/*
 * Calls of a program in which allocations fail on purpose, in builds with all assertions; other builds know
 * nothing of it.
 *
 *     prctl(FAIL_NTH, n, rest)
 *
 * has the n-th allocation of the calling task's next system call find no memory, and, if `rest` is not 0, all
 * that follow it within that call; with n 0 none. Returns how many allocations have failed in the last call
 * of which that was said. One task at a time: EBUSY for another.
 */
#pragma once

#include "process.h"

#define FAIL_NTH 0x41534c48 /* "ASLH", which is none of Linux's */

#ifdef ASHLAR_DEBUG

/* The call above. */
int64_t fail_nth_plan(const struct trap_frame *frame);

/* Where a system call begins, and where it ends. */
void fail_nth_begin(void);
void fail_nth_end(void);

/* The task ends. Nothing it plans is left. */
void fail_nth_forget(void);

#else

static inline void fail_nth_begin(void)
{
}

static inline void fail_nth_end(void)
{
}

static inline void fail_nth_forget(void)
{
}

#endif

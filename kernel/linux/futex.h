/*
 * Futexes: sleeping until a word of a program's memory is said to have changed.
 *
 * A word is known by the memory it lies in and its address, or, where a pager's page is shown to several, by
 * the pager and the offset there; never by a frame, which may change under a page. Who sleeps has his memory,
 * but not the pager, which may go meanwhile: so it is known by a number that is not given again.
 */
#pragma once

#include "process.h"

#define FUTEX_ALL_BITS UINT32_MAX

struct futex_key {
    uint64_t object; /* address of a struct memory, or serial of a pager, which is lower than any address */
    uint64_t offset; /* of the word there */
};

/* Once, before programs run. */
void futexes_start(void);

/* The key of a word in `memory`, which is loaded. private: only threads of one memory use it, so no region is
 * looked for. 0, -EINVAL (not aligned) or -EFAULT. */
int futex_key_of(struct memory *memory, user_addr_t at, bool is_private, struct futex_key *key);

/* A word that somebody sleeps for as long as it is `value`. */
struct futex_word {
    struct futex_key key;
    user_addr_t at;
    uint32_t value;
};

/*
 * Sleeps until a wake for the word with one of these bits, if it is `value` still, or until the deadline.
 * Returns 0, -EAGAIN (it is another one), -EFAULT, -ETIMEDOUT or -EINTR (killed).
 */
int64_t futex_wait(const struct futex_word *word, uint32_t bits, uint64_t deadline);

/* The same for `count` words at once, at least 1, if all have their values still. Returns the place of one
 * that was woken, the last if several were; -ENOMEM too. */
int64_t futex_wait_any(const struct futex_word *words, uint32_t count, uint64_t deadline);

/* Wakes up to `count` that sleep for one of these bits; returns how many. */
int64_t futex_wake(const struct futex_key *key, uint32_t bits, uint32_t count);

/* What is to be done with those that sleep for one key. */
struct futex_requeue {
    struct futex_key from;
    struct futex_key to;
    uint32_t wakes; /* so many are woken, */
    uint32_t moves; /* and so many of the rest wait for `to` from then on */
    bool compares;  /* only if the word at `at` is `value` */
    user_addr_t at;
    uint32_t value;
};

/* Returns how many were woken or moved; -EAGAIN: the word is another one; -EFAULT. */
int64_t futex_requeue(const struct futex_requeue *request);

/* Wakes those that sleep for the word at the address, if there are any. */
void futex_wake_at(struct memory *memory, user_addr_t at, uint32_t count);

/* robust.c: the calling task ends: the locks that it holds say so (set_robust_list()). */
void robust_list_end(const struct task *task);

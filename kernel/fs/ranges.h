/*
 * The locks of one file: a list by owner, and by place for each owner. What an owner has is disjoint, and
 * parts of one kind that touch are one. Pure; who has such a list sees to it that one uses it at a time.
 */
#pragma once

#include <ashlar/file_lock.h>

struct range {
    struct range *next;
    struct file_lock lock;
};

#define RANGE_SPARES 2 /* records that a change may need */

/* The first that excludes the lock; NULL: none does. */
const struct range *ranges_exclude(const struct range *list, const struct file_lock *lock);

/*
 * The range becomes the owner's as the lock says, or, if `gives`, nobody's of this owner. Takes records from
 * `spares`, and puts there, linked by `next`, what is not needed or no longer.
 */
void ranges_change(struct range **list, const struct file_lock *lock, bool gives, struct range **spares);

/* Takes all of the owner's out; returns them, linked by `next`. */
struct range *ranges_take(struct range **list, enum file_lock_kind kind, uint64_t owner);

/* Copies: what those who copy regions and those who take their pages share. */
#pragma once

#include "family.h"

/* One range on its way into another. */
struct copying {
    struct vm_space *from; /* being changed, and locked */
    struct vm_space *to;   /* the same; may be the same space */
    bool forks;            /* marks say what a child gets */
    uint64_t distance;     /* address in `to` minus address in `from` */
    struct vm_hold hold;   /* of both locks */
};

/* Shares what `region` has in [base, end) with the copy, or copies it where it is pinned. Holds of both locks
 * end and begin meanwhile. */
enum vm_error vm_copying_take(struct copying *copying, struct vm_region *region, uint64_t base, uint64_t end)
    REQUIRES(copying->from->lock, copying->to->lock);

/* Guarded slots for a heap on the host: pages of the process, inaccessible and shown by mprotect(). */
#pragma once

#include <ashlar/slab_guard.h>

struct guard_fixture {
    struct slab_guard guard;
    char *pages;    /* 2 * slots + 1 */
    uint64_t bytes; /* of all pages */
    bool refuses;   /* showing a page fails */
};

bool guard_show(void *context, void *page);
void guard_hide(void *context, void *page);
enum slab_error guard_start(struct guard_fixture *fixture, struct slab_pool *pool, uint32_t slots,
                            uint32_t every);
void guard_stop(struct guard_fixture *fixture);

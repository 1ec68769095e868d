#include "guard_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

bool guard_show(void *context, void *page)
{
    const struct guard_fixture *fixture = context;
    return !fixture->refuses && mprotect(page, FRAME_BYTES, PROT_READ | PROT_WRITE) == 0;
}

void guard_hide(void *context, void *page)
{
    (void)context;
    if (mprotect(page, FRAME_BYTES, PROT_NONE) != 0) {
        perror("mprotect");
        abort();
    }
}

enum slab_error guard_start(struct guard_fixture *fixture, struct slab_pool *pool, uint32_t slots,
                            uint32_t every)
{
    fixture->refuses = false;
    fixture->bytes = (2ULL * slots + 1) * FRAME_BYTES;
    fixture->pages = mmap(NULL, fixture->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fixture->pages == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    const struct slab_guard_config config = {fixture->pages, slots,   every, guard_show,
                                             guard_hide,     fixture, 0};
    return slab_guard_start(&fixture->guard, pool, &config);
}

void guard_stop(struct guard_fixture *fixture)
{
    slab_guard_stop(&fixture->guard);
    munmap(fixture->pages, fixture->bytes);
}

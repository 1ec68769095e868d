/* Page tables, addresses and vmalloc on a machine of its own, with the model MMU watching. */
#pragma once

#include "tests/host/frame/fixture.h"
#include "tests/host/support/mmu_model.h"
#include <ashlar/vmalloc.h>

#define VMALLOC_ARENA      0xffffd00000000000
#define VMALLOC_FRAMES_MAX (MIB(64) / FRAME_BYTES)

struct vmalloc_fixture {
    struct machine machine;
    struct page_table_access access; /* all of the machine's memory, at an offset */
    struct page_table table;
    struct kva_arena arena;
    struct vmalloc vmalloc;
    bool watched;                          /* by the model */
    uint64_t free_at_start;                /* frames free before there was anything */
    phys_addr_t taken[VMALLOC_FRAMES_MAX]; /* frames taken away from the pool */
    uint64_t taken_count;                  /* used entries */
};

/* A machine of `bytes` of memory with an arena of `arena_bytes`; `watched` by the model, which is for one
 * CPU. */
void vmalloc_fixture_start(struct vmalloc_fixture *fixture, uint64_t bytes, uint64_t arena_bytes,
                           unsigned cpus, bool watched);

/* Leaves the pool `frames` free frames, if it has so many. */
void vmalloc_starve(struct vmalloc_fixture *fixture, uint64_t frames);
void vmalloc_feed(struct vmalloc_fixture *fixture);
void vmalloc_fixture_check(struct vmalloc_fixture *fixture);

/* Ends it: there are no blocks left, and every frame must be back. */
void vmalloc_fixture_stop(struct vmalloc_fixture *fixture);

/* The word at an address of the modelled machine. */
uint64_t *vmalloc_word(struct vmalloc_fixture *fixture, const void *address, enum mmu_use use);

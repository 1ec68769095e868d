/* An arena on a small machine of its own, whose memory can be made to run out. */
#pragma once

#include "tests/host/frame/fixture.h"
#include <ashlar/kva.h>

#define KVA_MACHINE_BYTES MIB(2)
#define KVA_FRAMES_MAX    (KVA_MACHINE_BYTES / FRAME_BYTES)

struct kva_fixture {
    struct machine machine;
    struct kva_arena arena;
    uint64_t free_at_start;            /* frames free before the arena was made */
    phys_addr_t taken[KVA_FRAMES_MAX]; /* frames taken away from the pool */
    uint64_t taken_count;              /* used entries */
};

extern const struct kva_purpose kva_test_purpose;

/* Leaves the pool `frames` free frames, if it has so many. */
void kva_starve(struct kva_fixture *fixture, uint64_t frames);
void kva_feed(struct kva_fixture *fixture);
void kva_fixture_machine(struct kva_fixture *fixture, unsigned cpus);
void kva_fixture_start(struct kva_fixture *fixture, uint64_t base, uint64_t bytes);
void kva_fixture_check(struct kva_fixture *fixture);

/* Destroys the arena, in which `live` ranges are left; every frame must be back. */
void kva_fixture_stop(struct kva_fixture *fixture, uint64_t live);

/* A range, or NULL with the reason in *error. */
struct kva_range *kva_take(struct kva_fixture *fixture, uint64_t bytes, uint64_t alignment, uint32_t guards,
                           enum kva_error *error);

#include "fixture.h"

#include <string.h>

const struct kva_purpose kva_test_purpose = KVA_PURPOSE("test range");

void kva_starve(struct kva_fixture *fixture, uint64_t frames)
{
    struct frame_pool *pool = &fixture->machine.pool;
    while (fixture->taken_count > 0 && frame_pool_free(pool) < frames) {
        frame_free(pool, fixture->taken[--fixture->taken_count], 0);
    }
    while (frame_pool_free(pool) > frames) {
        fixture->taken[fixture->taken_count++] = frame_alloc(pool, 0, OWNER_TEST);
    }
}

void kva_feed(struct kva_fixture *fixture)
{
    kva_starve(fixture, KVA_FRAMES_MAX);
}

void kva_fixture_machine(struct kva_fixture *fixture, unsigned cpus)
{
    memset(fixture, 0, sizeof *fixture);
    machine_make(&fixture->machine, KVA_MACHINE_BYTES);
    machine_range(&fixture->machine, KIB(64), KVA_MACHINE_BYTES - KIB(64), MEMORY_USABLE);
    struct frame_config config = machine_config(&fixture->machine, cpus, NULL);
    config.no_magazines = true; /* frames run out exactly when they should */
    if (frame_pool_init(&fixture->machine.pool, &config) != FRAME_OK) {
        panic("no frame pool");
    }
    frame_pool_back(&fixture->machine.pool, phys_addr(0), KVA_MACHINE_BYTES);
    fixture->free_at_start = frame_pool_free(&fixture->machine.pool);
}

void kva_fixture_start(struct kva_fixture *fixture, uint64_t base, uint64_t bytes)
{
    kva_fixture_machine(fixture, 1);
    enum kva_error error = kva_init(&fixture->arena, virt_addr(base), bytes, &fixture->machine.pool);
    if (error != KVA_OK) {
        panic("no arena: %s", kva_error_name(error));
    }
}

void kva_fixture_check(struct kva_fixture *fixture)
{
    struct kva_problem problem;
    if (!kva_check(&fixture->arena, &problem)) {
        panic("arena: %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64, problem.what, problem.where.raw,
              problem.found, problem.expected);
    }
}

void kva_fixture_stop(struct kva_fixture *fixture, uint64_t live)
{
    kva_feed(fixture);
    kva_fixture_check(fixture);
    uint64_t left = kva_destroy(&fixture->arena);
    if (left != live) {
        panic("%" PRIu64 " ranges left, not %" PRIu64, left, live);
    }
    if (frame_pool_free(&fixture->machine.pool) != fixture->free_at_start) {
        panic("%" PRId64 " frames were not returned",
              (fixture->free_at_start - frame_pool_free(&fixture->machine.pool)));
    }
    machine_destroy(&fixture->machine);
}

struct kva_range *kva_take(struct kva_fixture *fixture, uint64_t bytes, uint64_t alignment, uint32_t guards,
                           enum kva_error *error)
{
    struct kva_request request = {bytes, alignment, guards, &kva_test_purpose, fixture};
    struct kva_range *range = NULL;
    *error = kva_alloc(&fixture->arena, &request, &range);
    return *error == KVA_OK ? range : NULL;
}

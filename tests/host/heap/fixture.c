#include "fixture.h"

#include <string.h>

static void fixture_report(void *context, const struct slab_report *report)
{
    struct heap_fixture *fixture = context;
    fixture->report = *report;
    fixture->reports++;
}

enum slab_error fixture_start_on(struct heap_fixture *fixture, uint64_t bytes, unsigned cpus,
                                 const char *debug, const struct frame_policy *policy, bool no_magazines)
{
    memset(fixture, 0, sizeof *fixture);
    machine_make(&fixture->machine, bytes);
    machine_range(&fixture->machine, MIB(1), bytes - MIB(1), MEMORY_USABLE);
    struct frame_config frames = machine_config(&fixture->machine, cpus, policy);
    frames.no_magazines = no_magazines;
    if (frame_pool_init(&fixture->machine.pool, &frames) != FRAME_OK) {
        panic("no frame pool");
    }
    /* All descriptors are backed, so that free frames can be compared. */
    frame_pool_back(&fixture->machine.pool, phys_addr(0), bytes);
    fixture->free_at_start = frame_pool_free(&fixture->machine.pool);
    struct heap_config config = {.slabs = {.frames = &fixture->machine.pool,
                                           .cpus = cpus,
                                           .seed = 0x5eed,
                                           .debug = debug,
                                           .report = fixture_report,
                                           .context = fixture}};
    return heap_init(&fixture->heap, &config);
}

enum slab_error fixture_start(struct heap_fixture *fixture, uint64_t bytes, unsigned cpus, const char *debug)
{
    return fixture_start_on(fixture, bytes, cpus, debug, NULL, false);
}

void fixture_stop(struct heap_fixture *fixture)
{
    struct frame_problem problem;
    heap_destroy(&fixture->heap);
    if (frame_pool_free(&fixture->machine.pool) != fixture->free_at_start) {
        panic("%" PRId64 " frames were not returned",
              (fixture->free_at_start - frame_pool_free(&fixture->machine.pool)));
    }
    if (!frame_pool_check(&fixture->machine.pool, &problem)) {
        panic("frame pool: %s at frame %#" PRIx64, problem.what, problem.frame);
    }
    machine_destroy(&fixture->machine);
}

void fixture_check(struct heap_fixture *fixture)
{
    struct slab_problem problem;
    if (!heap_check(&fixture->heap, &problem)) {
        panic("heap: %s in %s at %p: %#" PRIx64 ", not %#" PRIx64, problem.what,
              problem.cache ? problem.cache->name : "no cache", problem.where, problem.found,
              problem.expected);
    }
}

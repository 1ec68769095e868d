#include "vmalloc_fixture.h"

#include <string.h>

void vmalloc_fixture_start(struct vmalloc_fixture *fixture, uint64_t bytes, uint64_t arena_bytes,
                           unsigned cpus, bool watched)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->watched = watched;
    machine_make(&fixture->machine, bytes);
    machine_range(&fixture->machine, MIB(1), bytes - MIB(1), MEMORY_USABLE);
    struct frame_config config = machine_config(&fixture->machine, cpus, NULL);
    config.no_magazines = true; /* frames run out exactly when they should */
    struct frame_pool *pool = &fixture->machine.pool;
    if (frame_pool_init(pool, &config) != FRAME_OK) {
        panic("no frame pool");
    }
    frame_pool_back(pool, phys_addr(0), bytes);
    fixture->free_at_start = frame_pool_free(pool);
    fixture->access =
        (struct page_table_access){.path = PAGE_TABLE_PHYSMAP, .offset = (uintptr_t)fixture->machine.memory};
    if (page_table_init(&fixture->table, pool, &fixture->access, 4, PAGE_LEVEL_1G, NULL) != PAGE_TABLE_OK ||
        kva_init(&fixture->arena, virt_addr(VMALLOC_ARENA), arena_bytes, pool) != KVA_OK) {
        panic("no page tables, or no arena");
    }
    vmalloc_init(&fixture->vmalloc, &fixture->arena, &fixture->table, pool);
    mmu_model_start(fixture->machine.memory, bytes, watched ? pool : NULL);
    if (watched) {
        mmu_model_add(&fixture->table);
    }
}

void vmalloc_starve(struct vmalloc_fixture *fixture, uint64_t frames)
{
    struct frame_pool *pool = &fixture->machine.pool;
    while (fixture->taken_count > 0 && frame_pool_free(pool) < frames) {
        frame_free(pool, fixture->taken[--fixture->taken_count], 0);
    }
    while (frame_pool_free(pool) > frames) {
        fixture->taken[fixture->taken_count++] = frame_alloc(pool, 0, OWNER_TEST);
    }
}

void vmalloc_feed(struct vmalloc_fixture *fixture)
{
    vmalloc_starve(fixture, VMALLOC_FRAMES_MAX);
}

void vmalloc_fixture_check(struct vmalloc_fixture *fixture)
{
    struct vmalloc_problem problem;
    struct kva_problem kva_problem;
    struct page_table_problem table_problem;
    if (!vmalloc_check(&fixture->vmalloc, &problem)) {
        panic("vmalloc: %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64, problem.what, problem.where.raw,
              problem.found, problem.expected);
    }
    if (!kva_check(&fixture->arena, &kva_problem)) {
        panic("arena: %s at %#" PRIx64, kva_problem.what, kva_problem.where.raw);
    }
    if (!page_table_check(&fixture->table, &table_problem)) {
        panic("page tables: %s at %#" PRIx64, table_problem.what, table_problem.address.raw);
    }
}

void vmalloc_fixture_stop(struct vmalloc_fixture *fixture)
{
    vmalloc_feed(fixture);
    vmalloc_flush(&fixture->vmalloc);
    vmalloc_fixture_check(fixture);
    if (fixture->watched) {
        mmu_model_check();
        mmu_model_remove(&fixture->table);
    }
    if (kva_destroy(&fixture->arena) != 0) {
        panic("ranges are left");
    }
    page_table_destroy(&fixture->table);
    if (frame_pool_free(&fixture->machine.pool) != fixture->free_at_start) {
        panic("%" PRId64 " frames were not returned",
              (fixture->free_at_start - frame_pool_free(&fixture->machine.pool)));
    }
    mmu_model_start(NULL, 0, NULL);
    machine_destroy(&fixture->machine);
}

uint64_t *vmalloc_word(struct vmalloc_fixture *fixture, const void *address, enum mmu_use use)
{
    return mmu_model_pointer(&fixture->table, (uintptr_t)address, use);
}

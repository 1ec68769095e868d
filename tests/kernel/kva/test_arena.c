/* The kernel's addresses on the real machine: the arena is sound, regions have names, mistakes too. */
#include <ashlar/heap.h>
#include <ashlar/kva.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/world.h>

#define RANGES 300
#define ROUNDS 20000

static const struct kva_purpose purpose = KVA_PURPOSE("test range");

static enum kva_error take(uint64_t bytes, uint64_t alignment, uint32_t guards, struct kva_range **range)
{
    const struct kva_request request = {bytes, alignment, guards, &purpose, NULL};
    return kva_alloc(kernel_kva(), &request, range);
}

static bool arena_is_sound(void)
{
    struct kva_problem problem;
    return WORLD_STOPPED(kva_check(kernel_kva(), &problem));
}

KERNEL_TEST(kva_arena_is_the_layouts)
{
    struct kva_statistics statistics;
    kva_statistics(kernel_kva(), &statistics);
    EXPECT(kernel_kva()->base.raw >= ARENA_BASE);
    EXPECT_EQUAL(kernel_kva()->base.raw + statistics.bytes, ARENA_END);
    EXPECT(arena_is_sound());
}

KERNEL_TEST(kva_regions_have_names)
{
    struct kva_range *range;
    struct memory_region region;
    EXPECT_EQUAL(take(3 * FRAME_BYTES, 0, 1, &range), KVA_OK);
    EXPECT(region_find(virt_add(range->base, 5), &region));
    EXPECT(strcmp(region.name, "test range") == 0 && !region.guard);
    EXPECT_EQUAL(region.base.raw, range->base.raw);
    EXPECT_EQUAL(region.bytes, 3 * FRAME_BYTES);
    EXPECT(region_find(virt_add(range->base, -1), &region));
    EXPECT(strcmp(region.name, "guard page below test range") == 0 && region.guard);
    EXPECT_EQUAL(region.base.raw, range->base.raw - FRAME_BYTES);
    EXPECT_EQUAL(region.bytes, FRAME_BYTES);
    EXPECT(region_find(virt_add(range->base, 3 * FRAME_BYTES), &region));
    EXPECT(strcmp(region.name, "guard page above test range") == 0 && region.guard);
    EXPECT_EQUAL(kva_free(kernel_kva(), range->base), KVA_OK);
    EXPECT(region_find(range->base, &region));
    EXPECT(strcmp(region.name, "unused kernel addresses") == 0);
}

KERNEL_TEST(kva_mistakes_are_named)
{
    struct kva_range *range;
    EXPECT_EQUAL(take(0, 0, 0, &range), KVA_BAD_SIZE);
    EXPECT_EQUAL(take(UINT64_MAX, 0, 0, &range), KVA_BAD_SIZE);
    EXPECT_EQUAL(take(1, 3, 0, &range), KVA_BAD_ALIGNMENT);
    EXPECT_EQUAL(take(FRAME_BYTES, 0, 1, &range), KVA_OK);
    virt_addr_t base = range->base;
    EXPECT_EQUAL(kva_free(kernel_kva(), virt_add(base, 1)), KVA_INTERIOR);
    EXPECT_EQUAL(kva_free(kernel_kva(), virt_addr(0)), KVA_FOREIGN);
    EXPECT_EQUAL(kva_free(kernel_kva(), base), KVA_OK);
    EXPECT_EQUAL(kva_free(kernel_kva(), base), KVA_NOT_ALLOCATED);
}

/* Random ranges, small and huge; at the end every frame and every address is back. */
KERNEL_TEST(kva_random_rounds_leave_nothing)
{
    struct kva_range **ranges = heap_alloc_array(&kernel_heap, RANGES, sizeof(struct kva_range *));
    struct kva_statistics before;
    struct kva_statistics after;
    uint64_t random = 88172645463325252ULL;
    bool good = true;
    EXPECT(ranges != NULL);
    kva_reap(kernel_kva());
    kva_statistics(kernel_kva(), &before);
    for (unsigned i = 0; i < ROUNDS && good; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        struct kva_range **slot = &ranges[(random >> 40) % RANGES];
        if (*slot) {
            good = kva_free(kernel_kva(), (*slot)->base) == KVA_OK;
            *slot = NULL;
        } else {
            uint64_t bytes = FRAME_BYTES << (random >> 33 & 1 ? random >> 50 & 3 : random >> 50 & 15);
            uint64_t alignment = random >> 34 & 7 ? 0 : bytes;
            good = take(bytes, alignment, random >> 38 & 3, slot) == KVA_OK;
        }
    }
    EXPECT(good);
    EXPECT(arena_is_sound());
    for (unsigned i = 0; i < RANGES; i++) {
        if (ranges[i]) {
            kva_release(kernel_kva(), ranges[i]);
        }
    }
    heap_free(&kernel_heap, ranges);
    kva_reap(kernel_kva());
    kva_statistics(kernel_kva(), &after);
    EXPECT(arena_is_sound());
    EXPECT_EQUAL(after.free_bytes, before.free_bytes);
    EXPECT_EQUAL(after.taken_ranges, before.taken_ranges);
    EXPECT(after.memory_bytes <= before.memory_bytes + FRAME_BYTES);
}

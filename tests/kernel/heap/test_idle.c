/* What the heap has and does not need: it is given back when asked for, and when memory runs out. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/processor.h>
#include <ashlar/test.h>
#include <ashlar/world.h>

KERNEL_TEST(heap_gives_all_memory_back)
{
    enum { BLOCKS = 2000 };
    void **blocks = heap_alloc_array(&kernel_heap, BLOCKS, sizeof *blocks);
    EXPECT(blocks != NULL);
    slab_reap(&kernel_heap.slabs);
    uint64_t before = memory_free_frames();
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = heap_alloc(&kernel_heap, 300);
    }
    EXPECT(memory_free_frames() < before);
    for (unsigned i = 0; i < BLOCKS; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
    slab_reap(&kernel_heap.slabs);
    EXPECT_EQUAL(memory_free_frames(), before);
    heap_free(&kernel_heap, blocks);
}

/* Blocks that free memory is in at most: magazines of every CPU give single frames. */
static unsigned held_max(void)
{
    return 4096 + 256 * processors_count();
}

struct held {
    phys_addr_t block; /* of 2^order frames */
    unsigned order;
};

/* Takes all free memory, the largest blocks first; returns how many they are, held_max() when too many. */
static unsigned hold_all_memory(struct held *held)
{
    unsigned count = 0;
    for (unsigned order = FRAME_ORDERS; order-- > 0;) {
        struct frame_request request = {.frames = 1ULL << order, .owner = OWNER_TEST, .try_only = true};
        while (count < held_max() &&
               frame_alloc_request(kernel_frames(), &request, &held[count].block) == FRAME_OK) {
            held[count++].order = order;
        }
    }
    return count;
}

/* Allocates and frees so many blocks: what is free stays in magazines, the depot and empty slabs. Whether
 * there was memory. */
static bool leave_idle_slabs(void **blocks, unsigned count, size_t bytes)
{
    bool all = true;
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = heap_alloc(&kernel_heap, bytes);
        all = all && blocks[i] != NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
    return all;
}

static uint64_t frames_of(enum frame_owner owner)
{
    struct frame_ledger ledger;
    memory_ledger(&ledger);
    return ledger.owner_bytes[owner] / FRAME_BYTES;
}

/* Takes single frames after the first `count` blocks, for which idle memory has to be given up; returns how
 * many blocks there are then. */
static unsigned hold_idle_memory(struct held *held, unsigned count)
{
    while (count < held_max() && (held[count].block = frame_alloc(kernel_frames(), 0, OWNER_TEST)).raw != 0) {
        held[count++].order = 0;
    }
    return count;
}

static void drop_memory(const struct held *held, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        frame_free(kernel_frames(), held[i].block, held[i].order);
    }
}

/* How many slabs are idle depends on the caches' policies: that none stays is what holds for all. */
KERNEL_TEST(heap_gives_idle_slabs_to_an_empty_pool)
{
    enum { BLOCKS = 400, BYTES = 1024 };
    struct slab_cache *cache = &kernel_heap.classes[heap_class(BYTES)];
    struct slab_statistics before = {0};
    struct slab_statistics after = {0};
    void **blocks = heap_alloc_array(&kernel_heap, BLOCKS, sizeof *blocks);
    struct held *held = heap_alloc(&kernel_heap, held_max() * sizeof(struct held));
    bool made = held && blocks && leave_idle_slabs(blocks, BLOCKS, BYTES);
    unsigned all = 0, more = 0;
    uint64_t given = 0, kept = 0;
    if (made) {
        frame_pool_drain(kernel_frames());
        slab_cache_statistics(cache, &before);
        all = hold_all_memory(held);
        uint64_t had = frames_of(OWNER_SLABS);
        uint64_t kept_before = frames_of(OWNER_DESCRIPTORS) + memory_free_frames();
        more = hold_idle_memory(held, all) - all;
        given = had - frames_of(OWNER_SLABS);
        kept = frames_of(OWNER_DESCRIPTORS) + memory_free_frames() - kept_before;
        slab_cache_statistics(cache, &after);
        drop_memory(held, all + more);
    }
    heap_free(&kernel_heap, blocks);
    heap_free(&kernel_heap, held);
    EXPECT(made && all + more < held_max());
    EXPECT(before.empty_slabs + before.cached + before.resting > 0);
    EXPECT_EQUAL(after.empty_slabs + after.cached, 0);
    EXPECT(given > 0 && more + kept >= given); /* kept: what describes frames, and what cannot be described */
    struct slab_problem problem = {.what = NULL};
    EXPECT(WORLD_STOPPED(heap_check(&kernel_heap, &problem)));
}

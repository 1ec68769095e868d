/* The heap on the machine: the kernel's own, and one of the test's that is mistreated. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/slab_guard.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/vmalloc.h>
#include <ashlar/world.h>

#include "tests.h"

#define HEAP_ORDER 4

_Static_assert(sizeof(struct heap) <= FRAME_BYTES << HEAP_ORDER, "a heap fits its block");

struct heap *tests_heap;
static phys_addr_t heap_block; /* that it lies in */
static struct slab_report last;
static unsigned reports;

static void note_report(void *context, const struct slab_report *report)
{
    (void)context;
    last = *report;
    reports++;
}

static void undo_heap(void *heap)
{
    (void)heap;
    tests_heap_stop();
}

enum slab_error tests_heap_start(const struct heap_config *config)
{
    struct frame_pool *frames = kernel_frames();
    heap_block = frame_alloc(frames, HEAP_ORDER, OWNER_TEST);
    if (heap_block.raw == 0) {
        return SLAB_NO_MEMORY;
    }
    tests_heap = frame_pointer(frames, heap_block);
    enum slab_error error = heap_init(tests_heap, config);
    if (error != SLAB_OK) {
        frame_free(frames, heap_block, HEAP_ORDER);
    } else {
        kernel_test_undo_later(undo_heap, &tests_heap);
    }
    return error;
}

void tests_heap_stop(void)
{
    kernel_test_undone(&tests_heap);
    heap_destroy(tests_heap);
    frame_free(kernel_frames(), heap_block, HEAP_ORDER);
}

/* A heap of the test's own on the kernel's frames; false when it cannot be made. */
static bool start(const char *rules)
{
    const struct heap_config config = {.slabs = {.frames = kernel_frames(),
                                                 .cpus = kernel_frames()->config.cpus,
                                                 .seed = 1,
                                                 .debug = rules,
                                                 .report = note_report}};
    reports = 0;
    return tests_heap_start(&config) == SLAB_OK;
}

/* Whether exactly one mistake was reported since the last look, and this one. */
static bool reported(enum slab_fault fault)
{
    bool right = reports == 1 && last.fault == fault;
    reports = 0;
    return right;
}

KERNEL_TEST(heap_blocks_hold_what_is_written)
{
    static uint8_t *blocks[200];
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        size_t bytes = (size_t)i * i;
        blocks[i] = heap_alloc(&kernel_heap, bytes);
        EXPECT(blocks[i] != NULL);
        EXPECT(heap_usable_size(&kernel_heap, blocks[i]) >= bytes);
        memset(blocks[i], (int)i, bytes);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        for (size_t j = 0; j < (size_t)i * i; j++) {
            if (blocks[i][j] != (uint8_t)i) {
                EXPECT_EQUAL(blocks[i][j], (uint8_t)i);
            }
        }
        heap_free(&kernel_heap, blocks[i]);
    }
}

KERNEL_TEST(heap_is_sound_after_boot)
{
    struct slab_problem problem = {.what = NULL};
    EXPECT(WORLD_STOPPED(heap_check(&kernel_heap, &problem)));
    struct frame_ledger ledger;
    memory_ledger(&ledger);
    EXPECT_EQUAL((uint64_t)ledger.difference, 0);
}

KERNEL_TEST(heap_family_keeps_its_promises)
{
    uint64_t *zeroed = heap_alloc_array(&kernel_heap, 10, 100);
    EXPECT(zeroed != NULL);
    for (unsigned i = 0; i < 125; i++) {
        EXPECT_EQUAL(zeroed[i], 0);
    }
    zeroed[124] = 7;
    zeroed = heap_resize(&kernel_heap, zeroed, 50000);
    EXPECT(zeroed != NULL);
    EXPECT_EQUAL(zeroed[124], 7);
    heap_free(&kernel_heap, zeroed);
    EXPECT(heap_alloc(&kernel_heap, UINT64_MAX) == NULL);
    void *aligned = heap_alloc_aligned(&kernel_heap, 100, 4096);
    EXPECT(aligned != NULL && is_aligned((uintptr_t)aligned, 4096));
    heap_free(&kernel_heap, aligned);
    char *copy = heap_duplicate(&kernel_heap, "stone", 6);
    EXPECT(copy != NULL && strcmp(copy, "stone") == 0);
    heap_free(&kernel_heap, copy);
    void *nothing = heap_alloc(&kernel_heap, 0);
    EXPECT(nothing != NULL);
    heap_free(&kernel_heap, nothing);
    heap_free(&kernel_heap, NULL);
}

KERNEL_TEST(heap_mistakes_have_names)
{
    static struct slab_cache cache;
    static struct slab_cache other;
    static uint64_t somewhere[2];
    const struct slab_cache_config config = {.name = "test", .bytes = 100};
    const struct slab_cache_config config2 = {.name = "test-2", .bytes = 100};
    EXPECT(start(NULL));
    EXPECT(slab_cache_init(&tests_heap->slabs, &cache, &config) == SLAB_OK);
    EXPECT(slab_cache_init(&tests_heap->slabs, &other, &config2) == SLAB_OK);
    uint64_t local[2] = {0, 0};
    char *block = heap_alloc_zeroed(tests_heap, 100);
    char *object = slab_cache_alloc(&cache);
    memset(object, 0, 100);
    heap_free(tests_heap, block + 1);
    EXPECT(reported(SLAB_INTERIOR_POINTER));
    slab_cache_free(&cache, object + 8);
    EXPECT(reported(SLAB_INTERIOR_POINTER));
    heap_free(tests_heap, &local[1]);
    EXPECT(reported(SLAB_FOREIGN_POINTER));
    heap_free(tests_heap, &somewhere[1]);
    EXPECT(reported(SLAB_FOREIGN_POINTER));
    heap_free(tests_heap, (void *)1);
    EXPECT(reported(SLAB_FOREIGN_POINTER));
    slab_cache_free(&cache, (void *)1);
    EXPECT(reported(SLAB_FOREIGN_POINTER));
    slab_cache_free(&other, object);
    EXPECT(reported(SLAB_WRONG_CACHE));
    heap_free(tests_heap, object);
    EXPECT(reported(SLAB_WRONG_CACHE));
    slab_cache_free(&cache, object);
    slab_cache_free(&cache, object);
    EXPECT(reported(SLAB_DOUBLE_FREE));
    heap_free(tests_heap, block);
    heap_free(tests_heap, block);
    EXPECT(reported(SLAB_DOUBLE_FREE));
    static void *others[100];
    for (unsigned i = 0; i < ARRAY_LENGTH(others); i++) {
        others[i] = heap_alloc(tests_heap, 100);
    }
    for (unsigned i = 1; i < ARRAY_LENGTH(others); i++) { /* the first one keeps their slab */
        heap_free(tests_heap, others[i]);
    }
    heap_free(tests_heap, others[1]);
    EXPECT(reported(SLAB_DOUBLE_FREE));
    heap_free(tests_heap, others[0]);
    EXPECT(heap_alloc_array(tests_heap, UINT64_MAX, 2) == NULL);
    EXPECT(reported(SLAB_SIZE_OVERFLOW));
    tests_heap_stop();
    EXPECT_EQUAL(reports, 0);
}

/* Frees pointers into a block of somebody else; whether each was refused by name. */
static bool is_refused(phys_addr_t block)
{
    static const uint64_t offsets[] = {0, 16, 64, 2048};
    char *memory = frame_pointer(kernel_frames(), block);
    bool refused = true;
    for (unsigned i = 0; i < ARRAY_LENGTH(offsets); i++) {
        heap_free(tests_heap, memory + offsets[i]);
        refused = reported(SLAB_FOREIGN_POINTER) && refused;
    }
    return refused;
}

/* All blocks of a range that are in use, but for slabs, whose words are the kernel's heap's own. */
static unsigned count_accepted(const struct memory_range *range, unsigned *blocks)
{
    unsigned accepted = 0;
    struct frame_facts facts;
    for (uint64_t at = range->base.raw; at < range->base.raw + range->bytes;) {
        frame_pool_look(kernel_frames(), phys_addr(at), &facts);
        bool in_use = facts.managed && facts.state >= FRAME_ALLOCATED && facts.owner != OWNER_SLABS;
        if (in_use && facts.block.raw == at) {
            accepted += !is_refused(facts.block);
            ++*blocks;
        }
        at = max_u64(facts.managed ? facts.block.raw + (FRAME_BYTES << facts.order) : 0, at + FRAME_BYTES);
    }
    return accepted;
}

/* Page tables, pages of address spaces, virtual blocks: whatever their owners keep in the descriptors. */
KERNEL_TEST(heap_takes_nobody_elses_frames)
{
    struct vm_request request = {.source = VM_ZERO, .bytes = KIB(64), .access = VM_READ | VM_WRITE};
    virt_addr_t lazy;
    EXPECT(start(NULL));
    EXPECT(vm_space_map(kernel_lazy_space(), &request, &lazy) == VM_OK);
    memset(virt_pointer(lazy), 1, KIB(64));
    void *block = vmalloc(KIB(64));
    EXPECT(block != NULL);
    for (unsigned class = 0; class < HEAP_CLASSES; class ++) { /* without a magazine, no free is fast */
        heap_free(tests_heap, heap_alloc(tests_heap, heap_class_bytes(class)));
    }
    unsigned accepted = 0;
    unsigned blocks = 0;
    const struct frame_config *config = &kernel_frames()->config;
    for (uint32_t i = 0; i < config->map_count; i++) {
        enum memory_type type = config->map[i].type;
        if (type == MEMORY_USABLE || type == MEMORY_BOOT_RECLAIMABLE) {
            accepted += count_accepted(&config->map[i], &blocks);
        }
    }
    EXPECT_EQUAL(accepted, 0);
    EXPECT(blocks > 32); /* the page tables, 16 pages of the space, 16 of the block at least */
    vfree(block);
    EXPECT(vm_space_unmap(kernel_lazy_space(), lazy, KIB(64)) == VM_OK);
    tests_heap_stop();
}

KERNEL_TEST(heap_policies_catch_writes)
{
    EXPECT(start("*:all"));
    uint8_t *block = heap_alloc(tests_heap, 33);
    block[33] ^= 1;
    heap_free(tests_heap, block);
    EXPECT(reported(SLAB_OVERRUN));
    EXPECT_EQUAL((uint64_t)last.offset, 33);
    EXPECT(last.allocated != NULL && last.allocated->stack[0] != NULL);
    block[33] ^= 1;
    block[-1] ^= 1;
    heap_free(tests_heap, block);
    EXPECT(reported(SLAB_UNDERRUN));
    block[-1] ^= 1;
    heap_free(tests_heap, block);
    block[5] = 0;
    slab_reap(&tests_heap->slabs);
    EXPECT(reported(SLAB_WRITE_AFTER_FREE));
    tests_heap_stop();
    EXPECT_EQUAL(reports, 0);
}

static void construct_list(void *object)
{
    ((void **)object)[0] = object;
    ((void **)object)[1] = object;
}

static bool is_empty_list(const void *object)
{
    return ((void *const *)object)[0] == object;
}

KERNEL_TEST(heap_checks_constructed_state)
{
    static struct slab_cache lists;
    const struct slab_cache_config config = {
        .name = "lists", .bytes = 16, .construct = construct_list, .is_constructed = is_empty_list};
    EXPECT(start("lists:poison"));
    EXPECT(slab_cache_init(&tests_heap->slabs, &lists, &config) == SLAB_OK);
    void **list = slab_cache_alloc(&lists);
    EXPECT(list != NULL && list[0] == list);
    list[0] = NULL;
    slab_cache_free(&lists, list);
    EXPECT(reported(SLAB_CONSTRUCTED_STATE));
    list[0] = list;
    slab_cache_free(&lists, list);
    tests_heap_stop();
    EXPECT_EQUAL(reports, 0);
}

/* Two heaps on one frame pool: each knows its own large blocks only. */
KERNEL_TEST(heap_large_blocks_belong_to_one_heap)
{
    struct slab_problem problem = {.what = NULL};
    EXPECT(start(NULL));
    EXPECT(heap_alloc(tests_heap, 20000) != NULL);
    EXPECT(heap_alloc(tests_heap, 65536) != NULL);
    void *kernels = heap_alloc(&kernel_heap, 65536);
    EXPECT(kernels != NULL);
    EXPECT(WORLD_STOPPED(heap_check(tests_heap, &problem)));
    EXPECT(WORLD_STOPPED(heap_check(&kernel_heap, &problem)));
    heap_free(tests_heap, kernels);
    EXPECT(reported(SLAB_FOREIGN_POINTER));
    tests_heap_stop();
    EXPECT(reported(SLAB_LIVE_AT_DESTROY));
    EXPECT_EQUAL(last.found, 2);
    EXPECT(WORLD_STOPPED(heap_check(&kernel_heap, &problem)));
    heap_free(&kernel_heap, kernels);
}

bool tests_is_guarded(const void *pointer)
{
    const struct slab_guard *guard = kernel_heap.slabs.guard;
    uint64_t offset = (uintptr_t)pointer - (uintptr_t)guard->config.base;
    return offset < (2ULL * guard->config.slots + 1) * FRAME_BYTES;
}

/* A block in a guarded slot, or NULL when none came: with empty magazines, each allocation is a slow one. */
static uint8_t *guarded_block(size_t bytes)
{
    for (unsigned i = 0; i <= kernel_heap.slabs.guard->config.every; i++) {
        slab_drain_cpu(&kernel_heap.slabs, cpu_number());
        uint8_t *block = heap_alloc(&kernel_heap, bytes);
        if (tests_is_guarded(block)) {
            return block;
        }
        heap_free(&kernel_heap, block);
    }
    return NULL;
}

KERNEL_TEST(heap_guards_a_sample)
{
    EXPECT(kernel_heap.slabs.guard != NULL);
    if (kernel_heap.classes[heap_class(64)].policy) {
        kernel_test_skip("caches with a debug policy have no samples");
        return;
    }
    uint8_t *block = guarded_block(64);
    EXPECT(block != NULL);
    struct slab_report report;
    uint8_t byte;
    memset(block, 0x5a, 64);
    uint8_t *page = (uint8_t *)align_down((uintptr_t)block, FRAME_BYTES);
    EXPECT(memory_try_read(&byte, virt_of(block + 63), 1));
    EXPECT(!memory_try_read(&byte, virt_of(page + FRAME_BYTES), 1));
    EXPECT(!memory_try_read(&byte, virt_of(page - 1), 1));
    EXPECT(slab_guard_explain(kernel_heap.slabs.guard, page + FRAME_BYTES, &report));
    EXPECT(report.fault == SLAB_ACCESS_OUTSIDE || report.object != block);
    heap_free(&kernel_heap, block);
    EXPECT(!memory_try_read(&byte, virt_of(block), 1));
    EXPECT(slab_guard_explain(kernel_heap.slabs.guard, block, &report));
    EXPECT(report.fault == SLAB_ACCESS_AFTER_FREE && report.object == block);
    struct memory_region region;
    EXPECT(region_find(virt_of(block), &region));
    EXPECT(strncmp(region.name, "freed object of heap-64", 23) == 0);
}

static bool note_block(void *context, const struct heap_block *block)
{
    *(const void **)context = block->pointer;
    return true;
}

static const void *the_root; /* a pointer: the only root */

static void show_root(void *context, struct heap_scan *scan)
{
    (void)context;
    heap_scan_root(scan, the_root, sizeof(void *));
}

KERNEL_TEST(heap_leaks_are_found)
{
    EXPECT(start(NULL));
    void **root = heap_alloc_zeroed(tests_heap, 64);
    EXPECT(root != NULL);
    root[3] = heap_alloc_zeroed(tests_heap, 20000);
    void *lost = heap_alloc_zeroed(tests_heap, 200);
    const void *found = NULL;
    the_root = &root;
    EXPECT_EQUAL(heap_leaks(tests_heap, show_root, note_block, &found), 1);
    EXPECT(found == lost);
    heap_free(tests_heap, lost);
    EXPECT_EQUAL(heap_leaks(tests_heap, show_root, note_block, &found), 0);
    heap_free(tests_heap, root[3]);
    heap_free(tests_heap, root);
    tests_heap_stop();
    EXPECT_EQUAL(reports, 0);
}

/* A long mixture, every block filled with its own pattern, verified before it is freed. */
KERNEL_TEST(heap_mixture_keeps_contents)
{
    enum { BLOCKS = 512 };
    uint64_t **blocks = heap_alloc_array(&kernel_heap, BLOCKS, sizeof(uint64_t *));
    EXPECT(blocks != NULL);
    uint64_t random = 88172645463325252ULL;
    for (unsigned i = 0; i < 30000; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        uint64_t **slot = &blocks[random >> 55];
        if (*slot) {
            uint64_t words = (*slot)[0];
            bool whole = (*slot)[words - 1] == (words == 1 ? words : (uintptr_t)*slot);
            heap_free(&kernel_heap, *slot);
            *slot = NULL;
            EXPECT(whole);
        } else {
            uint64_t words = 1 + (random >> 30) % 300;
            uint64_t *block = heap_alloc(&kernel_heap, words * 8);
            if (!block) {
                EXPECT(!"no memory");
                return;
            }
            block[words - 1] = (uintptr_t)block;
            block[0] = words;
            *slot = block;
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
    heap_free(&kernel_heap, blocks);
    struct slab_problem problem = {.what = NULL};
    EXPECT(WORLD_STOPPED(heap_check(&kernel_heap, &problem)));
}

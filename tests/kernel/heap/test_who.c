/* The heap's reports on the machine: the real unwinder names who allocated and who freed. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/slab_guard.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/vmalloc.h>

#include "tests.h"

#define CALLER __attribute__((noinline)) static

static struct slab_cache cache;
static struct slab_report last;
static unsigned reports;

static void note_report(void *context, const struct slab_report *report)
{
    (void)context;
    last = *report;
    reports++;
}

/* A heap of the test's own, with the kernel's unwinder and virtual blocks; false when it cannot be made. */
static bool start(const char *rules)
{
    const struct slab_cache_config typed = {.name = "typed", .bytes = 72};
    const struct heap_config config = {.slabs = {.frames = kernel_frames(),
                                                 .cpus = kernel_frames()->config.cpus,
                                                 .seed = 1,
                                                 .debug = rules,
                                                 .report = note_report,
                                                 .backtrace = kernel_heap.slabs.config.backtrace},
                                       .virtually = kernel_heap.virtually};
    reports = 0;
    return tests_heap_start(&config) == SLAB_OK &&
           slab_cache_init(&tests_heap->slabs, &cache, &typed) == SLAB_OK;
}

/* Whether a stack begins in this function, and goes on. */
static bool begins_in(const struct slab_who *who, const char *function)
{
    struct symbol symbol;
    return who && who->stack[0] && who->stack[1] && symbol_find(virt_of(who->stack[0]), &symbol) &&
           strcmp(symbol.name, function) == 0;
}

/* ---- Every way to allocate ---- */

CALLER void *ask_alloc(void)
{
    return heap_alloc(tests_heap, 100);
}

CALLER void *ask_zeroed(void)
{
    return heap_alloc_zeroed(tests_heap, 100);
}

CALLER void *ask_array(void)
{
    return heap_alloc_array(tests_heap, 10, 10);
}

CALLER void *ask_aligned(void)
{
    return heap_alloc_aligned_zeroed(tests_heap, 100, 256);
}

CALLER void *ask_duplicate(void)
{
    return heap_duplicate(tests_heap, "stone", 6);
}

CALLER void *ask_resize(void)
{
    return heap_resize(tests_heap, heap_alloc(tests_heap, 10), 5000);
}

CALLER void *ask_large(void)
{
    return heap_alloc(tests_heap, 50000);
}

CALLER void *ask_large_zeroed(void)
{
    return heap_alloc_zeroed(tests_heap, 50000);
}

CALLER void *ask_typed(void)
{
    return slab_cache_alloc(&cache);
}

static const struct asking {
    const char *function;
    void *(*ask)(void);
} askings[] = {
    {"ask_alloc", ask_alloc},   {"ask_zeroed", ask_zeroed},
    {"ask_array", ask_array},   {"ask_aligned", ask_aligned},
    {"ask_resize", ask_resize}, {"ask_duplicate", ask_duplicate},
    {"ask_large", ask_large},   {"ask_large_zeroed", ask_large_zeroed},
    {"ask_typed", ask_typed},
};

/* Who allocated what a pointer leads to. */
static const struct slab_who *allocated_by(const void *pointer)
{
    struct heap_facts facts;
    heap_look(tests_heap, pointer, &facts);
    return facts.kind == HEAP_OBJECT ? facts.object.allocated : facts.allocated;
}

KERNEL_TEST(heap_stacks_begin_at_the_caller)
{
    void *blocks[ARRAY_LENGTH(askings)];
    EXPECT(start("*:owner"));
    for (unsigned i = 0; i < ARRAY_LENGTH(askings); i++) {
        blocks[i] = askings[i].ask();
        EXPECT(blocks[i] != NULL);
        EXPECT(begins_in(allocated_by(blocks[i]), askings[i].function));
    }
    for (unsigned i = 0; i + 1 < ARRAY_LENGTH(askings); i++) {
        heap_free(tests_heap, blocks[i]);
    }
    slab_cache_free(&cache, blocks[ARRAY_LENGTH(askings) - 1]);
    EXPECT_EQUAL(reports, 0);
    tests_heap_stop();
}

CALLER void free_here(void *block)
{
    heap_free(tests_heap, block);
}

CALLER void free_again_here(void *block)
{
    heap_free(tests_heap, block);
}

KERNEL_TEST(heap_names_both_who_freed)
{
    struct symbol symbol;
    EXPECT(start("*:all"));
    void *block = ask_alloc();
    free_here(block);
    free_again_here(block);
    EXPECT_EQUAL(reports, 1);
    EXPECT(last.fault == SLAB_DOUBLE_FREE);
    EXPECT(begins_in(last.allocated, "ask_alloc"));
    EXPECT(begins_in(last.freed, "free_here"));
    EXPECT(symbol_find(virt_of(last.caller), &symbol) && strcmp(symbol.name, "free_again_here") == 0);
    tests_heap_stop();
    EXPECT_EQUAL(reports, 1);
}

/* ---- Guarded slots ---- */

/* A block in a guarded slot: with empty magazines, each allocation is a slow one. */
CALLER void *ask_guarded(void)
{
    for (;;) {
        slab_drain_cpu(&kernel_heap.slabs, cpu_number());
        void *block = heap_alloc_array(&kernel_heap, 1, 64);
        if (!block || tests_is_guarded(block)) {
            return block;
        }
        heap_free(&kernel_heap, block);
    }
}

CALLER void free_guarded(void *block)
{
    heap_free(&kernel_heap, block);
}

KERNEL_TEST(heap_guards_name_who_allocated_and_freed)
{
    struct memory_region region;
    struct slab_report report;
    if (kernel_heap.classes[heap_class(64)].policy) {
        kernel_test_skip("caches with a debug policy have no samples");
        return;
    }
    void *block = ask_guarded();
    EXPECT(block != NULL);
    char *border = (char *)align_down((uintptr_t)block, FRAME_BYTES) + FRAME_BYTES;
    EXPECT(slab_guard_explain(kernel_heap.slabs.guard, border, &report));
    free_guarded(block);
    EXPECT(region_find(virt_of(block), &region));
    EXPECT(strncmp(region.name, "freed object of heap-64, allocated by ask_guarded+", 50) == 0);
    EXPECT(strstr(region.name, ", freed by free_guarded+") != NULL);
}

/* What is allocated and freed under the locks that mapping a page takes must not be a sample: this test
 * would hang. */
KERNEL_TEST(heap_guards_nothing_that_page_tables_need)
{
    struct slab_guard *guard = kernel_heap.slabs.guard;
    uint32_t every = guard->config.every;
    struct vm_request request = {.source = VM_ZERO, .bytes = KIB(32), .access = VM_READ | VM_WRITE};
    virt_addr_t from;
    virt_addr_t to;
    guard->config.every = 1; /* each slow operation, and with empty magazines all are */
    atomic_store_explicit(&guard->countdown, 1, memory_order_relaxed);
    EXPECT(vm_space_map(kernel_lazy_space(), &request, &from) == VM_OK);
    memset(virt_pointer(from), 1, KIB(32));
    slab_drain_cpu(&kernel_heap.slabs, cpu_number());
    uint64_t sampled = guard->sampled;
    EXPECT(vm_space_map(kernel_lazy_space(), &request, &to) == VM_OK);
    EXPECT(vm_space_unmap(kernel_lazy_space(), to, KIB(32)) == VM_OK);
    EXPECT(vm_space_copy(kernel_lazy_space(), to, kernel_lazy_space(), from, KIB(32)) == VM_OK);
    EXPECT(vm_space_unmap(kernel_lazy_space(), from, KIB(32)) == VM_OK);
    EXPECT(vm_space_unmap(kernel_lazy_space(), to, KIB(32)) == VM_OK);
    EXPECT_EQUAL(guard->sampled, sampled);
    guard->config.every = every;
}

/* ---- Leaks of the kernel's own heap ---- */

static bool count_block(void *context, const struct heap_block *block)
{
    (void)block;
    ++*(unsigned *)context;
    return true;
}

/* Frames that two pages show have chains of records that only their descriptors lead to, and a virtual block
 * or a stack may hold the only pointer to a block: all are roots. */
KERNEL_TEST(heap_roots_reach_all_that_is_in_use)
{
    unsigned shown = 0;
    struct vm_request request = {.source = VM_ZERO, .bytes = KIB(32), .access = VM_READ | VM_WRITE};
    virt_addr_t from;
    virt_addr_t to;
    EXPECT(vm_space_map(kernel_lazy_space(), &request, &from) == VM_OK);
    memset(virt_pointer(from), 1, KIB(32));
    EXPECT(vm_space_map(kernel_lazy_space(), &request, &to) == VM_OK);
    EXPECT(vm_space_unmap(kernel_lazy_space(), to, KIB(32)) == VM_OK);
    EXPECT(vm_space_copy(kernel_lazy_space(), to, kernel_lazy_space(), from, KIB(32)) == VM_OK);
    void **holder = vzalloc(FRAME_BYTES);
    EXPECT(holder != NULL);
    holder[100] = heap_alloc(&kernel_heap, 200);
    EXPECT(holder[100] != NULL);
    EXPECT_EQUAL(heap_leaks(&kernel_heap, heap_roots, count_block, &shown), 0);
    EXPECT_EQUAL(shown, 0);
    heap_free(&kernel_heap, holder[100]);
    vfree(holder);
    EXPECT(vm_space_unmap(kernel_lazy_space(), from, KIB(32)) == VM_OK);
    EXPECT(vm_space_unmap(kernel_lazy_space(), to, KIB(32)) == VM_OK);
}

/* ---- Virtual blocks ---- */

KERNEL_TEST(heap_frees_its_own_virtual_blocks_only)
{
    struct heap_facts facts;
    EXPECT(start(NULL));
    uint64_t *others = vmalloc(3 * FRAME_BYTES);
    EXPECT(others != NULL);
    heap_free(tests_heap, others);
    EXPECT_EQUAL(reports, 1);
    EXPECT(last.fault == SLAB_FOREIGN_POINTER);
    others[0] = 1;
    EXPECT_EQUAL(heap_usable_size(tests_heap, others), 0);
    vfree(others);
    char *ours = tests_heap->virtually.alloc(NULL, 3 * FRAME_BYTES);
    EXPECT(ours != NULL);
    heap_look(tests_heap, ours + 5000, &facts);
    EXPECT(facts.kind == HEAP_VIRTUAL && facts.block == ours);
    EXPECT_EQUAL(facts.offset, 5000);
    EXPECT_EQUAL(facts.room, 3 * FRAME_BYTES);
    heap_free(tests_heap, ours + 5000);
    EXPECT_EQUAL(reports, 2);
    EXPECT(last.fault == SLAB_INTERIOR_POINTER && last.object == ours);
    heap_free(tests_heap, ours);
    EXPECT_EQUAL(reports, 2);
    heap_look(tests_heap, ours, &facts);
    EXPECT(facts.kind == HEAP_NONE);
    tests_heap_stop();
}

/* A virtual block that grows keeps its frames, at other addresses. */
KERNEL_TEST(heap_grows_virtual_blocks_without_a_copy)
{
    EXPECT(start(NULL));
    uint64_t *block = tests_heap->virtually.alloc(NULL, KIB(36));
    EXPECT(block != NULL);
    block[100] = 0x100;
    block[KIB(36) / 8 - 1] = 0x1ff;
    phys_addr_t frame = page_table_translate(kernel_page_table(), virt_of(block)).target;
    uint64_t free = frame_pool_free(kernel_frames());
    uint64_t *grown = heap_resize(tests_heap, block, KIB(40) + 1);
    EXPECT(grown != NULL && grown != block);
    EXPECT_EQUAL(page_table_translate(kernel_page_table(), virt_of(grown)).target.raw, frame.raw);
    EXPECT(free < frame_pool_free(kernel_frames()) + 9); /* three, and what there is of tables and records */
    EXPECT_EQUAL(heap_usable_size(tests_heap, grown), KIB(48));
    EXPECT_EQUAL(heap_usable_size(tests_heap, block), 0);
    EXPECT_EQUAL(grown[100], 0x100);
    EXPECT_EQUAL(grown[KIB(36) / 8 - 1], 0x1ff);
    grown[KIB(48) / 8 - 1] = 1;
    heap_free(tests_heap, grown);
    EXPECT_EQUAL(reports, 0);
    tests_heap_stop();
}

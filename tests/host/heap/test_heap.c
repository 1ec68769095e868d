/* The heap: sizes and classes, resizing, large blocks, virtually contiguous pages, waste, failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reports.h"
#include "tests/host/support/random.h"
#include "virtual_fixture.h"

static void classes_lie_four_to_a_doubling(void **state)
{
    (void)state;
    size_t before = 0;
    for (unsigned i = 0; i < HEAP_CLASSES; i++) {
        size_t bytes = heap_class_bytes(i);
        assert_true(bytes > before);
        assert_int_equal(heap_class(bytes), i);
        assert_int_equal(heap_class(before + 1), before == 0 ? 0 : i);
        if (bytes >= 40) {
            assert_true((bytes - before) * 5 <= bytes); /* at most a fifth is rounded up */
        }
        before = bytes;
    }
    assert_int_equal(before, HEAP_CLASS_MAX);
    assert_int_equal(heap_class(0), 0);
}

static void every_size_is_served_from_its_class(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= HEAP_CLASS_MAX; bytes++) {
        uint8_t *pointer = heap_alloc(&fixture.heap, bytes);
        assert_non_null(pointer);
        memset(pointer, 0xee, bytes);
        assert_int_equal(heap_usable_size(&fixture.heap, pointer), heap_class_bytes(heap_class(bytes)));
        heap_free(&fixture.heap, pointer);
    }
    assert_int_equal(fixture.reports, 0);
}

static void large_blocks_take_whole_frames(void **state)
{
    (void)state;
    static const size_t sizes[] = {8193, 12288, 65536, 65537, 100000, MIB(1), MIB(5) + 1, MIB(64)};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct heap_statistics statistics;
        uint8_t *pointer = heap_alloc(&fixture.heap, sizes[i]);
        assert_non_null(pointer);
        assert_true(is_aligned((uintptr_t)pointer, FRAME_BYTES));
        memset(pointer, 0xee, sizes[i]);
        assert_int_equal(heap_usable_size(&fixture.heap, pointer), align_up(sizes[i], FRAME_BYTES));
        heap_statistics(&fixture.heap, &statistics);
        assert_int_equal(statistics.large_blocks, 1);
        assert_int_equal(statistics.large_asked, sizes[i]);
        assert_int_equal(statistics.large_bytes, align_up(sizes[i], FRAME_BYTES));
        fixture_check(&fixture);
        heap_free(&fixture.heap, pointer);
        heap_free(&fixture.heap, pointer);
        assert_int_equal(fixture.reports, i + 1);
        assert_int_equal(fixture.report.fault, SLAB_DOUBLE_FREE);
    }
    assert_null(heap_alloc(&fixture.heap, GIB(1)));
    assert_null(heap_alloc(&fixture.heap, SIZE_MAX));
}

static bool count_block(void *context, const struct heap_block *block)
{
    (void)block;
    ++*(unsigned *)context;
    return true;
}

/* A block that two ranges of the memory map share is one block. */
static void large_blocks_across_ranges_are_met_once(void **state)
{
    (void)state;
    static struct heap_fixture split;
    machine_make(&split.machine, MIB(16));
    machine_range(&split.machine, MIB(1), MIB(5) - MIB(1), MEMORY_USABLE);
    machine_range(&split.machine, MIB(5), MIB(16) - MIB(5), MEMORY_BOOT_RECLAIMABLE);
    assert_int_equal(machine_start(&split.machine, 1, NULL), FRAME_OK);
    assert_int_equal(frame_pool_reclaim(&split.machine.pool, MEMORY_BOOT_RECLAIMABLE), FRAME_OK);
    struct heap_config config = {.slabs = fixture.heap.slabs.config};
    config.slabs.frames = &split.machine.pool;
    config.slabs.cpus = 1;
    assert_int_equal(heap_init(&split.heap, &config), SLAB_OK);
    assert_non_null(heap_alloc(&split.heap, MIB(4))); /* 4 MiB to 8 MiB: the only such place, but one */
    assert_non_null(heap_alloc(&split.heap, MIB(4)));
    struct slab_problem problem;
    unsigned blocks = 0;
    assert_true(heap_check(&split.heap, &problem));
    heap_visit(&split.heap, count_block, &blocks);
    assert_int_equal(blocks, 2);
    heap_destroy(&split.heap);
    assert_int_equal(fixture.report.found, 2);
    machine_destroy(&split.machine);
}

/* The accounts of large blocks, one wrong at a time. */
static void large_blocks_are_counted(void **state)
{
    (void)state;
    struct slab_problem problem;
    void *block = heap_alloc(&fixture.heap, 100000);
    struct heap_large_count *count = (struct heap_large_count *)fixture.heap.slabs.parts;
    struct {
        _Atomic(int64_t) *number;
        const char *what;
    } accounts[] = {{(_Atomic(int64_t) *)&count->blocks, "count of large blocks"},
                    {(_Atomic(int64_t) *)&count->frames, "frames of large blocks"},
                    {(_Atomic(int64_t) *)&count->bytes, "bytes of large blocks"}};
    for (unsigned i = 0; i < ARRAY_LENGTH(accounts); i++) {
        atomic_fetch_add(accounts[i].number, 1);
        assert_false(heap_check(&fixture.heap, &problem));
        assert_string_equal(problem.what, accounts[i].what);
        atomic_fetch_sub(accounts[i].number, 1);
    }
    fixture_check(&fixture);
    heap_free(&fixture.heap, block);
}

static void alignment_is_kept(void **state)
{
    (void)state;
    void *pointers[200];
    unsigned count = 0;
    for (size_t alignment = 1; alignment <= MIB(2); alignment *= 2) {
        static const size_t sizes[] = {0, 1, 24, 100, 3000, 8192, 20000};
        for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
            void *pointer = heap_alloc_aligned(&fixture.heap, sizes[i], alignment);
            assert_non_null(pointer);
            assert_true(is_aligned((uintptr_t)pointer - fixture.heap.slabs.base, alignment));
            memset(pointer, 0x11, sizes[i]);
            pointers[count++] = pointer;
        }
    }
    while (count > 0) {
        heap_free(&fixture.heap, pointers[--count]);
    }
    assert_null(heap_alloc_aligned(&fixture.heap, 10, 0));
    assert_null(heap_alloc_aligned_zeroed(&fixture.heap, 10, 3));
    uint8_t *zeroed = heap_alloc_aligned_zeroed(&fixture.heap, 5000, 4096); /* was full of 0x11 */
    assert_true(is_aligned((uintptr_t)zeroed - fixture.heap.slabs.base, 4096));
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    heap_free(&fixture.heap, zeroed);
    assert_null(heap_alloc_aligned(&fixture.heap, 10, 48));
    assert_null(heap_alloc_aligned(&fixture.heap, 10, GIB(2)));
    assert_int_equal(fixture.reports, 0);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 1000, 8192, 70000};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        uint8_t *pointer = heap_alloc(&fixture.heap, sizes[i]);
        memset(pointer, 0xff, sizes[i]);
        heap_free(&fixture.heap, pointer);
        uint8_t *zeroed = heap_alloc_zeroed(&fixture.heap, sizes[i]);
        uint8_t *array = heap_alloc_array(&fixture.heap, sizes[i], 3);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(zeroed[j], 0);
            assert_int_equal(array[3 * j], 0);
        }
        heap_free(&fixture.heap, zeroed);
        heap_free(&fixture.heap, array);
    }
}

static void overflow_of_a_product_is_an_error(void **state)
{
    (void)state;
    assert_null(heap_alloc_array(&fixture.heap, SIZE_MAX / 2, 3));
    assert_int_equal(fixture.reports, 1);
    assert_int_equal(fixture.report.fault, SLAB_SIZE_OVERFLOW);
    assert_int_equal(fixture.report.expected, SIZE_MAX / 2);
    assert_int_equal(fixture.report.found, 3);
    assert_string_equal(slab_fault_name(SLAB_SIZE_OVERFLOW), "size overflow");
}

/* ---- Virtually contiguous pages ---- */

static void what_no_run_can_serve_is_virtually_contiguous(void **state)
{
    (void)state;
    static struct virtual_source source;
    virtual_start(&fixture.heap, &source, 2, 0);
    char *pointer = heap_alloc(&fixture.heap, MIB(300)); /* more than there is */
    assert_ptr_equal(pointer, source.pages[0]);
    assert_int_equal(heap_usable_size(&fixture.heap, pointer), VIRTUAL_BYTES);
    assert_int_equal(heap_usable_size(&fixture.heap, pointer + 8), 0);
    struct heap_facts facts;
    heap_look(&fixture.heap, pointer + 5000, &facts);
    assert_int_equal(facts.kind, HEAP_VIRTUAL);
    assert_ptr_equal(facts.block, pointer);
    assert_int_equal(facts.offset, 5000);
    struct heap_statistics statistics;
    heap_statistics(&fixture.heap, &statistics);
    assert_int_equal(statistics.virtual_blocks, 1);
    assert_int_equal(statistics.virtual_bytes, VIRTUAL_BYTES);
    heap_free(&fixture.heap, pointer + 5000);
    expect(SLAB_INTERIOR_POINTER, pointer + 5000);
    assert_ptr_equal(fixture.report.object, pointer);
    assert_int_equal(fixture.report.offset, 5000);
    void *second = heap_alloc(&fixture.heap, MIB(300));
    assert_null(heap_alloc(&fixture.heap, MIB(300)));
    heap_free(&fixture.heap, pointer);
    heap_free(&fixture.heap, second);
    assert_int_equal(fixture.reports, 0);
    heap_free(&fixture.heap, second);
    assert_int_equal(fixture.report.fault, SLAB_FOREIGN_POINTER);
}

/* ---- Waste and failure ---- */

static void little_is_wasted_on_a_mix_of_sizes(void **state)
{
    (void)state;
    uint64_t random = 17;
    uint64_t asked = 0;
    uint64_t given = 0;
    for (unsigned i = 0; i < 20000; i++) {
        size_t bytes = 1 + (random_next(&random) >> 33) % 2048;
        void *pointer = heap_alloc(&fixture.heap, bytes);
        asked += bytes;
        given += heap_usable_size(&fixture.heap, pointer);
        heap_free(&fixture.heap, pointer);
    }
    assert_true((given - asked) * 8 <= given); /* 12.5 % */
}

static uint64_t class_bytes(void)
{
    struct heap_statistics statistics;
    heap_statistics(&fixture.heap, &statistics);
    return statistics.class_bytes;
}

/*
 * A long random run, then 90 % of the blocks are freed at random. Of the slabs that hold no live block any
 * more, at least 60 % must be back at the frame pool, though nobody has asked for them.
 */
static void most_of_what_lies_idle_is_returned(void **state)
{
    (void)state;
    static void *blocks[60000];
    uint64_t random = 23;
    for (unsigned i = 0; i < 400000; i++) {
        void **block = &blocks[(random_next(&random) >> 33) % ARRAY_LENGTH(blocks)];
        heap_free(&fixture.heap, *block);
        *block = heap_alloc(&fixture.heap, 8 + (random_next(&random) >> 33) % 4089);
        assert_non_null(*block);
    }
    uint64_t most = class_bytes();
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        if ((random_next(&random) >> 33) % 10 != 0) {
            heap_free(&fixture.heap, blocks[i]);
            blocks[i] = NULL;
        }
    }
    uint64_t unasked = most - class_bytes();
    slab_reap(&fixture.heap.slabs);
    uint64_t idle = most - class_bytes(); /* what is left holds live blocks */
    assert_true(idle > MIB(10));
    assert_true(unasked * 10 >= idle * 6);
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        heap_free(&fixture.heap, blocks[i]);
    }
    assert_int_equal(fixture.reports, 0);
}

static void memory_that_runs_out_comes_back(void **state)
{
    (void)state;
    static void *pointers[70000];
    unsigned count = 0;
    while (count < ARRAY_LENGTH(pointers) && (pointers[count] = heap_alloc(&fixture.heap, 4096))) {
        count++;
    }
    assert_true(count > HEAP_MACHINE_BYTES / 4096 * 9 / 10);
    assert_null(heap_alloc(&fixture.heap, 4096));
    assert_null(heap_alloc(&fixture.heap, MIB(1)));
    assert_null(heap_alloc_zeroed(&fixture.heap, 8192));
    fixture_check(&fixture);
    for (unsigned i = 0; i < count; i++) {
        heap_free(&fixture.heap, pointers[i]);
    }
    void *pointer = heap_alloc(&fixture.heap, MIB(64)); /* needs what idles in the magazines and depots */
    assert_non_null(pointer);
    heap_free(&fixture.heap, pointer);
    assert_int_equal(fixture.reports, 0);
}

/* Every n-th allocation fails, for all n: the operation made of several gives up cleanly each time. */
static void every_failure_is_survived(void **state)
{
    (void)state;
    for (unsigned every = 1; every < 40; every++) {
        slab_fail_every(&fixture.heap.slabs, every);
        void *pointers[30];
        unsigned failed = 0;
        for (unsigned i = 0; i < ARRAY_LENGTH(pointers); i++) {
            pointers[i] = heap_alloc(&fixture.heap, i * 700);
            failed += !pointers[i];
        }
        assert_int_equal(failed, ARRAY_LENGTH(pointers) / every);
        assert_int_equal(atomic_load(&fixture.heap.slabs.failing.counted), ARRAY_LENGTH(pointers));
        for (unsigned i = 0; i < ARRAY_LENGTH(pointers); i++) {
            heap_free(&fixture.heap, pointers[i]);
        }
        slab_fail_every(&fixture.heap.slabs, 0);
        fixture_check(&fixture);
    }
    assert_int_equal(fixture.reports, 0);
}

/* Each CPU has a part of its own, and costs that part alone. */
static void a_heap_is_as_large_as_its_cpus_are_many(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 3, 300};
    static struct heap heap;
    for (unsigned i = 0; i < ARRAY_LENGTH(numbers); i++) {
        uint64_t before = frame_pool_free(&fixture.machine.pool);
        struct heap_config config = {.slabs = fixture.heap.slabs.config};
        config.slabs.cpus = numbers[i];
        assert_int_equal(heap_init(&heap, &config), SLAB_OK);
        assert_int_equal(before - frame_pool_free(&fixture.machine.pool), numbers[i] * 4);
        void *blocks[] = {heap_alloc(&heap, 100), heap_alloc(&heap, 100000)};
        host_cpu = numbers[i] - 1;
        struct heap_large_count *last = cpu_part(heap.slabs.parts);
        struct slab_cpu *part = cpu_part(heap.classes[3].parts);
        host_cpu = 0;
        assert_ptr_equal(part->cache, &heap.classes[3]);
        assert_ptr_equal((char *)last, (char *)heap.slabs.parts + (numbers[i] - 1) * CPU_PART_BYTES);
        last->bytes++; /* all are summed up */
        struct heap_statistics statistics;
        heap_statistics(&heap, &statistics);
        assert_int_equal(statistics.part_bytes, numbers[i] * CPU_PART_BYTES);
        assert_int_equal(statistics.large_asked, 100001);
        last->bytes--;
        heap_free(&heap, blocks[0]);
        heap_free(&heap, blocks[1]);
        slab_reap(&heap.slabs); /* asks all others to drain */
        assert_int_equal(atomic_load(&part->drain), numbers[i] > 1);
        for (unsigned cpu = 0; cpu <= numbers[i]; cpu++) { /* one of them does not exist */
            slab_drain_cpu(&heap.slabs, cpu);
        }
        assert_int_equal(atomic_load(&part->drain), 0);
        struct slab_problem problem;
        assert_true(heap_check(&heap, &problem));
        heap_destroy(&heap);
        assert_int_equal(frame_pool_free(&fixture.machine.pool), before);
    }
}

/* A heap is refused when there is no memory for its CPUs, and has taken nothing then. */
static void a_heap_needs_memory(void **state)
{
    (void)state;
    struct heap_fixture *small = calloc(1, sizeof *small);
    machine_make(&small->machine, MIB(64));
    machine_range(&small->machine, MIB(1), MIB(1), MEMORY_USABLE);
    assert_int_equal(machine_start(&small->machine, 64, NULL), FRAME_OK);
    frame_pool_back(&small->machine.pool, phys_addr(0), MIB(64));
    uint64_t before = frame_pool_free(&small->machine.pool);
    struct heap_config config = {.slabs = fixture.heap.slabs.config};
    config.slabs.frames = &small->machine.pool;
    config.slabs.cpus = 64; /* 2 MiB of parts */
    assert_int_equal(heap_init(&small->heap, &config), SLAB_NO_MEMORY);
    assert_int_equal(frame_pool_free(&small->machine.pool), before);
    machine_destroy(&small->machine);
    free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(classes_lie_four_to_a_doubling),
        TEST(every_size_is_served_from_its_class),
        TEST(large_blocks_take_whole_frames),
        TEST(large_blocks_across_ranges_are_met_once),
        TEST(large_blocks_are_counted),
        TEST(alignment_is_kept),
        TEST(zeroed_memory_is_zero),
        TEST(overflow_of_a_product_is_an_error),
        TEST(what_no_run_can_serve_is_virtually_contiguous),
        TEST(little_is_wasted_on_a_mix_of_sizes),
        TEST(most_of_what_lies_idle_is_returned),
        TEST(memory_that_runs_out_comes_back),
        TEST(every_failure_is_survived),
        TEST(a_heap_is_as_large_as_its_cpus_are_many),
        TEST(a_heap_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every mistake, made on purpose, must be noticed and named: without any policy first, then with each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reports.h"

static void double_free_at_once(void **state)
{
    (void)state;
    void *object = slab_cache_alloc(&typed);
    slab_cache_free(&typed, object);
    slab_cache_free(&typed, object);
    expect(SLAB_DOUBLE_FREE, object);
    assert_ptr_equal(fixture.report.cache, &typed);
    void *block = heap_alloc(&fixture.heap, 100);
    heap_free(&fixture.heap, block);
    heap_free(&fixture.heap, block);
    expect(SLAB_DOUBLE_FREE, block);
    assert_string_equal(fixture.report.cache->name, "heap-112");
}

/* Other frees in between, so many that the object has long gone to the depot, or to its slab. */
static void double_free_after_others(void **state)
{
    (void)state;
    for (unsigned others = 1; others < 300; others = others * 3 + 1) {
        static void *objects[300];
        static void *blocks[300];
        for (unsigned i = 0; i < others; i++) {
            objects[i] = slab_cache_alloc(&typed);
            blocks[i] = heap_alloc(&fixture.heap, 48);
        }
        void *kept[2] = {slab_cache_alloc(&typed), heap_alloc(&fixture.heap, 48)}; /* its slab must stay */
        for (unsigned i = 0; i < others; i++) {
            slab_cache_free(&typed, objects[i]);
            heap_free(&fixture.heap, blocks[i]);
        }
        slab_cache_free(&typed, objects[0]);
        expect(SLAB_DOUBLE_FREE, objects[0]);
        heap_free(&fixture.heap, blocks[0]);
        expect(SLAB_DOUBLE_FREE, blocks[0]);
        slab_cache_free(&typed, kept[0]);
        heap_free(&fixture.heap, kept[1]);
    }
}

static void double_free_after_its_slab_is_gone(void **state)
{
    (void)state;
    void *object = slab_cache_alloc(&typed);
    void *block = heap_alloc(&fixture.heap, 100);
    slab_cache_free(&typed, object);
    heap_free(&fixture.heap, block);
    slab_reap(&fixture.heap.slabs);
    slab_cache_free(&typed, object);
    expect(SLAB_FREE_MEMORY, object);
    heap_free(&fixture.heap, block);
    expect(SLAB_FREE_MEMORY, block);
}

/* A live block happens to hold the mark of a free one: that is no mistake. */
static void any_content_may_be_freed(void **state)
{
    (void)state;
    uint32_t *block = heap_alloc(&fixture.heap, 64);
    block[1] = SLAB_MARK_FREE;
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
    heap_free(&fixture.heap, block);
    expect(SLAB_DOUBLE_FREE, block);
}

static void pointers_into_objects(void **state)
{
    (void)state;
    char *object = slab_cache_alloc(&typed);
    memset(object, 0, 100);
    for (size_t i = 1; i < 100; i++) {
        slab_cache_free(&typed, object + i);
        expect(SLAB_INTERIOR_POINTER, object + i);
        assert_ptr_equal(fixture.report.object, object);
        assert_int_equal(fixture.report.offset, i);
    }
    slab_cache_free(&typed, object);
    for (unsigned class = 0; class < HEAP_CLASSES; class ++) {
        size_t bytes = heap_class_bytes(class);
        char *block = heap_alloc(&fixture.heap, bytes);
        memset(block, 0, bytes);
        for (size_t i = 1; i < bytes; i += i < 40 ? 1 : i) {
            heap_free(&fixture.heap, block + i);
            expect(SLAB_INTERIOR_POINTER, block + i);
        }
        heap_free(&fixture.heap, block);
    }
    char *large = heap_alloc(&fixture.heap, 100000);
    for (size_t i = 1; i < 100000; i *= 5) { /* in every piece of the run */
        heap_free(&fixture.heap, large + i);
        expect(SLAB_INTERIOR_POINTER, large + i);
        assert_ptr_equal(fixture.report.object, large);
        assert_int_equal(fixture.report.offset, i);
        assert_true((fixture.report.allocated != NULL) == (fixture.heap.large_policy != 0));
    }
    heap_free(&fixture.heap, large);
    assert_int_equal(fixture.reports, 0);
    heap_free(&fixture.heap, large);
    expect(SLAB_DOUBLE_FREE, large);
}

/* What lies behind the last object of a slab is no object either. */
static void pointers_behind_the_last_object(void **state)
{
    (void)state;
    for (unsigned class = 0; class < HEAP_CLASSES; class ++) {
        struct slab_cache *plain = &fixture.heap.classes[class];
        char *block = heap_alloc(&fixture.heap, plain->config.bytes);
        uint64_t slab_bytes = FRAME_BYTES << plain->order;
        char *slab = block - ((uintptr_t)block - fixture.heap.slabs.base) % slab_bytes;
        char *behind = slab + plain->first + (uint64_t)plain->per_slab * plain->stride;
        if (behind < slab + slab_bytes) {
            heap_free(&fixture.heap, behind);
            expect(SLAB_INTERIOR_POINTER, behind);
        }
        heap_free(&fixture.heap, block);
    }
}

/* Loads a magazine of every class: without one, no free is fast. */
static void load_magazines(void)
{
    for (unsigned class = 0; class < HEAP_CLASSES; class ++) {
        heap_free(&fixture.heap, heap_alloc(&fixture.heap, heap_class_bytes(class)));
    }
}

static void foreign_pointers(void **state)
{
    (void)state;
    uint64_t local[4] = {0};
    load_magazines();
    static uint64_t global[4];
    phys_addr_t frame = frame_alloc(&fixture.machine.pool, 0, OWNER_TEST);
    void *owned = frame_pointer(&fixture.machine.pool, frame);
    const void *pointers[] = {&local[1],
                              &global[1],
                              (void *)1,
                              (void *)8,
                              (void *)0x1000,
                              (void *)UINTPTR_MAX,
                              (void *)0xffff800000000000,
                              (char *)fixture.machine.memory + HEAP_MACHINE_BYTES,
                              fixture.machine.memory,
                              (char *)owned + 64,
                              owned,
                              fixture.heap.slabs.parts,
                              typed.parts,
                              (void *)begin};
    for (size_t i = 0; i < ARRAY_LENGTH(pointers); i++) {
        heap_free(&fixture.heap, (void *)pointers[i]);
        expect(SLAB_FOREIGN_POINTER, pointers[i]);
        if (pointers[i] != fixture.machine.memory) { /* nothing lies in front of the memory's first byte */
            slab_cache_free(&typed, (void *)pointers[i]);
            expect(SLAB_FOREIGN_POINTER, pointers[i]);
        }
    }
    /* The same frame of somebody else, whatever its owner noted, but for the words that are slabs' own. */
    for (uint64_t noted = 0; noted < 4096; noted++) {
        union frame_note note = {.raw = noted | 0x123456789000};
        if (frame_note_kind(note) != FRAME_NOTE_SLAB) {
            frame_descriptor(&fixture.machine.pool, frame)->note = note;
            heap_free(&fixture.heap, owned);
            expect(SLAB_FOREIGN_POINTER, owned);
            assert_null(heap_resize(&fixture.heap, owned, 100));
            expect(SLAB_FOREIGN_POINTER, owned);
        }
    }
    frame_free(&fixture.machine.pool, frame, 0);
    heap_free(&fixture.heap, owned);
    expect(SLAB_FREE_MEMORY, owned);
    heap_free(&fixture.heap, NULL);
    slab_cache_free(&typed, NULL);
    assert_int_equal(fixture.reports, 0);
}

static void the_wrong_cache(void **state)
{
    (void)state;
    void *object = slab_cache_alloc(&typed);
    void *block = heap_alloc(&fixture.heap, 100);
    slab_cache_free(&another, object);
    expect(SLAB_WRONG_CACHE, object);
    assert_ptr_equal(fixture.report.cache, &typed);
    assert_ptr_equal(fixture.report.claimed, &another);
    heap_free(&fixture.heap, object);
    expect(SLAB_WRONG_CACHE, object);
    slab_cache_free(&typed, block);
    expect(SLAB_WRONG_CACHE, block);
    slab_cache_free(&typed, object);
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

static void underrun_into_the_header(void **state)
{
    (void)state;
    char *object = slab_cache_alloc(&typed);
    char before = object[-1];
    object[-1] = (char)(before + 1);
    uint64_t header;
    memcpy(&header, object - 8, sizeof header);
    slab_cache_free(&typed, object);
    expect(SLAB_UNDERRUN, object);
    assert_int_equal(fixture.report.offset, -8);
    assert_int_equal(fixture.report.length, 8);
    assert_int_equal(fixture.report.expected, typed.live);
    assert_int_equal(fixture.report.found, header);
    object[-1] = before;
    slab_cache_free(&typed, object);
    assert_int_equal(fixture.reports, 0);
}

/* The mark of the object that is given out next is looked at when a magazine is loaded. */
static void write_after_free_over_the_mark(void **state)
{
    (void)state;
    static uint64_t *blocks[400];
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = heap_alloc(&fixture.heap, 64);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        heap_free(&fixture.heap, blocks[i]);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i][0] = i;
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = heap_alloc(&fixture.heap, 64);
    }
    assert_true(fixture.reports > 5);
    assert_int_equal(fixture.report.fault, SLAB_WRITE_AFTER_FREE);
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        heap_free(&fixture.heap, blocks[i]);
    }
}

/* ---- With policies ---- */

static void one_byte_past_the_end(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes < 300; bytes++) {
        uint8_t *block = heap_alloc(&fixture.heap, bytes);
        uint8_t before = block[bytes];
        block[bytes] = 0x77;
        heap_free(&fixture.heap, block);
        expect(SLAB_OVERRUN, block);
        assert_int_equal(fixture.report.offset, bytes);
        assert_int_equal(fixture.report.length, 1);
        assert_int_equal(fixture.report.expected, 0xbb);
        assert_int_equal(fixture.report.found, 0x77);
        assert_non_null(fixture.report.allocated);
        assert_ptr_equal(fixture.report.allocated->stack[0], (void *)0x1234);
        assert_null(fixture.report.freed);
        block[bytes] = before;
        heap_free(&fixture.heap, block);
    }
    uint8_t *object = slab_cache_alloc(&typed);
    object[100] ^= 1;
    slab_cache_free(&typed, object);
    expect(SLAB_OVERRUN, object);
    object[100] ^= 1;
    slab_cache_free(&typed, object);
    assert_int_equal(fixture.reports, 0);
}

/* What is over in the last frame of a large block is a red zone: at least 16 bytes. */
static void one_byte_past_the_end_of_a_large_block(void **state)
{
    (void)state;
    static const size_t sizes[] = {8193, 12288, 12287, 12273, 12272, 65536, 100000};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct heap_statistics statistics;
        uint8_t *block = heap_alloc(&fixture.heap, sizes[i]);
        heap_statistics(&fixture.heap, &statistics);
        assert_int_equal(statistics.large_bytes, align_up(sizes[i] + 16, FRAME_BYTES));
        assert_int_equal(heap_usable_size(&fixture.heap, block), sizes[i]);
        assert_int_equal(block[0], 0xa5);
        assert_int_equal(block[sizes[i] - 1], 0xa5);
        fixture_check(&fixture);
        block[sizes[i]] = 0x77;
        struct slab_problem problem;
        assert_false(heap_check(&fixture.heap, &problem));
        assert_string_equal(problem.what, "write past the end");
        heap_free(&fixture.heap, block);
        expect(SLAB_OVERRUN, block);
        assert_int_equal(fixture.report.offset, sizes[i]);
        assert_int_equal(fixture.report.expected, 0xbb);
        assert_int_equal(fixture.report.found, 0x77);
        assert_ptr_equal(fixture.report.allocated->stack[0], (void *)0x1234);
        block[sizes[i]] = 0xbb;
        heap_free(&fixture.heap, block);
        assert_int_equal(fixture.reports, 0);
        assert_int_equal(block[0], 0x6b);
    }
}

/* The red zone begins where a shorter block ends, and what is damaged is not covered up. */
static void the_red_zone_moves_along(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{200, 150}, {33, 32}, {12000, 9000}};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        uint8_t *block = heap_alloc(&fixture.heap, sizes[i][0]);
        assert_ptr_equal(heap_resize(&fixture.heap, block, sizes[i][1]), block);
        assert_int_equal(heap_usable_size(&fixture.heap, block), sizes[i][1]);
        fixture_check(&fixture);
        block[sizes[i][1]] = 1;
        assert_ptr_equal(heap_resize(&fixture.heap, block, sizes[i][1] - 1), block);
        expect(SLAB_OVERRUN, block);
        assert_int_equal(fixture.report.offset, sizes[i][1]);
        heap_free(&fixture.heap, block);
        expect(SLAB_OVERRUN, block);
        block[sizes[i][1]] = 0xbb;
        heap_free(&fixture.heap, block);
    }
    assert_int_equal(fixture.reports, 0);
}

static void one_byte_before_the_start(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 16; i++) {
        uint8_t *object = slab_cache_alloc(&typed);
        object[-(ptrdiff_t)i] ^= 0xff;
        slab_cache_free(&typed, object);
        expect(SLAB_UNDERRUN, object);
        assert_int_equal(fixture.report.offset, -(int64_t)i);
        object[-(ptrdiff_t)i] ^= 0xff;
        slab_cache_free(&typed, object);
        uint8_t *block = heap_alloc(&fixture.heap, 30);
        block[-(ptrdiff_t)i] ^= 0xff;
        heap_free(&fixture.heap, block);
        expect(SLAB_UNDERRUN, block);
        block[-(ptrdiff_t)i] ^= 0xff;
        heap_free(&fixture.heap, block);
    }
}

static void write_after_free(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 100; at += 9) {
        uint8_t *object = slab_cache_alloc(&typed);
        slab_cache_free(&typed, object);
        object[at] = 1;
        slab_reap(&fixture.heap.slabs); /* it leaves the quarantine */
        expect(SLAB_WRITE_AFTER_FREE, object);
        assert_int_equal(fixture.report.offset, at);
        assert_int_equal(fixture.report.expected, 0x6b);
        assert_int_equal(fixture.report.found, 1);
        assert_non_null(fixture.report.allocated);
        assert_non_null(fixture.report.freed);
    }
    /* Without quarantine: noticed when it is given out again. */
    uint8_t *kept = slab_cache_alloc(&another);
    uint8_t *object = slab_cache_alloc(&another);
    slab_cache_free(&another, object);
    object[50] = 1;
    void *objects[200];
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&another);
    }
    expect(SLAB_WRITE_AFTER_FREE, object);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&another, objects[i]);
    }
    slab_cache_free(&another, kept);
}

static void fresh_memory_is_poisoned(void **state)
{
    (void)state;
    uint8_t *block = heap_alloc(&fixture.heap, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(block[i], 0xa5);
    }
    assert_int_equal(heap_usable_size(&fixture.heap, block), 100);
    heap_free(&fixture.heap, block);
}

static void freed_objects_rest(void **state)
{
    (void)state;
    void *object = slab_cache_alloc(&typed);
    slab_cache_free(&typed, object);
    struct slab_facts facts;
    slab_look(&fixture.heap.slabs, object, &facts);
    assert_int_equal(facts.place, SLAB_RESTING);
    for (unsigned i = 0; i < 100; i++) {
        void *next = slab_cache_alloc(&typed);
        assert_ptr_not_equal(next, object);
        slab_cache_free(&typed, next);
    }
    slab_cache_free(&typed, object);
    expect(SLAB_DOUBLE_FREE, object);
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

static void constructed_state_is_checked(void **state)
{
    (void)state;
    static struct slab_cache lists;
    struct slab_cache_config config = {
        .name = "lists", .bytes = 16, .construct = construct_list, .is_constructed = is_empty_list};
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, &lists, &config), SLAB_OK);
    void **list = slab_cache_alloc(&lists);
    assert_ptr_equal(list[0], list);
    list[0] = NULL;
    slab_cache_free(&lists, list);
    expect(SLAB_CONSTRUCTED_STATE, list);
    list[0] = list;
    slab_cache_free(&lists, list);
    assert_int_equal(fixture.reports, 0);
    list[1] = NULL; /* the bytes of a free constructed object are summed */
    struct slab_problem problem;
    assert_false(slab_cache_check(&lists, &problem));
    assert_string_equal(problem.what, "write after free");
    list[1] = list;
    assert_int_equal(slab_cache_destroy(&lists), 0);
}

/* What a cache's `policy` says to whoever shows it is in the words of <ashlar/slab.h>. */
static void a_cache_shows_its_policies(void **state)
{
    (void)state;
    assert_int_equal(another.policy, SLAB_REDZONE | SLAB_POISON | SLAB_OWNER);
    assert_int_equal(typed.policy, SLAB_REDZONE | SLAB_POISON | SLAB_OWNER | SLAB_QUARANTINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TYPED_TEST(double_free_at_once),
        TYPED_TEST(double_free_after_others),
        TYPED_TEST(double_free_after_its_slab_is_gone),
        TYPED_TEST(any_content_may_be_freed),
        TYPED_TEST(pointers_into_objects),
        TYPED_TEST(pointers_behind_the_last_object),
        TYPED_TEST(foreign_pointers),
        TYPED_TEST(the_wrong_cache),
        TYPED_TEST(underrun_into_the_header),
        TYPED_TEST(write_after_free_over_the_mark),
        DEBUG_TEST(double_free_at_once),
        DEBUG_TEST(double_free_after_others),
        DEBUG_TEST(double_free_after_its_slab_is_gone),
        DEBUG_TEST(any_content_may_be_freed),
        DEBUG_TEST(pointers_into_objects),
        DEBUG_TEST(foreign_pointers),
        DEBUG_TEST(the_wrong_cache),
        DEBUG_TEST(one_byte_past_the_end),
        DEBUG_TEST(one_byte_past_the_end_of_a_large_block),
        DEBUG_TEST(the_red_zone_moves_along),
        DEBUG_TEST(one_byte_before_the_start),
        DEBUG_TEST(write_after_free),
        DEBUG_TEST(fresh_memory_is_poisoned),
        DEBUG_TEST(freed_objects_rest),
        DEBUG_TEST(constructed_state_is_checked),
        DEBUG_TEST(a_cache_shows_its_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Device mappings over a simulated MMU. */
#include "mmio_fixture.h"
#include "tests/host/support/host.h"

#include <ashlar/format.h>

static void mappings_are_what_was_asked_for(void **state)
{
    (void)state;
    mmio_fixture_start();
    uint8_t *registers = mmio_fixture_map(MMIO_DEVICE + 0x123, 0x1000, PAGE_WRITE, CACHE_UNCACHED);
    struct mmu_walk walk = mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)registers);
    assert_int_equal(walk.target, MMIO_DEVICE + 0x123);
    assert_int_equal(walk.pat, CACHE_UNCACHED);
    assert_true(walk.write && !walk.execute && !walk.user && walk.global);
    walk = mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)registers + 0x1000);
    assert_int_equal(walk.target, MMIO_DEVICE + 0x1123);
    assert_int_not_equal(mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)registers - 0x124).result,
                         MMU_OK);
    assert_int_not_equal(
        mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)registers - 0x123 + 0x2000).result, MMU_OK);
    struct kva_facts facts;
    assert_true(kva_look(&mmio_fixture.machine.arena, virt_of(registers - 0x124), &facts));
    assert_string_equal(facts.purpose->below, "guard page below test device");
    uint8_t *frames = mmio_fixture_map(0x80000000, MIB(6), PAGE_WRITE, CACHE_WRITE_COMBINING);
    walk = mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)frames + MIB(3));
    assert_int_equal(walk.target, 0x80000000 + MIB(3));
    assert_int_equal(walk.level, PAGE_LEVEL_2M);
    assert_int_equal(walk.pat, CACHE_WRITE_COMBINING);
    uint8_t *table = mmio_fixture_map(0x90000010, 40, PAGE_READ, CACHE_WRITE_BACK);
    assert_false(mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)table).write);
    mmio_fixture_stop();
}

static void a_mapping_is_found_again(void **state)
{
    (void)state;
    mmio_fixture_start();
    uint8_t *first = mmio_fixture_map(MMIO_DEVICE, 0x3000, PAGE_WRITE, CACHE_UNCACHED);
    assert_ptr_equal(mmio_fixture_map(MMIO_DEVICE + 0x1010, 0x20, PAGE_WRITE, CACHE_UNCACHED),
                     first + 0x1010);
    assert_ptr_not_equal(mmio_fixture_map(MMIO_DEVICE, 0x20, PAGE_READ, CACHE_UNCACHED), first);
    assert_ptr_not_equal(mmio_fixture_map(MMIO_DEVICE, 0x3001, PAGE_WRITE, CACHE_UNCACHED), first);
    assert_int_equal(mmio_fixture.mmio.count, 3);
    mmio_fixture_stop();
}

static void the_last_user_unmaps(void **state)
{
    (void)state;
    mmio_fixture_start();
    uint8_t *first = mmio_fixture_map(MMIO_DEVICE, 0x3000, PAGE_WRITE, CACHE_UNCACHED);
    uint8_t *second = mmio_fixture_map(MMIO_DEVICE + 0x1010, 0x20, PAGE_WRITE, CACHE_UNCACHED);
    mmu_model_fill();
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, first), MMIO_OK);
    assert_int_equal(mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)second).result, MMU_OK);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, second), MMIO_OK);
    mmio_fixture_check();
    assert_int_not_equal(mmu_model_walk(&mmio_fixture.machine.table, (uintptr_t)second).result, MMU_OK);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, second), MMIO_NOT_MAPPED);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, NULL), MMIO_NOT_MAPPED);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, &mmio_fixture.mmio), MMIO_NOT_MAPPED);
    /* The frames are free for another kind now. */
    mmio_fixture_map(MMIO_DEVICE, 0x3000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    mmio_fixture_stop();
}

static void what_stays_is_not_unmapped(void **state)
{
    (void)state;
    mmio_fixture_start();
    const struct mmio_request request = {phys_addr(MMIO_DEVICE), 16, PAGE_WRITE, CACHE_UNCACHED, NULL, true};
    void *pointer;
    void *again;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mmio_map(&mmio_fixture.mmio, &request, &pointer), MMIO_OK);
        assert_int_equal(mmio_unmap(&mmio_fixture.mmio, pointer), MMIO_NOT_MAPPED);
    }
    again = mmio_fixture_map(MMIO_DEVICE, 16, PAGE_WRITE, CACHE_UNCACHED);
    assert_ptr_equal(again, pointer);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, again), MMIO_OK);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, again), MMIO_NOT_MAPPED);
    assert_int_equal(mmio_fixture.mmio.count, 1);
    mmio_fixture_check();
    /* One that did not stay does, once somebody relies on it. */
    again = mmio_fixture_map(MMIO_DEVICE + MIB(1), 16, PAGE_WRITE, CACHE_UNCACHED);
    const struct mmio_request second = {
        phys_addr(MMIO_DEVICE + MIB(1)), 16, PAGE_WRITE, CACHE_UNCACHED, NULL, true};
    assert_int_equal(mmio_map(&mmio_fixture.mmio, &second, &pointer), MMIO_OK);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, again), MMIO_OK);
    assert_int_equal(mmio_fixture.mmio.count, 2);
    mmio_fixture_stop();
}

static void conflicts_are_refused_by_name(void **state)
{
    (void)state;
    mmio_fixture_start();
    mmio_fixture_map(MMIO_DEVICE, 0x2000, PAGE_WRITE, CACHE_UNCACHED);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, 0x2000, PAGE_WRITE, CACHE_WRITE_COMBINING),
                     MMIO_CONFLICT);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE + 0x1fff, 1, PAGE_READ, CACHE_WRITE_BACK),
                     MMIO_CONFLICT);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE - 1, 2, PAGE_READ, CACHE_UNCACHED_WEAK), MMIO_CONFLICT);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE - MIB(1), MIB(4), PAGE_WRITE, CACHE_WRITE_THROUGH),
                     MMIO_CONFLICT);
    mmio_fixture_map(MMIO_DEVICE + 0x2000, 0x1000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE + 0x1000, 0x2000, PAGE_WRITE, CACHE_UNCACHED),
                     MMIO_CONFLICT);
    mmio_fixture_stop();
}

static void bad_requests_are_refused_by_name(void **state)
{
    (void)state;
    mmio_fixture_start();
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, 0, PAGE_WRITE, CACHE_UNCACHED), MMIO_EMPTY);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, UINT64_MAX, PAGE_WRITE, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(mmio_fixture_refusal(UINT64_MAX - 1, 16, PAGE_WRITE, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(mmio_fixture_refusal((1ULL << 40) - 1, 2, PAGE_WRITE, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, 16, PAGE_EXECUTE, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, 16, PAGE_WRITE | PAGE_USER, CACHE_UNCACHED),
                     MMIO_BAD_ACCESS);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, 16, PAGE_WRITE, (enum page_cache)4), MMIO_BAD_CACHE);
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE, 16, PAGE_WRITE, (enum page_cache)99), MMIO_BAD_CACHE);
    assert_int_equal(mmio_fixture_refusal(1ULL << 35, GIB(5), PAGE_WRITE, CACHE_UNCACHED), MMIO_NO_SPACE);
    mmio_fixture_stop();
}

static void ram_is_write_back_and_read_only(void **state)
{
    (void)state;
    mmio_fixture_start();
    assert_int_equal(mmio_fixture_refusal(MIB(2), 0x1000, PAGE_WRITE, CACHE_UNCACHED), MMIO_RAM);
    assert_int_equal(mmio_fixture_refusal(MIB(2), 0x1000, PAGE_READ, CACHE_WRITE_COMBINING), MMIO_RAM);
    assert_int_equal(mmio_fixture_refusal(MIB(2), 0x1000, PAGE_WRITE, CACHE_WRITE_BACK), MMIO_RAM);
    assert_int_equal(mmio_fixture_refusal(MIB(64) - 1, 2, PAGE_WRITE, CACHE_UNCACHED), MMIO_RAM);
    assert_int_equal(mmio_fixture_refusal(0, GIB(1), PAGE_WRITE, CACHE_UNCACHED), MMIO_RAM);
    mmio_fixture_map(MIB(64), 0x1000, PAGE_WRITE, CACHE_UNCACHED);
    mmio_fixture_map(MIB(2), 0x1000, PAGE_READ, CACHE_WRITE_BACK);
    mmio_fixture_stop();
}

static void adopted_mappings_count_and_stay(void **state)
{
    (void)state;
    mmio_fixture_start();
    virt_addr_t where = virt_addr(0xffffff8040000000);
    struct tlb_batch batch;
    assert_int_equal(page_table_map(&mmio_fixture.machine.table, where, phys_addr(0x80000000), MIB(4),
                                    PAGE_WRITE, CACHE_WRITE_COMBINING, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(mmio_adopt(&mmio_fixture.mmio, phys_addr(0x80000000), where, MIB(4), PAGE_WRITE,
                                CACHE_WRITE_COMBINING),
                     MMIO_OK);
    assert_int_equal(
        mmio_adopt(&mmio_fixture.mmio, phys_addr(0x80000000), where, MIB(4), PAGE_WRITE, CACHE_UNCACHED),
        MMIO_CONFLICT);
    assert_int_equal(mmio_fixture_refusal(0x80000000, 0x1000, PAGE_WRITE, CACHE_UNCACHED), MMIO_CONFLICT);
    void *again = mmio_fixture_map(0x80001000, 0x1000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    assert_int_equal(virt_of(again).raw, where.raw + 0x1000);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, again), MMIO_OK);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, again), MMIO_NOT_MAPPED);
    assert_int_equal(mmio_fixture.mmio.count, 1);
    struct mmio_mapping mapping;
    assert_true(mmio_look(&mmio_fixture.mmio, 0, &mapping));
    assert_int_equal(mapping.bytes, MIB(4));
    assert_false(mmio_look(&mmio_fixture.mmio, 1, &mapping));
    mmio_fixture_check();
    mmio_destroy(&mmio_fixture.mmio);
    slab_pool_destroy(&mmio_fixture.slabs);
    tlb_batch_start(&batch, &mmio_fixture.machine.table);
    page_table_unmap(&mmio_fixture.machine.table, where, MIB(4), &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    vmalloc_fixture_stop(&mmio_fixture.machine);
}

/* With n frames left, for n = 0, 1, ... until it succeeds: a failure changes nothing. */
static void every_failure_leaves_all_as_it_was(void **state)
{
    (void)state;
    mmio_fixture_start();
    void *pointer;
    enum mmio_error error = MMIO_NO_MEMORY;
    for (uint64_t frames = 0; error != MMIO_OK; frames++) {
        vmalloc_starve(&mmio_fixture.machine, frames);
        uint64_t tables = mmio_fixture.machine.table.table_frames;
        error = mmio_fixture_try(MMIO_DEVICE, MIB(3), PAGE_WRITE, CACHE_UNCACHED, &pointer);
        mmio_fixture_check();
        assert_true(frames < 20);
        if (error != MMIO_OK) {
            struct kva_statistics statistics;
            kva_statistics(&mmio_fixture.machine.arena, &statistics);
            assert_int_equal(error, MMIO_NO_MEMORY);
            assert_int_equal(mmio_fixture.mmio.count, 0);
            assert_int_equal(statistics.taken_ranges, 0);
            assert_int_equal(mmio_fixture.machine.table.table_frames, tables);
        }
    }
    mmio_fixture_stop();
}

/* Making it takes two caches: with room for one of them nothing is left behind. */
static void making_it_fails_whole(void **state)
{
    (void)state;
    static struct slab_cache taken[SLAB_NUMBERS];
    struct slab_cache_config small = {.bytes = 64, .unguarded = true};
    enum slab_error error = SLAB_OK;
    unsigned count = 0;
    mmio_fixture_start();
    mmio_destroy(&mmio_fixture.mmio);
    const struct mmio_config config = mmio_fixture.mmio.config;
    for (; error == SLAB_OK; count += error == SLAB_OK) {
        char name[SLAB_NAME_BYTES];
        format(name, sizeof name, "taken-%u", count);
        small.name = name;
        error = slab_cache_init(&mmio_fixture.slabs, &taken[count], &small);
    }
    for (unsigned room = 0; room < 2; room++) {
        assert_int_equal(mmio_init(&mmio_fixture.mmio, &config), MMIO_NO_MEMORY);
        assert_int_equal(slab_cache_destroy(&taken[--count]), 0);
    }
    assert_int_equal(mmio_init(&mmio_fixture.mmio, &config), MMIO_OK);
    while (count > 0) {
        assert_int_equal(slab_cache_destroy(&taken[--count]), 0);
    }
    mmio_fixture_stop();
}

static void without_a_record_nothing_is_adopted(void **state)
{
    (void)state;
    mmio_fixture_start();
    slab_fail_every(&mmio_fixture.slabs, 1);
    assert_int_equal(mmio_adopt(&mmio_fixture.mmio, phys_addr(MMIO_DEVICE), virt_addr(0xffffff8040000000),
                                FRAME_BYTES, PAGE_WRITE, CACHE_UNCACHED),
                     MMIO_NO_MEMORY);
    slab_fail_every(&mmio_fixture.slabs, 0);
    assert_int_equal(mmio_fixture.mmio.count, 0);
    mmio_fixture_stop();
}

/* Whichever of several is asked for, or unmapped first. */
static void mappings_are_found_by_address(void **state)
{
    (void)state;
    mmio_fixture_start();
    struct mmio_mapping mapping;
    uint8_t *first = mmio_fixture_map(MMIO_DEVICE, 0x2000, PAGE_WRITE, CACHE_UNCACHED);
    uint8_t *second = mmio_fixture_map(MMIO_DEVICE + MIB(1), 0x1000, PAGE_WRITE, CACHE_UNCACHED);
    assert_true(mmio_find(&mmio_fixture.mmio, virt_of(first + 0x1fff), &mapping));
    assert_int_equal(mapping.base.raw, MMIO_DEVICE);
    assert_true(mmio_find(&mmio_fixture.mmio, virt_of(second), &mapping));
    assert_int_equal(mapping.base.raw, MMIO_DEVICE + MIB(1));
    mapping.bytes = 5;
    assert_false(mmio_find(&mmio_fixture.mmio, virt_of(first + 0x2000), &mapping));
    assert_int_equal(mapping.bytes, 5);
    assert_int_equal(mmio_unmap(&mmio_fixture.mmio, first), MMIO_OK);
    assert_false(mmio_find(&mmio_fixture.mmio, virt_of(first), &mapping));
    assert_true(mmio_find(&mmio_fixture.mmio, virt_of(second), &mapping));
    mmio_fixture_stop();
}

static void errors_have_names_of_their_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MMIO_ERROR_COUNT; i++) {
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(mmio_error_name((enum mmio_error)i),
                                    mmio_error_name((enum mmio_error)other));
        }
    }
    volatile unsigned none = MMIO_ERROR_COUNT;
    assert_string_equal(mmio_error_name((enum mmio_error)none), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mappings_are_what_was_asked_for),
        cmocka_unit_test(a_mapping_is_found_again),
        cmocka_unit_test(the_last_user_unmaps),
        cmocka_unit_test(what_stays_is_not_unmapped),
        cmocka_unit_test(conflicts_are_refused_by_name),
        cmocka_unit_test(bad_requests_are_refused_by_name),
        cmocka_unit_test(ram_is_write_back_and_read_only),
        cmocka_unit_test(adopted_mappings_count_and_stay),
        cmocka_unit_test(every_failure_leaves_all_as_it_was),
        cmocka_unit_test(making_it_fails_whole),
        cmocka_unit_test(without_a_record_nothing_is_adopted),
        cmocka_unit_test(mappings_are_found_by_address),
        cmocka_unit_test(errors_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Device mappings over a simulated MMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <ashlar/mmio.h>
#include <cmocka.h>

#include "tests/host/support/host.h"
#include "vmalloc_fixture.h"

#define DEVICE     0xfed00000ULL
#define CODE       MIB(8) /* RAM that is read-only everywhere */
#define CODE_BYTES KIB(64)

static struct vmalloc_fixture fixture;
static struct slab_pool slabs;
static struct mmio mmio;
static const struct kva_purpose purpose = KVA_PURPOSE("test device");

static void report_nothing(void *context, const struct slab_report *report)
{
    (void)context;
    panic("heap: %s", slab_fault_name(report->fault));
}

static void start(void)
{
    vmalloc_fixture_start(&fixture, MIB(64), GIB(4), 1, true);
    const struct slab_pool_config pool = {
        .frames = &fixture.machine.pool, .cpus = 1, .seed = 5, .report = report_nothing};
    assert_int_equal(slab_pool_init(&slabs, &pool), SLAB_OK);
    fixture.table.physical_end = 1ULL << 40;
    struct mmio_config config = {.arena = &fixture.arena, .table = &fixture.table, .slabs = &slabs};
    physmap_plan_start(&config.physmap, fixture.machine.map, fixture.machine.map_count,
                       fixture.table.physical_end);
    assert_true(physmap_plan_protect(&config.physmap, phys_addr(CODE), CODE_BYTES));
    assert_int_equal(mmio_init(&mmio, &config), MMIO_OK);
}

static void check(void)
{
    struct mmio_problem problem;
    if (!mmio_check(&mmio, &problem)) {
        fail_msg("%s at %#" PRIx64, problem.what, problem.where.raw);
    }
    mmu_model_check();
    vmalloc_fixture_check(&fixture);
}

static void stop(void)
{
    vmalloc_feed(&fixture);
    check();
    mmio_destroy(&mmio);
    slab_pool_destroy(&slabs);
    vmalloc_fixture_stop(&fixture);
}

static enum mmio_error try_map(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                               void **pointer)
{
    const struct mmio_request request = {phys_addr(address), bytes, access, cache, &purpose, false};
    *pointer = NULL;
    return mmio_map(&mmio, &request, pointer);
}

static uint8_t *map(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache)
{
    void *pointer;
    assert_int_equal(try_map(address, bytes, access, cache, &pointer), MMIO_OK);
    assert_non_null(pointer);
    check();
    return pointer;
}

static enum mmio_error refusal(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache)
{
    void *pointer;
    uint64_t count = mmio.count;
    uint64_t tables = fixture.table.table_frames;
    enum mmio_error error = try_map(address, bytes, access, cache, &pointer);
    assert_null(pointer);
    assert_int_equal(mmio.count, count);
    assert_int_equal(fixture.table.table_frames, tables);
    check();
    return error;
}

static void mappings_are_what_was_asked_for(void **state)
{
    (void)state;
    start();
    uint8_t *registers = map(DEVICE + 0x123, 0x1000, PAGE_WRITE, CACHE_UNCACHED);
    struct mmu_walk walk = mmu_model_walk(&fixture.table, (uintptr_t)registers);
    assert_int_equal(walk.target, DEVICE + 0x123);
    assert_int_equal(walk.pat, CACHE_UNCACHED);
    assert_true(walk.write && !walk.execute && !walk.user && walk.global);
    walk = mmu_model_walk(&fixture.table, (uintptr_t)registers + 0x1000);
    assert_int_equal(walk.target, DEVICE + 0x1123);
    assert_int_not_equal(mmu_model_walk(&fixture.table, (uintptr_t)registers - 0x124).result, MMU_OK);
    assert_int_not_equal(mmu_model_walk(&fixture.table, (uintptr_t)registers - 0x123 + 0x2000).result,
                         MMU_OK);
    struct kva_facts facts;
    assert_true(kva_look(&fixture.arena, virt_of(registers - 0x124), &facts));
    assert_string_equal(facts.purpose->below, "guard page below test device");
    uint8_t *frames = map(0x80000000, MIB(6), PAGE_WRITE, CACHE_WRITE_COMBINING);
    walk = mmu_model_walk(&fixture.table, (uintptr_t)frames + MIB(3));
    assert_int_equal(walk.target, 0x80000000 + MIB(3));
    assert_int_equal(walk.level, PAGE_LEVEL_2M);
    assert_int_equal(walk.pat, CACHE_WRITE_COMBINING);
    uint8_t *table = map(0x90000010, 40, PAGE_READ, CACHE_WRITE_BACK);
    assert_false(mmu_model_walk(&fixture.table, (uintptr_t)table).write);
    stop();
}

static void a_mapping_is_found_again(void **state)
{
    (void)state;
    start();
    uint8_t *first = map(DEVICE, 0x3000, PAGE_WRITE, CACHE_UNCACHED);
    assert_ptr_equal(map(DEVICE + 0x1010, 0x20, PAGE_WRITE, CACHE_UNCACHED), first + 0x1010);
    assert_ptr_not_equal(map(DEVICE, 0x20, PAGE_READ, CACHE_UNCACHED), first);
    assert_ptr_not_equal(map(DEVICE, 0x3001, PAGE_WRITE, CACHE_UNCACHED), first);
    assert_int_equal(mmio.count, 3);
    stop();
}

static void the_last_user_unmaps(void **state)
{
    (void)state;
    start();
    uint8_t *first = map(DEVICE, 0x3000, PAGE_WRITE, CACHE_UNCACHED);
    uint8_t *second = map(DEVICE + 0x1010, 0x20, PAGE_WRITE, CACHE_UNCACHED);
    mmu_model_fill();
    assert_int_equal(mmio_unmap(&mmio, first), MMIO_OK);
    assert_int_equal(mmu_model_walk(&fixture.table, (uintptr_t)second).result, MMU_OK);
    assert_int_equal(mmio_unmap(&mmio, second), MMIO_OK);
    check();
    assert_int_not_equal(mmu_model_walk(&fixture.table, (uintptr_t)second).result, MMU_OK);
    assert_int_equal(mmio_unmap(&mmio, second), MMIO_NOT_MAPPED);
    assert_int_equal(mmio_unmap(&mmio, NULL), MMIO_NOT_MAPPED);
    assert_int_equal(mmio_unmap(&mmio, &mmio), MMIO_NOT_MAPPED);
    /* The frames are free for another kind now. */
    map(DEVICE, 0x3000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    stop();
}

static void what_stays_is_not_unmapped(void **state)
{
    (void)state;
    start();
    const struct mmio_request request = {phys_addr(DEVICE), 16, PAGE_WRITE, CACHE_UNCACHED, NULL, true};
    void *pointer;
    void *again;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mmio_map(&mmio, &request, &pointer), MMIO_OK);
        assert_int_equal(mmio_unmap(&mmio, pointer), MMIO_NOT_MAPPED);
    }
    again = map(DEVICE, 16, PAGE_WRITE, CACHE_UNCACHED);
    assert_ptr_equal(again, pointer);
    assert_int_equal(mmio_unmap(&mmio, again), MMIO_OK);
    assert_int_equal(mmio_unmap(&mmio, again), MMIO_NOT_MAPPED);
    assert_int_equal(mmio.count, 1);
    check();
    /* One that did not stay does, once somebody relies on it. */
    again = map(DEVICE + MIB(1), 16, PAGE_WRITE, CACHE_UNCACHED);
    const struct mmio_request second = {
        phys_addr(DEVICE + MIB(1)), 16, PAGE_WRITE, CACHE_UNCACHED, NULL, true};
    assert_int_equal(mmio_map(&mmio, &second, &pointer), MMIO_OK);
    assert_int_equal(mmio_unmap(&mmio, again), MMIO_OK);
    assert_int_equal(mmio.count, 2);
    stop();
}

static void conflicts_are_refused_by_name(void **state)
{
    (void)state;
    start();
    map(DEVICE, 0x2000, PAGE_WRITE, CACHE_UNCACHED);
    assert_int_equal(refusal(DEVICE, 0x2000, PAGE_WRITE, CACHE_WRITE_COMBINING), MMIO_CONFLICT);
    assert_int_equal(refusal(DEVICE + 0x1fff, 1, PAGE_READ, CACHE_WRITE_BACK), MMIO_CONFLICT);
    assert_int_equal(refusal(DEVICE - 1, 2, PAGE_READ, CACHE_UNCACHED_WEAK), MMIO_CONFLICT);
    assert_int_equal(refusal(DEVICE - MIB(1), MIB(4), PAGE_WRITE, CACHE_WRITE_THROUGH), MMIO_CONFLICT);
    map(DEVICE + 0x2000, 0x1000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    assert_int_equal(refusal(DEVICE + 0x1000, 0x2000, PAGE_WRITE, CACHE_UNCACHED), MMIO_CONFLICT);
    stop();
}

static void bad_requests_are_refused_by_name(void **state)
{
    (void)state;
    start();
    assert_int_equal(refusal(DEVICE, 0, PAGE_WRITE, CACHE_UNCACHED), MMIO_EMPTY);
    assert_int_equal(refusal(DEVICE, UINT64_MAX, PAGE_WRITE, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(refusal(UINT64_MAX - 1, 16, PAGE_WRITE, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(refusal((1ULL << 40) - 1, 2, PAGE_WRITE, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(refusal(DEVICE, 16, PAGE_EXECUTE, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(refusal(DEVICE, 16, PAGE_WRITE | PAGE_USER, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(refusal(DEVICE, 16, PAGE_WRITE, (enum page_cache)4), MMIO_BAD_CACHE);
    assert_int_equal(refusal(DEVICE, 16, PAGE_WRITE, (enum page_cache)99), MMIO_BAD_CACHE);
    assert_int_equal(refusal(1ULL << 35, GIB(5), PAGE_WRITE, CACHE_UNCACHED), MMIO_NO_SPACE);
    stop();
}

static void ram_is_write_back_and_read_only(void **state)
{
    (void)state;
    start();
    assert_int_equal(refusal(MIB(2), 0x1000, PAGE_WRITE, CACHE_UNCACHED), MMIO_RAM);
    assert_int_equal(refusal(MIB(2), 0x1000, PAGE_READ, CACHE_WRITE_COMBINING), MMIO_RAM);
    assert_int_equal(refusal(MIB(2), 0x1000, PAGE_WRITE, CACHE_WRITE_BACK), MMIO_RAM);
    assert_int_equal(refusal(MIB(64) - 1, 2, PAGE_WRITE, CACHE_UNCACHED), MMIO_RAM);
    assert_int_equal(refusal(0, GIB(1), PAGE_WRITE, CACHE_UNCACHED), MMIO_RAM);
    map(MIB(64), 0x1000, PAGE_WRITE, CACHE_UNCACHED);
    map(MIB(2), 0x1000, PAGE_READ, CACHE_WRITE_BACK);
    stop();
}

static void adopted_mappings_count_and_stay(void **state)
{
    (void)state;
    start();
    virt_addr_t where = virt_addr(0xffffff8040000000);
    struct tlb_batch batch;
    assert_int_equal(page_table_map(&fixture.table, where, phys_addr(0x80000000), MIB(4), PAGE_WRITE,
                                    CACHE_WRITE_COMBINING, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(
        mmio_adopt(&mmio, phys_addr(0x80000000), where, MIB(4), PAGE_WRITE, CACHE_WRITE_COMBINING), MMIO_OK);
    assert_int_equal(mmio_adopt(&mmio, phys_addr(0x80000000), where, MIB(4), PAGE_WRITE, CACHE_UNCACHED),
                     MMIO_CONFLICT);
    assert_int_equal(refusal(0x80000000, 0x1000, PAGE_WRITE, CACHE_UNCACHED), MMIO_CONFLICT);
    void *again = map(0x80001000, 0x1000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    assert_int_equal(virt_of(again).raw, where.raw + 0x1000);
    assert_int_equal(mmio_unmap(&mmio, again), MMIO_OK);
    assert_int_equal(mmio_unmap(&mmio, again), MMIO_NOT_MAPPED);
    assert_int_equal(mmio.count, 1);
    struct mmio_mapping mapping;
    assert_true(mmio_look(&mmio, 0, &mapping));
    assert_int_equal(mapping.bytes, MIB(4));
    assert_false(mmio_look(&mmio, 1, &mapping));
    check();
    mmio_destroy(&mmio);
    slab_pool_destroy(&slabs);
    tlb_batch_start(&batch, &fixture.table);
    page_table_unmap(&fixture.table, where, MIB(4), &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    vmalloc_fixture_stop(&fixture);
}

/* With n frames left, for n = 0, 1, ... until it succeeds: a failure changes nothing. */
static void every_failure_leaves_all_as_it_was(void **state)
{
    (void)state;
    start();
    void *pointer;
    enum mmio_error error = MMIO_NO_MEMORY;
    for (uint64_t frames = 0; error != MMIO_OK; frames++) {
        vmalloc_starve(&fixture, frames);
        uint64_t tables = fixture.table.table_frames;
        error = try_map(DEVICE, MIB(3), PAGE_WRITE, CACHE_UNCACHED, &pointer);
        check();
        assert_true(frames < 20);
        if (error != MMIO_OK) {
            struct kva_statistics statistics;
            kva_statistics(&fixture.arena, &statistics);
            assert_int_equal(error, MMIO_NO_MEMORY);
            assert_int_equal(mmio.count, 0);
            assert_int_equal(statistics.taken_ranges, 0);
            assert_int_equal(fixture.table.table_frames, tables);
        }
    }
    stop();
}

/* Making it needs memory for two caches: without it nothing is left behind. */
static void making_it_fails_whole(void **state)
{
    (void)state;
    start();
    mmio_destroy(&mmio);
    const struct mmio_config config = mmio.config;
    enum mmio_error error = MMIO_NO_MEMORY;
    for (uint64_t frames = 0; error != MMIO_OK; frames++) {
        struct slab_problem problem;
        assert_true(frames < 20);
        vmalloc_starve(&fixture, frames);
        error = mmio_init(&mmio, &config);
        assert_true(error == MMIO_OK || error == MMIO_NO_MEMORY);
        assert_true(slab_check(&slabs, &problem));
    }
    stop();
}

static void without_a_record_nothing_is_adopted(void **state)
{
    (void)state;
    start();
    slab_fail_every(&slabs, 1);
    assert_int_equal(mmio_adopt(&mmio, phys_addr(DEVICE), virt_addr(0xffffff8040000000), FRAME_BYTES,
                                PAGE_WRITE, CACHE_UNCACHED),
                     MMIO_NO_MEMORY);
    slab_fail_every(&slabs, 0);
    assert_int_equal(mmio.count, 0);
    stop();
}

/* Whichever of several is asked for, or unmapped first. */
static void mappings_are_found_by_address(void **state)
{
    (void)state;
    start();
    struct mmio_mapping mapping;
    uint8_t *first = map(DEVICE, 0x2000, PAGE_WRITE, CACHE_UNCACHED);
    uint8_t *second = map(DEVICE + MIB(1), 0x1000, PAGE_WRITE, CACHE_UNCACHED);
    assert_true(mmio_find(&mmio, virt_of(first + 0x1fff), &mapping));
    assert_int_equal(mapping.base.raw, DEVICE);
    assert_true(mmio_find(&mmio, virt_of(second), &mapping));
    assert_int_equal(mapping.base.raw, DEVICE + MIB(1));
    mapping.bytes = 5;
    assert_false(mmio_find(&mmio, virt_of(first + 0x2000), &mapping));
    assert_int_equal(mapping.bytes, 5);
    assert_int_equal(mmio_unmap(&mmio, first), MMIO_OK);
    assert_false(mmio_find(&mmio, virt_of(first), &mapping));
    assert_true(mmio_find(&mmio, virt_of(second), &mapping));
    stop();
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

/* ---- What others show ---- */

static enum mmio_error claim(uint64_t base, uint64_t bytes, unsigned access, enum page_cache cache)
{
    enum mmio_error error = mmio_claim(&mmio, phys_addr(base), bytes, access, cache);
    check();
    return error;
}

static void release(uint64_t base, uint64_t bytes, enum page_cache cache)
{
    mmio_release(&mmio, phys_addr(base), bytes, cache);
    check();
}

/*
 * Whether each page of [base, base + count pages) is claimed uncached, told by what is refused: 'c' or '.'.
 */
static void expect_claimed(uint64_t base, const char *pages)
{
    for (uint64_t i = 0; pages[i]; i++) {
        void *pointer;
        enum mmio_error error =
            try_map(base + i * FRAME_BYTES, 1, PAGE_READ, CACHE_WRITE_COMBINING, &pointer);
        assert_int_equal(error, pages[i] == 'c' ? MMIO_CONFLICT : MMIO_OK);
        if (error == MMIO_OK) {
            assert_int_equal(mmio_unmap(&mmio, pointer), MMIO_OK);
        }
    }
}

static void claims_contradict_nothing(void **state)
{
    (void)state;
    start();
    const unsigned user = PAGE_USER;
    assert_int_equal(claim(DEVICE, 0, user, CACHE_UNCACHED), MMIO_EMPTY);
    assert_int_equal(claim((1ULL << 40) - 1, 2, user, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(claim(DEVICE, KIB(4), user, (enum page_cache)6), MMIO_BAD_CACHE);
    assert_int_equal(claim(DEVICE, KIB(4), 1 << 5, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(claim(DEVICE, KIB(4), PAGE_WRITE | PAGE_EXECUTE, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(claim(DEVICE, KIB(4), PAGE_EXECUTE, CACHE_UNCACHED), MMIO_WRITABLE);
    /* RAM is cached in one way; what is read-only stays so, and nothing else may be code. */
    assert_int_equal(claim(MIB(2), KIB(4), user, CACHE_UNCACHED), MMIO_RAM);
    assert_int_equal(claim(MIB(64) - KIB(4), KIB(8), user, CACHE_WRITE_COMBINING), MMIO_RAM);
    assert_int_equal(claim(CODE, KIB(4), user | PAGE_WRITE, CACHE_WRITE_BACK), MMIO_READ_ONLY);
    assert_int_equal(claim(CODE + CODE_BYTES - KIB(4), KIB(8), PAGE_WRITE, CACHE_WRITE_BACK), MMIO_READ_ONLY);
    assert_int_equal(claim(CODE, CODE_BYTES + KIB(4), PAGE_EXECUTE, CACHE_WRITE_BACK), MMIO_WRITABLE);
    assert_null(mmio.claimed);
    assert_int_equal(claim(CODE, CODE_BYTES, user | PAGE_EXECUTE, CACHE_WRITE_BACK), MMIO_OK);
    assert_int_equal(claim(CODE + CODE_BYTES, KIB(4), user | PAGE_WRITE, CACHE_WRITE_BACK), MMIO_OK);
    /* Device memory follows what is mapped, */
    map(DEVICE, KIB(8), PAGE_WRITE, CACHE_UNCACHED);
    assert_int_equal(claim(DEVICE + KIB(4), KIB(8), user, CACHE_WRITE_COMBINING), MMIO_CONFLICT);
    assert_int_equal(claim(DEVICE + KIB(4), KIB(8), user | PAGE_WRITE, CACHE_UNCACHED), MMIO_OK);
    /* and what is mapped later, what was claimed. */
    assert_int_equal(refusal(DEVICE + KIB(8), 4, PAGE_WRITE, CACHE_WRITE_BACK), MMIO_CONFLICT);
    assert_int_equal(claim(DEVICE + KIB(8), KIB(4), user, CACHE_WRITE_THROUGH), MMIO_CONFLICT);
    assert_int_equal(mmio_adopt(&mmio, phys_addr(DEVICE + KIB(8)), virt_addr(0xffffff8040000000), KIB(4),
                                PAGE_WRITE, CACHE_WRITE_COMBINING),
                     MMIO_CONFLICT);
    map(DEVICE + KIB(8), 4, PAGE_WRITE, CACHE_UNCACHED);
    stop();
}

static void claims_are_given_up_in_parts(void **state)
{
    (void)state;
    start();
    assert_int_equal(claim(DEVICE, KIB(32), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    expect_claimed(DEVICE, "cccccccc.");
    release(DEVICE, KIB(4), CACHE_UNCACHED);           /* in front */
    release(DEVICE + KIB(28), KIB(4), CACHE_UNCACHED); /* behind */
    release(DEVICE + KIB(12), KIB(8), CACHE_UNCACHED); /* in the middle */
    expect_claimed(DEVICE, ".cc..cc..");
    assert_int_equal(claim(DEVICE, KIB(32), PAGE_WRITE, CACHE_UNCACHED), MMIO_OK); /* by somebody else */
    release(DEVICE + KIB(4), KIB(8), CACHE_UNCACHED);                              /* one of two */
    expect_claimed(DEVICE, "cccccccc.");
    release(DEVICE, KIB(32), CACHE_UNCACHED); /* over the cuts of both */
    expect_claimed(DEVICE, ".....cc..");
    release(DEVICE + KIB(20), KIB(8), CACHE_UNCACHED);
    expect_claimed(DEVICE, ".........");
    assert_null(mmio.claimed);
    stop();
}

static void what_is_not_claimed_cannot_be_given_up(void **state)
{
    struct host_panic_trap trap;
    bool panicked;
    (void)state;
    start();
    assert_int_equal(claim(DEVICE, KIB(8), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    CATCH_PANIC(trap, panicked, mmio_release(&mmio, phys_addr(DEVICE), KIB(8), CACHE_WRITE_COMBINING));
    assert_true(panicked);
    spinlock_init(&mmio.lock, LOCK_DEVICE_MAPPINGS, 0); /* it panicked holding it */
    CATCH_PANIC(trap, panicked, mmio_release(&mmio, phys_addr(DEVICE + KIB(4)), KIB(8), CACHE_UNCACHED));
    assert_true(panicked);
    spinlock_init(&mmio.lock, LOCK_DEVICE_MAPPINGS, 0); /* it panicked holding it */
    stop();
}

/* Without memory nothing is claimed, and giving up keeps too much rather than too little. */
static void claims_without_memory(void **state)
{
    (void)state;
    start();
    assert_int_equal(claim(DEVICE, KIB(32), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    uint64_t claims = 1;
    vmalloc_starve(&fixture, 0);
    while (claim(DEVICE + MIB(1), KIB(4), PAGE_READ, CACHE_UNCACHED) == MMIO_OK) {
        claims++;
    }
    assert_true(claims < 1000);
    assert_int_equal(claim(DEVICE + MIB(1), KIB(4), PAGE_READ, CACHE_UNCACHED), MMIO_NO_MEMORY);
    release(DEVICE + KIB(4), KIB(4), CACHE_UNCACHED); /* would take a record */
    vmalloc_feed(&fixture);
    expect_claimed(DEVICE, "cccccccc.");
    release(DEVICE, KIB(4), CACHE_UNCACHED);
    release(DEVICE + KIB(8), KIB(24), CACHE_UNCACHED);
    expect_claimed(DEVICE, ".c.......");
    while (--claims > 0) {
        release(DEVICE + MIB(1), KIB(4), CACHE_UNCACHED);
    }
    expect_claimed(DEVICE + MIB(1), ".");
    stop();
}

static void the_validator_names_damage(void **state)
{
    (void)state;
    start();
    map(DEVICE, 0x2000, PAGE_WRITE, CACHE_UNCACHED);
    map(DEVICE + MIB(1), 0x2000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    struct mmio_mapping *mapping = mmio.first;
    const struct mmio_mapping whole = *mapping;
    struct mmio_problem problem;
#define EXPECT_COMPLAINT(change, text)                                                                       \
    do {                                                                                                     \
        change;                                                                                              \
        assert_false(mmio_check(&mmio, &problem));                                                           \
        assert_string_equal(problem.what, text);                                                             \
        *mapping = whole;                                                                                    \
        assert_true(mmio_check(&mmio, &problem));                                                            \
    } while (0)
    EXPECT_COMPLAINT(mapping->users = 0, "a mapping without users");
    EXPECT_COMPLAINT(mapping->base.raw = DEVICE, "frames mapped in two ways");
    EXPECT_COMPLAINT(mapping->base.raw += MIB(1), "a page leads elsewhere");
    EXPECT_COMPLAINT(mapping->bytes += FRAME_BYTES, "a page leads elsewhere");
    EXPECT_COMPLAINT(mapping->access = PAGE_READ, "access of a page");
    EXPECT_COMPLAINT(mapping->cache = CACHE_WRITE_BACK, "cache kind of a page");
    EXPECT_COMPLAINT(mapping->next = NULL, "count of mappings");
    assert_int_equal(claim(DEVICE, KIB(4), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    mmio.claimed->bytes = MIB(2);
    assert_false(mmio_check(&mmio, &problem));
    assert_string_equal(problem.what, "frames mapped in two ways");
    mmio.claimed->bytes = KIB(4);
    assert_int_equal(claim(DEVICE + MIB(2), KIB(4), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    mmio.claimed->base.raw = DEVICE + MIB(3);
    mmio.claimed->next->base.raw = DEVICE + MIB(3);
    mmio.claimed->next->cache = CACHE_WRITE_BACK;
    assert_false(mmio_check(&mmio, &problem));
    assert_string_equal(problem.what, "frames claimed in two ways");
    mmio.claimed->next->cache = CACHE_UNCACHED;
    stop();
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
        cmocka_unit_test(claims_contradict_nothing),
        cmocka_unit_test(claims_are_given_up_in_parts),
        cmocka_unit_test(what_is_not_claimed_cannot_be_given_up),
        cmocka_unit_test(claims_without_memory),
        cmocka_unit_test(the_validator_names_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

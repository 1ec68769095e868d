/* Physical memory that others show: claims, and the validator of mappings and claims. */
#include "mmio_fixture.h"
#include "tests/host/support/host.h"

static enum mmio_error claim(uint64_t base, uint64_t bytes, unsigned access, enum page_cache cache)
{
    enum mmio_error error = mmio_claim(&mmio_fixture.mmio, phys_addr(base), bytes, access, cache);
    mmio_fixture_check();
    return error;
}

static void release(uint64_t base, uint64_t bytes, enum page_cache cache)
{
    mmio_release(&mmio_fixture.mmio, phys_addr(base), bytes, cache);
    mmio_fixture_check();
}

/*
 * Whether each page of [base, base + count pages) is claimed uncached, told by what is refused: 'c' or '.'.
 */
static void expect_claimed(uint64_t base, const char *pages)
{
    for (uint64_t i = 0; pages[i]; i++) {
        void *pointer;
        enum mmio_error error =
            mmio_fixture_try(base + i * FRAME_BYTES, 1, PAGE_READ, CACHE_WRITE_COMBINING, &pointer);
        assert_int_equal(error, pages[i] == 'c' ? MMIO_CONFLICT : MMIO_OK);
        if (error == MMIO_OK) {
            assert_int_equal(mmio_unmap(&mmio_fixture.mmio, pointer), MMIO_OK);
        }
    }
}

static void claims_contradict_nothing(void **state)
{
    (void)state;
    mmio_fixture_start();
    const unsigned user = PAGE_USER;
    assert_int_equal(claim(MMIO_DEVICE, 0, user, CACHE_UNCACHED), MMIO_EMPTY);
    assert_int_equal(claim((1ULL << 40) - 1, 2, user, CACHE_UNCACHED), MMIO_BEYOND);
    assert_int_equal(claim(MMIO_DEVICE, KIB(4), user, (enum page_cache)6), MMIO_BAD_CACHE);
    assert_int_equal(claim(MMIO_DEVICE, KIB(4), 1 << 5, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(claim(MMIO_DEVICE, KIB(4), PAGE_WRITE | PAGE_EXECUTE, CACHE_UNCACHED), MMIO_BAD_ACCESS);
    assert_int_equal(claim(MMIO_DEVICE, KIB(4), PAGE_EXECUTE, CACHE_UNCACHED), MMIO_WRITABLE);
    /* RAM is cached in one way; what is read-only stays so, and nothing else may be code. */
    assert_int_equal(claim(MIB(2), KIB(4), user, CACHE_UNCACHED), MMIO_RAM);
    assert_int_equal(claim(MIB(64) - KIB(4), KIB(8), user, CACHE_WRITE_COMBINING), MMIO_RAM);
    assert_int_equal(claim(MMIO_CODE, KIB(4), user | PAGE_WRITE, CACHE_WRITE_BACK), MMIO_READ_ONLY);
    assert_int_equal(claim(MMIO_CODE + MMIO_CODE_BYTES - KIB(4), KIB(8), PAGE_WRITE, CACHE_WRITE_BACK),
                     MMIO_READ_ONLY);
    assert_int_equal(claim(MMIO_CODE, MMIO_CODE_BYTES + KIB(4), PAGE_EXECUTE, CACHE_WRITE_BACK),
                     MMIO_WRITABLE);
    assert_null(mmio_fixture.mmio.claimed);
    assert_int_equal(claim(MMIO_CODE, MMIO_CODE_BYTES, user | PAGE_EXECUTE, CACHE_WRITE_BACK), MMIO_OK);
    assert_int_equal(claim(MMIO_CODE + MMIO_CODE_BYTES, KIB(4), user | PAGE_WRITE, CACHE_WRITE_BACK),
                     MMIO_OK);
    /* Device memory follows what is mapped, */
    mmio_fixture_map(MMIO_DEVICE, KIB(8), PAGE_WRITE, CACHE_UNCACHED);
    assert_int_equal(claim(MMIO_DEVICE + KIB(4), KIB(8), user, CACHE_WRITE_COMBINING), MMIO_CONFLICT);
    assert_int_equal(claim(MMIO_DEVICE + KIB(4), KIB(8), user | PAGE_WRITE, CACHE_UNCACHED), MMIO_OK);
    /* and what is mapped later, what was claimed. */
    assert_int_equal(mmio_fixture_refusal(MMIO_DEVICE + KIB(8), 4, PAGE_WRITE, CACHE_WRITE_BACK),
                     MMIO_CONFLICT);
    assert_int_equal(claim(MMIO_DEVICE + KIB(8), KIB(4), user, CACHE_WRITE_THROUGH), MMIO_CONFLICT);
    assert_int_equal(mmio_adopt(&mmio_fixture.mmio, phys_addr(MMIO_DEVICE + KIB(8)),
                                virt_addr(0xffffff8040000000), KIB(4), PAGE_WRITE, CACHE_WRITE_COMBINING),
                     MMIO_CONFLICT);
    mmio_fixture_map(MMIO_DEVICE + KIB(8), 4, PAGE_WRITE, CACHE_UNCACHED);
    mmio_fixture_stop();
}

static void claims_are_given_up_in_parts(void **state)
{
    (void)state;
    mmio_fixture_start();
    assert_int_equal(claim(MMIO_DEVICE, KIB(32), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    expect_claimed(MMIO_DEVICE, "cccccccc.");
    release(MMIO_DEVICE, KIB(4), CACHE_UNCACHED);           /* in front */
    release(MMIO_DEVICE + KIB(28), KIB(4), CACHE_UNCACHED); /* behind */
    release(MMIO_DEVICE + KIB(12), KIB(8), CACHE_UNCACHED); /* in the middle */
    expect_claimed(MMIO_DEVICE, ".cc..cc..");
    assert_int_equal(claim(MMIO_DEVICE, KIB(32), PAGE_WRITE, CACHE_UNCACHED), MMIO_OK); /* by somebody else */
    release(MMIO_DEVICE + KIB(4), KIB(8), CACHE_UNCACHED);                              /* one of two */
    expect_claimed(MMIO_DEVICE, "cccccccc.");
    release(MMIO_DEVICE, KIB(32), CACHE_UNCACHED); /* over the cuts of both */
    expect_claimed(MMIO_DEVICE, ".....cc..");
    release(MMIO_DEVICE + KIB(20), KIB(8), CACHE_UNCACHED);
    expect_claimed(MMIO_DEVICE, ".........");
    assert_null(mmio_fixture.mmio.claimed);
    mmio_fixture_stop();
}

static void what_is_not_claimed_cannot_be_given_up(void **state)
{
    struct host_panic_trap trap;
    bool panicked;
    (void)state;
    mmio_fixture_start();
    assert_int_equal(claim(MMIO_DEVICE, KIB(8), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    CATCH_PANIC(trap, panicked,
                mmio_release(&mmio_fixture.mmio, phys_addr(MMIO_DEVICE), KIB(8), CACHE_WRITE_COMBINING));
    assert_true(panicked);
    spinlock_init(&mmio_fixture.mmio.lock, LOCK_DEVICE_MAPPINGS, 0); /* it panicked holding it */
    CATCH_PANIC(trap, panicked,
                mmio_release(&mmio_fixture.mmio, phys_addr(MMIO_DEVICE + KIB(4)), KIB(8), CACHE_UNCACHED));
    assert_true(panicked);
    spinlock_init(&mmio_fixture.mmio.lock, LOCK_DEVICE_MAPPINGS, 0); /* it panicked holding it */
    mmio_fixture_stop();
}

/* Without memory nothing is claimed, and giving up keeps too much rather than too little. */
static void claims_without_memory(void **state)
{
    (void)state;
    mmio_fixture_start();
    assert_int_equal(claim(MMIO_DEVICE, KIB(32), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    uint64_t claims = 1;
    vmalloc_starve(&mmio_fixture.machine, 0);
    while (claim(MMIO_DEVICE + MIB(1), KIB(4), PAGE_READ, CACHE_UNCACHED) == MMIO_OK) {
        claims++;
    }
    assert_true(claims < 1000);
    assert_int_equal(claim(MMIO_DEVICE + MIB(1), KIB(4), PAGE_READ, CACHE_UNCACHED), MMIO_NO_MEMORY);
    release(MMIO_DEVICE + KIB(4), KIB(4), CACHE_UNCACHED); /* would take a record */
    vmalloc_feed(&mmio_fixture.machine);
    expect_claimed(MMIO_DEVICE, "cccccccc.");
    release(MMIO_DEVICE, KIB(4), CACHE_UNCACHED);
    release(MMIO_DEVICE + KIB(8), KIB(24), CACHE_UNCACHED);
    expect_claimed(MMIO_DEVICE, ".c.......");
    while (--claims > 0) {
        release(MMIO_DEVICE + MIB(1), KIB(4), CACHE_UNCACHED);
    }
    expect_claimed(MMIO_DEVICE + MIB(1), ".");
    mmio_fixture_stop();
}

static void the_validator_names_damage(void **state)
{
    (void)state;
    mmio_fixture_start();
    mmio_fixture_map(MMIO_DEVICE, 0x2000, PAGE_WRITE, CACHE_UNCACHED);
    mmio_fixture_map(MMIO_DEVICE + MIB(1), 0x2000, PAGE_WRITE, CACHE_WRITE_COMBINING);
    struct mmio_mapping *mapping = mmio_fixture.mmio.first;
    const struct mmio_mapping whole = *mapping;
    struct mmio_problem problem;
#define EXPECT_COMPLAINT(change, text)                                                                       \
    do {                                                                                                     \
        change;                                                                                              \
        assert_false(mmio_check(&mmio_fixture.mmio, &problem));                                              \
        assert_string_equal(problem.what, text);                                                             \
        *mapping = whole;                                                                                    \
        assert_true(mmio_check(&mmio_fixture.mmio, &problem));                                               \
    } while (0)
    EXPECT_COMPLAINT(mapping->users = 0, "a mapping without users");
    EXPECT_COMPLAINT(mapping->base.raw = MMIO_DEVICE, "frames mapped in two ways");
    EXPECT_COMPLAINT(mapping->base.raw += MIB(1), "a page leads elsewhere");
    EXPECT_COMPLAINT(mapping->bytes += FRAME_BYTES, "a page leads elsewhere");
    EXPECT_COMPLAINT(mapping->access = PAGE_READ, "access of a page");
    EXPECT_COMPLAINT(mapping->cache = CACHE_WRITE_BACK, "cache kind of a page");
    EXPECT_COMPLAINT(mapping->next = NULL, "count of mappings");
    assert_int_equal(claim(MMIO_DEVICE, KIB(4), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    mmio_fixture.mmio.claimed->bytes = MIB(2);
    assert_false(mmio_check(&mmio_fixture.mmio, &problem));
    assert_string_equal(problem.what, "frames mapped in two ways");
    mmio_fixture.mmio.claimed->bytes = KIB(4);
    assert_int_equal(claim(MMIO_DEVICE + MIB(2), KIB(4), PAGE_READ, CACHE_UNCACHED), MMIO_OK);
    mmio_fixture.mmio.claimed->base.raw = MMIO_DEVICE + MIB(3);
    mmio_fixture.mmio.claimed->next->base.raw = MMIO_DEVICE + MIB(3);
    mmio_fixture.mmio.claimed->next->cache = CACHE_WRITE_BACK;
    assert_false(mmio_check(&mmio_fixture.mmio, &problem));
    assert_string_equal(problem.what, "frames claimed in two ways");
    mmio_fixture.mmio.claimed->next->cache = CACHE_UNCACHED;
    mmio_fixture_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_contradict_nothing),
        cmocka_unit_test(claims_are_given_up_in_parts),
        cmocka_unit_test(what_is_not_claimed_cannot_be_given_up),
        cmocka_unit_test(claims_without_memory),
        cmocka_unit_test(the_validator_names_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Given memory that was cut into small pages, and is all alike again, has its large pages back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define PAGE FRAME_BYTES
#define BASE MIB(4)

static struct vm_fixture fixture;
static struct vm_space space;

static int setup(void **state)
{
    (void)state;
    vm_fixture_start(&fixture, MIB(16));
    vm_fixture_space(&fixture, &space, "test");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vm_fixture_drop(&space);
    vm_fixture_stop(&fixture);
    return 0;
}

/* 6 MiB of a device, all of it delivered. */
static void map_device(bool large)
{
    const struct vm_request request = {.source = VM_DEVICE,
                                       .bytes = MIB(6),
                                       .access = VM_READ | VM_WRITE,
                                       .target = phys_addr(GIB(2)),
                                       .cache = CACHE_WRITE_COMBINING,
                                       .large = large,
                                       .fixed = true,
                                       .address = virt_addr(BASE)};
    virt_addr_t address;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_OK);
    for (uint64_t at = 0; at < MIB(6); at += large ? MIB(2) : PAGE) {
        assert_int_equal(vm_space_fault(&space, virt_addr(BASE + at), VM_READ), VM_FAULT_DEVICE);
    }
}

static void protect(uint64_t base, uint64_t bytes, unsigned access)
{
    mmu_model_fill();
    assert_int_equal(vm_space_protect(&space, virt_addr(base), bytes, access), VM_OK);
    mmu_model_check();
    vm_fixture_check(&fixture);
}

static enum page_level level_of(uint64_t address)
{
    struct page_translation page = page_table_translate(space.table, virt_addr(address));
    assert_true(page.mapped);
    assert_int_equal(page.target.raw, GIB(2) + (address - BASE));
    assert_int_equal(page.cache, CACHE_WRITE_COMBINING);
    return page.level;
}

static void a_page_that_was_cut_is_whole_again(void **state)
{
    (void)state;
    map_device(true);
    uint64_t tables = space.own.table_frames;
    protect(BASE + MIB(2) - PAGE, 2 * PAGE, VM_READ); /* cuts two of the three */
    assert_int_equal(level_of(BASE), PAGE_LEVEL_4K);
    assert_int_equal(level_of(BASE + MIB(2)), PAGE_LEVEL_4K);
    assert_int_equal(level_of(BASE + MIB(4)), PAGE_LEVEL_2M);
    assert_int_equal(space.own.table_frames, tables + 2);
    protect(BASE + MIB(2) - PAGE, PAGE, VM_READ | VM_WRITE);
    assert_int_equal(level_of(BASE), PAGE_LEVEL_2M);
    assert_int_equal(level_of(BASE + MIB(2)), PAGE_LEVEL_4K);
    protect(BASE + MIB(2), PAGE, VM_READ | VM_WRITE);
    assert_int_equal(level_of(BASE + MIB(2)), PAGE_LEVEL_2M);
    assert_int_equal(space.own.table_frames, tables);
    assert_int_equal(space.region_count, 1);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + PAGE), PAGE), VM_OK); /* and can be cut again */
}

static void what_nobody_wanted_large_stays_small(void **state)
{
    (void)state;
    map_device(false);
    protect(BASE + PAGE, PAGE, VM_READ);
    protect(BASE + PAGE, PAGE, VM_READ | VM_WRITE);
    assert_int_equal(level_of(BASE), PAGE_LEVEL_4K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_that_was_cut_is_whole_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_wanted_large_stays_small, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pages that go while their regions stay: emptied, wiped in a child, taken back by their pager. */
#include <ashlar/vm_advice.h>
#include <ashlar/vm_peek.h>

#include "between.h"

#define PAGES 300

static struct vm_space child;
static struct test_pager pager;
static uint64_t random_state = 0x5eed;

static uint64_t at(uint64_t page)
{
    return BASE + page * PAGE;
}

static void write_all(uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        enum vm_fault fault;
        *(uint64_t *)vm_touch(&space, at(i), MMU_WRITE, &fault) = i + 1;
    }
}

static uint64_t value_at(struct vm_space *in, uint64_t page)
{
    uint64_t value = UINT64_MAX;
    assert_int_equal(vm_space_read(in, virt_addr(at(page)), &value, sizeof value), sizeof value);
    return value;
}

/* ---- Emptied ---- */

static void what_is_emptied_is_zero_again_and_its_frames_are_back(void **state)
{
    (void)state;
    uint64_t before = vm_fixture_free(&vm);
    map_zeros(BASE, PAGES * PAGE);
    uint64_t tables = vm_space_tables(&space);
    write_all(PAGES);
    assert_int_equal(vm_space_discard(&space, virt_addr(at(10)), 200 * PAGE, false), VM_OK);
    assert_int_equal(space.resident, PAGES - 200);
    assert_int_equal(value_at(&space, 9), 10);
    assert_int_equal(value_at(&space, 10), 0);
    assert_int_equal(value_at(&space, 209), 0);
    assert_int_equal(value_at(&space, 210), 211);
    touch(at(11), MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(vm_space_discard(&space, virt_addr(BASE), PAGES * PAGE, false), VM_OK);
    assert_int_equal(space.resident, 0);
    assert_int_equal(space.region_bytes, PAGES * PAGE);
    assert_int_equal(vm_space_tables(&space), tables); /* an empty table goes too */
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGES * PAGE), VM_OK);
    assert_int_equal(vm_fixture_free(&vm), before);
}

static void what_is_locked_stays(void **state)
{
    (void)state;
    map_zeros(BASE, 4 * PAGE);
    write_all(4);
    assert_int_equal(vm_space_mark(&space, virt_addr(at(1)), 2 * PAGE, VM_LOCKED, 0), VM_OK);
    assert_int_equal(space.locked_bytes, 2 * PAGE);
    assert_int_equal(space.region_count, 3);
    assert_int_equal(vm_space_discard(&space, virt_addr(BASE), 4 * PAGE, false), VM_OK);
    assert_int_equal(value_at(&space, 0), 0);
    assert_int_equal(value_at(&space, 1), 2);
    assert_int_equal(vm_space_discard(&space, virt_addr(at(2)), PAGE, true), VM_OK);
    assert_int_equal(value_at(&space, 2), 0);
    assert_int_equal(vm_space_mark(&space, virt_addr(BASE), 4 * PAGE, 0, VM_LOCKED), VM_OK);
    assert_int_equal(space.locked_bytes, 0);
    assert_int_equal(space.region_count, 1);
}

static void names_cut_and_join(void **state)
{
    static const char name[] = "a name";
    struct vm_region_facts facts;
    (void)state;
    map((struct vm_request){
        .source = VM_ZERO, .bytes = 4 * PAGE, .access = VM_READ, .address = virt_addr(BASE)});
    assert_int_equal(vm_space_name(&space, virt_addr(at(1)), 2 * PAGE, name), VM_OK);
    assert_int_equal(space.region_count, 3);
    assert_true(vm_space_find(&space, virt_addr(at(2)), &facts));
    assert_ptr_equal(facts.name, name);
    assert_int_equal(facts.bytes, 2 * PAGE);
    assert_int_equal(vm_space_name(&space, virt_addr(BASE), PAGE, name), VM_OK);
    assert_int_equal(space.region_count, 2);
    assert_int_equal(vm_space_name(&space, virt_addr(BASE), 5 * PAGE, NULL), VM_NOT_MAPPED);
    assert_int_equal(vm_space_name(&space, virt_addr(BASE), 0, NULL), VM_EMPTY);
    assert_int_equal(space.region_count, 2);
    assert_int_equal(vm_space_name(&space, virt_addr(BASE), 4 * PAGE, NULL), VM_OK);
    assert_int_equal(space.region_count, 1);
    assert_true(vm_space_find(&space, virt_addr(BASE), &facts));
    assert_string_equal(facts.name, "");
}

static void errors_change_nothing(void **state)
{
    (void)state;
    map_zeros(BASE, 4 * PAGE);
    map((struct vm_request){.source = VM_NOTHING, .bytes = PAGE, .address = virt_addr(at(4))});
    virt_addr_t base = virt_addr(BASE);
    assert_int_equal(vm_space_discard(&space, base, 0, false), VM_EMPTY);
    assert_int_equal(vm_space_discard(&space, virt_add(base, 1), PAGE, false), VM_UNALIGNED);
    assert_int_equal(vm_space_discard(&space, virt_addr(VM_KERNEL), PAGE, false), VM_KERNEL_ADDRESS);
    assert_int_equal(vm_space_mark(&space, base, 0, VM_LOCKED, 0), VM_EMPTY);
    assert_int_equal(vm_space_mark(&space, base, 6 * PAGE, VM_LOCKED, 0), VM_NOT_MAPPED);
    assert_int_equal(vm_space_mark(&space, base, 5 * PAGE, VM_WIPE_ON_FORK, 0), VM_BAD_ACCESS);
    assert_int_equal(vm_space_mark(&space, base, PAGE, VM_MARKS + 1, 0), VM_BAD_ACCESS);
    assert_int_equal(vm_space_mark(&space, base, PAGE, 0, 1U << 9), VM_BAD_ACCESS);
    struct vm_request wiped = zeros_at(BASE + MIB(1), PAGE);
    wiped.marks = VM_MARKS + 1;
    assert_int_equal(try_map(wiped), VM_BAD_ACCESS);
    assert_int_equal(space.region_count, 2);
    assert_int_equal(space.locked_bytes, 0);
}

/* Part of a large page: the rest stays as it was, in small pages; a pinned block is not cut. */
static void a_large_page_is_cut(void **state)
{
    (void)state;
    map((struct vm_request){
        .source = VM_ZERO, .bytes = MIB(2), .address = virt_addr(MIB(64)), .large = true});
    *touch(MIB(64), MMU_WRITE, VM_FAULT_LARGE) = 7;
    phys_addr_t block = page_table_translate(space.table, virt_addr(MIB(64))).target;
    frame_pin(&vm.machine.pool, block);
    assert_int_equal(vm_space_discard(&space, virt_addr(MIB(64) + PAGE), PAGE, false), VM_BUSY);
    frame_unpin(&vm.machine.pool, block);
    assert_int_equal(vm_space_discard(&space, virt_addr(MIB(64) + PAGE), PAGE, false), VM_OK);
    assert_int_equal(space.resident, 511);
    assert_int_equal(*touch(MIB(64), MMU_READ, VM_FAULT_COUNT), 7);
    assert_int_equal(vm_space_discard(&space, virt_addr(MIB(64)), MIB(2), false), VM_OK);
    assert_int_equal(space.resident, 0);
    touch(MIB(64), MMU_WRITE, VM_FAULT_LARGE);
    assert_int_equal(vm_space_discard(&space, virt_addr(MIB(64)), MIB(2), false), VM_OK);
    assert_int_equal(space.resident, 0);
}

/* Another CPU writes to what is being emptied: it finds its own value or zero, and never somebody else's. */
static void write_beside(void)
{
    for (unsigned i = 0; i < 12; i++) {
        enum vm_fault fault;
        uint64_t page = random_next(&random_state) % PAGES;
        uint64_t *memory = vm_touch(&space, at(page), MMU_WRITE, &fault);
        assert_non_null(memory);
        assert_true(*memory == 0 || *memory == page + 1);
        *memory = page + 1;
    }
}

static void faults_beside_emptying(void **state)
{
    (void)state;
    map_zeros(BASE, PAGES * PAGE);
    for (unsigned round = 0; round < 20; round++) {
        write_all(PAGES);
        BETWEEN(write_beside, vm_space_discard(&space, virt_addr(BASE), PAGES * PAGE, false));
        assert_true(space.resident < PAGES); /* what was touched meanwhile may stay, no more */
        assert_int_equal(vm_space_discard(&space, virt_addr(BASE), PAGES * PAGE, false), VM_OK);
        assert_int_equal(space.resident, 0);
    }
}

/* ---- Children ---- */

static void marks_say_what_a_child_gets(void **state)
{
    (void)state;
    map_zeros(BASE, PAGES * PAGE);
    write_all(PAGES);
    assert_int_equal(vm_space_mark(&space, virt_addr(at(10)), 5 * PAGE, VM_NO_FORK, 0), VM_OK);
    assert_int_equal(vm_space_mark(&space, virt_addr(at(20)), 5 * PAGE, VM_WIPE_ON_FORK, 0), VM_OK);
    assert_int_equal(vm_space_mark(&space, virt_addr(at(30)), 5 * PAGE, VM_LOCKED, 0), VM_OK);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    touch_in(&child, at(12), MMU_READ, VM_FAULT_NO_REGION);
    assert_int_equal(value_at(&child, 9), 10);
    assert_int_equal(value_at(&child, 22), 0);
    assert_int_equal(value_at(&child, 32), 33);
    assert_int_equal(child.locked_bytes, 0);
    assert_int_equal(child.data_bytes, (PAGES - 5) * PAGE);
    assert_int_equal(space.locked_bytes, 5 * PAGE);
    assert_int_equal(value_at(&space, 12), 13);
    assert_int_equal(value_at(&space, 22), 23);
    vm_fixture_check(&vm);
    vm_fixture_drop(&child);
}

/* A fork beside which the parent's pages are written: what is wiped is zero in the child at any moment. */
static void fork_beside_wiping(void **state)
{
    (void)state;
    map_zeros(BASE, PAGES * PAGE);
    write_all(PAGES);
    assert_int_equal(vm_space_mark(&space, virt_addr(at(100)), 100 * PAGE, VM_WIPE_ON_FORK, 0), VM_OK);
    BETWEEN(write_beside, vm_space_clone(&space, &child, "child"));
    vm_fixture_add(&child);
    for (uint64_t i = 0; i < PAGES; i++) {
        assert_int_equal(value_at(&child, i), i >= 100 && i < 200 ? 0 : i + 1);
        assert_int_equal(value_at(&space, i), i + 1);
    }
    vm_fixture_drop(&child);
}

/* ---- Taken back ---- */

static void map_file(bool shared)
{
    test_pager_start(&pager, &vm);
    map((struct vm_request){.source = VM_PAGER,
                            .bytes = PAGER_PAGES * PAGE,
                            .pager = &pager.pager,
                            .shared = shared,
                            .around = 8});
}

static void unmap_file(void)
{
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGER_PAGES * PAGE), VM_OK);
    test_pager_stop(&pager);
}

static void what_a_pager_takes_back_nobody_shows(void **state)
{
    (void)state;
    map_file(true);
    for (uint64_t i = 0; i < PAGER_PAGES; i++) {
        assert_int_equal(value_at(&space, i), i);
    }
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(child.resident, PAGER_PAGES);
    vm_pager_revoke(&pager.pager, 4 * PAGE, UINT64_MAX, true);
    assert_int_equal(space.resident, 4);
    assert_int_equal(child.resident, 4);
    for (uint64_t i = 4; i < PAGER_PAGES; i++) {
        assert_int_equal(frame_descriptor_users(frame_descriptor(&vm.machine.pool, pager.cache[i])), 1);
    }
    vm_fixture_drop(&child);
    unmap_file();
}

static void copies_stay_or_go_as_is_said(void **state)
{
    (void)state;
    map_file(false);
    (void)value_at(&space, 3);
    (void)value_at(&space, 2);
    *touch(at(1), MMU_WRITE, VM_FAULT_PAGED) = 100;
    *touch(at(2), MMU_WRITE, VM_FAULT_COPIED) = 200;
    uint64_t resident = space.resident;
    vm_pager_revoke(&pager.pager, 0, 8 * PAGE, false);
    assert_int_equal(space.resident, 2);
    assert_true(resident > 2);
    assert_int_equal(value_at(&space, 1), 100);
    vm_pager_revoke(&pager.pager, 2 * PAGE, PAGE, true);
    assert_int_equal(value_at(&space, 2), 2);
    assert_int_equal(value_at(&space, 1), 100);
    unmap_file();
}

/* The pager gives a page, and parts from it while it is on its way into the table. */
static phys_addr_t get_and_part(struct vm_pager *base, uint64_t offset, bool wait)
{
    phys_addr_t given = test_pager_get(base, offset, wait);
    base->get = test_pager_get;
    frame_put(pager.frames, pager.cache[0]); /* the file's reference */
    pager.cache[0] = FRAME_NONE;
    vm_pager_revoke(base, 0, PAGE, true);
    phys_addr_t next = test_pager_get(base, 0, true);
    *(uint64_t *)frame_pointer(pager.frames, next) = 77;
    frame_put(pager.frames, next); /* the cache has a reference of its own */
    return given;
}

static void a_page_on_its_way_is_asked_for_again(void **state)
{
    (void)state;
    map_file(true);
    pager.pager.get = get_and_part;
    assert_int_equal(*touch(at(0), MMU_READ, VM_FAULT_PAGED), 77);
    unmap_file();
}

/* ---- Looked at ---- */

static void residency(void **state)
{
    (void)state;
    uint8_t present[VM_RESIDENCY_PAGES];
    map_file(true);
    (void)value_at(&space, 0);
    assert_int_equal(vm_space_discard(&space, virt_addr(BASE), PAGER_PAGES * PAGE, false), VM_OK);
    map_zeros(at(PAGER_PAGES), 3 * PAGE);
    touch(at(PAGER_PAGES + 1), MMU_READ, VM_FAULT_ZERO_READ);
    touch(at(PAGER_PAGES + 2), MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(vm_space_protect(&space, virt_addr(at(PAGER_PAGES + 2)), PAGE, VM_NONE), VM_OK);
    assert_int_equal(vm_space_residency(&space, virt_addr(BASE), VM_RESIDENCY_PAGES, present),
                     PAGER_PAGES + 3);
    assert_int_equal(present[0], 1); /* no table shows it any more, but the pager has it */
    assert_int_equal(present[1], 0);
    assert_int_equal(present[PAGER_PAGES], 0);
    assert_int_equal(present[PAGER_PAGES + 1], 1);
    assert_int_equal(present[PAGER_PAGES + 2], 1);
    assert_int_equal(vm_space_residency(&space, virt_addr(BASE - PAGE), 2, present), 0);
    unmap_file();
}

static void contents_end_at_a_page_and_obey_its_access(void **state)
{
    (void)state;
    char buffer[32] = "contents";
    map_zeros(BASE, 2 * PAGE);
    assert_int_equal(vm_space_write(&space, virt_addr(at(1) - 8), buffer, sizeof buffer), 8);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_READ), VM_OK);
    assert_int_equal(vm_space_write(&space, virt_addr(BASE), buffer, 1), 0);
    assert_int_equal(vm_space_read(&space, virt_addr(at(1) - 8), buffer + 16, 16), 8);
    assert_memory_equal(buffer, buffer + 16, 8);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_NONE), VM_OK);
    assert_int_equal(vm_space_read(&space, virt_addr(BASE), buffer, 1), 0);
    assert_int_equal(vm_space_read(&space, virt_addr(at(2)), buffer, 1), 0);
    assert_int_equal(vm_space_read(&space, virt_addr(VM_KERNEL), buffer, 1), 0);
}

/* Whoever shares the page sees what is written, and who had a copy of it does not. */
static void what_is_written_goes_where_the_program_would(void **state)
{
    (void)state;
    uint64_t value = 9;
    map_zeros(BASE, PAGE);
    write_all(1);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(vm_space_write(&child, virt_addr(BASE), &value, sizeof value), sizeof value);
    assert_int_equal(value_at(&space, 0), 1);
    assert_int_equal(value_at(&child, 0), 9);
    vm_fixture_drop(&child);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    map_file(true);
    assert_int_equal(vm_space_write(&space, virt_addr(at(3)), &value, sizeof value), sizeof value);
    assert_int_equal(vm_space_sync(&space, virt_addr(BASE), PAGER_PAGES * PAGE), VM_OK);
    assert_int_equal(pager.dirtied[3], 1);
    unmap_file();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_emptied_is_zero_again_and_its_frames_are_back),
        TEST(what_is_locked_stays),
        TEST(names_cut_and_join),
        TEST(errors_change_nothing),
        TEST(a_large_page_is_cut),
        BETWEEN_TEST(faults_beside_emptying),
        TEST(marks_say_what_a_child_gets),
        BETWEEN_TEST(fork_beside_wiping),
        TEST(what_a_pager_takes_back_nobody_shows),
        TEST(copies_stay_or_go_as_is_said),
        TEST(a_page_on_its_way_is_asked_for_again),
        TEST(residency),
        TEST(contents_end_at_a_page_and_obey_its_access),
        TEST(what_is_written_goes_where_the_program_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Page faults, kind by kind. Accesses go through the model of the MMU. */
#include "steps.h"

#include <string.h>

/* ---- Zeros ---- */

static void reading_zeros_costs_nothing(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE});
    assert_int_equal(*touch(BASE + PAGE, MMU_READ, VM_FAULT_ZERO_READ), 0);
    touch(BASE + PAGE + 8, MMU_READ, VM_FAULT_COUNT);
    assert_int_equal(*touch(BASE + 2 * PAGE, MMU_READ, VM_FAULT_ZERO_READ), 0);
    assert_int_equal(counts_of(&space).resident, 0);
    assert_int_equal(counts_of(&space).zero, 2);
    uint64_t *memory = touch(BASE + PAGE, MMU_WRITE, VM_FAULT_ZERO);
    memory[1] = 7;
    assert_int_equal(touch(BASE + PAGE, MMU_READ, VM_FAULT_COUNT)[1], 7);
    assert_int_equal(*touch(BASE + 2 * PAGE, MMU_READ, VM_FAULT_COUNT), 0);
    assert_int_equal(space.resident, 1);
    assert_int_equal(*touch(BASE, MMU_WRITE, VM_FAULT_ZERO), 0);
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE), VM_WRITE), VM_FAULT_SPURIOUS);
    assert_int_equal(space.faults[VM_FAULT_ZERO], 2);
}

static void errors_have_names(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = PAGE, .access = VM_READ, .guard = PAGE});
    map((struct vm_request){.source = VM_NOTHING, .bytes = PAGE, .address = virt_addr(BASE + PAGE)});
    touch(BASE, MMU_WRITE, VM_FAULT_DENIED);
    touch(BASE, MMU_EXECUTE, VM_FAULT_DENIED);
    touch(BASE - 1, MMU_READ, VM_FAULT_GUARD);
    touch(BASE - PAGE, MMU_WRITE, VM_FAULT_GUARD);
    touch(BASE - PAGE - 1, MMU_READ, VM_FAULT_NO_REGION);
    touch(BASE + PAGE, MMU_READ, VM_FAULT_RESERVED);
    touch(BASE + 2 * PAGE, MMU_READ, VM_FAULT_NO_REGION);
    assert_int_equal(vm_space_fault(&space, virt_addr(0), VM_READ), VM_FAULT_NO_REGION);
    assert_int_equal(vm_space_fault(&space, virt_addr(UINT64_MAX), VM_WRITE), VM_FAULT_NO_REGION);
    assert_int_equal(vm_space_fault(&space, virt_addr(1ULL << 50), VM_WRITE), VM_FAULT_NO_REGION);
    for (unsigned i = 0; i <= VM_FAULT_COUNT; i++) {
        assert_int_equal(strcmp(vm_fault_name((enum vm_fault)i), "unknown") == 0, i == VM_FAULT_COUNT);
    }
    for (unsigned i = 0; i <= VM_ERROR_COUNT; i++) {
        assert_int_equal(strcmp(vm_error_name((enum vm_error)i), "unknown") == 0, i == VM_ERROR_COUNT);
    }
}

static void neighbours_are_filled_when_asked(void **state)
{
    (void)state;
    map((struct vm_request){
        .source = VM_ZERO, .bytes = 40 * PAGE, .around = 16, .address = virt_addr(BASE + 3 * PAGE)});
    touch(BASE + 20 * PAGE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(space.resident, 16);
    touch(BASE + 16 * PAGE, MMU_WRITE, VM_FAULT_COUNT);
    touch(BASE + 31 * PAGE, MMU_WRITE, VM_FAULT_COUNT);
    touch(BASE + 32 * PAGE, MMU_READ, VM_FAULT_ZERO_READ);
    assert_int_equal(counts_of(&space).zero, 11); /* the region ends there */
    touch(BASE + 5 * PAGE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(space.resident, 16 + 13); /* the region begins there */
}

/* What nobody has touched is not marked so; what is there already is left alone. */
static void neighbours_have_not_been_touched(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = 16 * PAGE, .around = 16});
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE + 3 * PAGE), VM_WRITE), VM_FAULT_ZERO);
    for (uint64_t i = 0; i < 16; i++) {
        page_table_entry_t leaf = page_table_translate(space.table, virt_addr(BASE + i * PAGE)).leaf;
        assert_int_equal(page_entry_accessed(leaf), i == 3);
        assert_int_equal(page_entry_dirty(leaf), i == 3);
    }
    uint64_t *memory = touch(BASE + 4 * PAGE, MMU_WRITE, VM_FAULT_COUNT);
    *memory = 4;
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 3 * PAGE), PAGE), VM_OK);
    struct vm_request gap = zeros_at(BASE + 3 * PAGE, PAGE);
    gap.around = 16;
    gap.name = NULL;
    assert_int_equal(try_map(gap), VM_OK); /* one region again */
    assert_int_equal(space.region_count, 1);
    touch(BASE + 3 * PAGE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(space.resident, 16);
    assert_int_equal(*touch(BASE + 4 * PAGE, MMU_READ, VM_FAULT_COUNT), 4);
    /* The zero page read, then replaced, entry by entry. */
    map((struct vm_request){.source = VM_ZERO, .bytes = 4 * PAGE, .around = 4, .address = virt_addr(MIB(8))});
    touch(MIB(8), MMU_READ, VM_FAULT_ZERO_READ);
    mmu_model_fill();
    touch(MIB(8) + PAGE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(counts_of(&space).zero, 3);
}

static void a_stack_grows_to_its_limit(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_STACK, .bytes = 16 * PAGE, .guard = 4 * PAGE});
    for (uint64_t page = 16; page-- > 0;) {
        touch(BASE + page * PAGE + 100, MMU_WRITE, VM_FAULT_STACK);
    }
    touch(BASE - 1, MMU_WRITE, VM_FAULT_STACK_LIMIT);
    touch(BASE - 4 * PAGE, MMU_WRITE, VM_FAULT_STACK_LIMIT);
    touch(BASE - 4 * PAGE - 1, MMU_WRITE, VM_FAULT_NO_REGION);
    struct vm_request in_guard = {
        .source = VM_ZERO, .bytes = PAGE, .access = RW, .fixed = true, .address = virt_addr(BASE - PAGE)};
    virt_addr_t address;
    assert_int_equal(vm_space_map(&space, &in_guard, &address), VM_OVERLAP);
}

/* ---- 2 MiB ---- */

static void large_pages(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(7), .large = true, .address = virt_addr(MIB(3))});
    *touch(MIB(5) + 8, MMU_READ, VM_FAULT_LARGE) = 0;
    assert_int_equal(counts_of(&space).large, 512);
    *touch(MIB(4) + 17 * PAGE, MMU_WRITE, VM_FAULT_COUNT) = 17;
    touch(MIB(3), MMU_WRITE, VM_FAULT_ZERO); /* the 2 MiB around it do not lie in the region */
    struct vm_look look;
    struct vm_place place;
    vm_space_look(&space, virt_addr(MIB(4) + 17 * PAGE), &look);
    assert_int_equal(look.references, 1);
    assert_int_equal(vm_frame_places(&vm.manager, look.mapped.target, &place, 1), 1);
    assert_int_equal(place.address.raw, MIB(4) + 17 * PAGE);
    /* Cut in the middle: 512 frames of their own, the ones unmapped go. */
    assert_int_equal(vm_space_unmap(&space, virt_addr(MIB(5)), 10 * PAGE), VM_OK);
    vm_fixture_check(&vm);
    assert_int_equal(space.resident, 1 + 512 - 10);
    assert_int_equal(*touch(MIB(4) + 17 * PAGE, MMU_WRITE, VM_FAULT_COUNT), 17);
    touch(MIB(5), MMU_READ, VM_FAULT_NO_REGION);
    /* Protecting a whole one keeps it whole. */
    *touch(MIB(7), MMU_WRITE, VM_FAULT_LARGE) = 9;
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(6)), MIB(2), VM_READ), VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(6)), MIB(2), RW), VM_OK);
    assert_int_equal(*touch(MIB(7), MMU_WRITE, VM_FAULT_REUSED), 9);
    assert_int_equal(counts_of(&space).large, 512);
}

static void a_small_page_does_where_there_is_no_large_one(void **state)
{
    (void)state;
    static phys_addr_t hoard[20];
    unsigned count = 0;
    struct frame_request request = {.frames = 512, .owner = OWNER_TEST};
    while (frame_alloc_request(&vm.machine.pool, &request, &hoard[count]) == FRAME_OK) {
        count++;
    }
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(2), .large = true});
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    while (count-- > 0) {
        frame_free(&vm.machine.pool, hoard[count], FRAME_ORDER_2M);
    }
    touch(BASE + PAGE, MMU_WRITE, VM_FAULT_ZERO); /* now a table is in the way */
}

/* ---- Given memory ---- */

/* The classic: any virtual address on any frame; written through one, read through the other. */
static void deadbeef(void **state)
{
    (void)state;
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    uint64_t *physmap = frame_pointer(&vm.machine.pool, frame);
    struct vm_place places[4];
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    map((struct vm_request){
        .source = VM_FRAMES, .bytes = PAGE, .frames = &frame, .address = virt_addr(0xdeadbeef000)});
    *touch(0xdeadbeef018, MMU_WRITE, VM_FAULT_COUNT) = 0x0123456789abcdef;
    assert_int_equal(physmap[3], 0x0123456789abcdef);
    physmap[4] = 5;
    assert_int_equal(*touch(0xdeadbeef020, MMU_READ, VM_FAULT_COUNT), 5);
    assert_int_equal(vm_frame_places(&vm.manager, frame, places, 4), 1);
    assert_int_equal(places[0].address.raw, 0xdeadbeef000);
    assert_true(vm_space_has_given(&space, virt_addr(0xdeadbeef000), frame, true));
    assert_false(vm_space_has_given(&space, virt_addr(BASE), frame, true));
    /* A second page for the same frame, and a third in another space. */
    struct vm_space other;
    vm_fixture_space(&vm, &other, "other");
    map((struct vm_request){.source = VM_FRAMES, .bytes = PAGE, .frames = &frame});
    map_in(&other, (struct vm_request){.source = VM_FRAMES,
                                       .bytes = PAGE,
                                       .frames = &frame,
                                       .access = VM_READ,
                                       .address = virt_addr(BASE)});
    assert_int_equal(touch(BASE, MMU_READ, VM_FAULT_COUNT)[4], 5);
    assert_int_equal(touch_in(&other, BASE, MMU_READ, VM_FAULT_COUNT)[4], 5);
    touch_in(&other, BASE, MMU_WRITE, VM_FAULT_DENIED);
    assert_int_equal(vm_frame_places(&vm.manager, frame, places, 4), 3);
    assert_true(vm_space_has_given(&space, virt_addr(0xdeadbeef000), frame, true));
    assert_true(vm_space_has_given(&space, virt_addr(BASE), frame, true));
    assert_true(vm_space_has_given(&other, virt_addr(BASE), frame, true));
    assert_false(vm_space_has_given(&other, virt_addr(0xdeadbeef000), frame, true));
    assert_false(vm_space_has_given(&space, virt_addr(BASE), space.own.root, false));
    assert_false(vm_space_has_given(&space, virt_addr(BASE), phys_addr(TIB(8)), false));
    assert_true(vm_space_has_given(&space, virt_addr(BASE), vm.manager.zero_frame, false));
    assert_false(vm_space_has_given(&space, virt_addr(BASE), vm.manager.zero_frame, true));
    vm_fixture_drop(&other);
    assert_int_equal(vm_space_unmap(&space, virt_addr(0xdeadbeef000), PAGE), VM_OK);
    assert_int_equal(vm_frame_places(&vm.manager, frame, places, 4), 1);
    assert_int_equal(places[0].address.raw, BASE);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    assert_int_equal(vm_frame_places(&vm.manager, frame, places, 4), 0);
    frame_free(&vm.machine.pool, frame, 0); /* the last reference is ours */
}

static void frames_that_spaces_do_not_show(void **state)
{
    (void)state;
    struct vm_place place;
    for (uint64_t at = 0; at < MIB(25); at += PAGE) {
        assert_int_equal(vm_frame_places(&vm.manager, phys_addr(at), &place, 1), 0);
    }
}

/* ---- Pagers ---- */

static void pages_of_a_pager(void **state)
{
    (void)state;
    struct test_pager pager;
    test_pager_start(&pager, &vm);
    map((struct vm_request){
        .source = VM_PAGER, .bytes = 8 * PAGE, .pager = &pager.pager, .offset = 2 * PAGE});
    map((struct vm_request){.source = VM_PAGER,
                            .bytes = 8 * PAGE,
                            .pager = &pager.pager,
                            .shared = true,
                            .address = virt_addr(MIB(8))});
    assert_int_equal(*touch(BASE + PAGE, MMU_READ, VM_FAULT_PAGED), 3);
    /* Written through the shared region: seen through the private one, until that writes itself. */
    touch(MIB(8) + 3 * PAGE, MMU_WRITE, VM_FAULT_PAGED)[1] = 33;
    assert_int_equal(touch(BASE + PAGE, MMU_READ, VM_FAULT_COUNT)[1], 33);
    touch(BASE + PAGE, MMU_WRITE, VM_FAULT_COPIED)[1] = 44;
    assert_int_equal(touch(MIB(8) + 3 * PAGE, MMU_READ, VM_FAULT_COUNT)[1], 33);
    assert_int_equal(*touch(BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_PAGED), 4); /* copied at once */
    assert_int_equal(pager.pager.references, 3);
    assert_int_equal(vm_space_sync(&space, virt_addr(MIB(8)), 8 * PAGE), VM_OK);
    assert_int_equal(pager.dirtied[3], 1);
    assert_int_equal(vm_space_sync(&space, virt_addr(MIB(8)), 8 * PAGE), VM_OK);
    assert_int_equal(pager.dirtied[3], 1);
    touch(MIB(8) + 3 * PAGE, MMU_WRITE, VM_FAULT_COUNT)[1] = 34;
    assert_int_equal(vm_space_unmap(&space, virt_addr(MIB(8) + 2 * PAGE), 2 * PAGE), VM_OK);
    assert_int_equal(pager.dirtied[3], 2);
    assert_int_equal(pager.dirtied[4], 0);
    pager.failing = true;
    touch(BASE, MMU_READ, VM_FAULT_PAGER_FAILED);
    pager.failing = false;
    assert_int_equal(*touch(BASE, MMU_READ, VM_FAULT_PAGED), 2);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), MIB(16)), VM_OK);
    test_pager_stop(&pager);
}

static void a_pager_that_keeps_nothing(void **state)
{
    (void)state;
    struct test_pager pager;
    test_pager_start(&pager, &vm);
    pager.keeps = false;
    map((struct vm_request){.source = VM_PAGER, .bytes = 4 * PAGE, .pager = &pager.pager});
    assert_int_equal(*touch(BASE + PAGE, MMU_READ, VM_FAULT_PAGED), 1);
    touch(BASE + PAGE, MMU_WRITE, VM_FAULT_REUSED); /* nobody else has the frame */
    assert_int_equal(*touch(BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_PAGED), 2);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), 4 * PAGE), VM_OK);
    test_pager_stop(&pager);
}

static void neighbours_that_the_pager_has(void **state)
{
    (void)state;
    struct test_pager pager;
    test_pager_start(&pager, &vm);
    map((struct vm_request){.source = VM_PAGER, .bytes = 8 * PAGE, .pager = &pager.pager, .around = 8});
    touch(BASE, MMU_READ, VM_FAULT_PAGED);
    assert_int_equal(space.resident, 1);
    touch(BASE + 3 * PAGE, MMU_READ, VM_FAULT_PAGED);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    map((struct vm_request){.source = VM_PAGER,
                            .bytes = 8 * PAGE,
                            .pager = &pager.pager,
                            .around = 8,
                            .address = virt_addr(MIB(8))});
    touch(MIB(8) + 3 * PAGE, MMU_READ, VM_FAULT_PAGED);
    assert_int_equal(space.resident, 1 + 2); /* page 0 is at hand, the others are not */
    touch(MIB(8), MMU_READ, VM_FAULT_COUNT);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), MIB(16)), VM_OK);
    test_pager_stop(&pager);
}

/* While the pager works, the space changes: the fault must look again. */
static void unmap_meanwhile(struct test_pager *pager)
{
    pager->before_get = NULL;
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), 8 * PAGE), VM_OK);
}

static void replace_meanwhile(struct test_pager *pager)
{
    unmap_meanwhile(pager);
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(2), .large = true});
}

static void shift_meanwhile(struct test_pager *pager)
{
    unmap_meanwhile(pager);
    map((struct vm_request){
        .source = VM_PAGER, .bytes = 8 * PAGE, .pager = &pager->pager, .offset = 9 * PAGE});
}

static void fault_meanwhile(struct test_pager *pager)
{
    pager->before_get = NULL;
    enum vm_fault fault;
    vm_touch(&space, BASE, MMU_READ, &fault);
    assert_int_equal(fault, VM_FAULT_PAGED);
}

static void the_space_changes_while_a_pager_works(void **state)
{
    (void)state;
    static const struct {
        void (*meanwhile)(struct test_pager *pager);
        enum vm_fault expected;
    } cases[] = {{unmap_meanwhile, VM_FAULT_NO_REGION},
                 {replace_meanwhile, VM_FAULT_LARGE},
                 {shift_meanwhile, VM_FAULT_PAGED},
                 {fault_meanwhile, VM_FAULT_SPURIOUS}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct test_pager pager;
        test_pager_start(&pager, &vm);
        map((struct vm_request){.source = VM_PAGER, .bytes = 8 * PAGE, .pager = &pager.pager});
        pager.before_get = cases[i].meanwhile;
        uint64_t *memory = touch(BASE, MMU_READ, cases[i].expected);
        if (cases[i].meanwhile == shift_meanwhile) {
            assert_int_equal(*memory, 9);
        }
        assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), MIB(2)), VM_OK);
        test_pager_stop(&pager);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reading_zeros_costs_nothing),
        TEST(errors_have_names),
        TEST(neighbours_are_filled_when_asked),
        TEST(neighbours_have_not_been_touched),
        TEST(a_stack_grows_to_its_limit),
        TEST(large_pages),
        TEST(a_small_page_does_where_there_is_no_large_one),
        TEST(deadbeef),
        TEST(frames_that_spaces_do_not_show),
        TEST(pages_of_a_pager),
        TEST(a_pager_that_keeps_nothing),
        TEST(neighbours_that_the_pager_has),
        TEST(the_space_changes_while_a_pager_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

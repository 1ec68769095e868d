/* Pages of regions that allow nothing: absent for everybody, the kernel included, and yet kept. */
#include "steps.h"

/* Not even the kernel reaches the page, but all that asks about it does. */
static void expect_inaccessible(struct vm_space *in, uint64_t address)
{
    uint64_t target;
    struct vm_look look;
    struct vm_place place;
    for (enum mmu_use use = MMU_READ; use <= MMU_EXECUTE; use++) {
        assert_int_equal(mmu_model_access(in->table, address, use, false, &target), MMU_NOT_PRESENT);
    }
    vm_space_look(in, virt_addr(address), &look);
    assert_true(look.mapped.mapped);
    assert_int_equal(look.mapped.access, PAGE_INACCESSIBLE);
    assert_true(vm_frame_places(&vm.manager, look.mapped.target, &place, 1) >= 1);
}

/* Hiding a page and all that can be done with one that is inaccessible. */
static void inaccessible_pages_are_pages(void **state)
{
    (void)state;
    struct vm_space child;
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE});
    for (uint64_t i = 0; i < 4; i++) {
        *touch(BASE + i * PAGE, MMU_WRITE, VM_FAULT_ZERO) = 10 + i;
    }
    mmu_model_fill();
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 8 * PAGE, VM_NONE), VM_OK);
    mmu_model_check();
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    expect_inaccessible(&child, BASE);
    assert_int_equal(child.resident, 4);
    assert_int_equal(counts_of(&child).shared, 4);
    vm_fixture_check(&vm);
    assert_int_equal(vm_space_copy(&space, virt_addr(MIB(8)), &space, virt_addr(BASE), 4 * PAGE), VM_OK);
    expect_inaccessible(&space, MIB(8) + PAGE);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 2 * PAGE), PAGE), VM_OK);
    assert_int_equal(space.resident, 3 + 4);
    vm_fixture_check(&vm);
    assert_int_equal(vm_space_protect(&child, virt_addr(BASE), 8 * PAGE, RW), VM_OK);
    assert_int_equal(*touch_in(&child, BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_COPIED), 12);
    assert_int_equal(*touch_in(&child, BASE + PAGE, MMU_READ, VM_FAULT_COUNT), 11);
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(8)), 4 * PAGE, VM_READ), VM_OK);
    assert_int_equal(*touch(MIB(8) + 2 * PAGE, MMU_READ, VM_FAULT_COUNT), 12);
    vm_fixture_drop(&child);
    vm_fixture_check(&vm);
}

static void inaccessible_large_pages_are_pages(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(4), .large = true});
    *touch(BASE + 5 * PAGE, MMU_WRITE, VM_FAULT_LARGE) = 5;
    *touch(BASE + MIB(2) + 6 * PAGE, MMU_WRITE, VM_FAULT_LARGE) = 6;
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), MIB(4), VM_NONE), VM_OK);
    expect_inaccessible(&space, BASE + 5 * PAGE);
    assert_int_equal(counts_of(&space).large, 1024);
    struct page_table_problem problem;
    assert_true(page_table_check(&space.own, &problem));
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK); /* the 2 MiB page is cut */
    expect_inaccessible(&space, BASE + 5 * PAGE);
    assert_int_equal(space.resident, 1023);
    vm_fixture_check(&vm);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + PAGE), MIB(4) - PAGE, RW), VM_OK);
    assert_int_equal(*touch(BASE + 5 * PAGE, MMU_READ, VM_FAULT_COUNT), 5);
    assert_int_equal(*touch(BASE + MIB(2) + 6 * PAGE, MMU_READ, VM_FAULT_COUNT), 6);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + MIB(2)), MIB(2), VM_NONE), VM_OK);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), MIB(4)), VM_OK);
    assert_int_equal(space.resident, 0);
}

/* Frames, devices and pagers' pages that are inaccessible to the start, or later. */
static void inaccessible_pages_of_every_source(void **state)
{
    (void)state;
    struct test_pager pager;
    test_pager_start(&pager, &vm);
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    struct vm_request frames = {.source = VM_FRAMES,
                                .bytes = PAGE,
                                .frames = &frame,
                                .access = VM_NONE,
                                .fixed = true,
                                .address = virt_addr(BASE)};
    assert_int_equal(try_map(frames), VM_OK);
    expect_inaccessible(&space, BASE);
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = PAGE,
                            .target = phys_addr(GIB(2)),
                            .cache = CACHE_UNCACHED,
                            .address = virt_addr(MIB(8))});
    map((struct vm_request){.source = VM_PAGER,
                            .bytes = PAGE,
                            .pager = &pager.pager,
                            .shared = true,
                            .address = virt_addr(MIB(16))});
    touch(MIB(16), MMU_WRITE, VM_FAULT_PAGED);
    assert_int_equal(vm_space_fault(&space, virt_addr(MIB(8)), VM_READ), VM_FAULT_DEVICE);
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(8)), PAGE, VM_NONE), VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(16)), PAGE, VM_NONE), VM_OK);
    vm_fixture_check(&vm);
    expect_inaccessible(&space, MIB(8));
    assert_int_equal(counts_of(&space).device, 1);
    assert_int_equal(vm_space_sync(&space, virt_addr(MIB(16)), PAGE), VM_OK);
    assert_int_equal(pager.dirtied[0], 1);
    expect_inaccessible(&space, MIB(16));
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, RW), VM_OK);
    touch(BASE, MMU_WRITE, VM_FAULT_COUNT);
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(8)), PAGE, VM_READ), VM_OK);
    assert_int_equal(page_table_translate(space.table, virt_addr(MIB(8))).cache, CACHE_UNCACHED);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), MIB(16)), VM_OK);
    assert_int_equal(pager.dirtied[0], 1); /* not written since */
    test_pager_stop(&pager);
    frame_free(&vm.machine.pool, frame, 0);
}

static void the_kernels_pages_can_be_inaccessible(void **state)
{
    (void)state;
    struct vm_space kernel;
    vm_fixture_kernel_space(&vm, &kernel);
    map_in(&kernel, (struct vm_request){
                        .source = VM_ZERO, .bytes = 2 * PAGE, .access = RW, .address = virt_addr(VM_KERNEL)});
    *touch_in(&kernel, VM_KERNEL, MMU_WRITE, VM_FAULT_ZERO) = 7;
    mmu_model_fill();
    assert_int_equal(vm_space_protect(&kernel, virt_addr(VM_KERNEL), PAGE, VM_NONE), VM_OK);
    mmu_model_check();
    touch_in(&kernel, VM_KERNEL, MMU_READ, VM_FAULT_DENIED);
    expect_inaccessible(&kernel, VM_KERNEL);
    assert_int_equal(vm_space_protect(&kernel, virt_addr(VM_KERNEL), PAGE, RW), VM_OK);
    assert_int_equal(*touch_in(&kernel, VM_KERNEL, MMU_READ, VM_FAULT_COUNT), 7);
    vm_fixture_drop(&kernel);
}

static void inaccessible_pages_keep_their_contents(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = 2 * PAGE});
    *touch(BASE, MMU_WRITE, VM_FAULT_ZERO) = 42;
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_NONE), VM_OK);
    touch(BASE, MMU_READ, VM_FAULT_DENIED);
    expect_inaccessible(&space, BASE);
    assert_int_equal(space.resident, 1);
    assert_int_equal(counts_of(&space).resident, 1);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_READ), VM_OK);
    assert_int_equal(*touch(BASE, MMU_READ, VM_FAULT_COUNT), 42);
    touch(BASE, MMU_WRITE, VM_FAULT_DENIED);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, RW), VM_OK);
    assert_int_equal(*touch(BASE, MMU_WRITE, VM_FAULT_REUSED), 42);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_READ | VM_EXECUTE), VM_OK);
    touch(BASE, MMU_EXECUTE, VM_FAULT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inaccessible_pages_keep_their_contents), TEST(inaccessible_pages_are_pages),
        TEST(inaccessible_large_pages_are_pages),     TEST(inaccessible_pages_of_every_source),
        TEST(the_kernels_pages_can_be_inaccessible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fork, copies, and spaces over the kernel's tables. Accesses go through the model of the MMU. */
#include "tests/host/heap/guard_fixture.h"

#include "steps.h"

/* ---- Copy-on-write ---- */

static void a_fork_shares_until_somebody_writes(void **state)
{
    (void)state;
    struct vm_space child;
    struct vm_space grandchild;
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE, .guard = PAGE});
    for (uint64_t page = 0; page < 3; page++) {
        *touch(BASE + page * PAGE, MMU_WRITE, VM_FAULT_ZERO) = 100 + page;
    }
    touch(BASE + 3 * PAGE, MMU_READ, VM_FAULT_ZERO_READ);
    mmu_model_fill();
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    mmu_model_check();
    vm_fixture_add(&child);
    assert_int_equal(counts_of(&space).shared, 3);
    assert_int_equal(child.resident, 3);
    assert_int_equal(*touch_in(&child, BASE, MMU_READ, VM_FAULT_COUNT), 100);
    *touch_in(&child, BASE, MMU_WRITE, VM_FAULT_COPIED) = 200;
    assert_int_equal(*touch(BASE, MMU_WRITE, VM_FAULT_REUSED), 100); /* the last user: in place */
    assert_int_equal(*touch_in(&child, BASE, MMU_READ, VM_FAULT_COUNT), 200);
    touch_in(&child, BASE + 3 * PAGE, MMU_WRITE, VM_FAULT_ZERO);
    touch_in(&child, BASE - 1, MMU_READ, VM_FAULT_GUARD);
    mmu_model_fill();
    assert_int_equal(vm_space_clone(&child, &grandchild, "grandchild"), VM_OK);
    mmu_model_check();
    vm_fixture_add(&grandchild);
    struct vm_look look;
    vm_space_look(&child, virt_addr(BASE + PAGE), &look);
    assert_int_equal(look.references, 3);
    struct vm_place places[3];
    assert_int_equal(vm_frame_places(&vm.manager, look.mapped.target, places, 3), 3);
    *touch_in(&grandchild, BASE + PAGE, MMU_WRITE, VM_FAULT_COPIED) = 301;
    assert_int_equal(*touch(BASE + PAGE, MMU_WRITE, VM_FAULT_COPIED), 101);
    assert_int_equal(*touch_in(&child, BASE + PAGE, MMU_WRITE, VM_FAULT_REUSED), 101);
    vm_fixture_drop(&child);
    vm_fixture_check(&vm);
    assert_int_equal(*touch_in(&grandchild, BASE + 2 * PAGE, MMU_READ, VM_FAULT_COUNT), 102);
    vm_fixture_drop(&grandchild);
    assert_int_equal(*touch(BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_REUSED), 102);
    assert_int_equal(vm_frame_places(&vm.manager, look.mapped.target, places, 3), 0);
}

static void a_fork_splits_large_pages(void **state)
{
    (void)state;
    struct vm_space child;
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(4), .large = true});
    *touch(BASE + 5 * PAGE, MMU_WRITE, VM_FAULT_LARGE) = 5;
    mmu_model_fill();
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    mmu_model_check();
    vm_fixture_add(&child);
    vm_fixture_check(&vm);
    assert_int_equal(counts_of(&space).shared, 512);
    *touch_in(&child, BASE + 5 * PAGE, MMU_WRITE, VM_FAULT_COPIED) = 6;
    assert_int_equal(*touch(BASE + 5 * PAGE, MMU_READ, VM_FAULT_COUNT), 5);
    vm_fixture_drop(&child);
}

static void given_memory_stays_shared_in_a_fork(void **state)
{
    (void)state;
    struct vm_space child;
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    map((struct vm_request){.source = VM_FRAMES, .bytes = PAGE, .frames = &frame});
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    *touch_in(&child, BASE, MMU_WRITE, VM_FAULT_COUNT) = 77;
    assert_int_equal(*touch(BASE, MMU_READ, VM_FAULT_COUNT), 77);
    vm_fixture_drop(&child);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    frame_free(&vm.machine.pool, frame, 0);
}

static void a_copy_in_the_same_space(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE, .name = "original"});
    *touch(BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_ZERO) = 2;
    mmu_model_fill();
    assert_int_equal(vm_space_copy(&space, virt_addr(MIB(8)), &space, virt_addr(BASE + PAGE), 4 * PAGE),
                     VM_OK);
    mmu_model_check();
    assert_int_equal(*touch(MIB(8) + PAGE, MMU_READ, VM_FAULT_COUNT), 2);
    *touch(BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_COPIED) = 3;
    assert_int_equal(*touch(MIB(8) + PAGE, MMU_WRITE, VM_FAULT_REUSED), 2);
    assert_int_equal(vm_space_copy(&space, virt_addr(MIB(8)), &space, virt_addr(BASE), PAGE), VM_OVERLAP);
    assert_int_equal(vm_space_copy(&space, virt_addr(MIB(16)), &space, virt_addr(BASE), 9 * PAGE),
                     VM_NOT_MAPPED);
}

/* ---- The kernel's lazy ranges ---- */

static void a_space_over_the_kernels_tables(void **state)
{
    (void)state;
    struct vm_space kernel;
    vm_fixture_kernel_space(&vm, &kernel);
    uint64_t others = vm.kernel.table_frames;
    assert_int_equal(vm_space_tables(&kernel), 0);
    map_in(&kernel, (struct vm_request){.source = VM_ZERO,
                                        .bytes = MIB(64),
                                        .access = RW,
                                        .large = true,
                                        .guard = PAGE,
                                        .address = virt_addr(VM_KERNEL + MIB(2))});
    *touch_in(&kernel, VM_KERNEL + MIB(2), MMU_WRITE, VM_FAULT_LARGE) = 1;
    touch_in(&kernel, VM_KERNEL + MIB(2) - 1, MMU_WRITE, VM_FAULT_GUARD);
    assert_int_equal(vm_space_tables(&kernel), vm.kernel.table_frames - others);
    map_in(&kernel,
           (struct vm_request){
               .source = VM_ZERO, .bytes = MIB(1), .access = RW, .address = virt_addr(VM_KERNEL + MIB(100))});
    *touch_in(&kernel, VM_KERNEL + MIB(100), MMU_WRITE, VM_FAULT_ZERO) = 8;
    /* A user space shares the kernel's half. */
    mmu_model_fill();
    assert_int_equal(*(uint64_t *)mmu_model_pointer(space.table, VM_KERNEL + MIB(100), MMU_READ), 8);
    struct vm_space child;
    assert_int_equal(vm_space_clone(&kernel, &child, "child"), VM_BAD_RANGE);
    assert_int_equal(
        vm_space_copy(&kernel, virt_addr(VM_KERNEL + GIB(1)), &kernel, virt_addr(VM_KERNEL + MIB(100)), PAGE),
        VM_OK);
    mmu_model_check();
    *touch_in(&kernel, VM_KERNEL + MIB(100), MMU_WRITE, VM_FAULT_COPIED) = 9;
    assert_int_equal(*touch_in(&kernel, VM_KERNEL + GIB(1), MMU_READ, VM_FAULT_COUNT), 8);
    assert_int_equal(vm_space_tables(&kernel), 5); /* one, two below it, one below each of these */
    assert_int_equal(vm_space_tables(&kernel), vm.kernel.table_frames - others);
    assert_int_equal(vm_space_tables(&space), space.own.table_frames);
    assert_int_equal(vm_space_copy(&kernel, virt_addr(VM_KERNEL + GIB(2)), &space, virt_addr(BASE), PAGE),
                     VM_BAD_SOURCE);
    struct vm_place place;
    struct vm_look look;
    vm_space_look(&kernel, virt_addr(VM_KERNEL + MIB(100)), &look);
    assert_true(look.found);
    assert_int_equal(vm_frame_places(&vm.manager, look.mapped.target, &place, 1), 1);
    assert_int_equal(place.address.raw, VM_KERNEL + MIB(100));
    assert_int_equal(place.number, kernel.number);
    mmu_model_fill();
    vm_space_destroy(&kernel);
    mmu_model_check();
}

/* ---- Guarded slots ---- */

static void expect_free(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    if (!spinlock_try_acquire(lock)) {
        panic("a guarded slot is shown or inaccessible with a lock held");
    }
    spinlock_release(lock);
}

/* Guarded slots are shown and inaccessible through page tables: no lock may be held then that comes later. */
static bool show_slot(void *context, void *page)
{
    expect_free(&vm.kernel.lock);
    expect_free(&vm.manager.lock);
    return guard_show(context, page);
}

static void hide_slot(void *context, void *page)
{
    assert_true(show_slot(context, page));
    guard_hide(context, page);
}

/* Whether another cache's first object lies in a guarded slot. */
static bool slots_are_used(const struct slab_guard *guard)
{
    const struct slab_cache_config config = {.name = "other", .bytes = 64};
    struct slab_cache other;
    assert_int_equal(slab_cache_init(&vm.slabs, &other, &config), SLAB_OK);
    slab_cache_free(&other, slab_cache_alloc(&other));
    slab_cache_destroy(&other);
    return guard->sampled > 0;
}

/* Every object there is would lie in a guarded slot: regions and families must not. */
static void shared_pages_come_and_go_beside_guarded_slots(void **state)
{
    (void)state;
    struct guard_fixture slots;
    struct vm_space kernel;
    assert_int_equal(guard_start(&slots, &vm.slabs, 32, 1), SLAB_OK);
    slots.guard.config.show = show_slot;
    slots.guard.config.hide = hide_slot;
    vm_fixture_kernel_space(&vm, &kernel);
    map_in(&kernel, (struct vm_request){
                        .source = VM_ZERO, .bytes = 8 * PAGE, .access = RW, .address = virt_addr(VM_KERNEL)});
    for (uint64_t i = 0; i < 8; i++) {
        touch_in(&kernel, VM_KERNEL + i * PAGE, MMU_WRITE, VM_FAULT_ZERO);
    }
    assert_int_equal(
        vm_space_copy(&kernel, virt_addr(VM_KERNEL + GIB(1)), &kernel, virt_addr(VM_KERNEL), 8 * PAGE),
        VM_OK);
    assert_int_equal(vm.manager.family_numbers.count, 1);
    assert_int_equal(slots.guard.sampled, 0);
    assert_true(slots_are_used(&slots.guard));
    assert_int_equal(slab_guard_live(&slots.guard, &vm.manager.families), 0);
    assert_int_equal(vm_space_unmap(&kernel, virt_addr(VM_KERNEL + GIB(1)), 8 * PAGE), VM_OK);
    vm_fixture_drop(&kernel);
    vm_fixture_check(&vm);
    guard_stop(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fork_shares_until_somebody_writes), TEST(a_fork_splits_large_pages),
        TEST(given_memory_stays_shared_in_a_fork), TEST(a_copy_in_the_same_space),
        TEST(a_space_over_the_kernels_tables),     TEST(shared_pages_come_and_go_beside_guarded_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

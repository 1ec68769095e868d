/* Pagers that say they have no shared regions any more: when they may, and what is refused then. */
#include "steps.h"

static struct test_pager pager;

static struct vm_request of_pager(uint64_t address, uint64_t pages, bool shared)
{
    return (struct vm_request){.source = VM_PAGER,
                               .bytes = pages * PAGE,
                               .access = RW,
                               .fixed = true,
                               .address = virt_addr(address),
                               .shared = shared,
                               .pager = &pager.pager};
}

static void unmap(struct vm_space *from, uint64_t address, uint64_t pages)
{
    assert_int_equal(vm_space_unmap(from, virt_addr(address), pages * PAGE), VM_OK);
}

/* Every part of a shared region counts, and those of a child, until the last one has gone. */
static void a_pager_is_sealed_when_its_last_shared_region_has_gone(void **state)
{
    (void)state;
    struct vm_space child;
    test_pager_start(&pager, &vm);
    map(of_pager(BASE, 8, true));
    map(of_pager(BASE + MIB(1), 4, false));
    assert_false(vm_pager_seal(&pager.pager));
    unmap(&space, BASE + 2 * PAGE, 1); /* two parts */
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(vm_space_copy(&space, virt_addr(BASE + MIB(2)), &space, virt_addr(BASE), PAGE), VM_OK);
    unmap(&space, BASE, 2);
    unmap(&space, BASE + 3 * PAGE, 5);
    assert_false(vm_pager_seal(&pager.pager)); /* the copy, and the child's */
    unmap(&space, BASE + MIB(2), 1);
    assert_false(vm_pager_seal(&pager.pager));
    vm_fixture_drop(&child);
    assert_true(vm_pager_seal(&pager.pager));
    assert_true(vm_pager_seal(&pager.pager));
    assert_int_equal(try_map(of_pager(BASE, 1, true)), VM_SEALED);
    vm_fixture_check(&vm);
    map(of_pager(BASE, 1, false)); /* copies may be written to */
    touch(BASE, MMU_WRITE, VM_FAULT_PAGED);
    vm_fixture_drop(&space);
    test_pager_stop(&pager);
    vm_fixture_space(&vm, &space, "test");
}

/* Two parts that become one again are one. */
static void parts_that_are_joined_count_once(void **state)
{
    (void)state;
    test_pager_start(&pager, &vm);
    map(of_pager(BASE, 8, true));
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + PAGE), PAGE, VM_READ), VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + PAGE), PAGE, RW), VM_OK);
    assert_int_equal(atomic_load(&pager.pager.shared), 1);
    vm_fixture_drop(&space);
    assert_int_equal(atomic_load(&pager.pager.shared), 0);
    test_pager_stop(&pager);
    vm_fixture_space(&vm, &space, "test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pager_is_sealed_when_its_last_shared_region_has_gone),
        TEST(parts_that_are_joined_count_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

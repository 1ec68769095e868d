/* Families: who shows a page is found through forks of forks, copies, cuts, and while others come and go. */
#include "mm/space/share/family.h"

#include "between.h"

static phys_addr_t frame_of(struct vm_space *of, uint64_t address)
{
    struct page_translation page = page_table_translate(of->table, virt_addr(address));
    assert_true(page.mapped);
    return phys_addr(page.target.raw);
}

/* The frame behind a page is found at exactly `count` places, this one among them. */
static void expect_places(struct vm_space *of, uint64_t address, uint64_t count)
{
    static struct vm_place places[512];
    uint64_t found = vm_frame_places(&vm.manager, frame_of(of, address), places, ARRAY_LENGTH(places));
    assert_int_equal(found, count);
    bool here = false;
    for (uint64_t i = 0; i < found; i++) {
        here = here || (places[i].number == of->number && places[i].address.raw == address);
        for (uint64_t j = 0; j < i; j++) {
            assert_false(places[i].number == places[j].number &&
                         places[i].address.raw == places[j].address.raw);
        }
    }
    assert_true(here);
}

static void fork_of(struct vm_space *parent, struct vm_space *child)
{
    assert_int_equal(vm_space_clone(parent, child, "child"), VM_OK);
    vm_fixture_add(child);
}

static void write_pages(struct vm_space *in, uint64_t base, uint64_t pages, enum vm_fault expected)
{
    for (uint64_t i = 0; i < pages; i++) {
        *touch_in(in, base + i * PAGE, MMU_WRITE, expected) = i;
    }
}

/* The parent ends before its children; what a child fills by itself is its own. */
static void a_family_outlives_its_first_space(void **state)
{
    (void)state;
    static struct vm_space parent;
    static struct vm_space child;
    static struct vm_space grandchild;
    vm_fixture_space(&vm, &parent, "parent");
    map_in(&parent, zeros_at(BASE, 8 * PAGE));
    write_pages(&parent, BASE, 4, VM_FAULT_ZERO);
    assert_null(parent.family);
    fork_of(&parent, &child);
    fork_of(&child, &grandchild);
    assert_ptr_equal(grandchild.family, parent.family);
    expect_places(&parent, BASE, 3);
    vm_fixture_drop(&parent);
    expect_places(&child, BASE, 2);
    write_pages(&child, BASE + 4 * PAGE, 1, VM_FAULT_ZERO);
    expect_places(&child, BASE + 4 * PAGE, 1);
    write_pages(&child, BASE, 1, VM_FAULT_COPIED);
    expect_places(&child, BASE, 1);
    expect_places(&grandchild, BASE, 1);
    /* The last user's note is the family's still, and so is one that is shared once more. */
    write_pages(&grandchild, BASE, 1, VM_FAULT_REUSED);
    vm_fixture_drop(&child);
    expect_places(&grandchild, BASE, 1);
    fork_of(&grandchild, &child);
    expect_places(&child, BASE, 2);
    vm_fixture_check(&vm);
    vm_fixture_drop(&grandchild);
    vm_fixture_drop(&child);
    assert_int_equal(vm.manager.family_numbers.count, 0);
}

/* A copy at another address, and one in a space of another family; both are cut, and their forks as well. */
static void copies_keep_their_distance(void **state)
{
    (void)state;
    static struct vm_space other;
    static struct vm_space child;
    static struct vm_space grandchild;
    const uint64_t near = BASE + MIB(64) + 3 * PAGE;
    vm_fixture_space(&vm, &other, "other");
    map(zeros_at(BASE, 8 * PAGE));
    write_pages(&space, BASE, 8, VM_FAULT_ZERO);
    assert_int_equal(vm_space_copy(&space, virt_addr(near), &space, virt_addr(BASE), 8 * PAGE), VM_OK);
    assert_int_equal(vm_space_copy(&other, virt_addr(BASE), &space, virt_addr(near), 8 * PAGE), VM_OK);
    expect_places(&space, near + 5 * PAGE, 3);
    assert_int_equal(vm_space_protect(&space, virt_addr(near + 2 * PAGE), PAGE, VM_READ), VM_OK);
    assert_int_equal(vm_space_unmap(&other, virt_addr(BASE + 3 * PAGE), PAGE), VM_OK);
    expect_places(&space, BASE + 2 * PAGE, 3);
    expect_places(&space, BASE + 3 * PAGE, 2);
    vm_fixture_check(&vm);
    fork_of(&other, &child);
    expect_places(&child, BASE + 2 * PAGE, 4);
    write_pages(&child, BASE + 2 * PAGE, 1, VM_FAULT_COPIED);
    fork_of(&child, &grandchild);
    expect_places(&grandchild, BASE + 2 * PAGE, 2);
    expect_places(&grandchild, BASE + 4 * PAGE, 5);
    assert_int_equal(vm_space_protect(&space, virt_addr(near + 2 * PAGE), PAGE, RW), VM_OK);
    vm_fixture_check(&vm);
    vm_fixture_drop(&other);
    expect_places(&grandchild, BASE + 4 * PAGE, 4);
    vm_fixture_drop(&child);
    assert_int_equal(vm_space_unmap(&space, virt_addr(near), 8 * PAGE), VM_OK);
    expect_places(&grandchild, BASE + 4 * PAGE, 2);
    vm_fixture_drop(&grandchild);
}

/* Neighbours become one region only where all of it is found at one distance. */
static void what_lies_elsewhere_in_the_family_is_not_joined(void **state)
{
    (void)state;
    map(zeros_at(BASE, 4 * PAGE));
    write_pages(&space, BASE, 4, VM_FAULT_ZERO);
    assert_int_equal(vm_space_copy(&space, virt_addr(BASE + 4 * PAGE), &space, virt_addr(BASE), 4 * PAGE),
                     VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 8 * PAGE, VM_READ), VM_OK);
    assert_int_equal(space.region_count, 2);
    map(zeros_at(BASE + 8 * PAGE, 4 * PAGE));
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 8 * PAGE, RW), VM_OK);
    assert_int_equal(space.region_count, 3);
    expect_places(&space, BASE + 5 * PAGE, 2);
}

/* A pager's pages are the pager's family's, at whatever offset regions begin; copies of them as well, which
 * are found among its relatives though they are not the pager's. */
static void pagers_have_families(void **state)
{
    (void)state;
    struct test_pager pager;
    static struct vm_space other;
    static struct vm_space child;
    test_pager_start(&pager, &vm);
    vm_fixture_space(&vm, &other, "other");
    struct vm_request request = zeros_at(BASE, 4 * PAGE);
    request.source = VM_PAGER;
    request.pager = &pager.pager;
    map(request);
    request.offset = 2 * PAGE;
    map_in(&other, request);
    touch(BASE + 2 * PAGE, MMU_READ, VM_FAULT_PAGED);
    touch_in(&other, BASE, MMU_READ, VM_FAULT_PAGED);
    expect_places(&other, BASE, 2);
    assert_int_equal(vm_space_protect(&other, virt_addr(BASE + PAGE), PAGE, VM_READ), VM_OK);
    *touch_in(&other, BASE + 2 * PAGE, MMU_WRITE, VM_FAULT_PAGED) = 5;
    expect_places(&other, BASE + 2 * PAGE, 1);
    fork_of(&other, &child);
    expect_places(&child, BASE, 3);
    expect_places(&child, BASE + 2 * PAGE, 2);
    assert_int_equal(vm_space_protect(&child, virt_addr(BASE + PAGE), PAGE, RW), VM_OK); /* one again */
    assert_int_equal(child.region_count, 1);
    expect_places(&child, BASE + 2 * PAGE, 2);
    vm_fixture_check(&vm);
    vm_fixture_drop(&other);
    expect_places(&child, BASE + 2 * PAGE, 1);
    vm_fixture_drop(&child);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), 4 * PAGE), VM_OK);
    test_pager_stop(&pager);
    assert_int_equal(vm.manager.family_numbers.count, 0);
}

/* ---- Many ---- */

#define CHILDREN 200 /* several holds of the family's lock */

static struct vm_space children[CHILDREN];
static unsigned first; /* child that is there */
static unsigned end;   /* behind the last one that is there */

/* Between two holds relatives leave, and others join: the oldest go, where the walk has been or is. */
static void relatives_come_and_go(void)
{
    static bool inside;
    if (inside) {
        return;
    }
    inside = true;
    struct host_cpu here = host_play(1);
    if (end < CHILDREN) {
        assert_int_equal(vm_space_clone(&space, &children[end++], "late"), VM_OK);
    }
    for (unsigned i = 0; i < 3 && first + 1 < end; i++) {
        vm_space_destroy(&children[first++]);
    }
    host_play_end(here);
    inside = false;
}

static void a_walk_goes_on_where_it_was(void **state)
{
    (void)state;
    static struct vm_place places[CHILDREN + 1];
    map(zeros_at(BASE, PAGE));
    write_pages(&space, BASE, 1, VM_FAULT_ZERO);
    first = 0;
    for (end = 0; end < CHILDREN - 20; end++) {
        assert_int_equal(vm_space_clone(&space, &children[end], "child"), VM_OK);
    }
    expect_places(&space, BASE, end + 1);
    vm_fixture_check(&vm);
    phys_addr_t frame = frame_of(&space, BASE);
    host_meanwhile = relatives_come_and_go;
    uint64_t found = vm_frame_places(&vm.manager, frame, places, ARRAY_LENGTH(places));
    host_meanwhile = NULL;
    assert_true(first > 0);
    uint64_t stayed = 0; /* who was there all the time is found */
    for (uint64_t i = 0; i < found; i++) {
        stayed += places[i].number == space.number;
        for (unsigned j = first; j < CHILDREN - 20; j++) {
            stayed += places[i].number == children[j].number && children[j].table != NULL;
        }
    }
    assert_true(stayed >= 1 + (first < CHILDREN - 20 ? CHILDREN - 20 - first : 0));
    while (first < end) {
        vm_space_destroy(&children[first++]);
    }
    expect_places(&space, BASE, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_family_outlives_its_first_space),
        TEST(copies_keep_their_distance),
        TEST(what_lies_elsewhere_in_the_family_is_not_joined),
        TEST(pagers_have_families),
        BETWEEN_TEST(a_walk_goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

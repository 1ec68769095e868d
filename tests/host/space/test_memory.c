/* Out of memory while regions and spaces are made, cut and copied. */
#include "shortage.h"
#include <ashlar/vm_advice.h>

/* ---- Regions ---- */

static bool map_a_region(void)
{
    virt_addr_t address;
    struct vm_request request = {
        .source = VM_ZERO, .bytes = PAGE, .access = RW, .fixed = true, .address = virt_addr(BASE)};
    return is_done(vm_space_map(&space, &request, &address));
}

static phys_addr_t given[6];

/* Over the end of a table, so that two tables are needed. */
static bool map_frames(void)
{
    virt_addr_t address;
    struct vm_request request = {.source = VM_FRAMES,
                                 .bytes = sizeof given / sizeof given[0] * PAGE,
                                 .access = RW,
                                 .fixed = true,
                                 .address = virt_addr(GIB(1) - 3 * PAGE),
                                 .frames = given};
    return is_done(vm_space_map(&space, &request, &address));
}

static void mapping(void **state)
{
    (void)state;
    assert_true(exhaust(map_a_region, unmap_all) >= 1);
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        given[i] = frame_alloc(&vm.machine.pool, 0, OWNER_TEST);
        frame_note_clear(frame_descriptor(&vm.machine.pool, given[i]));
    }
    assert_true(exhaust(map_frames, unmap_all) >= 4);
    given[5] = given[4] = given[0]; /* one frame is shown by three pages */
    assert_true(exhaust(map_frames, unmap_all) >= 8);
    unmap_all();
    for (size_t i = 0; i < 4; i++) {
        frame_free(&vm.machine.pool, given[i], 0);
    }
}

static void fill_and_cut(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(4), .large = true});
    enum vm_fault fault;
    vm_touch(&space, BASE, MMU_WRITE, &fault);
    assert_int_equal(fault, VM_FAULT_LARGE);
    vm_touch(&space, BASE + MIB(2), MMU_WRITE, &fault);
    assert_int_equal(fault, VM_FAULT_LARGE);
}

static bool unmap_middle(void)
{
    return is_done(vm_space_unmap(&space, virt_addr(BASE + 5 * PAGE), MIB(2)));
}

static bool protect_middle(void)
{
    return is_done(vm_space_protect(&space, virt_addr(BASE + 5 * PAGE), MIB(2), VM_READ));
}

static bool discard_middle(void)
{
    return is_done(vm_space_discard(&space, virt_addr(BASE + 5 * PAGE), MIB(2), false));
}

static bool mark_middle(void)
{
    return is_done(vm_space_mark(&space, virt_addr(BASE + 5 * PAGE), MIB(2), VM_LOCKED, 0));
}

static void cutting(void **state)
{
    (void)state;
    cuts_pages = true;
    fill_and_cut();
    assert_true(exhaust(unmap_middle, fill_and_cut) >= 3);
    assert_true(exhaust(protect_middle, fill_and_cut) >= 3);
    assert_true(exhaust(discard_middle, fill_and_cut) >= 1);
    assert_true(exhaust(mark_middle, fill_and_cut) >= 3);
    cuts_pages = false;
}

/* ---- Copies ---- */

static void fill_some(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(2), .large = true});
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE, .address = virt_addr(GIB(3))});
    enum vm_fault fault;
    vm_touch(&space, BASE, MMU_WRITE, &fault);
    for (uint64_t i = 0; i < 8; i++) {
        vm_touch(&space, GIB(3) + i * PAGE, MMU_WRITE, &fault);
    }
}

static bool fork_once(void)
{
    struct vm_space child;
    if (!is_done(vm_space_clone(&space, &child, "child"))) {
        return false;
    }
    vm_space_destroy(&child);
    return true;
}

static bool copy_some(void)
{
    return is_done(vm_space_copy(&space, virt_addr(GIB(5)), &space, virt_addr(GIB(3)), 8 * PAGE));
}

static void nothing(void)
{
}

static void forking(void **state)
{
    (void)state;
    fill_some();
    cuts_pages = true;
    unsigned failures = exhaust(fork_once, fill_some);
    cuts_pages = false;
    assert_true(failures >= 8); /* tables, regions, a family */
    assert_true(exhaust(copy_some, fill_some) >= 3);
}

/* ---- Spaces and managers ---- */

static bool create(void)
{
    struct vm_space other;
    struct vm_space_config config = {
        .name = "other", .base = virt_addr(BASE), .bytes = GIB(1), .owner = OWNER_USER};
    if (!is_done(vm_space_create(&other, &vm.manager, &config))) {
        return false;
    }
    vm_space_destroy(&other);
    return true;
}

static bool make_manager(void)
{
    struct vm_manager other;
    struct slab_pool slabs;
    struct slab_pool_config slab_config = {
        .frames = &vm.machine.pool, .cpus = 1, .seed = 5, .report = vm_report};
    if (slab_pool_init(&slabs, &slab_config) != SLAB_OK) {
        return false;
    }
    struct vm_manager_config config = vm_fixture_config(&vm, 4);
    config.slabs = &slabs;
    bool done = is_done(vm_manager_init(&other, &config));
    if (done) {
        vm_manager_destroy(&other);
    }
    slab_pool_destroy(&slabs);
    return done;
}

static void making(void **state)
{
    (void)state;
    assert_true(exhaust(create, nothing) >= 1);
    assert_true(exhaust(make_manager, nothing) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mapping),
        TEST(cutting),
        TEST(forking),
        TEST(making),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

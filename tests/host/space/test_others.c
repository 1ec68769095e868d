/*
 * The last memory lies in the magazines of another CPU: operations on spaces, which allocate with the space's
 * lock held and fail there, have it collected when they have let go, and succeed.
 */
#include "shortage.h"
#include "tests/host/support/hoard.h"
#include <ashlar/mmio.h>
#include <ashlar/vm_advice.h>
#include <ashlar/vm_move.h>
#include <ashlar/vmalloc.h>

static int start_two(void **state)
{
    (void)state;
    vm_fixture_start_cpus(&vm, MIB(24), 4, 2);
    vm_fixture_space(&vm, &space, "test");
    hoard_start(&vm.machine.pool, &vm.slabs);
    return 0;
}

static int stop_two(void **state)
{
    (void)state;
    hoard_stop();
    vm_fixture_check(&vm);
    vm_fixture_drop(&space);
    vm_fixture_stop(&vm);
    return 0;
}

/*
 * Tries an operation when CPU 1 has the last frames, and when it has objects in whose slabs they are: as long
 * as nobody reaches them it fails, and then it succeeds. `again` prepares it.
 */
static void reaches_others(step *run, void (*again)(void))
{
    for (enum keeper keeper = KEEPS_FRAMES; keeper < KEEPERS; keeper++) {
        again();
        hoard_all(keeper);
        assert_false(run());
        assert_false(run());
        hoard_reach();
        assert_true(run());
        assert_true(hoard.collections >= 1 && hoard.collections <= 2);
        hoard_give_back();
        vm_fixture_check(&vm);
        unmap_all();
    }
}

/* ---- Faults ---- */

static void one_region(void)
{
    map_zeros(BASE, 16 * PAGE);
}

static bool fault_once(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(BASE), VM_WRITE), VM_FAULT_ZERO);
}

static bool read_once(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(BASE), VM_READ), VM_FAULT_ZERO_READ);
}

/* A fault that finds nothing is counted once, however often it was tried. */
static void faulting(void **state)
{
    (void)state;
    reaches_others(fault_once, one_region);
    reaches_others(read_once, one_region);
    assert_int_equal(space.faults[VM_FAULT_NO_MEMORY], 8);
    assert_int_equal(space.faults[VM_FAULT_ZERO], 2);
}

static struct vm_space child;

static void forked(void)
{
    one_region();
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
}

static bool copy_once(void)
{
    bool done = is_resolved(vm_space_fault(&space, virt_addr(BASE), VM_WRITE), VM_FAULT_COPIED);
    if (done) {
        vm_space_destroy(&child);
    }
    return done;
}

static void copying(void **state)
{
    (void)state;
    reaches_others(copy_once, forked);
}

/* ---- Copies ---- */

static void some_pages(void)
{
    one_region();
    for (uint64_t i = 0; i < 8; i++) {
        touch(BASE + i * PAGE, MMU_WRITE, VM_FAULT_ZERO);
    }
}

static bool fork_once(void)
{
    bool done = is_done(vm_space_clone(&space, &child, "child"));
    if (done) {
        vm_space_destroy(&child);
    }
    return done;
}

static bool copy_range(void)
{
    return is_done(vm_space_copy(&space, virt_addr(GIB(5)), &space, virt_addr(BASE), 8 * PAGE));
}

static bool create_once(void)
{
    struct vm_space_config config = {
        .name = "other", .base = virt_addr(BASE), .bytes = GIB(1), .owner = OWNER_USER, .kernel = &vm.kernel};
    bool done = is_done(vm_space_create(&child, &vm.manager, &config));
    if (done) {
        vm_space_destroy(&child);
    }
    return done;
}

static void spaces(void **state)
{
    (void)state;
    reaches_others(fork_once, some_pages);
    reaches_others(copy_range, some_pages);
    reaches_others(create_once, some_pages);
}

/* ---- Regions ---- */

static phys_addr_t given;

static void nothing(void)
{
}

static bool map_frame(void)
{
    virt_addr_t address;
    struct vm_request request = {.source = VM_FRAMES,
                                 .bytes = PAGE,
                                 .access = RW,
                                 .fixed = true,
                                 .address = virt_addr(BASE),
                                 .frames = &given};
    return is_done(vm_space_map(&space, &request, &address));
}

static void large_pages(void)
{
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(4), .large = true});
    touch(BASE, MMU_WRITE, VM_FAULT_LARGE);
    touch(BASE + MIB(2), MMU_WRITE, VM_FAULT_LARGE);
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

static bool move_middle(void)
{
    virt_addr_t address;
    struct vm_move move = {.from = virt_addr(BASE + 5 * PAGE),
                           .bytes = MIB(2),
                           .new_bytes = MIB(2),
                           .address = virt_addr(GIB(3)),
                           .fixed = true};
    return is_done(vm_space_move(&space, &move, &address));
}

static void regions(void **state)
{
    (void)state;
    given = frame_alloc(&vm.machine.pool, 0, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, given));
    reaches_others(map_frame, nothing);
    frame_free(&vm.machine.pool, given, 0);
    reaches_others(unmap_middle, large_pages);
    reaches_others(protect_middle, large_pages);
    reaches_others(discard_middle, large_pages);
    reaches_others(mark_middle, large_pages);
    reaches_others(move_middle, large_pages);
}

/* ---- Objects ---- */

static struct slab_cache small;

static bool allocate_object(void)
{
    void *object = slab_cache_alloc(&small);
    slab_cache_free(&small, object);
    return object != NULL;
}

static void objects(void **state)
{
    (void)state;
    const struct slab_cache_config config = {.name = "small", .bytes = 64};
    assert_int_equal(slab_cache_init(&vm.slabs, &small, &config), SLAB_OK);
    reaches_others(allocate_object, nothing);
    slab_cache_destroy(&small);
}

/* ---- The kernel's own addresses ---- */

#define ARENA  0xffffd00000000000ULL
#define DEVICE 0xfed00000ULL

static struct kva_arena arena;
static struct vmalloc virtually;
static struct mmio mmio;

static bool allocate_virtually(void)
{
    void *block = vmalloc_alloc(&virtually, 3 * PAGE);
    if (block) {
        vmalloc_free(&virtually, block);
        vmalloc_flush(&virtually);
    }
    return block != NULL;
}

static bool map_device(void)
{
    void *pointer;
    const struct mmio_request request = {
        .address = phys_addr(DEVICE), .bytes = PAGE, .access = PAGE_WRITE, .cache = CACHE_UNCACHED};
    enum mmio_error error = mmio_map(&mmio, &request, &pointer);
    assert_true(error == MMIO_OK || error == MMIO_NO_MEMORY);
    return error == MMIO_OK && mmio_unmap(&mmio, pointer) == MMIO_OK;
}

static bool claim_device(void)
{
    enum mmio_error error = mmio_claim(&mmio, phys_addr(DEVICE), PAGE, PAGE_WRITE, CACHE_UNCACHED);
    assert_true(error == MMIO_OK || error == MMIO_NO_MEMORY);
    if (error == MMIO_OK) {
        mmio_release(&mmio, phys_addr(DEVICE), PAGE, CACHE_UNCACHED);
    }
    return error == MMIO_OK;
}

/* Takes so many ranges that the arena has to have a frame for the record of the next one. */
static struct kva_range *ranges[2000];
static unsigned range_count;

static bool take_range(void)
{
    static const struct kva_purpose purpose = KVA_PURPOSE("test");
    const struct kva_request request = {.bytes = 100 * PAGE, .purpose = &purpose};
    enum kva_error error = kva_alloc(&arena, &request, &ranges[range_count]);
    assert_true(error == KVA_OK || error == KVA_NO_MEMORY);
    range_count += error == KVA_OK;
    assert_true(range_count < ARRAY_LENGTH(ranges));
    return error == KVA_OK;
}

static void use_up_records(void)
{
    hoard_all(KEEPS_FRAMES);
    while (take_range()) {
    }
    hoard_give_back();
}

static void addresses(void **state)
{
    (void)state;
    struct mmio_config config = {.arena = &arena, .table = &vm.kernel, .slabs = &vm.slabs};
    assert_int_equal(kva_init(&arena, virt_addr(ARENA), GIB(4), &vm.machine.pool), KVA_OK);
    vmalloc_init(&virtually, &arena, &vm.kernel, &vm.machine.pool);
    physmap_plan_start(&config.physmap, vm.machine.map, vm.machine.map_count, 1ULL << 40);
    assert_int_equal(mmio_init(&mmio, &config), MMIO_OK);
    reaches_others(allocate_virtually, nothing);
    reaches_others(map_device, nothing);
    reaches_others(claim_device, nothing);
    reaches_others(take_range, use_up_records);
    while (range_count > 0) {
        kva_release(&arena, ranges[--range_count]);
    }
    mmio_destroy(&mmio);
    assert_int_equal(kva_destroy(&arena), 0);
}

/* ---- When there is nothing ---- */

/* Others that hold nothing are not disturbed, however often an operation fails. */
static void who_holds_nothing_is_left_alone(void **state)
{
    (void)state;
    one_region();
    hoard_all(KEEPS_FRAMES);
    frame_pool_drain_cpu(&vm.machine.pool, 1);
    phys_addr_t frame;
    while ((frame = frame_alloc(&vm.machine.pool, 0, OWNER_TEST)).raw != 0) {
        hoard.taken[hoard.count++] = frame;
    }
    hoard_reach();
    for (unsigned i = 0; i < 100; i++) {
        assert_false(fault_once());
        assert_false(fork_once());
    }
    assert_int_equal(hoard.collections, 0);
    hoard_give_back();
    unmap_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(faulting, start_two, stop_two),
        cmocka_unit_test_setup_teardown(copying, start_two, stop_two),
        cmocka_unit_test_setup_teardown(spaces, start_two, stop_two),
        cmocka_unit_test_setup_teardown(regions, start_two, stop_two),
        cmocka_unit_test_setup_teardown(objects, start_two, stop_two),
        cmocka_unit_test_setup_teardown(addresses, start_two, stop_two),
        cmocka_unit_test_setup_teardown(who_holds_nothing_is_left_alone, start_two, stop_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

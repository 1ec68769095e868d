/*
 * Pages that a device has pinned: what would cut their block is refused, and who copies them leaves the
 * frame that the device has to its user.
 */
#include "between.h"
#include "shortage.h"

#include <string.h>

#define LARGE_PAGES (MIB(2) / PAGE)
#define TARGET      GIB(1)

static struct vm_space child;

static phys_addr_t frame_at(struct vm_space *in, uint64_t address)
{
    return page_table_translate(in->table, virt_addr(address)).target;
}

/* The first frame of the block that shows the page, which may be large. */
static phys_addr_t block_at(uint64_t address)
{
    struct page_translation page = page_table_translate(space.table, virt_addr(address));
    return page_entry_leaf_address(page.leaf, page.level);
}

static phys_addr_t pin_at(uint64_t address)
{
    phys_addr_t block = block_at(address);
    frame_pin(&vm.machine.pool, block);
    return block;
}

static void write_large(void)
{
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(2), .large = true});
    uint64_t *memory = touch(BASE, MMU_WRITE, VM_FAULT_LARGE);
    for (uint64_t i = 0; i < LARGE_PAGES; i++) {
        memory[i * PAGE / sizeof *memory] = 1000 + i;
    }
}

static bool is_large(void)
{
    return page_table_translate(space.table, virt_addr(BASE)).level == PAGE_LEVEL_2M;
}

/* ---- Cutting ---- */

static void expect_no_cut(void)
{
    uint64_t tables = space.own.table_frames;
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_BUSY);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + PAGE), MIB(2)), VM_BUSY);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + PAGE), PAGE, VM_READ), VM_BUSY);
    assert_true(is_large());
    assert_int_equal(space.own.table_frames, tables);
    assert_int_equal(space.region_count, 1);
    assert_int_equal(space.region_bytes, MIB(2));
    enum vm_fault fault;
    assert_int_equal(*(uint64_t *)vm_touch(&space, BASE + PAGE, MMU_WRITE, &fault), 1001);
    assert_int_equal(fault, VM_FAULT_COUNT); /* it may be written to as before */
    mmu_model_check();
}

static void a_pinned_large_page_is_not_cut(void **state)
{
    (void)state;
    struct frame_pool *frames = &vm.machine.pool;
    write_large();
    phys_addr_t block = pin_at(BASE);
    expect_no_cut();
    assert_string_equal(vm_error_name(VM_BUSY), "a device still uses a large page that would be cut");
    frame_get(frames, block); /* who is about to pin it */
    frame_unpin(frames, block);
    expect_no_cut();
    frame_put(frames, block);
    assert_true(frame_begin_change(frames, block));
    expect_no_cut();
    frame_end_change(frames, block);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    assert_false(is_large());
    assert_int_equal(*touch(BASE + PAGE, MMU_READ, VM_FAULT_COUNT), 1001);
}

/* As a whole it may change and go: the device keeps the block. */
static void a_pinned_large_page_goes_as_a_whole(void **state)
{
    (void)state;
    write_large();
    phys_addr_t block = pin_at(BASE);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), MIB(2), VM_READ), VM_OK);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), MIB(2)), VM_OK);
    assert_int_equal(space.resident, 0);
    assert_true(frame_unpin(&vm.machine.pool, block));
}

/* ---- Copying ---- */

/* The pinned page is its user's still, and the child has what it held. */
static void expect_own(struct vm_space *copy, uint64_t distance, uint64_t page, phys_addr_t frame,
                       uint64_t value)
{
    uint64_t address = BASE + page * PAGE;
    assert_int_not_equal(frame_at(copy, address + distance).raw, frame.raw);
    assert_int_equal(frame_descriptor_users(frame_descriptor(&vm.machine.pool, frame)), 1);
    *touch(address, MMU_WRITE, VM_FAULT_REUSED) = value + 7;
    assert_int_equal(frame_at(&space, address).raw, frame.raw);
    assert_int_equal(*touch_in(copy, address + distance, MMU_READ, VM_FAULT_COUNT), value);
    *touch_in(copy, address + distance, MMU_WRITE, VM_FAULT_REUSED) = value + 8;
    assert_int_equal(*touch(address, MMU_READ, VM_FAULT_COUNT), value + 7);
}

static void write_small(void)
{
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE});
    for (uint64_t i = 0; i < 6; i++) {
        *touch(BASE + i * PAGE, MMU_WRITE, VM_FAULT_ZERO) = 1000 + i;
    }
}

static void a_fork_copies_what_is_pinned(void **state)
{
    (void)state;
    write_small();
    phys_addr_t one = pin_at(BASE + PAGE);
    phys_addr_t other = pin_at(BASE + 4 * PAGE);
    mmu_model_fill();
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    mmu_model_check();
    vm_fixture_add(&child);
    assert_int_equal(child.resident, 6);
    assert_int_equal(counts_of(&child).shared, 4);
    expect_own(&child, 0, 1, one, 1001);
    expect_own(&child, 0, 4, other, 1004);
    *touch(BASE, MMU_WRITE, VM_FAULT_COPIED) = 5; /* the rest is shared as ever */
    assert_int_equal(*touch_in(&child, BASE, MMU_READ, VM_FAULT_COUNT), 1000);
    vm_fixture_drop(&child);
    frame_unpin(&vm.machine.pool, one);
    frame_unpin(&vm.machine.pool, other);
}

static void a_copy_of_a_range_copies_what_is_pinned(void **state)
{
    (void)state;
    write_small();
    phys_addr_t frame = pin_at(BASE + 2 * PAGE);
    assert_int_equal(vm_space_copy(&space, virt_addr(BASE + TARGET), &space, virt_addr(BASE), 8 * PAGE),
                     VM_OK);
    expect_own(&space, TARGET, 2, frame, 1002);
    frame_unpin(&vm.machine.pool, frame);
}

/* What the program has inaccessible to itself is copied as it is. */
static void a_pinned_page_that_is_inaccessible(void **state)
{
    (void)state;
    write_small();
    phys_addr_t frame = pin_at(BASE);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 8 * PAGE, VM_NONE), VM_OK);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    touch_in(&child, BASE, MMU_READ, VM_FAULT_DENIED);
    assert_int_equal(vm_space_protect(&child, virt_addr(BASE), 8 * PAGE, RW), VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 8 * PAGE, RW), VM_OK);
    expect_own(&child, 0, 0, frame, 1000);
    vm_fixture_drop(&child);
    frame_unpin(&vm.machine.pool, frame);
}

/* What is shared with its giver stays shared, pinned or not. */
static void a_pinned_given_frame_stays_shared(void **state)
{
    (void)state;
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    map((struct vm_request){.source = VM_FRAMES, .bytes = PAGE, .frames = &frame});
    frame_pin(&vm.machine.pool, frame);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(frame_at(&child, BASE).raw, frame.raw);
    vm_fixture_drop(&child);
    frame_unpin(&vm.machine.pool, frame);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    assert_true(frame_put(&vm.machine.pool, frame));
}

/* ---- Copying large pages ---- */

static void a_fork_copies_a_pinned_large_page(void **state)
{
    (void)state;
    write_large();
    phys_addr_t block = pin_at(BASE);
    mmu_model_fill();
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    mmu_model_check();
    vm_fixture_add(&child);
    assert_true(is_large());
    assert_int_equal(child.resident, LARGE_PAGES);
    *touch(BASE, MMU_WRITE, VM_FAULT_REUSED) = 3;
    assert_int_equal(frame_at(&space, BASE).raw, block.raw);
    for (uint64_t i = 0; i < LARGE_PAGES; i++) {
        enum vm_fault fault;
        const uint64_t *memory = vm_touch(&child, BASE + i * PAGE, MMU_READ, &fault);
        assert_int_equal(fault, VM_FAULT_COUNT);
        assert_int_equal(*memory, 1000 + i);
    }
    vm_fixture_drop(&child);
    frame_unpin(&vm.machine.pool, block);
}

static void a_part_of_a_pinned_large_page_is_copied(void **state)
{
    (void)state;
    write_large();
    phys_addr_t block = pin_at(BASE);
    uint64_t part = BASE + 3 * PAGE;
    assert_int_equal(vm_space_copy(&space, virt_addr(part + TARGET), &space, virt_addr(part), 100 * PAGE),
                     VM_OK);
    assert_true(is_large());
    assert_int_equal(space.resident, LARGE_PAGES + 100);
    assert_int_equal(*touch(part + TARGET, MMU_READ, VM_FAULT_COUNT), 1003);
    assert_int_equal(*touch(part + TARGET + 99 * PAGE, MMU_READ, VM_FAULT_COUNT), 1102);
    frame_unpin(&vm.machine.pool, block);
}

/* ---- What comes between ---- */

static uint64_t written[LARGE_PAGES]; /* what each page held when it was taken */
static uint64_t random_state = 0x5eed;

static bool is_taken(uint64_t page)
{
    return child.table && page_table_translate(child.table, virt_addr(BASE + page * PAGE)).mapped;
}

static void write_anywhere(void)
{
    for (unsigned i = 0; i < 10; i++) {
        enum vm_fault fault;
        uint64_t page = random_next(&random_state) % LARGE_PAGES;
        bool taken = is_taken(page);
        uint64_t *memory = vm_touch(&space, BASE + page * PAGE, MMU_WRITE, &fault);
        assert_non_null(memory);
        *memory = random_next(&random_state);
        written[page] = taken ? written[page] : *memory;
    }
}

static phys_addr_t pinned;

static void unpin_and_write(void)
{
    if (pinned.raw != 0 && is_taken(LARGE_PAGES / 2)) {
        frame_unpin(&vm.machine.pool, pinned);
        pinned = FRAME_NONE;
    }
    write_anywhere();
}

static void fork_between(void (*act)(void))
{
    memset(&child, 0, sizeof child);
    write_large();
    for (uint64_t i = 0; i < LARGE_PAGES; i++) {
        written[i] = 1000 + i;
    }
    pinned = pin_at(BASE);
    BETWEEN(act, vm_space_clone(&space, &child, "child"));
    vm_fixture_add(&child);
    for (uint64_t i = 0; i < LARGE_PAGES; i++) {
        enum vm_fault fault;
        assert_int_equal(*(uint64_t *)vm_touch(&child, BASE + i * PAGE, MMU_READ, &fault), written[i]);
    }
    vm_fixture_drop(&child);
}

static void each_page_of_a_pinned_block_is_taken_at_one_moment(void **state)
{
    (void)state;
    fork_between(write_anywhere);
    assert_true(is_large());
    frame_unpin(&vm.machine.pool, pinned);
}

static void a_block_that_is_unpinned_meanwhile_is_cut_and_shared(void **state)
{
    (void)state;
    fork_between(unpin_and_write);
    assert_int_equal(pinned.raw, 0);
    assert_false(is_large());
}

static uint64_t late; /* what another CPU has written last */

/* Another CPU writes for as long as it knows the page as writable. */
static void write_at_flush(void)
{
    uint64_t target;
    if (mmu_model_access(space.table, BASE + PAGE, MMU_WRITE, true, &target) == MMU_OK) {
        *(uint64_t *)frame_pointer(&vm.machine.pool, phys_addr(target)) = ++late;
    }
}

/* Nothing is written to a page between being copied and being closed: the parent alone would have it. */
static void expect_closed_before_it_is_copied(void)
{
    phys_addr_t frame = pin_at(BASE + PAGE);
    late = 2000;
    mmu_model_fill();
    mmu_model_at_flush(write_at_flush);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    mmu_model_at_flush(NULL);
    vm_fixture_add(&child);
    assert_true(late > 2000);
    assert_int_equal(*touch(BASE + PAGE, MMU_READ, VM_FAULT_COUNT), late);
    assert_int_equal(*touch_in(&child, BASE + PAGE, MMU_READ, VM_FAULT_COUNT), late);
    vm_fixture_drop(&child);
    frame_unpin(&vm.machine.pool, frame);
    unmap_all();
}

static void what_is_pinned_is_closed_before_it_is_copied(void **state)
{
    (void)state;
    write_small();
    expect_closed_before_it_is_copied();
    write_large();
    expect_closed_before_it_is_copied();
}

/* ---- Without memory ---- */

static bool fork_once(void)
{
    if (!is_done(vm_space_clone(&space, &child, "child"))) {
        return false;
    }
    vm_space_destroy(&child);
    return true;
}

static void nothing(void)
{
}

static void a_fork_without_memory_leaves_what_is_pinned(void **state)
{
    (void)state;
    write_small();
    phys_addr_t frame = pin_at(BASE + PAGE);
    assert_true(exhaust(fork_once, nothing) >= 6); /* four tables, the copy, records */
    assert_int_equal(frame_at(&space, BASE + PAGE).raw, frame.raw);
    frame_unpin(&vm.machine.pool, frame);
    unmap_all();
    write_large();
    phys_addr_t block = pin_at(BASE);
    assert_true(exhaust(fork_once, nothing) >= LARGE_PAGES);
    assert_true(is_large());
    frame_unpin(&vm.machine.pool, block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pinned_large_page_is_not_cut),
        TEST(a_pinned_large_page_goes_as_a_whole),
        TEST(a_fork_copies_what_is_pinned),
        TEST(a_copy_of_a_range_copies_what_is_pinned),
        TEST(a_pinned_page_that_is_inaccessible),
        TEST(a_pinned_given_frame_stays_shared),
        TEST(a_fork_copies_a_pinned_large_page),
        TEST(a_part_of_a_pinned_large_page_is_copied),
        TEST(what_is_pinned_is_closed_before_it_is_copied),
        BETWEEN_TEST(each_page_of_a_pinned_block_is_taken_at_one_moment),
        BETWEEN_TEST(a_block_that_is_unpinned_meanwhile_is_cut_and_shared),
        TEST(a_fork_without_memory_leaves_what_is_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

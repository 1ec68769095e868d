/* Moving and replacing: who shows a page afterwards, what is left when memory runs out, and the midst of it.
 */
#include "mm/space/share/family.h"
#include <ashlar/vm_move.h>

#include "between.h"
#include "shortage.h"

#define PAGES 400
#define FAR   (BASE + GIB(4) + 77 * PAGE)

static phys_addr_t frame_of(struct vm_space *of, uint64_t address)
{
    struct page_translation page = page_table_translate(of->table, virt_addr(address));
    assert_true(page.mapped);
    return page.target;
}

/* The frame behind a page is found at exactly `count` places, this one among them. */
static void expect_places(struct vm_space *of, uint64_t address, uint64_t count)
{
    struct vm_place places[16];
    uint64_t found = vm_frame_places(&vm.manager, frame_of(of, address), places, ARRAY_LENGTH(places));
    bool here = false;
    assert_int_equal(found, count);
    for (uint64_t i = 0; i < found; i++) {
        here = here || (places[i].number == of->number && places[i].address.raw == address);
    }
    assert_true(here);
}

/* Pages with a number each. */
static void fill_in(struct vm_space *in, uint64_t base, uint64_t pages)
{
    enum vm_fault fault;
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t *memory = vm_touch(in, base + i * PAGE, MMU_WRITE, &fault);
        assert_non_null(memory);
        *memory = i + 1;
    }
}

static void expect_filled(struct vm_space *in, uint64_t base, uint64_t pages)
{
    enum vm_fault fault;
    for (uint64_t i = 0; i < pages; i++) {
        const uint64_t *memory = vm_touch(in, base + i * PAGE, MMU_READ, &fault);
        assert_non_null(memory);
        assert_int_equal(*memory, i + 1);
    }
}

static enum vm_error move_in(struct vm_space *in, uint64_t from, uint64_t bytes, uint64_t target)
{
    virt_addr_t address = virt_addr(0);
    struct vm_move move = {.from = virt_addr(from),
                           .bytes = bytes,
                           .new_bytes = bytes,
                           .fixed = true,
                           .replace = true,
                           .address = virt_addr(target)};
    enum vm_error error = vm_space_move(in, &move, &address);
    assert_true(error != VM_OK || address.raw == target);
    return error;
}

static void must_move(struct vm_space *in, uint64_t from, uint64_t bytes, uint64_t target)
{
    assert_string_equal(vm_error_name(move_in(in, from, bytes, target)), vm_error_name(VM_OK));
    vm_fixture_check(&vm);
    mmu_model_check();
}

/* ---- From a frame to its pages ---- */

static void what_moved_is_found_and_forked(void **state)
{
    (void)state;
    static struct vm_space child;
    map_zeros(BASE, 8 * PAGE);
    fill_in(&space, BASE, 6);
    must_move(&space, BASE, 8 * PAGE, FAR);
    assert_null(space.family);
    expect_places(&space, FAR, 1);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    expect_places(&space, FAR + PAGE, 2);
    must_move(&space, FAR, 8 * PAGE, BASE + PAGE); /* away from what the child has */
    expect_places(&space, BASE + PAGE, 2);
    expect_places(&child, FAR, 2);
    must_move(&child, FAR + 2 * PAGE, 2 * PAGE, BASE); /* a part, elsewhere again */
    expect_places(&child, BASE, 2);
    expect_places(&space, BASE + 3 * PAGE, 2);
    expect_filled(&space, BASE + PAGE, 6);
    fill_in(&child, FAR, 1); /* copied: the others are alone with theirs */
    expect_places(&child, FAR, 1);
    expect_places(&space, BASE + PAGE, 1);
    must_move(&space, BASE + PAGE, 8 * PAGE, FAR); /* back: all of the space is the relative once more */
    expect_places(&space, FAR + 2 * PAGE, 2);
    vm_fixture_drop(&space);
    expect_places(&child, BASE, 1);
    vm_fixture_drop(&child);
    assert_int_equal(vm.manager.family_numbers.count, 0);
    vm_fixture_space(&vm, &space, "test");
}

/* What stays behind is empty, and fills as it did; what is shared is shown at both places. */
static void what_is_kept_is_empty(void **state)
{
    (void)state;
    struct test_pager pager;
    virt_addr_t address;
    test_pager_start(&pager, &vm);
    map_zeros(BASE, 70 * PAGE);
    fill_in(&space, BASE, 70);
    struct vm_move keep = {
        .from = virt_addr(BASE + PAGE), .bytes = 68 * PAGE, .new_bytes = 68 * PAGE, .keep = true};
    assert_int_equal(vm_space_move(&space, &keep, &address), VM_OK);
    assert_int_equal(space.resident, 70);
    touch(BASE + PAGE, MMU_READ, VM_FAULT_ZERO_READ);
    assert_int_equal(*touch(address.raw, MMU_READ, VM_FAULT_COUNT), 2);
    map((struct vm_request){.source = VM_PAGER,
                            .bytes = 4 * PAGE,
                            .address = virt_addr(FAR),
                            .shared = true,
                            .pager = &pager.pager,
                            .offset = PAGE});
    *touch(FAR, MMU_WRITE, VM_FAULT_PAGED) = 1234;
    struct vm_move again = {.from = virt_addr(FAR), .new_bytes = 2 * PAGE};
    assert_int_equal(vm_space_move(&space, &again, &address), VM_OK);
    assert_int_equal(*touch(address.raw, MMU_READ, VM_FAULT_PAGED), 1234);
    expect_places(&space, FAR, 2);
    must_move(&space, address.raw, 2 * PAGE, FAR + GIB(1));
    expect_places(&space, FAR + GIB(1), 2);
    assert_int_equal(atomic_load(&pager.pager.shared), 2);
    vm_fixture_drop(&space);
    test_pager_stop(&pager);
    vm_fixture_space(&vm, &space, "test");
}

/* Where large pages lie alike they stay large, and else are cut; one that cannot be cut stays where it is. */
static void large_pages_move_as_they_can(void **state)
{
    (void)state;
    map((struct vm_request){
        .source = VM_ZERO, .bytes = MIB(6), .address = virt_addr(MIB(64)), .large = true});
    touch(MIB(64), MMU_WRITE, VM_FAULT_LARGE);
    touch(MIB(68), MMU_WRITE, VM_FAULT_LARGE);
    must_move(&space, MIB(64), MIB(6), GIB(1) + MIB(10));
    assert_int_equal(counts_of(&space).large, 1024);
    phys_addr_t block = frame_of(&space, GIB(1) + MIB(10));
    frame_pin(&vm.machine.pool, block);
    assert_int_equal(move_in(&space, GIB(1) + MIB(10), MIB(6), MIB(64) + PAGE), VM_BUSY);
    assert_int_equal(move_in(&space, GIB(1) + MIB(10) + PAGE, MIB(2), MIB(64)), VM_BUSY);
    vm_fixture_check(&vm);
    must_move(&space, GIB(1) + MIB(10), MIB(6), MIB(64));
    assert_int_equal(frame_of(&space, MIB(64)).raw, block.raw);
    frame_unpin(&vm.machine.pool, block);
    must_move(&space, MIB(64), MIB(6), GIB(1) + PAGE);
    assert_int_equal(counts_of(&space).large, 0);
    assert_int_equal(space.resident, 1024);
}

/* Guards of others that reach into what is replaced become shorter, and go with their regions. */
static void guards_give_way(void **state)
{
    (void)state;
    struct vm_request stack = zeros_at(BASE + 20 * PAGE, 4 * PAGE);
    stack.source = VM_STACK;
    stack.guard = 10 * PAGE;
    assert_int_equal(try_map(stack), VM_OK);
    struct vm_request over = zeros_at(BASE + 12 * PAGE, 3 * PAGE);
    assert_int_equal(try_map(over), VM_OVERLAP);
    over.replace = true;
    assert_int_equal(try_map(over), VM_OK);
    touch(BASE + 11 * PAGE, MMU_READ, VM_FAULT_NO_REGION);
    touch(BASE + 15 * PAGE, MMU_READ, VM_FAULT_STACK_LIMIT);
    over.guard = PAGE;
    over.address = virt_addr(BASE + 17 * PAGE); /* a guard of its own has to be free */
    assert_int_equal(try_map(over), VM_OVERLAP);
    assert_int_equal(vm_space_extend_down(&space, virt_addr(BASE + 20 * PAGE), 4 * PAGE, 2 * PAGE),
                     VM_OVERLAP);
    assert_int_equal(vm_space_extend_down(&space, virt_addr(BASE + 20 * PAGE), 3 * PAGE, 2 * PAGE), VM_OK);
    touch(BASE + 16 * PAGE, MMU_READ, VM_FAULT_STACK_LIMIT);
    touch(BASE + 17 * PAGE, MMU_WRITE, VM_FAULT_STACK);
    vm_fixture_check(&vm);
}

static unsigned asked;
static bool lets_grow;

static bool grow(struct vm_space *of, virt_addr_t address)
{
    uint64_t page = align_down(address.raw, PAGE);
    asked++;
    return lets_grow && vm_space_extend_down(of, virt_addr(BASE), BASE - page, PAGE) == VM_OK;
}

/* Where nothing lies, and nowhere else, somebody is asked, once for each fault. */
static void a_stack_grows_where_somebody_lets_it(void **state)
{
    (void)state;
    struct vm_request stack = zeros_at(BASE, 4 * PAGE);
    stack.source = VM_STACK;
    assert_int_equal(try_map(stack), VM_OK);
    space.grow = grow;
    asked = 0;
    lets_grow = false;
    touch(BASE - 2 * PAGE, MMU_WRITE, VM_FAULT_NO_REGION);
    assert_int_equal(asked, 1);
    lets_grow = true;
    touch(BASE - 2 * PAGE, MMU_WRITE, VM_FAULT_STACK);
    touch(BASE, MMU_EXECUTE, VM_FAULT_DENIED);
    assert_int_equal(asked, 2);
    assert_int_equal(space.faults[VM_FAULT_NO_REGION], 1);
    lets_grow = false;
    touch(BASE - 3 * PAGE, MMU_READ, VM_FAULT_STACK_LIMIT); /* the gap */
    assert_int_equal(asked, 3);
    space.grow = NULL;
    touch(BASE - 3 * PAGE, MMU_READ, VM_FAULT_STACK_LIMIT);
}

/* ---- Out of memory ---- */

static void fill_for_a_move(void)
{
    unmap_all();
    map_zeros(BASE, 80 * PAGE);
    fill_in(&space, BASE, 70);
    map_zeros(FAR, 200 * PAGE);
    fill_in(&space, FAR, 20);
}

static bool move_a_part(void)
{
    return is_done(move_in(&space, BASE + 5 * PAGE, 60 * PAGE, FAR + 10 * PAGE));
}

/* Over the bounds of tables at every level. */
static bool move_between_tables(void)
{
    return is_done(move_in(&space, BASE, 80 * PAGE, TIB(1) - 33 * PAGE));
}

static bool replace_a_part(void)
{
    struct vm_request over = zeros_at(FAR + 10 * PAGE, 100 * PAGE);
    over.replace = true;
    over.name = "over";
    return is_done(try_map(over));
}

static bool lengthen(void)
{
    return is_done(vm_space_extend(&space, virt_addr(BASE + 80 * PAGE), 3 * PAGE));
}

static void fill_large_for_a_move(void)
{
    unmap_all();
    map((struct vm_request){
        .source = VM_ZERO, .bytes = MIB(4), .address = virt_addr(MIB(64)), .large = true});
    enum vm_fault fault;
    vm_touch(&space, MIB(64), MMU_WRITE, &fault);
    assert_int_equal(fault, VM_FAULT_LARGE);
}

static bool move_large_elsewhere(void)
{
    return is_done(move_in(&space, MIB(64), MIB(4), GIB(7) + 3 * PAGE));
}

static void what_fails_has_changed_nothing(void **state)
{
    (void)state;
    fill_for_a_move();
    assert_true(exhaust(move_a_part, fill_for_a_move) >= 5);
    assert_true(exhaust(move_between_tables, fill_for_a_move) >= 9);
    assert_true(exhaust(replace_a_part, fill_for_a_move) >= 3);
    assert_true(exhaust(lengthen, fill_for_a_move) >= 1);
    fill_large_for_a_move();
    cuts_pages = true;
    assert_true(exhaust(move_large_elsewhere, fill_large_for_a_move) >= 6);
    cuts_pages = false;
}

/* ---- The midst of it ---- */

static uint64_t random_state = 0x5eed;
static unsigned waiting; /* pages of the ranges that were no longer, or not yet, there */

/* Whether a fault there would wait; when all is done it need not any more. */
static bool is_waited_for(uint64_t address)
{
    spinlock_acquire(&space.lock);
    bool held = vm_is_held(&space, address);
    bool done = waiting > 0 && space.held[VM_HELD_TARGET].end == 0 && space.held[VM_HELD_SOURCE].end == 0;
    spinlock_release(&space.lock);
    return held || done;
}

/* What another CPU finds without a fault is what was there, at the old place or at the new one. */
static void look_at_both(void)
{
    for (unsigned i = 0; i < 30; i++) {
        uint64_t page = random_next(&random_state) % PAGES;
        uint64_t target;
        for (uint64_t base = BASE; base <= FAR; base += FAR - BASE) {
            uint64_t address = base + page * PAGE;
            if (mmu_model_access(space.table, address, MMU_READ, true, &target) == MMU_OK) {
                const uint64_t *memory = frame_pointer(&vm.machine.pool, phys_addr(target));
                assert_true(*memory == page + 1 || *memory == page + 1001);
            } else {
                assert_true(is_waited_for(address));
                waiting++;
            }
        }
    }
}

static void fill_both(void)
{
    enum vm_fault fault;
    map_zeros(BASE, PAGES * PAGE);
    map_zeros(FAR, PAGES * PAGE);
    fill_in(&space, BASE, PAGES);
    for (uint64_t i = 0; i < PAGES; i++) {
        *(uint64_t *)vm_touch(&space, FAR + i * PAGE, MMU_WRITE, &fault) = i + 1001;
    }
    waiting = 0;
}

static void others_see_the_old_or_the_new(void **state)
{
    (void)state;
    fill_both();
    BETWEEN(look_at_both, move_in(&space, BASE, PAGES * PAGE, FAR));
    assert_true(waiting > 0);
    assert_int_equal(space.resident, PAGES);
    expect_filled(&space, FAR, PAGES);
    assert_int_equal(space.held[VM_HELD_TARGET].end + space.held[VM_HELD_SOURCE].end, 0);
}

static void who_comes_while_it_is_replaced_waits(void **state)
{
    (void)state;
    fill_both();
    struct vm_request over = zeros_at(FAR, PAGES * PAGE);
    over.replace = true;
    BETWEEN(look_at_both, try_map(over));
    assert_true(waiting > 0);
    touch(FAR, MMU_READ, VM_FAULT_ZERO_READ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_moved_is_found_and_forked),        TEST(what_is_kept_is_empty),
        TEST(large_pages_move_as_they_can),          TEST(guards_give_way),
        TEST(a_stack_grows_where_somebody_lets_it),  TEST(what_fails_has_changed_nothing),
        BETWEEN_TEST(others_see_the_old_or_the_new), BETWEEN_TEST(who_comes_while_it_is_replaced_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

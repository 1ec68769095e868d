/* Faults of another CPU in the midst of unmapping, protecting and counting. */
#include "between.h"

#include <string.h>

#define PAGES 400
#define FIRST 50  /* page that goes first */
#define LAST  350 /* behind the last one */

static uint64_t marks[PAGES];
static uint64_t random_state = 0x5eed;

static uint64_t at(uint64_t page)
{
    return BASE + page * PAGE;
}

/* A page of its own at every address, with a mark of its own. */
static void fill(uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        enum vm_fault fault;
        uint64_t *memory = vm_touch(&space, at(i), MMU_WRITE, &fault);
        assert_non_null(memory);
        *memory = marks[i] = i + 1000;
    }
}

/* Takes what the operation has given back, and writes to it: nobody may still read that. */
static phys_addr_t taken[64];
static unsigned taken_count;

static void take_frames(void)
{
    for (unsigned i = 0; i < 4 && taken_count < ARRAY_LENGTH(taken); i++) {
        phys_addr_t frame = frame_alloc(&vm.machine.pool, 0, OWNER_TEST);
        memset(frame_pointer(&vm.machine.pool, frame), 0xdd, PAGE);
        taken[taken_count++] = frame;
    }
}

static void return_frames(void)
{
    while (taken_count > 0) {
        frame_free(&vm.machine.pool, taken[--taken_count], 0);
    }
}

/* ---- Unmapping ---- */

static bool is_going; /* a fault in the range has found nothing */

static void touch_around_what_goes(void)
{
    enum vm_fault fault;
    take_frames();
    for (unsigned i = 0; i < 20; i++) {
        uint64_t page = random_next(&random_state) % PAGES;
        enum mmu_use use = random_next(&random_state) % 2 ? MMU_READ : MMU_WRITE;
        bool goes = page >= FIRST && page < LAST;
        const uint64_t *memory = vm_touch(&space, at(page), use, &fault);
        if (memory) {
            assert_int_equal(*memory, marks[page]);
            assert_true(!goes || !is_going || fault == VM_FAULT_COUNT);
        } else {
            assert_true(goes);
            assert_int_equal(fault, VM_FAULT_NO_REGION);
            is_going = true;
        }
    }
}

static void what_goes_is_not_filled_again(void **state)
{
    (void)state;
    map_zeros(BASE, PAGES * PAGE);
    fill(0, PAGES);
    is_going = false;
    BETWEEN(touch_around_what_goes, vm_space_unmap(&space, virt_addr(at(FIRST)), (LAST - FIRST) * PAGE));
    assert_true(is_going);
    for (uint64_t i = 0; i < PAGES; i++) {
        bool goes = i >= FIRST && i < LAST;
        touch(at(i), MMU_READ, goes ? VM_FAULT_NO_REGION : VM_FAULT_COUNT);
    }
    return_frames();
}

/* A large page is one step; another CPU fills the holes beside it with more of them. */
static void touch_large(void)
{
    enum vm_fault fault;
    uint64_t page = random_next(&random_state) % 4;
    take_frames();
    const uint64_t *memory = vm_touch(&space, MIB(64) + page * MIB(2), MMU_WRITE, &fault);
    assert_true(memory || fault == VM_FAULT_NO_REGION);
}

static void what_goes_may_be_large(void **state)
{
    (void)state;
    enum vm_fault fault;
    map((struct vm_request){
        .source = VM_ZERO, .bytes = MIB(8), .address = virt_addr(MIB(64)), .large = true});
    assert_non_null(vm_touch(&space, MIB(64), MMU_WRITE, &fault));
    assert_non_null(vm_touch(&space, MIB(68), MMU_WRITE, &fault));
    assert_int_equal(vm_space_protect(&space, virt_addr(MIB(64) + PAGE), PAGE, VM_READ), VM_OK); /* cut */
    BETWEEN(touch_large, vm_space_unmap(&space, virt_addr(MIB(64) + 3 * PAGE), MIB(8) - 6 * PAGE));
    assert_int_equal(space.resident, 3); /* pages of what was cut; the last three were never there */
    return_frames();
}

/* ---- Protecting ---- */

static struct {
    unsigned before; /* enum vm_access */
    unsigned after;
} change;

static unsigned touched; /* how often the two allowed it both, one, none */

static void touch_what_changes(void)
{
    static const enum mmu_use uses[] = {MMU_READ, MMU_WRITE, MMU_EXECUTE};
    for (unsigned i = 0; i < 20; i++) {
        enum vm_fault fault;
        uint64_t page = random_next(&random_state) % PAGES;
        enum mmu_use use = uses[random_next(&random_state) % 3];
        unsigned wanted = vm_access_of(use);
        const uint64_t *memory = vm_touch(&space, at(page), use, &fault);
        if (memory) {
            assert_true((change.before | change.after) & wanted);
            assert_int_equal(*memory, marks[page]);
        } else {
            assert_false(change.before & change.after & wanted);
            assert_int_equal(fault, VM_FAULT_DENIED);
        }
        touched++;
    }
}

static void change_access(unsigned before, unsigned after)
{
    static const enum mmu_use uses[] = {MMU_READ, MMU_WRITE, MMU_EXECUTE};
    change.before = before;
    change.after = after;
    memset(marks, 0, sizeof marks);
    map_zeros(BASE, PAGES * PAGE);
    fill(20, 200); /* the rest are holes */
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGES * PAGE, before), VM_OK);
    between_begin(touch_what_changes);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGES * PAGE, after), VM_OK);
    between_end();
    assert_true(before == after || between_times() >= 3);
    mmu_model_check();
    vm_fixture_check(&vm);
    for (uint64_t i = 0; i < PAGES; i += 7) {
        for (unsigned use = 0; use < 3; use++) {
            enum vm_fault fault;
            const uint64_t *memory = vm_touch(&space, at(i), uses[use], &fault);
            assert_int_equal(memory != NULL, (after & vm_access_of(uses[use])) != 0);
            assert_true(!memory || *memory == marks[i]);
        }
    }
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGES * PAGE), VM_OK);
}

static void faults_allow_what_was_and_will_be_allowed(void **state)
{
    (void)state;
    static const unsigned accesses[] = {VM_NONE, VM_READ, RW, VM_READ | VM_EXECUTE};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            change_access(accesses[i], accesses[j]);
        }
    }
    assert_true(touched > 500);
}

/* ---- Looking ---- */

static void unmap_everything(void)
{
    assert_int_equal(vm_space_unmap(&space, virt_addr(space.base), space.end - space.base), VM_OK);
}

static uint64_t next_gone; /* region that goes next */

/* More of the lowest regions go than one hold sees, and their records become those of others. */
static void replace_regions(void)
{
    host_meanwhile = NULL;
    uint64_t end = min_u64(PAGES, next_gone + VM_HOLD_PAGES + 6);
    for (uint64_t i = next_gone; i < end; i++) {
        assert_int_equal(vm_space_unmap(&space, virt_addr(at(2 * i)), PAGE), VM_OK);
    }
    for (; next_gone < end; next_gone++) {
        map_zeros(TIB(1) + 2 * next_gone * PAGE, PAGE);
    }
    host_meanwhile = replace_regions;
}

static uint64_t count_devices(void)
{
    struct vm_counts counts;
    vm_space_count(&space, virt_addr(BASE), 2 * PAGES * PAGE, &counts);
    return counts.device;
}

static uint64_t count_places(void)
{
    struct vm_place place;
    return vm_frame_places(&vm.manager, phys_addr(GIB(1)), &place, 1);
}

/* Whoever only looks holds nothing that stays, so all may be another thing after each hold. */
static void what_is_counted_may_go(void **state)
{
    (void)state;
    uint64_t (*const counts[])(void) = {count_devices, count_places};
    for (unsigned i = 0; i < ARRAY_LENGTH(counts); i++) {
        for (uint64_t page = 0; page < 2 * PAGES; page += 2) {
            map((struct vm_request){.source = VM_DEVICE,
                                    .bytes = PAGE,
                                    .target = phys_addr(GIB(1)),
                                    .address = virt_addr(at(page))});
            assert_int_equal(vm_space_fault(&space, virt_addr(at(page)), VM_READ), VM_FAULT_DEVICE);
        }
        next_gone = 0;
        host_meanwhile = replace_regions;
        uint64_t count = counts[i]();
        host_meanwhile = NULL;
        assert_int_equal(next_gone, PAGES);
        assert_in_range(count, PAGES / 2,
                        PAGES - 6); /* what had gone before it was looked at is not counted */
        unmap_everything();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BETWEEN_TEST(what_goes_is_not_filled_again),
        BETWEEN_TEST(what_goes_may_be_large),
        BETWEEN_TEST(faults_allow_what_was_and_will_be_allowed),
        BETWEEN_TEST(what_is_counted_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

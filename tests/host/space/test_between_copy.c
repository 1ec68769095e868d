/* Faults and writes of another CPU in the midst of a fork, a copy, a sync, and of what undoes them. */
#include "between.h"

#include <string.h>

#define PAGES  600 /* more than a large page has */
#define FILLED 300 /* pages from the first on that hold something; the rest are holes */
#define PIECES 5   /* regions, as long as no page is large */
#define TARGET GIB(1)

static uint64_t random_state = 0x5eed;

static uint64_t at(uint64_t page)
{
    return BASE + page * PAGE;
}

static uint64_t *write_to(struct vm_space *in, uint64_t address, uint64_t value)
{
    enum vm_fault fault;
    uint64_t *memory = vm_touch(in, address, MMU_WRITE, &fault);
    assert_non_null(memory);
    *memory = value;
    return memory;
}

static uint64_t read_from(struct vm_space *in, uint64_t address)
{
    enum vm_fault fault;
    const uint64_t *memory = vm_touch(in, address, MMU_READ, &fault);
    assert_non_null(memory);
    return *memory;
}

/* ---- What each page held when it was taken ---- */

static struct {
    struct vm_space *copy;  /* where pages are shown again */
    uint64_t distance;      /* of the copy */
    uint64_t value[PAGES];  /* what the original holds */
    uint64_t old[PAGES];    /* what the copy must hold: of the moment when the page was taken */
    uint64_t holes[PAGES];  /* what was a hole may have been one when it was taken */
    unsigned written_early; /* writes before the page was taken */
    unsigned written_late;  /* and after */
} model;

static void model_start(struct vm_space *copy, uint64_t distance, bool large)
{
    memset(&model, 0, sizeof model);
    model.copy = copy;
    model.distance = distance;
    for (uint64_t i = 0; i < (large ? 1 : PIECES); i++) {
        map((struct vm_request){.source = VM_ZERO,
                                .bytes = large ? PAGES * PAGE : PAGES / PIECES * PAGE,
                                .address = virt_addr(at(i * (PAGES / PIECES))),
                                .name = i % 2 ? "odd" : "even",
                                .large = large,
                                .around = 8});
    }
    for (uint64_t i = 0; i < FILLED; i++) {
        model.value[i] = model.old[i] = i + 1000;
        write_to(&space, at(i), i + 1000);
    }
    enum page_level level = page_table_translate(space.table, virt_addr(at(0))).level;
    assert_int_equal(level, large ? PAGE_LEVEL_2M : PAGE_LEVEL_4K);
    for (uint64_t i = 0; i < PAGES; i++) {
        bool hole = !page_table_translate(space.table, virt_addr(at(i))).mapped;
        model.holes[i] = hole;
    }
}

static bool is_taken(uint64_t page)
{
    return model.copy->table &&
           page_table_translate(model.copy->table, virt_addr(at(page) + model.distance)).mapped;
}

static void write_anywhere(void)
{
    for (unsigned i = 0; i < 10; i++) {
        uint64_t page = random_next(&random_state) % PAGES;
        uint64_t value = random_next(&random_state);
        bool taken = is_taken(page);
        write_to(&space, at(page), value);
        model.value[page] = value;
        if (!taken) {
            model.old[page] = value;
        }
        model.written_early += !taken;
        model.written_late += taken;
    }
}

/* The original and the copy hold what they must, and go on without each other. */
static void model_check(bool both)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        assert_int_equal(read_from(&space, at(i)), model.value[i]);
        if (both) {
            uint64_t value = read_from(model.copy, at(i) + model.distance);
            assert_true(value == model.old[i] || (model.holes[i] && value == 0));
            write_to(model.copy, at(i) + model.distance, ~value);
        }
        assert_int_equal(read_from(&space, at(i)), model.value[i]);
    }
    mmu_model_check();
    vm_fixture_check(&vm);
}

/* ---- Forks ---- */

static struct vm_space child;

static void fork_between(bool large)
{
    memset(&child, 0, sizeof child);
    model_start(&child, 0, large);
    BETWEEN(write_anywhere, vm_space_clone(&space, &child, "child"));
    vm_fixture_add(&child);
    assert_true(model.written_early > 5 && model.written_late > 5);
    model_check(true);
    vm_fixture_drop(&child);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGES * PAGE), VM_OK);
}

static void each_page_of_a_fork_is_taken_at_one_moment(void **state)
{
    (void)state;
    fork_between(false);
    fork_between(true);
}

static void a_fork_that_fails_leaves_the_original(void **state)
{
    (void)state;
    memset(&child, 0, sizeof child);
    model_start(&child, 0, false);
    uint64_t frames = vm_fixture_free(&vm) + space.resident + space.own.table_frames;
    for (unsigned records = 1; records <= PIECES; records++) { /* a family, and one for each region */
        slab_fail_every(&vm.slabs, records);
        between_begin(write_anywhere);
        enum vm_error error = vm_space_clone(&space, &child, "child");
        between_end();
        slab_fail_every(&vm.slabs, 0);
        assert_int_equal(error, VM_NO_MEMORY);
        model_check(false);
    }
    assert_int_equal(space.region_count, PIECES);
    frames -= 2; /* a family's record, and a page of their table, stay; else holes were filled */
    assert_int_equal(vm_fixture_free(&vm) + space.resident + space.own.table_frames, frames);
}

/* ---- Copies ---- */

static struct vm_space other;

/* Another CPU uses the space that the copy goes to: it finds nothing there, or all of it. */
static void write_and_look(void)
{
    enum vm_fault fault;
    write_anywhere();
    uint64_t page = random_next(&random_state) % PAGES;
    const uint64_t *memory = vm_touch(&other, at(page) + TARGET, MMU_READ, &fault);
    if (memory) {
        assert_true(*memory == model.old[page] || (model.holes[page] && *memory == 0));
    } else {
        assert_int_equal(fault, VM_FAULT_NO_REGION);
    }
}

static void a_copy_is_not_filled_before_it_is_there(void **state)
{
    (void)state;
    vm_fixture_space(&vm, &other, "other");
    model_start(&other, TARGET, false);
    assert_int_equal(vm_space_protect(&space, virt_addr(at(200)), PAGE, VM_READ), VM_OK); /* 2 more */
    assert_int_equal(vm_space_protect(&space, virt_addr(at(200)), PAGE, RW), VM_OK);
    BETWEEN(write_and_look,
            vm_space_copy(&other, virt_addr(at(0) + TARGET), &space, virt_addr(BASE), PAGES * PAGE));
    assert_true(model.written_early > 5 && model.written_late > 5);
    model_check(true);
    vm_fixture_drop(&other);
}

static void a_copy_that_fails_leaves_nothing(void **state)
{
    (void)state;
    vm_fixture_space(&vm, &other, "other");
    model_start(&other, TARGET, false);
    assert_int_equal(vm_space_protect(&space, virt_addr(at(200)), PAGE, VM_READ | VM_EXECUTE), VM_OK);
    for (unsigned records = 1; records <= PIECES; records++) {
        slab_fail_every(&vm.slabs, records);
        between_begin(mmu_model_fill);
        enum vm_error error =
            vm_space_copy(&other, virt_addr(at(0) + TARGET), &space, virt_addr(BASE), PAGES * PAGE);
        between_end();
        slab_fail_every(&vm.slabs, 0);
        assert_int_equal(error, VM_NO_MEMORY);
        assert_int_equal(other.region_count, 0);
        assert_int_equal(other.resident, 0);
        assert_int_equal(other.own.table_frames, 1);
        mmu_model_check();
        vm_fixture_check(&vm);
    }
    vm_fixture_drop(&other);
}

/* ---- Pagers that are told ---- */

/* A file whose frames stay, and which of them were written to since it was told. */
static struct {
    struct vm_pager pager;
    phys_addr_t frames[PAGES];
    bool written[PAGES];
    unsigned told;
} file;

static phys_addr_t file_get(struct vm_pager *pager, uint64_t offset, bool wait)
{
    (void)pager;
    (void)wait;
    phys_addr_t *frame = &file.frames[offset >> FRAME_SHIFT];
    if (frame->raw == 0) {
        *frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_CACHE);
    }
    return frame_try_get(&vm.machine.pool, *frame) == FRAME_OK ? *frame : FRAME_NONE;
}

static void file_dirty(struct vm_pager *pager, uint64_t offset, phys_addr_t frame)
{
    (void)pager;
    assert_int_equal(frame.raw, file.frames[offset >> FRAME_SHIFT].raw);
    assert_false(mmu_model_writes_unseen(frame));
    file.written[offset >> FRAME_SHIFT] = false;
    file.told++;
}

static void write_to_file(void)
{
    for (unsigned i = 0; i < 20; i++) {
        enum vm_fault fault;
        uint64_t page = random_next(&random_state) % PAGES;
        if (vm_touch(&space, at(page), MMU_WRITE, &fault)) {
            file.written[page] = true;
        } else {
            assert_int_equal(fault, VM_FAULT_NO_REGION); /* it is being unmapped */
        }
    }
}

static void expect_all_told(void)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        assert_false(file.written[i]);
    }
}

static void what_is_written_meanwhile_is_told(void **state)
{
    (void)state;
    memset(&file, 0, sizeof file);
    file.pager = (struct vm_pager){.get = file_get, .dirty = file_dirty, .references = 1};
    map((struct vm_request){.source = VM_PAGER, .pager = &file.pager, .shared = true, .bytes = PAGES * PAGE});
    for (uint64_t i = 0; i < PAGES; i++) {
        write_to(&space, at(i), i);
        file.written[i] = true;
    }
    BETWEEN(write_to_file, vm_space_sync(&space, virt_addr(BASE), PAGES * PAGE));
    assert_true(file.told >= PAGES);
    assert_int_equal(vm_space_sync(&space, virt_addr(BASE), PAGES * PAGE), VM_OK);
    expect_all_told();
    BETWEEN(write_to_file, vm_space_unmap(&space, virt_addr(BASE), PAGES * PAGE));
    expect_all_told();
    vm_pager_put(&file.pager);
    for (uint64_t i = 0; i < PAGES; i++) {
        assert_true(frame_put(&vm.machine.pool, file.frames[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BETWEEN_TEST(each_page_of_a_fork_is_taken_at_one_moment),
        BETWEEN_TEST(a_fork_that_fails_leaves_the_original),
        BETWEEN_TEST(a_copy_is_not_filled_before_it_is_there),
        BETWEEN_TEST(a_copy_that_fails_leaves_nothing),
        BETWEEN_TEST(what_is_written_meanwhile_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

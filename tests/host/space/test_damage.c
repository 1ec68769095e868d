/*
 * Rules of the validator that take more than one wrong word to break, what faults and copies say to damage,
 * and what making spaces and managers says when there is no more of something.
 */
#include "mm/space/share/family.h"
#include "steps.h"

#include "tests/host/support/host.h"

#include <ashlar/format.h>
#include <string.h>

#define LARGE (BASE + MIB(4))

static page_table_entry_t *entry_of(uint64_t address)
{
    return page_table_slot(space.table, virt_addr(address));
}

static struct frame_descriptor *descriptor_of(uint64_t address)
{
    return frame_descriptor(&vm.machine.pool, page_table_translate(space.table, virt_addr(address)).target);
}

static void expect_problem(const char *what)
{
    struct vm_problem problem = {.what = "nothing"};
    assert_false(vm_manager_check(&vm.manager, &problem));
    assert_string_equal(problem.what, what);
}

/* Puts the value in place, expects the rule to be named, and mends it. */
#define EXPECT_PROBLEM(field, bad, says)                                                                     \
    do {                                                                                                     \
        __typeof__(field) as_it_was = (field);                                                               \
        (field) = (bad);                                                                                     \
        expect_problem(says);                                                                                \
        (field) = as_it_was;                                                                                 \
        vm_fixture_check(&vm);                                                                               \
    } while (0)

static phys_addr_t hoard[MIB(24) / FRAME_BYTES];
static uint64_t hoarded;

static void take_all_frames(void)
{
    while ((hoard[hoarded] = frame_alloc(&vm.machine.pool, 0, OWNER_TEST)).raw != 0) {
        hoarded++;
    }
}

static void give_all_frames(void)
{
    while (hoarded > 0) {
        frame_free(&vm.machine.pool, hoard[--hoarded], 0);
    }
}

/* Two regions, BASE + 8 pages and one page below it, of which the upper one is the last. */
static void lists_and_trees_must_agree(void **state)
{
    (void)state;
    struct vm_pager none = {.get = NULL};
    map_zeros(BASE, PAGE);
    map_zeros(BASE + 8 * PAGE, PAGE);
    struct vm_region *lower = space.first;
    struct vm_region *upper = lower->next;
    struct vm_region stray = *upper;
    stray.previous = upper;
    stray.next = NULL;
    EXPECT_PROBLEM(space.first, upper, "tree and list disagree");
    EXPECT_PROBLEM(upper->previous, NULL, "the list backwards");
    EXPECT_PROBLEM(upper->next, &stray, "a region in the list only");
    EXPECT_PROBLEM(lower->pager, &none, "a region and its pager");
    EXPECT_PROBLEM(lower->denied, lower->denied ^ VM_READ, "what a region denies");
}

/* Who looks at the pages of a region on its way in or out is told which it is, though the tree has it not. */
static void a_region_on_its_way_is_found(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct vm_region moving = {.base = BASE + 2 * PAGE, .bytes = PAGE};
    map_zeros(BASE, PAGE);
    space.moving = &moving;
    assert_ptr_equal(vm_region_at(&space, BASE + 3 * PAGE - 1), &moving);
    assert_ptr_equal(vm_region_at(&space, BASE), space.first);
    assert_null(vm_region_at(&space, BASE + 3 * PAGE));
    space.moving = NULL;
    assert_null(vm_region_at(&space, BASE + 2 * PAGE));
}

static void pages_must_fit_their_regions_and_frames(void **state)
{
    (void)state;
    map_zeros(BASE, 2 * PAGE);
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    struct frame_descriptor *descriptor = descriptor_of(BASE);
    EXPECT_PROBLEM(descriptor->tag, frame_tag(FRAME_ALLOCATED, 1, 1),
                   "a page that shows a block of another size");
    page_table_entry_t *behind = entry_of(BASE + 9 * PAGE);
    EXPECT_PROBLEM(behind->raw, entry_of(BASE)->raw, "a page without a region");
    EXPECT_PROBLEM(behind->raw, PAGE_ENTRY_WRITE, "an absent entry holds bits");
    EXPECT_PROBLEM(vm.machine.pool.fixed_bytes[OWNER_MMIO], 5, "the ledger does not close");

    struct vm_request request = zeros_at(LARGE, MIB(2));
    request.large = true;
    assert_int_equal(try_map(request), VM_OK);
    touch(LARGE, MMU_WRITE, VM_FAULT_LARGE);
    struct vm_region *region = space.first->next;
    region->bytes -= PAGE;
    space.region_bytes -= PAGE;
    space.data_bytes -= PAGE;
    expect_problem("a large page that reaches out of its region");
    region->bytes += PAGE;
    space.region_bytes += PAGE;
    space.data_bytes += PAGE;
}

/* A page of given frames has no holes, and is never less open than its region. */
static void faults_in_given_frames(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    map((struct vm_request){.source = VM_FRAMES, .bytes = PAGE, .frames = &frame});
    page_table_entry_t *entry = entry_of(BASE);
    page_table_entry_t right = *entry;
    entry->raw &= ~PAGE_ENTRY_WRITE;
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE), VM_WRITE), VM_FAULT_SPURIOUS);
    entry->raw = 0;
    CATCH_PANIC(trap, panicked, (void)vm_space_fault(&space, virt_addr(BASE), VM_READ));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "a hole at"));
    spinlock_init(&space.lock, LOCK_SPACE, space.number); /* the panic left it held */
    *entry = right;
    frame_put(&vm.machine.pool, frame);
}

/* What the frame has its references for, no space's note says: it is not the spaces'. */
static void a_note_of_no_space_is_not_known(void **state)
{
    (void)state;
    struct vm_place place;
    phys_addr_t frame = frame_alloc(&vm.machine.pool, 0, OWNER_TEST);
    const uint64_t notes[] = {0,
                              2,
                              (uintptr_t)&vm,
                              vm_code(200, BASE),
                              vm_code(200, BASE) | VM_CODE_FAMILY,
                              vm_code(space.number, BASE)};
    for (size_t i = 0; i < ARRAY_LENGTH(notes); i++) {
        frame_descriptor(&vm.machine.pool, frame)->note.raw = notes[i];
        assert_int_equal(vm_frame_places(&vm.manager, frame, &place, 1), 0);
    }
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    frame_free(&vm.machine.pool, frame, 0);
}

/* A large page is cut for what takes a part of it; without memory for a table it stays whole. */
static void a_large_page_is_not_cut_without_memory(void **state)
{
    (void)state;
    struct vm_request request = zeros_at(LARGE, MIB(2));
    request.large = true;
    assert_int_equal(try_map(request), VM_OK);
    touch(LARGE, MMU_WRITE, VM_FAULT_LARGE);
    take_all_frames();
    assert_int_equal(vm_space_protect(&space, virt_addr(LARGE + PAGE), PAGE, VM_READ), VM_NO_MEMORY);
    give_all_frames();
    assert_int_equal(frame_pool_back(&vm.machine.pool, phys_addr(0), MIB(24)), FRAME_OK);
    take_all_frames();
    assert_int_equal(vm_space_protect(&space, virt_addr(LARGE + PAGE), PAGE, VM_READ), VM_NO_MEMORY);
    give_all_frames();
    assert_int_equal(page_table_translate(space.table, virt_addr(LARGE)).level, PAGE_LEVEL_2M);
    vm_fixture_check(&vm);
    assert_int_equal(vm_space_protect(&space, virt_addr(LARGE + PAGE), PAGE, VM_READ), VM_OK);
    assert_int_equal(page_table_translate(space.table, virt_addr(LARGE)).level, PAGE_LEVEL_4K);
}

/* A frame that has as many references as it can have is not shared once more, and nothing is copied. */
static void too_many_references_stop_a_copy(void **state)
{
    (void)state;
    struct vm_space copy;
    map_zeros(BASE, 2 * PAGE);
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    struct frame_descriptor *descriptor = descriptor_of(BASE);
    uint32_t tag = descriptor->tag;
    descriptor->tag = frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX);
    assert_int_equal(vm_space_clone(&space, &copy, "copy"), VM_BAD_FRAME);
    descriptor->tag = tag;
    vm_fixture_check(&vm);
}

/* Of a frame given twice that can have one more reference, nothing is mapped. */
static void too_many_references_stop_given_frames(void **state)
{
    (void)state;
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    phys_addr_t frames[2] = {frame, frame};
    struct frame_descriptor *descriptor = frame_descriptor(&vm.machine.pool, frame);
    struct vm_request request = zeros_at(BASE, 2 * PAGE);
    const uint32_t nearly = frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX - 1);
    frame_note_clear(descriptor);
    request.source = VM_FRAMES;
    request.frames = frames;
    descriptor->tag = nearly;
    assert_int_equal(try_map(request), VM_BAD_FRAME);
    assert_int_equal(descriptor->tag, nearly);
    assert_int_equal(descriptor->note.raw, 0);
    assert_int_equal(space.region_count, 0);
    request.bytes = PAGE;
    assert_int_equal(try_map(request), VM_OK);
    assert_int_equal(frame_tag_references(descriptor->tag), FRAME_REFERENCES_MAX);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    assert_int_equal(descriptor->tag, nearly);
    descriptor->tag = frame_tag(FRAME_ALLOCATED, 0, 1);
    frame_free(&vm.machine.pool, frame, 0);
}

/* A pager's page that cannot have one more reference is not given: the fault fails, the kernel goes on. */
static void too_many_references_stop_a_pagers_page(void **state)
{
    (void)state;
    struct test_pager pager;
    test_pager_start(&pager, &vm);
    map((struct vm_request){.source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager, .shared = true});
    touch(BASE, MMU_READ, VM_FAULT_PAGED);
    struct frame_descriptor *descriptor = descriptor_of(BASE);
    uint32_t tag = descriptor->tag;
    uint64_t note = descriptor->note.raw;
    map((struct vm_request){.source = VM_PAGER,
                            .bytes = PAGE,
                            .pager = &pager.pager,
                            .shared = true,
                            .address = virt_addr(LARGE)});
    const uint32_t full = frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX);
    descriptor->tag = full;
    touch(LARGE, MMU_READ, VM_FAULT_PAGER_FAILED);
    assert_int_equal(descriptor->tag, full);
    assert_int_equal(descriptor->note.raw, note);
    assert_int_equal(space.resident, 1);
    descriptor->tag = tag;
    touch(LARGE, MMU_READ, VM_FAULT_PAGED);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
    assert_int_equal(vm_space_unmap(&space, virt_addr(LARGE), PAGE), VM_OK);
    test_pager_stop(&pager);
}

/* ---- Making spaces and managers ---- */

static struct vm_space spaces[VM_NUMBERS_CHUNK + 1];

static enum vm_error make_kernel_space(unsigned number)
{
    const struct vm_space_config config = {.name = "one of many",
                                           .base = virt_addr(VM_KERNEL + number * MIB(2)),
                                           .bytes = MIB(2),
                                           .owner = OWNER_USER,
                                           .tables = &vm.kernel};
    return vm_space_create(&spaces[number], &vm.manager, &config);
}

static void numbers_come_in_chunks(void **state)
{
    (void)state;
    unsigned count = 0;
    while (vm.manager.space_numbers.free != vm.manager.space_numbers.limit) {
        assert_int_equal(make_kernel_space(count++), VM_OK);
    }
    uint32_t limit = vm.manager.space_numbers.limit;
    vm.manager.space_numbers.limit = vm.manager.space_numbers.free = VM_SPACES_MAX;
    assert_int_equal(make_kernel_space(count), VM_TOO_MANY);
    vm.manager.space_numbers.limit = vm.manager.space_numbers.free = limit;
    take_all_frames();
    assert_int_equal(make_kernel_space(count), VM_NO_MEMORY);
    give_all_frames();
    assert_int_equal(make_kernel_space(count++), VM_OK);
    assert_int_equal(vm.manager.space_numbers.limit, limit + VM_NUMBERS_CHUNK);
    vm_fixture_check(&vm);
    while (count > 0) {
        vm_space_destroy(&spaces[--count]);
    }
    vm.free_at_start--; /* the second page of the table of spaces stays */
}

/* A manager needs a frame of zeros and two caches; without any of them it leaves nothing behind. */
static void a_manager_is_made_whole_or_not(void **state)
{
    (void)state;
    static struct vm_manager other;
    static struct slab_pool slabs;
    static struct slab_cache taken[SLAB_NUMBERS];
    struct vm_manager_config config = vm.manager.config;
    struct slab_cache_config small = {.bytes = 64, .unguarded = true};
    enum slab_error error = SLAB_OK;
    unsigned count = 0;
    assert_int_equal(slab_pool_init(&slabs, &vm.slabs.config), SLAB_OK);
    config.slabs = &slabs;
    for (; error == SLAB_OK; count += error == SLAB_OK) {
        char name[SLAB_NAME_BYTES];
        format(name, sizeof name, "taken-%u", count);
        small.name = name;
        error = slab_cache_init(&slabs, &taken[count], &small);
    }
    assert_int_equal(error, SLAB_TOO_MANY);
    for (unsigned room = 0; room < 2; room++) {
        assert_int_equal(vm_manager_init(&other, &config), VM_TOO_MANY);
        assert_int_equal(slab_cache_destroy(&taken[--count]), 0);
    }
    assert_int_equal(vm_manager_init(&other, &config), VM_OK);
    vm_manager_destroy(&other);
    take_all_frames();
    assert_int_equal(vm_manager_init(&other, &config), VM_NO_MEMORY);
    give_all_frames();
    while (count > 0) {
        assert_int_equal(slab_cache_destroy(&taken[--count]), 0);
    }
    slab_pool_destroy(&slabs);
}

/* A space that ends with the last page of all addresses has nothing behind it to look at. */
static void the_last_address_ends_a_space(void **state)
{
    (void)state;
    static struct vm_space last;
    const struct vm_space_config config = {.name = "last",
                                           .base = virt_addr(0 - GIB(4)),
                                           .bytes = GIB(4) - PAGE,
                                           .owner = OWNER_USER,
                                           .tables = &vm.kernel};
    assert_int_equal(vm_space_create(&last, &vm.manager, &config), VM_OK);
    vm_fixture_check(&vm);
    vm_space_destroy(&last);
}

static void names_are_different(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VM_SOURCE_COUNT; i++) {
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(vm_source_name((enum vm_source)i), vm_source_name((enum vm_source)other));
        }
    }
    struct vm_request request = {.source = VM_ZERO, .bytes = PAGE + 1, .access = RW};
    virt_addr_t address;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_UNALIGNED); /* wherever it may be */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_and_trees_must_agree),
        TEST(a_region_on_its_way_is_found),
        TEST(pages_must_fit_their_regions_and_frames),
        TEST(faults_in_given_frames),
        TEST(a_note_of_no_space_is_not_known),
        TEST(a_large_page_is_not_cut_without_memory),
        TEST(too_many_references_stop_a_copy),
        TEST(too_many_references_stop_given_frames),
        TEST(too_many_references_stop_a_pagers_page),
        TEST(numbers_come_in_chunks),
        TEST(a_manager_is_made_whole_or_not),
        TEST(the_last_address_ends_a_space),
        TEST(names_are_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

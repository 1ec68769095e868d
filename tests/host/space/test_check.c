/* The validator is tested itself: each thing is damaged on purpose, and it must name what is wrong. */
#include "mm/space/share/family.h"
#include "steps.h"

static uint64_t frame_of(uint64_t address)
{
    return page_table_translate(space.table, virt_addr(address)).target.raw;
}

static struct frame_descriptor *descriptor_of(uint64_t address)
{
    return frame_descriptor(&vm.machine.pool, phys_addr(frame_of(address)));
}

static page_table_entry_t *entry_of(uint64_t address)
{
    return page_table_slot(space.table, virt_addr(address));
}

static struct vm_region *region_at(uint64_t address)
{
    spinlock_acquire(&space.lock);
    struct vm_region *region = vm_region_above(&space, address);
    spinlock_release(&space.lock);
    return region;
}

/* The manager's check, and the space's own unless it is no matter of one space, name this rule. */
static void expect_problem(const char *what)
{
    struct vm_problem problem = {.what = "nothing"};
    assert_false(vm_manager_check(&vm.manager, &problem));
    assert_string_equal(problem.what, what);
}

/* Damages a word, expects the rule to be named, and mends it. */
static void damage(uint64_t *word, uint64_t value, const char *what)
{
    uint64_t before = *word;
    *word = value;
    expect_problem(what);
    *word = before;
    vm_fixture_check(&vm);
}

static void make_regions(void)
{
    map((struct vm_request){.source = VM_ZERO, .bytes = 8 * PAGE, .guard = PAGE});
    map((struct vm_request){
        .source = VM_ZERO, .bytes = 4 * PAGE, .address = virt_addr(BASE + MIB(1)), .name = "second"});
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = PAGE,
                            .target = phys_addr(GIB(1)),
                            .address = virt_addr(BASE + MIB(2))});
    map((struct vm_request){
        .source = VM_NOTHING, .bytes = PAGE, .address = virt_addr(BASE + MIB(1) + 8 * PAGE)});
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    touch(BASE + PAGE, MMU_WRITE, VM_FAULT_ZERO);
    touch(BASE + 2 * PAGE, MMU_READ, VM_FAULT_ZERO_READ);
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE + MIB(2)), VM_READ), VM_FAULT_DEVICE);
}

static void damaged_regions(void **state)
{
    (void)state;
    make_regions();
    struct vm_region *region = region_at(BASE + MIB(1));
    damage(&region->gap, region->gap + PAGE, "gap below a region");
    damage(&region->largest_gap, region->largest_gap + PAGE, "largest gap of a subtree");
    damage(&region->bytes, 0, "a region out of place");
    damage(&space.region_count, 9, "number of regions");
    damage(&space.region_bytes, 9, "bytes of regions");
    damage(&space.locked_bytes, 9, "bytes of locked regions");
    damage(&space.data_bytes, 9, "bytes of data");
    damage(&space.resident, 9, "number of resident pages");
    struct vm_region *root = space.tree;
    damage(&root->priority, 0, "order of priorities");
}

static void damaged_pages(void **state)
{
    (void)state;
    make_regions();
    page_table_entry_t *entry = entry_of(BASE);
    damage(&entry->raw, entry->raw ^ PAGE_ENTRY_USER, "a page with another access than its region");
    damage(&entry->raw, entry->raw ^ PAGE_ENTRY_NO_EXECUTE, "a page with another access than its region");
    damage(&entry->raw, entry_of(BASE + PAGE)->raw, "a page that the reverse map does not name");
    entry = entry_of(BASE + 2 * PAGE);
    damage(&entry->raw, entry->raw | PAGE_ENTRY_WRITE, "the zero page is writable");
    entry = entry_of(BASE + MIB(2));
    damage(&entry->raw, entry->raw + PAGE, "a device page that shows another address");
    damage(&entry->raw, entry->raw | PAGE_ENTRY_CACHE_DISABLE, "a device page of another cache kind");
    entry = entry_of(BASE + 20 * PAGE);
    damage(&entry->raw, entry_of(BASE)->raw, "a page without a region");
    entry = entry_of(BASE - PAGE); /* the guard, in another table */
    assert_null(entry);
    entry = entry_of(BASE + MIB(1) + 8 * PAGE);
    damage(&entry->raw, entry_of(BASE)->raw, "a page in a reserved region");
}

static void damaged_frames(void **state)
{
    (void)state;
    make_regions();
    struct frame_descriptor *descriptor = descriptor_of(BASE);
    damage(&descriptor->note.raw, vm_code(space.number, BASE + PAGE),
           "a page that the reverse map does not name");
    damage(&descriptor->note.raw, 0, "a page that the reverse map does not name");
    uint32_t tag = descriptor->tag;
    descriptor->tag = frame_tag(FRAME_ALLOCATED, 0, 2);
    expect_problem("a private page that is writable but shared");
    descriptor->tag = frame_tag(FRAME_FREED, 0, 1);
    expect_problem("a page that shows no allocated frame");
    descriptor->tag = tag;
    uint32_t owner = descriptor->use;
    descriptor->use = OWNER_KVA; /* its books know of one frame less */
    expect_problem("pages show more frames than their owner has");
    descriptor->use = OWNER_MMIO; /* and those of the spaces' owner of one more */
    expect_problem("an owner has frames that no page shows");
    descriptor->use = owner;
}

/* A frame that was taken from its page and given to nobody, and a reference that nobody will drop. */
static void leaked_frames_and_references(void **state)
{
    (void)state;
    struct frame_pool *frames = &vm.machine.pool;
    make_regions();
    phys_addr_t leaked = frame_alloc(frames, 0, OWNER_USER);
    expect_problem("an owner has frames that no page shows");
    frame_free(frames, leaked, 0);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 8 * PAGE, VM_READ), VM_OK);
    vm_fixture_check(&vm);
    phys_addr_t shown = phys_addr(frame_of(BASE));
    frame_get(frames, shown);
    expect_problem("more references than pages");
    frame_put(frames, shown);
    vm_fixture_check(&vm);
    leaked = frame_alloc(frames, 0, OWNER_PAGE_TABLES);
    expect_problem("an owner has frames that no page shows");
    frame_free(frames, leaked, 0);
    vm_fixture_check(&vm);
}

/* A frame that its giver keeps a reference to has more than its pages. */
static void givers_may_keep_references(void **state)
{
    (void)state;
    phys_addr_t frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    map((struct vm_request){.source = VM_FRAMES, .bytes = PAGE, .frames = &frame});
    vm_fixture_check(&vm);
    struct frame_descriptor *descriptor = descriptor_of(BASE);
    damage(&descriptor->note.raw, 2 * descriptor->note.raw - VM_CODE_GIVEN, "the pages of a given frame");
    damage(&descriptor->note.raw, 0, "a page that the reverse map does not name");
    frame_put(&vm.machine.pool, frame); /* now the page has the only one */
    vm_fixture_check(&vm);
}

/* A page that a space and its child share. */
static void damaged_families(void **state)
{
    (void)state;
    struct vm_space child;
    make_regions();
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    vm_fixture_check(&vm);
    struct vm_family *family = space.family;
    struct frame_descriptor *descriptor = descriptor_of(BASE);
    damage(&descriptor->note.raw, vm_family_code(family, BASE + PAGE),
           "a page that the reverse map does not name");
    damage(&descriptor->note.raw, vm_code(child.number, BASE), "a page that the reverse map does not name");
    damage((uint64_t *)&child.relative.space, 0, "more references than pages");
    uint32_t tag = descriptor->tag;
    descriptor->tag = frame_tag(FRAME_ALLOCATED, 0, 1);
    expect_problem("fewer references than pages");
    descriptor->tag = tag;
    union vm_number *number = vm_numbers_entry(&vm.manager.family_numbers, family->number);
    damage(&number->word, number->word | 1, "the reverse map leads to no page");
    vm.manager.space_numbers.count++;
    expect_problem("number of spaces");
    vm.manager.space_numbers.count--;
    vm_fixture_drop(&child);
}

/* Relatives that share no page. */
static void damaged_relatives(void **state)
{
    (void)state;
    struct vm_space child;
    struct vm_family *other;
    map_zeros(BASE, 8 * PAGE);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(vm_family_make(&vm.manager, &other), VM_OK);
    vm_fixture_check(&vm);
    damage((uint64_t *)&child.family, (uintptr_t)other, "a relative of another family");
    damage((uint64_t *)&child.relative.previous, (uintptr_t)&child.relative, "a family's ring backwards");
    child.number++;
    expect_problem("a space's number");
    child.number--;
    other->number++;
    expect_problem("a family's number");
    other->number--;
    vm_family_put(other);
    vm_fixture_drop(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(damaged_regions),
        TEST(damaged_pages),
        TEST(damaged_frames),
        TEST(damaged_families),
        TEST(damaged_relatives),
        TEST(leaked_frames_and_references),
        TEST(givers_may_keep_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

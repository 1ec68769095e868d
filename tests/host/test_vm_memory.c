/*
 * Out of memory, everywhere: each operation is tried with 0, 1, 2, ... free frames and with each of its slab
 * allocations failing in turn, until it succeeds. Until then nothing changes, and no frame is lost.
 */
#include "vm_steps.h"

#define PAGES_MAX 2100

/* All that a program could see of a space. */
struct snapshot {
    uint64_t regions;            /* how many */
    uint64_t bytes;              /* their sum */
    uint64_t resident;           /* pages with a frame */
    uint64_t pages;              /* mapped pages */
    uint64_t targets[PAGES_MAX]; /* what each of them shows */
};

static void take(struct vm_space *of, struct snapshot *snapshot)
{
    struct vm_region_facts facts;
    memset(snapshot, 0, sizeof *snapshot);
    for (uint64_t at = 0; vm_space_next(of, virt_addr(at), &facts);) {
        snapshot->regions = snapshot->regions * 31 + facts.base.raw + facts.access * 7 + facts.bytes;
        for (at = facts.base.raw; at < facts.base.raw + facts.bytes; at += PAGE) {
            struct page_translation page = page_table_translate(of->table, virt_addr(at));
            if (page.mapped) {
                snapshot->targets[snapshot->pages++] = page.target.raw;
            }
        }
        snapshot->bytes += facts.bytes;
    }
    snapshot->resident = of->resident;
}

static phys_addr_t hoard[MIB(24) / FRAME_BYTES];
static unsigned hoarded;

static void keep_only(unsigned frames)
{
    phys_addr_t frame;
    while ((frame = frame_alloc(&fixture.machine.pool, 0, OWNER_TEST)).raw != 0) {
        hoard[hoarded++] = frame;
    }
    for (unsigned i = 0; i < frames; i++) {
        frame_free(&fixture.machine.pool, hoard[--hoarded], 0);
    }
}

static void give_back(void)
{
    while (hoarded > 0) {
        frame_free(&fixture.machine.pool, hoard[--hoarded], 0);
    }
}

/* Frames that no cache holds for later: all but page tables, which cut pages may have cost. */
static uint64_t owned(enum frame_owner owner)
{
    struct frame_ledger ledger;
    frame_pool_ledger(&fixture.machine.pool, &ledger);
    assert_int_equal(ledger.difference, 0);
    return ledger.owner_bytes[owner];
}

typedef bool step(void); /* returns whether it succeeded; false is for lack of memory only */

/* One attempt, which fails: nothing has changed. */
static bool attempt(step *run, unsigned number, bool slabs)
{
    static struct snapshot before;
    static struct snapshot after;
    uint64_t user = owned(OWNER_USER);
    take(&space, &before);
    mmu_model_fill();
    if (slabs) {
        slab_fail_every(&fixture.slabs, number + 1);
    } else {
        slab_reap(&fixture.slabs);
        keep_only(number);
    }
    bool done = run();
    slab_fail_every(&fixture.slabs, 0);
    give_back();
    mmu_model_check();
    vm_fixture_check(&fixture);
    if (!done) {
        take(&space, &after);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(owned(OWNER_USER), user);
    }
    return done;
}

/* Lets `run` fail in every way there is; `again` makes the space as it was. Returns how often it failed. */
static unsigned exhaust(step *run, void (*again)(void))
{
    unsigned failures = 0;
    for (unsigned slabs = 0; slabs < 2; slabs++) {
        for (unsigned number = 0; !attempt(run, number, slabs); number++) {
            failures++;
            assert_true(number < 2000);
        }
        again();
    }
    return failures;
}

static bool is_done(enum vm_error error)
{
    assert_true(error == VM_OK || error == VM_NO_MEMORY);
    return error == VM_OK;
}

static bool is_resolved(enum vm_fault fault, enum vm_fault expected)
{
    assert_true(fault == expected || fault == VM_FAULT_NO_MEMORY);
    return fault == expected;
}

static void unmap_all(void)
{
    assert_int_equal(vm_space_unmap(&space, virt_addr(space.base), space.end - space.base), VM_OK);
}

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
        given[i] = frame_alloc(&fixture.machine.pool, 0, OWNER_TEST);
        frame_descriptor(&fixture.machine.pool, given[i])->object = NULL;
    }
    assert_true(exhaust(map_frames, unmap_all) >= 4);
    given[5] = given[4] = given[0]; /* a frame that several pages show takes records */
    assert_true(exhaust(map_frames, unmap_all) >= 8);
    unmap_all();
    for (size_t i = 0; i < 4; i++) {
        frame_free(&fixture.machine.pool, given[i], 0);
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

static void cutting(void **state)
{
    (void)state;
    fill_and_cut();
    assert_true(exhaust(unmap_middle, fill_and_cut) >= 3);
    assert_true(exhaust(protect_middle, fill_and_cut) >= 3);
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
    unsigned failures = exhaust(fork_once, fill_some);
    assert_true(failures >= 100); /* a record for each of 520 pages that both show, tables, regions */
    assert_true(exhaust(copy_some, fill_some) >= 5);
}

/* ---- Faults ---- */

static bool fault_zero(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(GIB(7)), VM_WRITE), VM_FAULT_ZERO);
}

static bool fault_zero_page(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(GIB(7)), VM_READ), VM_FAULT_ZERO_READ);
}

static void map_empty(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_ZERO, .bytes = PAGE, .address = virt_addr(GIB(7))});
}

static bool fault_device(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(GIB(7)), VM_READ), VM_FAULT_DEVICE);
}

static void map_device(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = 8 * PAGE,
                            .around = 8,
                            .target = phys_addr(GIB(9)),
                            .address = virt_addr(GIB(7))});
}

static struct vm_space child;

static bool fault_copy(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(GIB(7)), VM_WRITE), VM_FAULT_COPIED);
}

static void map_shared(void)
{
    enum vm_fault fault;
    map_empty();
    vm_touch(&space, GIB(7), MMU_WRITE, &fault);
    if (child.manager) {
        vm_space_destroy(&child);
    }
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
}

static void faulting(void **state)
{
    (void)state;
    map_empty();
    assert_true(exhaust(fault_zero, map_empty) >= 4); /* three tables and the frame */
    assert_true(exhaust(fault_zero_page, map_empty) >= 3);
    map_device();
    assert_true(exhaust(fault_device, map_device) >= 3);
    child.manager = NULL;
    map_shared();
    assert_true(exhaust(fault_copy, map_shared) >= 1);
    vm_space_destroy(&child);
}

static struct test_pager pager;

static bool fault_paged(void)
{
    enum vm_fault fault = vm_space_fault(&space, virt_addr(GIB(7)), VM_WRITE);
    return fault != VM_FAULT_PAGER_FAILED && is_resolved(fault, VM_FAULT_PAGED);
}

static bool fault_paged_shared(void)
{
    enum vm_fault fault = vm_space_fault(&space, virt_addr(GIB(7)), VM_READ);
    return fault != VM_FAULT_PAGER_FAILED && is_resolved(fault, VM_FAULT_PAGED);
}

static void map_pager(void)
{
    unmap_all();
    map((struct vm_request){
        .source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager, .address = virt_addr(GIB(7))});
}

static void map_pager_again(void)
{
    assert_int_equal(vm_space_unmap(&space, virt_addr(GIB(7)), PAGE), VM_OK);
    map((struct vm_request){
        .source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager, .address = virt_addr(GIB(7))});
}

static void paging(void **state)
{
    (void)state;
    test_pager_start(&pager, &fixture);
    map_pager();
    assert_true(exhaust(fault_paged, map_pager) >= 4);
    /* The page is seen elsewhere already: one more is a record more. */
    map((struct vm_request){.source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager});
    enum vm_fault fault;
    vm_touch(&space, BASE, MMU_READ, &fault);
    assert_true(exhaust(fault_paged_shared, map_pager_again) >= 4);
    unmap_all();
    test_pager_stop(&pager);
}

/* ---- Spaces and managers ---- */

static bool create(void)
{
    struct vm_space other;
    struct vm_space_config config = {
        .name = "other", .base = virt_addr(BASE), .bytes = GIB(1), .owner = OWNER_USER};
    if (!is_done(vm_space_create(&other, &fixture.manager, &config))) {
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
        .frames = &fixture.machine.pool, .cpus = 1, .seed = 5, .report = vm_report};
    if (slab_pool_init(&slabs, &slab_config) != SLAB_OK) {
        return false;
    }
    struct vm_manager_config config = vm_fixture_config(&fixture, 4);
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
        TEST(mapping), TEST(cutting), TEST(forking), TEST(faulting), TEST(paging), TEST(making),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

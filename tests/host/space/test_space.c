/* Regions of address spaces: making, placing, cutting, joining, and everything that must be refused. */
#include <string.h>

#include "mm/space/share/family.h"
#include "steps.h"
#include "tests/host/support/random.h"

static uint64_t place(struct vm_request request)
{
    virt_addr_t address = virt_addr(0);
    request.fixed = false;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_OK);
    return address.raw;
}

static void expect_region(uint64_t address, uint64_t base, uint64_t bytes, unsigned access)
{
    struct vm_region_facts facts;
    assert_true(vm_space_find(&space, virt_addr(address), &facts));
    assert_int_equal(facts.base.raw, base);
    assert_int_equal(facts.bytes, bytes);
    assert_int_equal(facts.access, access);
}

/* ---- Bad input ---- */

static void ranges_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        uint64_t address;
        uint64_t bytes;
        enum vm_error error;
    } cases[] = {
        {BASE, 0, VM_EMPTY},
        {BASE + 1, PAGE, VM_UNALIGNED},
        {BASE, PAGE + 8, VM_UNALIGNED},
        {BASE, PAGE - 1, VM_UNALIGNED},
        {0 - PAGE, 2 * PAGE, VM_WRAPS},
        {BASE, 0 - PAGE, VM_WRAPS},
        {0x800000000000, PAGE, VM_NON_CANONICAL},
        {0x7ffffffff000, 2 * PAGE, VM_NON_CANONICAL},
        {0xffff7ffffffff000, PAGE, VM_NON_CANONICAL},
        {0xffff800000000000, PAGE, VM_KERNEL_ADDRESS},
        {0xfffffffffffff000, PAGE, VM_KERNEL_ADDRESS},
        {0x7ffffffff000, PAGE, VM_OUTSIDE},
        {PAGE, PAGE, VM_OUTSIDE},
        {VM_USER_BASE - PAGE, 2 * PAGE, VM_OUTSIDE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        virt_addr_t address = virt_addr(cases[i].address);
        assert_int_equal(try_map(zeros_at(cases[i].address, cases[i].bytes)), cases[i].error);
        assert_int_equal(vm_space_unmap(&space, address, cases[i].bytes), cases[i].error);
        assert_int_equal(vm_space_protect(&space, address, cases[i].bytes, VM_READ), cases[i].error);
        assert_int_equal(vm_space_sync(&space, address, cases[i].bytes), cases[i].error);
        assert_int_equal(vm_space_copy(&space, address, &space, virt_addr(BASE), cases[i].bytes),
                         cases[i].error);
        assert_int_equal(vm_space_copy(&space, virt_addr(BASE), &space, address, cases[i].bytes),
                         cases[i].error);
    }
    assert_int_equal(space.region_count, 0);
}

static void accesses_that_cannot_be(void **state)
{
    (void)state;
    static const unsigned bad[] = {VM_WRITE,           VM_EXECUTE, RW | VM_EXECUTE, VM_WRITE | VM_EXECUTE, 8,
                                   VM_READ | 1U << 31, ~0U};
    map_zeros(BASE, PAGE);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct vm_request request = zeros_at(BASE + PAGE, PAGE);
        request.access = bad[i];
        assert_int_equal(try_map(request), VM_BAD_ACCESS);
        assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, bad[i]), VM_BAD_ACCESS);
    }
    expect_region(BASE, BASE, PAGE, RW);
}

/* What a frame's owner keeps in its descriptor is not taken for the reverse map. */
static void frames_that_others_have_notes_on(void **state)
{
    (void)state;
    struct frame_pool *frames = &vm.machine.pool;
    phys_addr_t frame = frame_alloc(frames, 0, OWNER_TEST);
    struct frame_descriptor *descriptor = frame_descriptor(frames, frame);
    void *slab_object = slab_cache_alloc(&vm.manager.regions);
    const uint64_t notes[] = {1,
                              PAGE_TABLE_ENTRIES,
                              PAGE_TABLE_ENTRIES - 1,
                              (uintptr_t)&vm,
                              (uintptr_t)slab_object,
                              (uintptr_t)vm_code(space.number, VM_USER_END),
                              (uintptr_t)vm_code(space.number + 1, BASE)};
    struct vm_request request = zeros_at(BASE, PAGE);
    request.source = VM_FRAMES;
    request.frames = &frame;
    for (size_t i = 0; i < ARRAY_LENGTH(notes); i++) {
        descriptor->note.raw = notes[i];
        assert_int_equal(try_map(request), VM_BAD_FRAME);
        assert_int_equal(descriptor->note.raw, notes[i]);
        assert_int_equal(frame_tag_references(descriptor->tag), 1);
    }
    slab_cache_free(&vm.manager.regions, slab_object);
    frame_note_clear(descriptor);
    for (uint64_t i = 0; i < 4; i++) { /* nobody, one page, a chain */
        request.address = virt_addr(BASE + i * PAGE);
        assert_int_equal(try_map(request), VM_OK);
    }
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), 4 * PAGE), VM_OK);
    assert_int_equal(descriptor->note.raw, 0);
    frame_free(frames, frame, 0);
}

static void cache_kinds_that_cannot_be(void **state)
{
    (void)state;
    struct vm_request request = zeros_at(BASE, PAGE);
    request.source = VM_DEVICE;
    request.target = phys_addr(GIB(1));
    for (unsigned cache = 0; cache < 300; cache++) {
        request.cache = (enum page_cache)cache;
        assert_int_equal(try_map(request), page_cache_exists(cache) ? VM_OK : VM_BAD_CACHE);
        if (page_cache_exists(cache)) {
            assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_READ), VM_OK);
            assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGE), VM_OK);
        }
    }
}

static void a_space_that_is_loaded_is_not_destroyed(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    vm_space_enter(&space);
    vm_space_enter(&space);
    vm_space_leave(&space);
    CATCH_PANIC(trap, panicked, vm_space_destroy(&space));
    assert_true(panicked);
    assert_string_equal(trap.message, "vm: test is to be destroyed while 1 CPUs have it loaded");
    vm_space_leave(&space);
}

static void sources_that_cannot_be(void **state)
{
    (void)state;
    struct vm_pager pager = {.references = 1};
    phys_addr_t frame = frame_alloc(&vm.machine.pool, 0, OWNER_TEST);
    phys_addr_t block = frame_alloc(&vm.machine.pool, 1, OWNER_TEST);
    phys_addr_t bad[] = {phys_addr(frame.raw + 8), block, phys_addr(GIB(1)), phys_addr(0)};
    frame_note_clear(frame_descriptor(&vm.machine.pool, frame));
    struct vm_request good = zeros_at(BASE, PAGE);
    struct vm_request request = good;
    request.source = VM_SOURCE_COUNT;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request.source = VM_FRAMES;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        phys_addr_t frames[2] = {frame, bad[i]};
        request.frames = frames;
        request.bytes = 2 * PAGE;
        assert_int_equal(try_map(request), VM_BAD_FRAME);
    }
    request = good;
    request.source = VM_PAGER;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request.pager = &pager;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    pager.get = test_pager_get;
    request.offset = 5;
    assert_int_equal(try_map(request), VM_UNALIGNED);
    request.offset = 0 - PAGE;
    request.bytes = 2 * PAGE;
    assert_int_equal(try_map(request), VM_WRAPS);
    request = good;
    request.source = VM_DEVICE;
    request.target = phys_addr(12);
    assert_int_equal(try_map(request), VM_UNALIGNED);
    request.target = phys_addr(1ULL << 46);
    assert_int_equal(try_map(request), VM_BAD_PHYSICAL);
    request.target = phys_addr((1ULL << 46) - PAGE);
    request.bytes = 2 * PAGE;
    assert_int_equal(try_map(request), VM_BAD_PHYSICAL);
    request = good;
    request.shared = true;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request = good;
    request.cache = CACHE_UNCACHED;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request = good;
    request.source = VM_STACK;
    request.large = true;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request = good;
    request.around = 3;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request.around = 2 * VM_AROUND_MAX;
    assert_int_equal(try_map(request), VM_BAD_SOURCE);
    request = good;
    request.guard = 7;
    assert_int_equal(try_map(request), VM_UNALIGNED);
    request.guard = BASE;
    assert_int_equal(try_map(request), VM_OUTSIDE);
    assert_int_equal(space.region_count, 0);
    frame_free(&vm.machine.pool, frame, 0); /* no reference was kept */
    frame_free(&vm.machine.pool, block, 1);
}

static void placing_that_cannot_be(void **state)
{
    (void)state;
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO, .bytes = PAGE, .access = RW, .alignment = 3 * PAGE};
    assert_int_equal(vm_space_map(&space, &request, &address), VM_BAD_ALIGNMENT);
    request.alignment = 512;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_BAD_ALIGNMENT);
    request.alignment = 0;
    request.bytes = 0;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_EMPTY);
    request.bytes = 1ULL << 47;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_NO_ROOM);
    request.bytes = PAGE;
    request.guard = 1ULL << 47;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_NO_ROOM);
    request.guard = 0 - PAGE;
    assert_int_equal(vm_space_map(&space, &request, &address), VM_NO_ROOM);
    request.guard = 0;
    request.address = virt_addr(VM_USER_END);
    assert_int_equal(vm_space_map(&space, &request, &address), VM_NO_ROOM);
    request.address = virt_addr(0xffffffffffffe000);
    request.alignment = GIB(1);
    assert_int_equal(vm_space_map(&space, &request, &address), VM_NO_ROOM);
}

/* A guard as long as the space, from its first byte on, would end behind the last address there is. */
static void a_guard_up_to_the_end_of_all_addresses(void **state)
{
    (void)state;
    const uint64_t base = 0xffff800000000000;
    const uint64_t room = 0xfffffffffffff000 - base;
    static struct vm_space half;
    struct vm_space_config config = {
        .name = "half", .base = virt_addr(base), .bytes = room, .tables = &vm.kernel};
    virt_addr_t address;
    assert_int_equal(vm_space_create(&half, &vm.manager, &config), VM_OK);
    map_in(&half, zeros_at(base + room - PAGE, PAGE));
    struct vm_request request = {.source = VM_ZERO, .bytes = PAGE, .access = RW, .guard = room - PAGE};
    assert_int_equal(vm_space_map(&half, &request, &address), VM_NO_ROOM);
    request.guard = room - 2 * PAGE;
    assert_int_equal(vm_space_map(&half, &request, &address), VM_OK);
    assert_int_equal(address.raw, base + room - 2 * PAGE);
    vm_fixture_drop(&half);
}

static void spaces_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        uint64_t base;
        uint64_t bytes;
        bool kernel;
        enum vm_error error;
    } cases[] = {
        {0x10000, 0, false, VM_BAD_RANGE},
        {0x10001, PAGE, false, VM_UNALIGNED},
        {0x10000, PAGE + 1, false, VM_UNALIGNED},
        {0x10000, 1ULL << 63, false, VM_NON_CANONICAL},
        {0, 1ULL << 48, false, VM_NON_CANONICAL},
        {0x10000, 0 - 0x20000ULL, false, VM_BAD_RANGE},
        {0xffffe00000000000, PAGE, false, VM_KERNEL_ADDRESS},
        {0x10000, PAGE, true, VM_BAD_RANGE},
        {0xfffffffffffff000, PAGE, true, VM_BAD_RANGE},
        {0xffffffffffff0000, 2 * 0x10000, true, VM_BAD_RANGE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct vm_space other;
        struct vm_space_config config = {.name = "bad",
                                         .base = virt_addr(cases[i].base),
                                         .bytes = cases[i].bytes,
                                         .tables = cases[i].kernel ? &vm.kernel : NULL};
        assert_int_equal(vm_space_create(&other, &vm.manager, &config), cases[i].error);
    }
}

static void overlaps(void **state)
{
    (void)state;
    struct vm_request guarded = zeros_at(BASE + 10 * PAGE, 4 * PAGE);
    guarded.guard = 2 * PAGE;
    assert_int_equal(try_map(guarded), VM_OK);
    for (uint64_t first = 0; first < 14; first++) {
        for (uint64_t count = 1; count < 6; count++) {
            if (first + count > 8) {
                assert_int_equal(try_map(zeros_at(BASE + first * PAGE, count * PAGE)), VM_OVERLAP);
            }
        }
    }
    struct vm_request above = zeros_at(BASE + 15 * PAGE, PAGE);
    above.guard = 2 * PAGE; /* a guard may not lie in a region either */
    assert_int_equal(try_map(above), VM_OVERLAP);
    above.guard = PAGE;
    assert_int_equal(try_map(above), VM_OK);
    assert_int_equal(try_map(zeros_at(BASE + 14 * PAGE, PAGE)), VM_OVERLAP);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 15 * PAGE), PAGE), VM_OK);
    map_zeros(BASE + 7 * PAGE, PAGE);
    map_zeros(BASE + 14 * PAGE, PAGE);
}

/* ---- Placing ---- */

static void the_lowest_gap_is_taken(void **state)
{
    (void)state;
    struct vm_request request = {.source = VM_ZERO, .bytes = 2 * PAGE, .access = RW};
    map_zeros(VM_USER_BASE + PAGE, PAGE);
    map_zeros(VM_USER_BASE + 4 * PAGE, PAGE);
    assert_int_equal(place(request), VM_USER_BASE + 2 * PAGE);
    request.bytes = PAGE;
    assert_int_equal(place(request), VM_USER_BASE);
    request.guard = PAGE;
    assert_int_equal(place(request), VM_USER_BASE + 6 * PAGE);
    request.guard = 0;
    request.address = virt_addr(BASE);
    assert_int_equal(place(request), BASE);
    request.address = virt_addr(0);
    request.alignment = MIB(2);
    assert_int_equal(place(request), MIB(2));
    request.alignment = GIB(1);
    assert_int_equal(place(request), GIB(1));
}

/* Random placing and unmapping, against a bitmap of the window. */
static void placing_fills_gaps(void **state)
{
    (void)state;
    enum { WINDOW = 300 };
    static bool taken[WINDOW];
    struct vm_space small;
    struct vm_space_config config = {
        .name = "small", .base = virt_addr(BASE), .bytes = WINDOW * PAGE, .owner = OWNER_USER};
    uint64_t random = 5;
    assert_int_equal(vm_space_create(&small, &vm.manager, &config), VM_OK);
    memset(taken, 0, sizeof taken);
    for (unsigned round = 0; round < 4000; round++) {
        uint64_t pages = 1 + random_next(&random) % 12;
        uint64_t align = 1ULL << random_next(&random) % 5;
        uint64_t from = random_next(&random) % 3 ? 0 : random_next(&random) % WINDOW;
        if (random_next(&random) % 2) {
            uint64_t first = random_next(&random) % (WINDOW - pages);
            assert_int_equal(vm_space_unmap(&small, virt_addr(BASE + first * PAGE), pages * PAGE), VM_OK);
            memset(taken + first, 0, pages);
            continue;
        }
        uint64_t expected = (from + align - 1) / align * align;
        for (; expected + pages <= WINDOW; expected += align) {
            if (!memchr(taken + expected, true, pages)) {
                break;
            }
        }
        virt_addr_t address = virt_addr(0);
        struct vm_request request = {.source = VM_ZERO,
                                     .bytes = pages * PAGE,
                                     .access = RW,
                                     .alignment = align * PAGE,
                                     .address = virt_addr(from ? BASE + from * PAGE : 0)};
        enum vm_error error = vm_space_map(&small, &request, &address);
        if (expected + pages > WINDOW) {
            assert_int_equal(error, VM_NO_ROOM);
            continue;
        }
        assert_int_equal(error, VM_OK);
        assert_int_equal((address.raw - BASE) / PAGE, expected);
        memset(taken + expected, true, pages);
        if (round % 64 == 0) {
            vm_fixture_check(&vm);
        }
    }
    vm_space_destroy(&small);
}

/* ---- Cutting and joining ---- */

static void protecting_cuts_and_joins(void **state)
{
    (void)state;
    map_zeros(BASE, 10 * PAGE);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + 3 * PAGE), 2 * PAGE, VM_READ), VM_OK);
    assert_int_equal(space.region_count, 3);
    expect_region(BASE + 2 * PAGE, BASE, 3 * PAGE, RW);
    expect_region(BASE + 4 * PAGE, BASE + 3 * PAGE, 2 * PAGE, VM_READ);
    expect_region(BASE + 5 * PAGE, BASE + 5 * PAGE, 5 * PAGE, RW);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + PAGE), 7 * PAGE, VM_READ), VM_OK);
    assert_int_equal(space.region_count, 3);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 10 * PAGE, RW), VM_OK);
    assert_int_equal(space.region_count, 1);
    expect_region(BASE + 9 * PAGE, BASE, 10 * PAGE, RW);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 11 * PAGE, VM_READ), VM_NOT_MAPPED);
    expect_region(BASE, BASE, 10 * PAGE, RW);
    map_zeros(BASE + 10 * PAGE, PAGE);
    map_zeros(BASE - PAGE, PAGE);
    assert_int_equal(space.region_count, 1);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + PAGE), PAGE), VM_OK);
    assert_int_equal(space.region_count, 2);
    assert_int_equal(space.region_bytes, 11 * PAGE);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 2 * PAGE), PAGE), VM_OK);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + GIB(1)), PAGE), VM_OK);
}

static void unlike_neighbours_stay_apart(void **state)
{
    (void)state;
    struct vm_request request = zeros_at(BASE + PAGE, PAGE);
    map_zeros(BASE, PAGE);
    request.name = "other";
    assert_int_equal(try_map(request), VM_OK);
    request = zeros_at(BASE + 2 * PAGE, PAGE);
    request.around = 4;
    assert_int_equal(try_map(request), VM_OK);
    request.address = virt_addr(BASE + 3 * PAGE);
    request.source = VM_DEVICE;
    request.around = 0;
    request.target = phys_addr(MIB(32));
    assert_int_equal(try_map(request), VM_OK);
    request.address = virt_addr(BASE + 4 * PAGE);
    request.target = phys_addr(MIB(32) + 2 * PAGE);
    assert_int_equal(try_map(request), VM_OK);
    assert_int_equal(space.region_count, 5);
    request.address = virt_addr(BASE + 5 * PAGE);
    request.target = phys_addr(MIB(32) + 3 * PAGE);
    assert_int_equal(try_map(request), VM_OK);
    assert_int_equal(space.region_count, 5);
    struct vm_region_facts facts;
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 4 * PAGE), PAGE), VM_OK);
    assert_true(vm_space_find(&space, virt_addr(BASE + 5 * PAGE), &facts));
    assert_int_equal(facts.offset, MIB(32) + 3 * PAGE);
}

static void regions_are_iterated_in_order(void **state)
{
    (void)state;
    struct vm_region_facts facts;
    for (uint64_t i = 30; i-- > 0;) {
        map_zeros(BASE + i * 7 % 30 * 2 * PAGE, PAGE);
    }
    unsigned count = 0;
    uint64_t at = 0;
    while (vm_space_next(&space, virt_addr(at), &facts)) {
        assert_int_equal(facts.base.raw, BASE + count * 2 * PAGE);
        at = facts.base.raw + facts.bytes;
        count++;
    }
    assert_int_equal(count, 30);
    assert_false(vm_space_find(&space, virt_addr(BASE + PAGE), &facts));
    assert_false(vm_space_next(&space, virt_addr(VM_USER_END), &facts));
}

/* CPUs remember a space by its name, and what they remember must be nobody else's. */
static void no_space_is_called_as_another_one_ever_was(void **state)
{
    (void)state;
    struct vm_space other;
    vm_fixture_space(&vm, &other, "other");
    tlb_space_t name = other.own.space;
    assert_int_not_equal(name, TLB_SPACE_KERNEL);
    assert_int_not_equal(name, space.own.space);
    vm_fixture_drop(&other);
    vm_fixture_space(&vm, &other, "the next one");
    assert_int_not_equal(other.own.space, name);
    assert_int_not_equal(other.own.space, space.own.space);
    vm_fixture_drop(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_that_cannot_be),
        TEST(accesses_that_cannot_be),
        TEST(sources_that_cannot_be),
        TEST(placing_that_cannot_be),
        TEST(a_guard_up_to_the_end_of_all_addresses),
        TEST(spaces_that_cannot_be),
        TEST(overlaps),
        TEST(the_lowest_gap_is_taken),
        TEST(placing_fills_gaps),
        TEST(protecting_cuts_and_joins),
        TEST(unlike_neighbours_stay_apart),
        TEST(regions_are_iterated_in_order),
        TEST(no_space_is_called_as_another_one_ever_was),
        TEST(frames_that_others_have_notes_on),
        TEST(cache_kinds_that_cannot_be),
        TEST(a_space_that_is_loaded_is_not_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

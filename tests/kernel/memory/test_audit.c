/* The audit of page tables finds nothing, and each kind of wrong when it is put there. */
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/page_audit.h>
#include <ashlar/physmap.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/vmalloc.h>
#include <ashlar/world.h>
#include <x86/cpu_stacks.h>

#include "tests/kernel/space/tests.h"

#define ROOM 0xffffef0000000000ULL /* nobody's */
#define USER 0x600000ULL

#define NO_REASON    "mapped without a reason"
#define OTHER_ACCESS "another access than its room has"
#define OTHER_CACHE  "cached in another way than its room is"
#define OTHER_TARGET "shows another address than its room does"
#define NOT_ALLOWED  "another access than its region has"
#define NOT_GIVEN    "shows memory that its region has not got"
#define TWO_CACHES   "cached in another way at another address"
#define BOTH         "writable, and executable by this or another address"

static struct page_audit audit; /* one test runs at a time */
static struct vm_space user;

static void expect_sound(void)
{
    EXPECT(WORLD_STOPPED(page_audit(&audit)));
    EXPECT(audit.what == NULL);
}

static void expect_problem(const char *what)
{
    EXPECT(!WORLD_STOPPED(page_audit(&audit)));
    EXPECT(audit.problems > 0 && audit.what && strcmp(audit.what, what) == 0);
}

static void unmap(struct page_table *table, uint64_t base)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, table);
    EXPECT_EQUAL(page_table_unmap(table, virt_addr(base), FRAME_BYTES, &batch, NULL, NULL), PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
}

/* A page, and what is wrong with it. */
struct wrong {
    struct page_table *table;
    uint64_t base;
    phys_addr_t target;
    unsigned access;
    enum page_cache cache;
    const char *what;
};

static void expect_wrong(const struct wrong *wrong)
{
    EXPECT_EQUAL(page_table_map(wrong->table, virt_addr(wrong->base), wrong->target, FRAME_BYTES,
                                wrong->access, wrong->cache, PAGE_LEVEL_4K),
                 PAGE_TABLE_OK);
    expect_problem(wrong->what);
    unmap(wrong->table, wrong->base);
    EXPECT_EQUAL(audit.run.base.raw, wrong->base);
}

/* The same in the kernel's tables. */
static void expect_wrong_in_kernel(uint64_t base, phys_addr_t target, unsigned access, enum page_cache cache,
                                   const char *what)
{
    const struct wrong wrong = {kernel_page_table(), base, target, access | PAGE_GLOBAL, cache, what};
    expect_wrong(&wrong);
}

static void expect_wrong_in_user(uint64_t base, phys_addr_t target, unsigned access, enum page_cache cache,
                                 const char *what)
{
    const struct wrong wrong = {&user.own, base, target, access | PAGE_USER, cache, what};
    expect_wrong(&wrong);
    EXPECT(strcmp(audit.whose, user.name) == 0);
}

/* Where the CPU has addresses, and the machine nothing. */
static phys_addr_t nowhere(void)
{
    return phys_addr(kernel_page_table()->physical_end - MIB(4));
}

static virt_addr_t map_region(struct vm_space *space, enum vm_source source, unsigned access)
{
    virt_addr_t address = {0};
    const struct vm_request request = {
        .source = source, .bytes = KIB(16), .access = access, .target = nowhere()};
    enum vm_error error = vm_space_map(space, &request, &address);
    ASSERT(error == VM_OK);
    return address;
}

static const struct boot_segment *code_segment(void)
{
    const struct boot_segment *segment = boot_info()->kernel.segments;
    while (!(segment->flags & BOOT_SEGMENT_EXECUTE)) {
        segment++;
    }
    return segment;
}

KERNEL_TEST(audit_finds_nothing_wrong)
{
    expect_sound();
    EXPECT(audit.sets >= 1 && audit.mappings > 0 && audit.tables >= kernel_page_table()->table_frames);
    EXPECT(audit.executable.count > 0);
}

KERNEL_TEST(audit_finds_what_lies_in_no_room)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    expect_wrong_in_kernel(ROOM, frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(TEMPORARY_BASE + MIB(1), frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(kernel->stack_bottom.raw - FRAME_BYTES, frame, PAGE_WRITE, CACHE_WRITE_BACK,
                           NO_REASON);
    expect_wrong_in_kernel(BOOT_VIDEO_BASE + GIB(1) - FRAME_BYTES, frame, PAGE_WRITE, CACHE_WRITE_COMBINING,
                           NO_REASON);
    const struct wrong low = {kernel_page_table(), USER, frame, PAGE_READ, CACHE_WRITE_BACK, NO_REASON};
    expect_wrong(&low);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

KERNEL_TEST(audit_finds_what_the_arena_did_not_give)
{
    static const struct kva_purpose purpose = KVA_PURPOSE("test of the audit");
    const struct kva_request request = {.bytes = KIB(8), .guard_pages = 1, .purpose = &purpose};
    struct kva_range *range;
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    phys_addr_t users = frame_alloc(kernel_frames(), 0, OWNER_USER);
    phys_addr_t freed = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    EXPECT_EQUAL(kva_alloc(kernel_kva(), &request, &range), KVA_OK);
    uint64_t base = range->base.raw;
    expect_wrong_in_kernel(ARENA_END - MIB(2), frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(base - FRAME_BYTES, frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(base + KIB(8), frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(base, frame, PAGE_EXECUTE, CACHE_WRITE_BACK, OTHER_ACCESS);
    expect_wrong_in_kernel(base, frame, PAGE_READ, CACHE_WRITE_BACK, OTHER_ACCESS);
    expect_wrong_in_kernel(base, frame, PAGE_WRITE, CACHE_UNCACHED, OTHER_CACHE);
    /* While its neighbour is mapped the page needs no table, which would be made of the freed frame. */
    EXPECT_EQUAL(page_table_map(kernel_page_table(), virt_addr(base + FRAME_BYTES), frame, FRAME_BYTES,
                                PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                 PAGE_TABLE_OK);
    frame_free(kernel_frames(), freed, 0);
    expect_wrong_in_kernel(base, freed, PAGE_WRITE, CACHE_WRITE_BACK,
                           "shows memory that nobody has allocated");
    unmap(kernel_page_table(), base + FRAME_BYTES);
    expect_wrong_in_kernel(base, nowhere(), PAGE_WRITE, CACHE_WRITE_BACK,
                           "shows memory that nobody has allocated");
    expect_wrong_in_kernel(base, code_segment()->physical_base, PAGE_WRITE, CACHE_WRITE_BACK,
                           "shows memory that nobody has allocated");
    expect_wrong_in_kernel(base, users, PAGE_WRITE, CACHE_WRITE_BACK,
                           "shows memory that belongs to somebody else");
    kva_release(kernel_kva(), range);
    expect_wrong_in_kernel(base, frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    frame_free(kernel_frames(), frame, 0);
    frame_free(kernel_frames(), users, 0);
    expect_sound();
}

/* A block that was freed is unmapped at once, though its addresses are still taken. */
KERNEL_TEST(audit_finds_pages_left_in_a_freed_block)
{
    struct kva_facts facts;
    uint64_t base = virt_of(vmalloc_alloc(&kernel_vmalloc, FRAME_BYTES)).raw;
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_VMALLOC);
    expect_sound();
    vmalloc_flush(&kernel_vmalloc); /* else this may be the block with which it flushes all that were freed */
    vmalloc_free(&kernel_vmalloc, virt_pointer(virt_addr(base)));
    EXPECT(kva_look(kernel_kva(), virt_addr(base), &facts) && facts.purpose == &vmalloc_purpose_retired);
    expect_wrong_in_kernel(base, frame, PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

/* Takes a device's mapping out and puts another one in its place. */
KERNEL_TEST(audit_finds_devices_mapped_otherwise)
{
    const struct mmio_request request = {
        .address = nowhere(), .bytes = 16, .access = PAGE_READ, .cache = CACHE_UNCACHED};
    void *pointer;
    EXPECT_EQUAL(mmio_map(&kernel_mmio, &request, &pointer), MMIO_OK);
    uint64_t base = virt_of(pointer).raw;
    expect_sound();
    unmap(kernel_page_table(), base);
    expect_wrong_in_kernel(base, phys_add(nowhere(), KIB(4)), PAGE_READ, CACHE_UNCACHED, OTHER_TARGET);
    expect_wrong_in_kernel(base, nowhere(), PAGE_WRITE, CACHE_UNCACHED, OTHER_ACCESS);
    expect_wrong_in_kernel(base, nowhere(), PAGE_READ, CACHE_WRITE_THROUGH, OTHER_CACHE);
    EXPECT_EQUAL(page_table_map(kernel_page_table(), virt_addr(base), nowhere(), FRAME_BYTES, PAGE_GLOBAL,
                                CACHE_UNCACHED, PAGE_LEVEL_4K),
                 PAGE_TABLE_OK);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, pointer), MMIO_OK);
    expect_sound();
}

/* The first hole that the physmap has below its end; 0 for none. */
static uint64_t physmap_hole(void)
{
    struct physmap_plan plan;
    struct physmap_piece piece;
    uint64_t end = 0;
    kernel_physmap_plan(&plan, boot_info()->paging.physmap_bytes);
    while (physmap_plan_next(&plan, &piece) && (end == 0 || piece.base.raw == end)) {
        end = piece.base.raw + piece.bytes;
    }
    return end < boot_info()->paging.physmap_bytes ? end : 0;
}

KERNEL_TEST(audit_finds_a_physmap_that_shows_other_things)
{
    uint64_t hole = physmap_hole();
    uint64_t base = boot_info()->paging.physmap.raw + hole;
    if (hole == 0) {
        kernel_test_skip("the physmap has no hole");
        return;
    }
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    expect_wrong_in_kernel(base, phys_addr(hole), PAGE_WRITE, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(base, frame, PAGE_WRITE, CACHE_WRITE_BACK, OTHER_TARGET);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

static void protect(virt_addr_t page, unsigned access)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, kernel_page_table());
    EXPECT_EQUAL(page_table_protect(kernel_page_table(), page, FRAME_BYTES, access | PAGE_GLOBAL,
                                    CACHE_WRITE_BACK, &batch),
                 PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
}

/*
 * The page lies among small ones, since the code before and behind it is read-only for the physmap and what
 * lies around the image is not: so nothing is cut, which other CPUs, whose own data may lie there, would not
 * survive.
 */
KERNEL_TEST(audit_finds_code_that_the_physmap_writes)
{
    virt_addr_t alias = virt_of(physmap_pointer(code_segment()->physical_base));
    uint64_t tables = kernel_page_table()->table_frames;
    protect(alias, PAGE_WRITE);
    expect_problem(OTHER_ACCESS);
    protect(alias, PAGE_READ);
    EXPECT_EQUAL(kernel_page_table()->table_frames, tables);
    expect_sound();
}

KERNEL_TEST(audit_finds_guard_pages_that_are_mapped)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    virt_addr_t guard;
    EXPECT(cpu_stacks_guard_page(0, &guard));
    for (uint32_t i = 0; i < kernel->segment_count; i++) {
        uint64_t offset = guard.raw - kernel->segments[i].virtual_base.raw;
        if (offset < kernel->segments[i].bytes) {
            expect_wrong_in_kernel(guard.raw, phys_add(kernel->segments[i].physical_base, offset), PAGE_WRITE,
                                   CACHE_WRITE_BACK, NO_REASON);
        }
    }
    expect_sound();
}

KERNEL_TEST(audit_finds_what_no_region_promised)
{
    struct vm_space *lazy = kernel_lazy_space();
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    virt_addr_t data = map_region(lazy, VM_ZERO, VM_READ);
    virt_addr_t reserved = map_region(lazy, VM_NOTHING, VM_READ);
    expect_sound();
    expect_wrong_in_kernel(LAZY_END - MIB(2), frame, PAGE_READ, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(reserved.raw, frame, PAGE_READ, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_kernel(data.raw, frame, PAGE_WRITE, CACHE_WRITE_BACK, NOT_ALLOWED);
    expect_wrong_in_kernel(data.raw, frame, PAGE_EXECUTE, CACHE_WRITE_BACK, NOT_ALLOWED);
    expect_wrong_in_kernel(data.raw, frame, PAGE_READ, CACHE_UNCACHED,
                           "cached in another way than its region is");
    EXPECT_EQUAL(vm_space_unmap(lazy, data, KIB(16)), VM_OK);
    EXPECT_EQUAL(vm_space_unmap(lazy, reserved, KIB(16)), VM_OK);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

KERNEL_TEST(audit_looks_into_user_spaces)
{
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    EXPECT_EQUAL(tests_space_create(&user, "audited"), VM_OK);
    virt_addr_t data = map_region(&user, VM_ZERO, VM_READ | VM_WRITE);
    virt_addr_t device = map_region(&user, VM_DEVICE, VM_READ);
    EXPECT_EQUAL(vm_space_fault(&user, data, VM_WRITE), VM_FAULT_ZERO);
    EXPECT_EQUAL(vm_space_fault(&user, device, VM_READ), VM_FAULT_DEVICE);
    expect_sound();
    uint64_t page = data.raw + FRAME_BYTES;
    expect_wrong_in_user(TIB(1), frame, PAGE_READ, CACHE_WRITE_BACK, NO_REASON);
    expect_wrong_in_user(page, frame, PAGE_EXECUTE, CACHE_WRITE_BACK, NOT_ALLOWED);
    expect_wrong_in_user(device.raw + FRAME_BYTES, frame, PAGE_READ, CACHE_WRITE_BACK,
                         "shows another address than its region does");
    expect_wrong_in_user(page, code_segment()->physical_base, PAGE_WRITE, CACHE_WRITE_BACK,
                         "writable, though the kernel's image has it read-only");
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    page_table_walk(&user.own, user.own.access, data, steps);
    struct frame_descriptor *descriptor = frame_descriptor(kernel_frames(), steps[1].table);
    frame_note_use(descriptor, 1);
    expect_problem("a use count is wrong");
    EXPECT(audit.unsound.what != NULL && strcmp(audit.whose, user.name) == 0);
    frame_note_use(descriptor, -1);
    tests_space_destroy(&user);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

/* Page tables, the heap, another page's frame, the zero page writable: all are owned, but not given to it. */
KERNEL_TEST(audit_finds_frames_that_a_region_has_not_got)
{
    static struct vm_space child;
    void *block = heap_alloc(&kernel_heap, 100);
    phys_addr_t heap =
        page_table_translate(kernel_page_table(), virt_addr(align_down(virt_of(block).raw, FRAME_BYTES)))
            .target;
    EXPECT_EQUAL(tests_space_create(&user, "audited"), VM_OK);
    virt_addr_t data = map_region(&user, VM_ZERO, VM_READ | VM_WRITE);
    EXPECT_EQUAL(vm_space_fault(&user, data, VM_WRITE), VM_FAULT_ZERO);
    phys_addr_t given = page_table_translate(&user.own, data).target;
    uint64_t page = data.raw + FRAME_BYTES;
    expect_wrong_in_user(page, kernel_page_table()->root, PAGE_READ, CACHE_WRITE_BACK, NOT_GIVEN);
    expect_wrong_in_user(page, user.own.root, PAGE_WRITE, CACHE_WRITE_BACK, NOT_GIVEN);
    expect_wrong_in_user(page, heap, PAGE_READ, CACHE_WRITE_BACK, NOT_GIVEN);
    expect_wrong_in_user(page, given, PAGE_READ, CACHE_WRITE_BACK, NOT_GIVEN);
    expect_wrong_in_user(page, nowhere(), PAGE_READ, CACHE_WRITE_BACK, NOT_GIVEN);
    expect_wrong_in_user(page, kernel_vm_manager()->zero_frame, PAGE_WRITE, CACHE_WRITE_BACK, NOT_GIVEN);
    virt_addr_t lazy = map_region(kernel_lazy_space(), VM_ZERO, VM_READ);
    expect_wrong_in_kernel(lazy.raw, heap, PAGE_READ, CACHE_WRITE_BACK, NOT_GIVEN);
    EXPECT_EQUAL(vm_space_unmap(kernel_lazy_space(), lazy, KIB(16)), VM_OK);
    EXPECT_EQUAL(vm_space_fault(&user, virt_addr(page), VM_READ), VM_FAULT_ZERO_READ);
    EXPECT_EQUAL(tests_space_clone(&user, &child, "shares"), VM_OK);
    const struct vm_request large = {
        .source = VM_ZERO, .bytes = MIB(2), .access = VM_READ | VM_WRITE, .alignment = MIB(2), .large = true};
    EXPECT_EQUAL(vm_space_map(&user, &large, &data), VM_OK);
    EXPECT_EQUAL(vm_space_fault(&user, data, VM_WRITE), VM_FAULT_LARGE);
    expect_sound();
    tests_space_destroy(&child);
    tests_space_destroy(&user);
    heap_free(&kernel_heap, block);
    expect_sound();
}

/* The user's code may be written to by the physmap alone. */
KERNEL_TEST(audit_finds_user_code_that_is_writable)
{
    virt_addr_t code, data;
    phys_addr_t frame = frame_alloc_zeroed(kernel_frames(), OWNER_TEST);
    frame_note_clear(frame_descriptor(kernel_frames(), frame));
    struct vm_request request = {
        .source = VM_FRAMES, .bytes = FRAME_BYTES, .access = VM_READ | VM_EXECUTE, .frames = &frame};
    EXPECT_EQUAL(tests_space_create(&user, "audited"), VM_OK);
    EXPECT_EQUAL(vm_space_map(&user, &request, &code), VM_OK);
    expect_sound();
    request.access = VM_READ | VM_WRITE;
    EXPECT_EQUAL(vm_space_map(&user, &request, &data), VM_OK);
    expect_problem(BOTH);
    EXPECT_EQUAL(audit.run.base.raw, data.raw);
    tests_space_destroy(&user);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

/* The first page of the firmware's code; 0 when there is none. */
static phys_addr_t firmware_code(void)
{
    struct page_runs walk;
    struct page_run run;
    if (address_space_runtime()) {
        page_runs_start(&walk, address_space_runtime(), virt_addr(0),
                        page_table_lower_end(kernel_page_table()));
        while (page_runs_next(&walk, &run)) {
            if (run.access & PAGE_EXECUTE) {
                return run.target;
            }
        }
    }
    return phys_addr(0);
}

KERNEL_TEST(audit_looks_into_the_tables_for_the_firmware)
{
    phys_addr_t code = firmware_code();
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    if (code.raw == 0) {
        frame_free(kernel_frames(), frame, 0);
        kernel_test_skip("no UEFI runtime services");
        return;
    }
    struct wrong wrong = {address_space_runtime(), TIB(1),      nowhere(), PAGE_READ,
                          CACHE_UNCACHED,          OTHER_TARGET};
    expect_wrong(&wrong);
    wrong = (struct wrong){address_space_runtime(),
                           frame.raw,
                           frame,
                           PAGE_READ,
                           CACHE_WRITE_BACK,
                           "shows memory that belongs to somebody else"};
    expect_wrong(&wrong);
    EXPECT_EQUAL(tests_space_create(&user, "audited"), VM_OK);
    virt_addr_t data = map_region(&user, VM_ZERO, VM_READ | VM_WRITE);
    expect_wrong_in_user(data.raw, code, PAGE_WRITE, CACHE_WRITE_BACK, BOTH);
    tests_space_destroy(&user);
    frame_free(kernel_frames(), frame, 0);
    expect_sound();
}

/* More specially cached stretches than one round compares, and the contradiction is with the last of them. */
KERNEL_TEST(audit_compares_any_number_of_mappings)
{
    const uint64_t count = 2ULL * PAGE_ALIAS_RANGES + 5;
    virt_addr_t device;
    const struct vm_request request = {.source = VM_DEVICE,
                                       .bytes = 2 * count * FRAME_BYTES,
                                       .access = VM_READ,
                                       .target = nowhere(),
                                       .cache = CACHE_UNCACHED};
    EXPECT_EQUAL(tests_space_create(&user, "audited"), VM_OK);
    EXPECT_EQUAL(vm_space_map(&user, &request, &device), VM_OK);
    for (uint64_t i = 0; i < count; i++) {
        vm_space_fault(&user, virt_add(device, 2 * i * FRAME_BYTES), VM_READ);
    }
    expect_sound();
    EXPECT(audit.special.seen >= count);
    virt_addr_t data = map_region(&user, VM_ZERO, VM_READ | VM_WRITE);
    expect_wrong_in_user(data.raw, phys_add(nowhere(), 2 * (count - 1) * FRAME_BYTES), PAGE_READ,
                         CACHE_WRITE_BACK, TWO_CACHES);
    tests_space_destroy(&user);
    expect_sound();
}

KERNEL_TEST(audit_finds_tables_that_nobody_owns)
{
    struct page_table *kernel = kernel_page_table();
    struct page_table table;
    EXPECT_EQUAL(page_table_init(&table, kernel_frames(), kernel->access, kernel->levels,
                                 kernel->largest_level, kernel),
                 PAGE_TABLE_OK);
    bool sound = WORLD_STOPPED(page_audit(&audit));
    page_table_destroy(&table);
    EXPECT(!sound && strcmp(audit.what, "page tables that nobody owns") == 0);
    EXPECT_EQUAL(audit.run.target.raw, table.root.raw);
    expect_sound();
}

/* As the loader's tables are looked at: an identity map and the kernel's half. */
KERNEL_TEST(audit_compares_the_mappings_of_any_tables)
{
    struct page_table *kernel = kernel_page_table();
    struct page_table table;
    struct page_table *const tables[] = {&table};
    EXPECT_EQUAL(
        page_table_init(&table, kernel_frames(), kernel->access, kernel->levels, kernel->largest_level, NULL),
        PAGE_TABLE_OK);
    EXPECT_EQUAL(page_table_map(&table, virt_addr(MIB(2)), phys_addr(MIB(2)), KIB(8), PAGE_EXECUTE,
                                CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                 PAGE_TABLE_OK);
    EXPECT(page_audit_aliases(&audit, tables, 1));
    EXPECT_EQUAL(page_table_map(&table, virt_addr(ROOM), phys_addr(MIB(2) + KIB(4)), KIB(4), PAGE_WRITE,
                                CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                 PAGE_TABLE_OK);
    EXPECT(!page_audit_aliases(&audit, tables, 1));
    EXPECT(strcmp(audit.what, BOTH) == 0 && audit.run.base.raw == ROOM);
    unmap(&table, MIB(2));
    unmap(&table, MIB(2) + KIB(4));
    unmap(&table, ROOM);
    page_table_destroy(&table);
}

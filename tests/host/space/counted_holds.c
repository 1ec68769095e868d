/*
 * How long spinlocks are held: the branches that the code takes between taking its first spinlock and letting
 * go of its last are counted by the compiler's help, for every operation on regions of any kind, up to
 * terabytes. No hold may be longer than what VM_HOLD_PAGES pages take, whatever the region.
 */
#include "steps.h"
#include "tests/host/support/counted.h"
#include <ashlar/vm_advice.h>
#include <ashlar/vm_move.h>

#define MACHINE   MIB(384)
#define AROUND    (VM_AROUND_MAX * PAGE)
#define AT        GIB(1)   /* where the regions begin */
#define ELSEWHERE TIB(100) /* where copies go */

/* Branches of the longest hold allowed. 64 pages of a fork take 8,000, and 14,000 where it fails. */
#define HOLD_MAX 16000

#define COUNTED(what, of, call)                                                                              \
    do {                                                                                                     \
        count_begin();                                                                                       \
        enum vm_error error_ = (call);                                                                       \
        count_end(what, of, HOLD_MAX);                                                                       \
        assert_string_equal(vm_error_name(error_), vm_error_name(VM_OK));                                    \
    } while (0)

/* ---- Regions of many kinds ---- */

static void fault_in(uint64_t base, uint64_t bytes, uint64_t step, enum vm_access access)
{
    for (uint64_t at = base; at < base + bytes; at += step) {
        assert_true(vm_fault_resolved(vm_space_fault(&space, virt_addr(at), access)));
    }
}

static void make(uint64_t bytes, uint64_t step, enum vm_access access, struct vm_request request)
{
    request.bytes = bytes;
    request.address = virt_addr(AT);
    map(request);
    fault_in(AT, bytes, step, access);
}

static void make_empty(void)
{
    make(TIB(64), TIB(64), VM_READ, (struct vm_request){.source = VM_ZERO});
}

static void make_zero_pages(void)
{
    make(GIB(4), AROUND, VM_READ, (struct vm_request){.source = VM_ZERO, .around = VM_AROUND_MAX});
}

static void make_small_pages(void)
{
    make(MIB(64), AROUND, VM_WRITE, (struct vm_request){.source = VM_ZERO, .around = VM_AROUND_MAX});
}

static void make_large_pages(void)
{
    make(MIB(128), MIB(2), VM_WRITE, (struct vm_request){.source = VM_ZERO, .large = true});
}

static void make_sparse_pages(void)
{
    make(GIB(8), MIB(2), VM_WRITE, (struct vm_request){.source = VM_ZERO});
}

static void make_scattered_pages(void)
{
    make(TIB(64), GIB(512), VM_WRITE, (struct vm_request){.source = VM_ZERO});
}

static void make_device(void)
{
    make(GIB(1), AROUND, VM_WRITE,
         (struct vm_request){.source = VM_DEVICE, .target = phys_addr(TIB(1)), .around = VM_AROUND_MAX});
}

static void make_large_device(void)
{
    make(GIB(8), MIB(2), VM_WRITE,
         (struct vm_request){.source = VM_DEVICE, .target = phys_addr(TIB(1)), .large = true});
}

/* A device's large pages, each of them cut by protecting a page: protected as a whole, they are so again. */
static void make_cut_device(void)
{
    make(MIB(256), MIB(2), VM_WRITE,
         (struct vm_request){.source = VM_DEVICE, .target = phys_addr(TIB(1)), .large = true});
    for (uint64_t at = AT; at < AT + MIB(256); at += MIB(2)) {
        assert_int_equal(vm_space_protect(&space, virt_addr(at + PAGE), PAGE, VM_READ), VM_OK);
    }
}

#define REGIONS 20000

static void make_regions_of(enum vm_source source)
{
    for (uint64_t i = 0; i < REGIONS; i++) {
        struct vm_request request = zeros_at(AT + i * PAGE, PAGE);
        request.source = source;
        request.name = i % 2 ? "odd" : "even"; /* so that none continues the other */
        assert_int_equal(try_map(request), VM_OK);
    }
}

static void make_many_regions(void)
{
    make_regions_of(VM_ZERO);
}

static void make_reserved_regions(void)
{
    make_regions_of(VM_NOTHING);
}

/* A file without end, of frames of zeros that are never kept. */
static phys_addr_t endless_get(struct vm_pager *pager, uint64_t offset, bool wait)
{
    (void)pager;
    (void)offset;
    return wait ? frame_alloc_zeroed(&vm.machine.pool, OWNER_CACHE) : FRAME_NONE;
}

static unsigned told;

static void endless_dirty(struct vm_pager *pager, uint64_t offset, phys_addr_t frame)
{
    (void)pager;
    (void)offset;
    (void)frame;
    told++;
}

static struct vm_pager endless;

/* The dirty bits are set as the CPU would; the model of the MMU is not asked, whose work would count. */
static void make_written(void)
{
    endless = (struct vm_pager){.get = endless_get, .dirty = endless_dirty, .references = 1};
    make(MIB(32), PAGE, VM_WRITE, (struct vm_request){.source = VM_PAGER, .pager = &endless, .shared = true});
    vm_pager_put(&endless); /* the region has it now */
    for (uint64_t at = AT; at < AT + MIB(32); at += PAGE) {
        page_table_slot(space.table, virt_addr(at))->raw |= PAGE_ENTRY_DIRTY;
    }
}

static const struct kind {
    const char *name;
    void (*make)(void);
    uint64_t bytes;
} kinds[] = {
    {"64 TiB of nothing", make_empty, TIB(64)},
    {"4 GiB of the zero page", make_zero_pages, GIB(4)},
    {"64 MiB of pages", make_small_pages, MIB(64)},
    {"128 MiB of large pages", make_large_pages, MIB(128)},
    {"8 GiB with a page each 2 MiB", make_sparse_pages, GIB(8)},
    {"64 TiB with a page each 512 GiB", make_scattered_pages, TIB(64)},
    {"1 GiB of device pages", make_device, GIB(1)},
    {"8 GiB of large device pages", make_large_device, GIB(8)},
    {"256 MiB of cut device pages", make_cut_device, MIB(256)},
    {"20,000 regions", make_many_regions, REGIONS *PAGE},
    {"20,000 reserved regions", make_reserved_regions, REGIONS *PAGE},
    {"32 MiB of written pages", make_written, MIB(32)},
};

/* Pins the block or frame of every page. */
static void pin_all(uint64_t bytes, uint64_t step)
{
    for (uint64_t at = AT; at < AT + bytes; at += step) {
        frame_pin(&vm.machine.pool, page_table_translate(space.table, virt_addr(at)).target);
    }
}

static void make_pinned_pages(void)
{
    make(MIB(16), AROUND, VM_WRITE, (struct vm_request){.source = VM_ZERO, .around = VM_AROUND_MAX});
    pin_all(MIB(16), PAGE);
}

static void make_pinned_large_pages(void)
{
    make(MIB(32), MIB(2), VM_WRITE, (struct vm_request){.source = VM_ZERO, .large = true});
    pin_all(MIB(32), MIB(2));
}

/* ---- Operations ---- */

static void begin(const struct kind *kind)
{
    vm_fixture_start(&vm, MACHINE);
    vm.manager.config.device_claim = NULL; /* the tests' keep a record for each page */
    vm.manager.config.device_release = NULL;
    vm_fixture_space(&vm, &space, "test");
    kind->make();
}

static void end(void)
{
    stop(NULL);
}

static enum vm_error count(const struct kind *kind)
{
    struct vm_counts counts;
    vm_space_count(&space, virt_addr(AT), kind->bytes, &counts);
    return VM_OK;
}

static enum vm_error look_for_places(void)
{
    struct vm_place place;
    vm_frame_places(&vm.manager, phys_addr(TIB(1)), &place, 1);
    return VM_OK;
}

static enum vm_error destroy(struct vm_space *gone)
{
    vm_fixture_drop(gone);
    return VM_OK;
}

/* The entries of large pages too, or of small ones in their place: to where all lies otherwise in its tables.
 */
static enum vm_error move_to(const struct kind *kind, uint64_t from, uint64_t target)
{
    virt_addr_t address;
    struct vm_move move = {.from = virt_addr(from),
                           .bytes = kind->bytes,
                           .new_bytes = kind->bytes,
                           .fixed = true,
                           .replace = true,
                           .address = virt_addr(target)};
    return vm_space_move(&space, &move, &address);
}

static enum vm_error replace_with_zeros(const struct kind *kind)
{
    struct vm_request request = zeros_at(AT, kind->bytes);
    request.replace = true;
    return try_map(request);
}

static void change_all(const struct kind *kind)
{
    static struct vm_space child;
    virt_addr_t at = virt_addr(AT);
    virt_addr_t copy = virt_addr(ELSEWHERE);
    begin(kind);
    COUNTED("count", kind->name, count(kind));
    COUNTED("places", kind->name, look_for_places());
    COUNTED("sync", kind->name, vm_space_sync(&space, at, kind->bytes));
    COUNTED("protect against all", kind->name, vm_space_protect(&space, at, kind->bytes, VM_NONE));
    COUNTED("protect", kind->name, vm_space_protect(&space, at, kind->bytes, RW));
    if (kind->bytes < TIB(1)) {
        COUNTED("copy", kind->name, vm_space_copy(&space, copy, &space, at, kind->bytes));
    }
    COUNTED("fork", kind->name, vm_space_clone(&space, &child, "child"));
    vm_fixture_add(&child);
    COUNTED("end of the child", kind->name, destroy(&child));
    COUNTED("mark", kind->name, vm_space_mark(&space, at, kind->bytes, VM_NO_DUMP, 0));
    if (kind->bytes < TIB(1)) {
        COUNTED("discard", kind->name, vm_space_discard(&space, at, kind->bytes / 2, true));
        COUNTED("discard of a copy", kind->name, vm_space_discard(&space, copy, kind->bytes, true));
    }
    if (kind->bytes < TIB(1) && kind->make != make_many_regions && kind->make != make_reserved_regions) {
        COUNTED("move", kind->name, move_to(kind, AT, ELSEWHERE + AT));
        COUNTED("move of what lies otherwise", kind->name, move_to(kind, ELSEWHERE + AT, AT + 5 * PAGE));
        COUNTED("move back", kind->name, move_to(kind, AT + 5 * PAGE, ELSEWHERE + AT));
        COUNTED("move", kind->name, move_to(kind, ELSEWHERE + AT, AT));
    }
    COUNTED("replace", kind->name, replace_with_zeros(kind));
    COUNTED("unmap", kind->name, vm_space_unmap(&space, at, kind->bytes));
    COUNTED("end", kind->name, destroy(&space));
    vm_fixture_space(&vm, &space, "test");
    end();
}

static void no_hold_grows_with_its_range(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++) {
        change_all(&kinds[i]);
    }
    assert_int_equal(told, MIB(32) / PAGE); /* by sync; none was written to since */
}

/* Of what devices have pinned each page is copied at once. */
static void no_hold_grows_with_what_is_pinned(void **state)
{
    (void)state;
    static struct vm_space child;
    static const struct kind pinned[] = {{"16 MiB of pinned pages", make_pinned_pages, MIB(16)},
                                         {"32 MiB of pinned large pages", make_pinned_large_pages, MIB(32)}};
    for (unsigned i = 0; i < ARRAY_LENGTH(pinned); i++) {
        begin(&pinned[i]);
        COUNTED("fork", pinned[i].name, vm_space_clone(&space, &child, "child"));
        assert_true(holds >= pinned[i].bytes / PAGE / VM_HOLD_PAGES);
        vm_fixture_add(&child);
        COUNTED("end of the child", pinned[i].name, destroy(&child));
        uint64_t step = i == 0 ? PAGE : MIB(2);
        for (uint64_t at = AT; at < AT + pinned[i].bytes; at += step) {
            frame_unpin(&vm.machine.pool, page_table_translate(space.table, virt_addr(at)).target);
        }
        end();
    }
}

/* What a copy that fails has done already goes the same way. */
static void no_hold_grows_when_a_copy_fails(void **state)
{
    (void)state;
    static struct vm_space child;
    const struct kind *kind = &kinds[2];
    begin(kind);
    struct vm_request more = zeros_at(AT + kind->bytes, PAGE);
    more.name = "more";
    assert_int_equal(try_map(more), VM_OK);
    slab_fail_every(&vm.slabs, 3); /* a family, a region, and this one's */
    count_begin();
    enum vm_error error = vm_space_clone(&space, &child, "child");
    count_end("failed fork", kind->name, HOLD_MAX);
    slab_fail_every(&vm.slabs, 0);
    assert_int_equal(error, VM_NO_MEMORY);
    end();
}

/* Frames given by the caller, all at once. */
static void no_hold_grows_with_frames_given(void **state)
{
    (void)state;
    static phys_addr_t frames[8192];
    begin(&kinds[0]);
    for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
        frames[i] = frame_alloc(&vm.machine.pool, 0, OWNER_TEST);
    }
    struct vm_request request = {.source = VM_FRAMES,
                                 .bytes = sizeof frames / sizeof *frames * PAGE,
                                 .access = RW,
                                 .fixed = true,
                                 .address = virt_addr(ELSEWHERE),
                                 .frames = frames};
    COUNTED("map", "frames", try_map(request));
    COUNTED("unmap", "frames", vm_space_unmap(&space, virt_addr(ELSEWHERE), request.bytes));
    for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
        frame_free(&vm.machine.pool, frames[i], 0);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_hold_grows_with_its_range),
        cmocka_unit_test(no_hold_grows_with_what_is_pinned),
        cmocka_unit_test(no_hold_grows_when_a_copy_fails),
        cmocka_unit_test(no_hold_grows_with_frames_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

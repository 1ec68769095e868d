#include "model_parts.h"

#include <string.h>

static unsigned check_every; /* one operation in so many is checked */

/* ---- Operations ---- */

bool space_model_taken(const struct space_model_space *space, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        if (space->pages[i].mapped || space->pages[i].guard) {
            return true;
        }
    }
    return false;
}

#define RW (VM_READ | VM_WRITE)

static const unsigned space_model_accesses[16] = {RW,
                                                  RW,
                                                  RW,
                                                  RW,
                                                  RW,
                                                  RW,
                                                  RW,
                                                  RW,
                                                  VM_READ,
                                                  VM_READ,
                                                  VM_READ | VM_EXECUTE,
                                                  VM_READ | VM_EXECUTE,
                                                  VM_NONE,
                                                  RW | VM_EXECUTE,
                                                  VM_WRITE,
                                                  RW};

bool space_model_access_is_good(unsigned access)
{
    return !(access & VM_WRITE && (access & VM_EXECUTE || !(access & VM_READ)));
}

unsigned space_model_next(const struct space_model_space *space, unsigned at, bool mapped)
{
    for (unsigned i = 0; i < MODEL_PAGES; i++) {
        unsigned page = (at + i) % MODEL_PAGES;
        if (space->pages[page].mapped == mapped && !space->pages[page].guard) {
            return page;
        }
    }
    return at;
}

struct vm_request space_model_request(unsigned first, unsigned count, uint8_t how)
{
    static const enum vm_source sources[] = {VM_ZERO,   VM_ZERO,   VM_STACK, VM_NOTHING,
                                             VM_FRAMES, VM_DEVICE, VM_PAGER, VM_PAGER};
    enum vm_source source = sources[how % 8];
    bool objects = source == VM_FRAMES || source == VM_DEVICE || source == VM_PAGER;
    unsigned object = objects ? how / 64 : 0;
    count = objects && count > GIVEN_PAGES - object ? GIVEN_PAGES - object : count;
    return (struct vm_request){
        .name = "model",
        .source = source,
        .bytes = (uint64_t)count * FRAME_BYTES,
        .access = source == VM_NOTHING ? VM_NONE : space_model_accesses[how / 8 % 16],
        .large = how % 8 == 0,
        .shared = source == VM_PAGER && how % 8 == 7,
        .around = source == VM_FRAMES || source == VM_NOTHING ? 0 : 1U << first % 4,
        .frames = source == VM_FRAMES ? &space_model_given[object] : NULL,
        .target = space_model_given[object],
        .pager = &space_model_pager.pager,
        .offset = (uint64_t)object * FRAME_BYTES,
    };
}

void space_model_mapped(struct space_model_space *space, const struct vm_request *request, unsigned first)
{
    unsigned guard = (unsigned)(request->guard >> FRAME_SHIFT);
    unsigned object = (unsigned)(request->offset >> FRAME_SHIFT);
    for (unsigned i = first - guard; i < first + (request->bytes >> FRAME_SHIFT); i++) {
        space->pages[i] = (struct space_model_page){.mapped = i >= first,
                                                    .guard = i < first,
                                                    .source = (uint8_t)request->source,
                                                    .access = (uint8_t)request->access,
                                                    .shared = request->shared,
                                                    .object = (uint16_t)(i - first + object)};
    }
}

static void space_model_map(struct space_model_space *space, unsigned first, unsigned count, uint8_t how)
{
    struct vm_request request = space_model_request(first, count, how);
    unsigned guard = request.source == VM_STACK ? 2 : first % 5 == 0 ? 1 : 0;
    if (guard > first) {
        return;
    }
    request.fixed = true;
    request.address = space_model_address(space, first);
    request.guard = guard * FRAME_BYTES;
    count = (unsigned)(request.bytes >> FRAME_SHIFT);
    enum vm_error expected = VM_OK;
    if (count == 0) {
        expected = VM_EMPTY;
    } else if (!space_model_access_is_good(request.access)) {
        expected = VM_BAD_ACCESS;
    } else if (space_model_taken(space, first - guard, count + guard)) {
        expected = VM_OVERLAP;
    }
    virt_addr_t address;
    if (space_model_agrees(vm_space_map(&space->space, &request, &address), expected, "map")) {
        space_model_mapped(space, &request, first);
    }
}

/*
 * A region that may go anywhere must go to the lowest place. Where the model has no pages it does not stay.
 */
static void space_model_place(struct space_model_space *space, unsigned first, unsigned count, uint8_t how)
{
    struct vm_request request = space_model_request(first, count, how);
    const uint64_t room = space->space.end - space->space.base;
    const uint64_t guards[] = {0,
                               FRAME_BYTES,
                               2 * FRAME_BYTES,
                               17 * FRAME_BYTES,
                               MIB(2),
                               align_down(room / 2, FRAME_BYTES),
                               room - request.bytes,
                               0 - FRAME_BYTES};
    const uint64_t alignments[] = {0, 0, 16 * FRAME_BYTES, MIB(2)};
    request.guard = guards[first % 8];
    request.alignment = alignments[first / 8 % 4];
    request.address = first % 3 ? space_model_address(space, first) : virt_addr(0);
    uint64_t lowest = space_model_lowest(space, &request);
    enum vm_error expected = request.bytes == 0                            ? VM_EMPTY
                             : request.guard > room - request.bytes        ? VM_NO_ROOM
                             : !space_model_access_is_good(request.access) ? VM_BAD_ACCESS
                             : lowest == 0                                 ? VM_NO_ROOM
                                                                           : VM_OK;
    virt_addr_t address;
    if (!space_model_agrees(vm_space_map(&space->space, &request, &address), expected, "place")) {
        return;
    }
    if (address.raw != lowest) {
        panic("operation %" PRIu64 ": placed at %#" PRIx64 ", not %#" PRIx64, space_model_operations,
              address.raw, lowest);
    }
    uint64_t window = (uint64_t)MODEL_PAGES * FRAME_BYTES;
    if (address.raw - request.guard - space->base >= window ||
        address.raw + request.bytes - space->base > window) {
        space_model_hoard_end();
        space_model_agrees(vm_space_unmap(&space->space, address, request.bytes), VM_OK,
                           "unmap what was placed");
        return;
    }
    space_model_mapped(space, &request, (unsigned)((address.raw - space->base) >> FRAME_SHIFT));
}

static unsigned space_model_cut(unsigned first, unsigned count)
{
    return first + count > MODEL_PAGES ? MODEL_PAGES - first : count;
}

static void space_model_unmap(struct space_model_space *space, unsigned first, unsigned count)
{
    count = space_model_cut(first, count);
    enum vm_error error =
        vm_space_unmap(&space->space, space_model_address(space, first), (uint64_t)count * FRAME_BYTES);
    if (!space_model_agrees(error, count ? VM_OK : VM_EMPTY, "unmap")) {
        return;
    }
    for (unsigned i = first; i < first + count; i++) {
        space->pages[i].mapped = false;
    }
    space_model_drop_guards(space);
}

static void space_model_protect(struct space_model_space *space, unsigned first, unsigned count,
                                unsigned access)
{
    count = space_model_cut(first, count);
    enum vm_error expected = count == 0                                  ? VM_EMPTY
                             : !space_model_access_is_good(access)       ? VM_BAD_ACCESS
                             : !space_model_covered(space, first, count) ? VM_NOT_MAPPED
                                                                         : VM_OK;
    enum vm_error error = vm_space_protect(&space->space, space_model_address(space, first),
                                           (uint64_t)count * FRAME_BYTES, access);
    if (!space_model_agrees(error, expected, "protect")) {
        return;
    }
    for (unsigned i = first; i < first + count; i++) {
        space->pages[i].access = (uint8_t)access;
    }
}

static void space_model_touch_page(struct space_model_space *space, unsigned at, enum mmu_use use)
{
    struct space_model_page *page = &space->pages[at];
    enum vm_fault expected = space_model_fault(space, at, vm_access_of(use));
    enum vm_fault fault;
    uint64_t *memory = vm_touch(&space->space, space_model_address(space, at).raw, use, &fault);
    space_model_seen_faults[fault]++;
    if (!memory) {
        bool lacking = space_model_failing && (fault == VM_FAULT_NO_MEMORY || fault == VM_FAULT_PAGER_FAILED);
        if (fault != expected && !(expected == VM_FAULT_COUNT && lacking)) {
            panic("operation %" PRIu64 ": fault at page %u: %s, not %s", space_model_operations, at,
                  vm_fault_name(fault), vm_fault_name(expected));
        }
        return;
    }
    if (expected != VM_FAULT_COUNT) {
        panic("operation %" PRIu64 ": page %u can be reached: %s expected", space_model_operations, at,
              vm_fault_name(expected));
    }
    if (*memory != *space_model_value(page)) {
        panic("operation %" PRIu64 ": page %u holds %" PRIu64 ", not %" PRIu64, space_model_operations, at,
              *memory, *space_model_value(page));
    }
    if (use == MMU_WRITE) {
        page->own = page->own || (page->source == VM_PAGER && !page->shared);
        *memory = space_model_next_value;
        *space_model_value(page) = space_model_next_value++;
    }
}

/* Touches some pages, from the next that is mapped on or just there. */
static void space_model_touch(struct space_model_space *space, unsigned first, uint8_t how, enum mmu_use use)
{
    unsigned at = how % 4 ? space_model_next(space, first, true) : first;
    for (unsigned i = 0; i <= how / 4 % 8 && at < MODEL_PAGES; i++) {
        space_model_touch_page(space, at, use);
        at += 1 + how / 32;
    }
}

/* An empty space. */
static void space_model_make(size_t index)
{
    struct space_model_space *space = &space_model_spaces[index];
    unsigned levels = space_model_kind & MODEL_FIVE_LEVELS ? 5 : 4;
    virt_addr_t base = virt_addr(space_model_kind & MODEL_KERNEL ? space_model_base(index) : VM_USER_BASE);
    uint64_t user_bytes = (1ULL << (page_level_shift(levels + 1) - 1)) - FRAME_BYTES - VM_USER_BASE;
    struct vm_space_config config = {.name = "model",
                                     .base = base,
                                     .bytes = space_model_kind & MODEL_KERNEL ? MODEL_ROOM : user_bytes,
                                     .owner = OWNER_USER,
                                     .kernel = &space_model_fixture.kernel,
                                     .tables = space_model_kind & MODEL_KERNEL ? &space_model_fixture.kernel
                                                                               : NULL};
    enum vm_error error = vm_space_create(&space->space, &space_model_fixture.manager, &config);
    if (!space_model_agrees(error, VM_OK, "create")) {
        return;
    }
    if (space->space.user) {
        vm_fixture_add(&space->space);
    }
    space->live = true;
    space->base = space_model_base(index);
    memset(space->pages, 0, sizeof space->pages);
}

static void space_model_clone(struct space_model_space *from, struct space_model_space *to)
{
    if (to->live) {
        vm_fixture_drop(&to->space);
        to->live = false;
        return;
    }
    if (space_model_kind & MODEL_KERNEL) {
        space_model_agrees(vm_space_clone(&from->space, &to->space, "clone"), VM_BAD_RANGE, "clone");
        space_model_make((size_t)(to - space_model_spaces));
        return;
    }
    enum vm_error error = vm_space_clone(&from->space, &to->space, "clone");
    if (space_model_agrees(error, VM_OK, "clone")) {
        vm_fixture_add(&to->space);
        to->live = true;
        to->base = from->base;
        memcpy(to->pages, from->pages, sizeof to->pages);
        space_model_forked(to);
    }
}

static void space_model_copy(struct space_model_space *from, unsigned source, struct space_model_space *to,
                             unsigned first, unsigned count)
{
    count = space_model_cut(first, space_model_cut(source, count));
    enum vm_error expected = count == 0                                  ? VM_EMPTY
                             : !space_model_covered(from, source, count) ? VM_NOT_MAPPED
                             : space_model_taken(to, first, count)       ? VM_OVERLAP
                                                                         : VM_OK;
    enum vm_error error = vm_space_copy(&to->space, space_model_address(to, first), &from->space,
                                        space_model_address(from, source), (uint64_t)count * FRAME_BYTES);
    if (space_model_agrees(error, expected, "copy")) {
        memmove(&to->pages[first], &from->pages[source], count * sizeof from->pages[0]);
    }
}

static void space_model_sync(struct space_model_space *space)
{
    vm_space_sync(&space->space, space_model_address(space, 0), (uint64_t)MODEL_PAGES * FRAME_BYTES);
}

/* Long and short ranges, some around the 2 MiB boundaries. */
static unsigned space_model_count(uint8_t a, unsigned first)
{
    unsigned count = a < 200 ? a % 20 : (a - 199) * 20;
    return first + count > MODEL_PAGES ? MODEL_PAGES - first : count;
}

static unsigned space_model_first(uint8_t a, uint8_t b)
{
    static const unsigned starts[] = {0, 8, 90, 100, 604, 620, 1100, 1108};
    return starts[a / 32] + a % 32 + (b & 1 ? 0 : b / 2 % 64);
}

static bool is_checked(const uint8_t bytes[4])
{
    uint64_t word = space_model_operations;
    for (unsigned i = 0; i < 4; i++) {
        word = (word ^ bytes[i]) * 0x9e3779b97f4a7c15ULL;
    }
    return (word >> 40) % check_every == 0;
}

void space_model_operate(const uint8_t bytes[4])
{
    struct space_model_space *space = &space_model_spaces[bytes[0] % MODEL_SPACES];
    struct space_model_space *other = &space_model_spaces[(bytes[0] / 4 + 1) % MODEL_SPACES];
    unsigned first = space_model_first(bytes[1], bytes[2]);
    unsigned count = space_model_count(bytes[3], first);
    unsigned what = bytes[0] / 16;
    space_model_operations++;
    if (!space->live) {
        space = &space_model_spaces[0];
    }
    bool checked = is_checked(bytes);
    space_model_before(checked);
    switch (what) {
    case 0:
    case 1:
        first = bytes[3] % 4 ? space_model_next(space, first, false) : first;
        space_model_map(space, first, space_model_count(bytes[3], first), bytes[2]);
        break;
    case 2: /* all that is free from there on */
        first = space_model_next(space, first, false);
        count = space_model_next(space, first, true);
        space_model_map(space, first, count > first ? count - first : MODEL_PAGES - first, bytes[2] & ~7U);
        break;
    case 3:
        space_model_unmap(space, space_model_next(space, first, true), count % 60);
        break;
    case 4:
        space_model_unmap(space, first, count);
        break;
    case 5:
        space_model_protect(space, space_model_next(space, first, true), count % 40,
                            space_model_accesses[bytes[2] / 2 % 16]);
        break;
    case 6:
        if (other != &space_model_spaces[0] && other != space) {
            space_model_clone(space, other);
        }
        break;
    case 7:
        other = other->live ? other : space;
        space_model_copy(space, space_model_next(space, first, true), other,
                         space_model_next(other, bytes[2], false), count % 40);
        break;
    case 8:
        space_model_sync(space);
        break;
    case 9:
        space_model_hoard_end();
        space_model_failing = bytes[3] < 128 ? bytes[3] % 9 : 0;
        break;
    case 10:
        space_model_touch(space, first, bytes[3], MMU_EXECUTE);
        break;
    case 11:
        space_model_touch(space, first, bytes[3], MMU_READ);
        break;
    case 12:
        space_model_advise(space, space_model_next(space, first, true), count % 60, bytes[2]);
        break;
    case 13:
        space_model_place(space, first, space_model_count(bytes[3], 0), bytes[2]);
        break;
    case 14:
        space_model_change(space, first, bytes);
        break;
    default:
        space_model_touch(space, first, bytes[3], MMU_WRITE);
    }
    space_model_after(checked);
}

/* ---- Life ---- */

void space_model_start(unsigned kind, unsigned check_one_in)
{
    space_model_kind = kind;
    check_every = check_one_in;
    vm_fixture_start_levels(&space_model_fixture, MODEL_MEMORY, kind & MODEL_FIVE_LEVELS ? 5 : 4);
    memset(space_model_spaces, 0, sizeof space_model_spaces);
    space_model_failing = 0;
    space_model_operations = 0;
    test_pager_start(&space_model_pager, &space_model_fixture);
    phys_addr_t block = frame_alloc_must(&space_model_fixture.machine.pool, 4, OWNER_TEST);
    memset(frame_pointer(&space_model_fixture.machine.pool, block), 0, GIVEN_PAGES * FRAME_BYTES);
    if (frame_split(&space_model_fixture.machine.pool, block) != FRAME_OK) {
        panic("no frames to give");
    }
    for (unsigned i = 0; i < GIVEN_PAGES; i++) {
        space_model_given[i] = phys_add(block, i * FRAME_BYTES);
        space_model_given_values[i] = 0;
        frame_note_clear(frame_descriptor(&space_model_fixture.machine.pool, space_model_given[i]));
    }
    for (unsigned i = 0; i < PAGER_PAGES; i++) {
        space_model_pager_values[i] = i;
    }
    space_model_make(0);
}

void space_model_stop(void)
{
    space_model_after(true);
    space_model_failing = 0;
    for (unsigned i = 0; i < MODEL_SPACES; i++) {
        if (space_model_spaces[i].live) {
            vm_fixture_drop(&space_model_spaces[i].space);
            space_model_spaces[i].live = false;
        }
    }
    for (unsigned i = 0; i < GIVEN_PAGES; i++) {
        if (!frame_put(&space_model_fixture.machine.pool, space_model_given[i])) {
            panic("a reference to a given frame was kept");
        }
    }
    test_pager_stop(&space_model_pager);
    vm_fixture_stop(&space_model_fixture);
}

/*
 * The model's part for what replaces, moves and lengthens regions. Where a region begins and ends the model
 * does not know: that it asks the space, and all else must be as it says.
 */
#include "model_parts.h"
#include <ashlar/vm_move.h>

#include <string.h>

/* A page with nothing of its own in it yet. */
static struct space_model_page fresh(const struct space_model_page *like, unsigned object)
{
    return (struct space_model_page){.mapped = true,
                                     .source = like->source,
                                     .access = like->access,
                                     .marks = like->marks,
                                     .shared = like->shared,
                                     .object = (uint16_t)object};
}

/* The object of a page `more` pages behind one. */
static unsigned object_behind(const struct space_model_page *page, unsigned more)
{
    return page->source == VM_PAGER ? page->object + more : 0;
}

/* The region that begins at or above `first`, and has just lost that, has no guard below it any more. */
static void drop_guard_below(struct space_model_space *space, unsigned first)
{
    while (first > 0 && space->pages[first - 1].guard) {
        space->pages[--first].guard = false;
    }
}

/* ---- Replacing ---- */

static void replace(struct space_model_space *space, unsigned first, unsigned count, uint8_t how)
{
    struct vm_request request = space_model_request(first, count, how);
    unsigned guard = first % 5 == 0 && first > 0 ? 1 : 0;
    request.fixed = true;
    request.replace = true;
    request.address = space_model_address(space, first);
    request.guard = guard * FRAME_BYTES;
    enum vm_error expected = VM_OK;
    if (request.bytes == 0) {
        expected = VM_EMPTY;
    } else if (!space_model_access_is_good(request.access)) {
        expected = VM_BAD_ACCESS;
    } else if (request.source == VM_FRAMES) {
        expected = VM_BAD_SOURCE;
    } else if (space_model_taken(space, first - guard, guard)) {
        expected = VM_OVERLAP;
    }
    virt_addr_t address;
    if (space_model_agrees(vm_space_map(&space->space, &request, &address), expected, "replace")) {
        drop_guard_below(space, first);
        space_model_mapped(space, &request, first);
        space_model_drop_guards(space);
    }
}

/* ---- Moving ---- */

/* What a move comes to by the region that it is about. */
static enum vm_error expected_of_region(struct space_model_space *space, unsigned first, unsigned count,
                                        unsigned length, bool keep)
{
    struct vm_region_facts facts;
    const struct space_model_page *page = &space->pages[first];
    uint64_t base = space_model_address(space, first).raw;
    if (!vm_space_find(&space->space, virt_addr(base), &facts)) {
        return VM_NOT_MAPPED;
    }
    if (facts.base.raw + facts.bytes - base < (uint64_t)count * FRAME_BYTES) {
        return VM_NOT_MAPPED;
    }
    bool given = page->source == VM_FRAMES || page->source == VM_DEVICE;
    return (count == 0 && !page->shared) || (given && (keep || length != count)) ? VM_BAD_SOURCE : VM_OK;
}

/* The lowest place, or for large pages the lowest one where they lie alike. 0: none. */
static uint64_t lowest_place(const struct space_model_space *space, const struct vm_move *move, bool large)
{
    uint64_t inside = move->from.raw % MIB(2);
    struct vm_request request = {.bytes = move->new_bytes, .address = move->address};
    if (large) {
        struct vm_request alike = {
            .bytes = inside + move->new_bytes, .address = move->address, .alignment = MIB(2)};
        uint64_t found = space_model_lowest(space, &alike);
        if (found) {
            return found + inside;
        }
    }
    return space_model_lowest(space, &request);
}

/* What was at `first` is at `target` now; beyond the model's pages it does not stay. */
static void moved(struct space_model_space *space, const struct vm_move *move, unsigned first,
                  virt_addr_t target)
{
    static struct space_model_page taken[MODEL_PAGES];
    unsigned count = (unsigned)(move->bytes >> FRAME_SHIFT);
    unsigned length = (unsigned)(move->new_bytes >> FRAME_SHIFT);
    const struct space_model_page like = space->pages[first];
    for (unsigned i = 0; i < length; i++) {
        taken[i] = i < count ? space->pages[first + i] : fresh(&like, object_behind(&like, i));
    }
    for (unsigned i = first; i < first + count; i++) {
        space->pages[i] = move->keep ? fresh(&space->pages[i], space->pages[i].object)
                                     : (struct space_model_page){.mapped = false};
    }
    space_model_drop_guards(space);
    uint64_t window = (uint64_t)MODEL_PAGES * FRAME_BYTES;
    if (target.raw - space->base >= window || target.raw + move->new_bytes - space->base > window) {
        space_model_hoard_end();
        space_model_agrees(vm_space_unmap(&space->space, target, move->new_bytes), VM_OK,
                           "unmap what was moved");
        return;
    }
    unsigned at = (unsigned)((target.raw - space->base) >> FRAME_SHIFT);
    drop_guard_below(space, at);
    memcpy(&space->pages[at], taken, length * sizeof taken[0]);
    space_model_drop_guards(space);
}

static void move(struct space_model_space *space, unsigned first, unsigned target, const uint8_t bytes[4])
{
    unsigned count = bytes[3] % 32 == 31 ? 500 : bytes[3] % 32;
    unsigned length = count + (bytes[2] & 0x40 ? bytes[3] / 32 : 0);
    unsigned most = max_u64(first, target) + length;
    struct vm_region_facts facts = {.large = false};
    struct vm_move request = {.from = space_model_address(space, first),
                              .bytes = (uint64_t)count * FRAME_BYTES,
                              .new_bytes = (uint64_t)length * FRAME_BYTES,
                              .fixed = bytes[2] & 0x20,
                              .replace = bytes[2] & 0x10,
                              .keep = bytes[2] & 0x80,
                              .address = space_model_address(space, target)};
    if (most > MODEL_PAGES || object_behind(&space->pages[first], length) > PAGER_PAGES) {
        return;
    }
    vm_space_find(&space->space, request.from, &facts);
    bool apart = !request.fixed || target + length <= first || first + count <= target;
    enum vm_error expected = length == 0 ? VM_EMPTY : !apart ? VM_OVERLAP : VM_OK;
    if (expected == VM_OK) {
        expected = expected_of_region(space, first, count, length, request.keep);
    }
    uint64_t place = request.fixed ? request.address.raw : 0;
    if (expected == VM_OK && !request.fixed) {
        place = lowest_place(space, &request, facts.large);
    } else if (expected == VM_OK && !request.replace && space_model_taken(space, target, length)) {
        expected = VM_OVERLAP;
    }
    virt_addr_t address;
    if (!space_model_agrees(vm_space_move(&space->space, &request, &address), expected, "move")) {
        return;
    }
    if (address.raw != place) {
        panic("operation %" PRIu64 ": moved to %#" PRIx64 ", not %#" PRIx64, space_model_operations,
              address.raw, place);
    }
    moved(space, &request, first, address);
}

/* ---- Growing ---- */

static void extend(struct space_model_space *space, unsigned first, unsigned count)
{
    struct vm_region_facts facts;
    if (!vm_space_find(&space->space, space_model_address(space, first), &facts)) {
        return;
    }
    unsigned end = (unsigned)((facts.base.raw + facts.bytes - space->base) >> FRAME_SHIFT);
    const struct space_model_page like = space->pages[end - 1];
    if (end + count > MODEL_PAGES || object_behind(&like, count + 1) > PAGER_PAGES) {
        return;
    }
    bool given = like.source == VM_FRAMES || like.source == VM_DEVICE;
    enum vm_error expected = count == 0                             ? VM_EMPTY
                             : given                                ? VM_BAD_SOURCE
                             : space_model_taken(space, end, count) ? VM_OVERLAP
                                                                    : VM_OK;
    enum vm_error error =
        vm_space_extend(&space->space, space_model_address(space, end), (uint64_t)count * FRAME_BYTES);
    if (space_model_agrees(error, expected, "extend")) {
        for (unsigned i = 0; i < count; i++) {
            space->pages[end + i] = fresh(&like, object_behind(&like, i + 1));
        }
    }
}

/* Whether what lies below `start` is in the way of a stack that begins there. */
static bool is_in_the_way(const struct space_model_space *space, unsigned start, unsigned base, unsigned gap)
{
    for (unsigned i = base; i-- > 0;) {
        const struct space_model_page *page = &space->pages[i];
        if (page->mapped) {
            return i >= start ||
                   (start - (i + 1) < gap && page->source != VM_STACK && page->access != VM_NONE);
        }
    }
    return false;
}

static void extend_down(struct space_model_space *space, unsigned first, unsigned count, unsigned gap)
{
    struct vm_region_facts facts;
    if (!vm_space_find(&space->space, space_model_address(space, first), &facts)) {
        return;
    }
    unsigned base = (unsigned)((facts.base.raw - space->base) >> FRAME_SHIFT);
    const struct space_model_page like = space->pages[base];
    if (count > base) {
        return;
    }
    enum vm_error expected = count == 0                                      ? VM_EMPTY
                             : like.source != VM_STACK                       ? VM_BAD_SOURCE
                             : is_in_the_way(space, base - count, base, gap) ? VM_OVERLAP
                                                                             : VM_OK;
    enum vm_error error = vm_space_extend_down(&space->space, facts.base, (uint64_t)count * FRAME_BYTES,
                                               (uint64_t)gap * FRAME_BYTES);
    if (space_model_agrees(error, expected, "extend downwards")) {
        for (unsigned i = base - count; i < base; i++) {
            space->pages[i] = fresh(&like, 0);
        }
        for (unsigned i = base - count; i-- > 0 && !space->pages[i].mapped;) {
            space->pages[i].guard = i + gap >= base - count;
        }
    }
}

/* ---- Which of them ---- */

void space_model_change(struct space_model_space *space, unsigned first, const uint8_t bytes[4])
{
    unsigned mapped = space_model_next(space, first, true);
    switch (bytes[2] % 8) {
    case 0:
    case 1:
        replace(space, first, (unsigned)min_u64(bytes[3] % 40, MODEL_PAGES - first), bytes[3] ^ bytes[2]);
        break;
    case 2:
        extend(space, mapped, bytes[3] % 20);
        break;
    case 3:
        extend_down(space, mapped, bytes[3] % 8, bytes[3] / 8 % 4);
        break;
    default:
        move(space, mapped, (first * 7 + bytes[3]) % MODEL_PAGES, bytes);
    }
}

/* The part of the model that is about pages and regions that stay: emptied, marked, taken back, looked at. */
#include <ashlar/vm_advice.h>
#include <ashlar/vm_peek.h>

#include "reference.h"

/* What a page begins with, beside what others share. */
static void empty_page(struct space_model_page *page)
{
    page->own = false;
    page->value = 0;
}

static bool is_private(const struct space_model_page *page)
{
    return page->source == VM_ZERO || page->source == VM_STACK || page->source == VM_PAGER;
}

static void discard(struct space_model_space *space, unsigned first, unsigned count, bool locked)
{
    enum vm_error error = vm_space_discard(&space->space, space_model_address(space, first),
                                           (uint64_t)count * FRAME_BYTES, locked);
    if (!space_model_agrees(error, count ? VM_OK : VM_EMPTY, "discard")) {
        return;
    }
    for (unsigned i = first; i < first + count; i++) {
        struct space_model_page *page = &space->pages[i];
        if (page->mapped && is_private(page) && (locked || !(page->marks & VM_LOCKED))) {
            empty_page(page);
        }
    }
}

/* ---- Marks ---- */

static bool can_have(const struct space_model_space *space, unsigned first, unsigned count, unsigned marks)
{
    for (unsigned i = first; marks & VM_WIPE_ON_FORK && i < first + count; i++) {
        if (space->pages[i].source != VM_ZERO && space->pages[i].source != VM_STACK) {
            return false;
        }
    }
    return !(marks & ~(unsigned)VM_MARKS);
}

static void mark(struct space_model_space *space, unsigned first, unsigned count, unsigned set,
                 unsigned clear)
{
    enum vm_error expected = count == 0                                  ? VM_EMPTY
                             : (set | clear) & ~(unsigned)VM_MARKS       ? VM_BAD_ACCESS
                             : !space_model_covered(space, first, count) ? VM_NOT_MAPPED
                             : !can_have(space, first, count, set)       ? VM_BAD_ACCESS
                                                                         : VM_OK;
    enum vm_error error = vm_space_mark(&space->space, space_model_address(space, first),
                                        (uint64_t)count * FRAME_BYTES, set, clear);
    if (!space_model_agrees(error, expected, "mark")) {
        return;
    }
    for (unsigned i = first; i < first + count; i++) {
        space->pages[i].marks = (uint8_t)((space->pages[i].marks & ~clear) | set);
    }
}

void space_model_forked(struct space_model_space *child)
{
    for (unsigned i = 0; i < MODEL_PAGES; i++) {
        struct space_model_page *page = &child->pages[i];
        page->mapped = page->mapped && !(page->marks & VM_NO_FORK);
        if (page->marks & VM_WIPE_ON_FORK) {
            empty_page(page);
        }
        page->marks &= (uint8_t)~VM_LOCKED;
    }
    space_model_drop_guards(child);
}

/* ---- Taken back ---- */

static bool shows(const struct space_model_page *page, unsigned first, unsigned count)
{
    return page->mapped && page->source == VM_PAGER && page->object >= first && page->object < first + count;
}

/* The pager's next page of that place is another one; nobody has the old one any more. */
static void replace_page(unsigned object)
{
    phys_addr_t frame = space_model_pager.cache[object];
    if (frame.raw != 0 && !frame_put(&space_model_fixture.machine.pool, frame)) {
        panic("operation %" PRIu64 ": page %u of the pager is still shown", space_model_operations, object);
    }
    space_model_pager.cache[object] = FRAME_NONE;
    space_model_pager_values[object] = object;
}

static void revoke(unsigned first, unsigned count, bool copies)
{
    count = (unsigned)min_u64(count, PAGER_PAGES - first);
    vm_pager_revoke(&space_model_pager.pager, (uint64_t)first * FRAME_BYTES, (uint64_t)count * FRAME_BYTES,
                    copies);
    for (unsigned i = 0; i < MODEL_SPACES; i++) {
        struct space_model_space *space = &space_model_spaces[i];
        for (unsigned at = 0; space->live && copies && at < MODEL_PAGES; at++) {
            if (shows(&space->pages[at], first, count)) {
                space->pages[at].own = false;
            }
        }
    }
    for (unsigned object = first; object < first + count; object++) {
        replace_page(object);
    }
}

/* ---- Looked at ---- */

/* Whether somebody else reaches what the program would reach. */
static bool expect_reach(struct space_model_space *space, unsigned at, enum vm_access access, uint64_t copied)
{
    bool reached =
        space_model_fault(space, at, access) == VM_FAULT_COUNT && space->pages[at].source != VM_DEVICE;
    if (copied != (reached ? sizeof(uint64_t) : 0) && !(copied == 0 && space_model_failing)) {
        panic("operation %" PRIu64 ": %" PRIu64 " bytes of page %u were copied", space_model_operations,
              copied, at);
    }
    return copied != 0;
}

static void read_page(struct space_model_space *space, unsigned at)
{
    uint64_t value;
    uint64_t copied = vm_space_read(&space->space, space_model_address(space, at), &value, sizeof value);
    if (expect_reach(space, at, VM_READ, copied) && value != *space_model_value(&space->pages[at])) {
        panic("operation %" PRIu64 ": page %u is read as %" PRIu64, space_model_operations, at, value);
    }
}

static void write_page(struct space_model_space *space, unsigned at)
{
    struct space_model_page *page = &space->pages[at];
    uint64_t value = space_model_next_value++;
    uint64_t copied = vm_space_write(&space->space, space_model_address(space, at), &value, sizeof value);
    if (expect_reach(space, at, VM_WRITE, copied)) {
        page->own = page->own || (page->source == VM_PAGER && !page->shared);
        *space_model_value(page) = value;
    }
}

void space_model_advise(struct space_model_space *space, unsigned first, unsigned count, uint8_t how)
{
    count = (unsigned)min_u64(count, MODEL_PAGES - first);
    switch (how % 8) {
    case 0:
    case 1:
    case 2:
        discard(space, first, count, how & 8);
        break;
    case 3:
    case 4:
        mark(space, first, count, how % 8 == 3 ? how >> 3 : 0, how % 8 == 3 ? 0 : how >> 3);
        break;
    case 5:
        revoke(first % PAGER_PAGES, count % 5, how & 8);
        break;
    case 6:
        read_page(space, first);
        break;
    default:
        write_page(space, first);
    }
}

/*
 * The reverse map: which pages show this frame?
 *
 * The answer is in the note of the frame's descriptor (<ashlar/frame_note.h>), in one word:
 *
 *     one page       the number of a space, and the address there
 *     shared         the number of a family, and the page's place in it (family.c)
 *     given          how many pages show a frame that a VM_FRAMES region was given
 *     0              nothing
 *
 * A page that is filled notes where it is, which is one store, and what goes changes nothing: whoever is led
 * somewhere looks whether the frame is shown there still. A fork makes the note of what it shares the
 * family's; that is the last time it changes. Given frames come in any order, at any address and into spaces
 * that have nothing to do with each other, so no family has them: they are searched for, as device memory is,
 * and counted so that their note is empty again when nobody shows them.
 *
 * Locks: the note of a frame with one reference is written under the lock of the space whose page holds it:
 * nobody else could reach the frame. From then on it stays, or is changed in one step. It is read without any
 * lock.
 */
#include "family.h"

/* ---- Given frames ---- */

static bool note_change(struct frame_descriptor *descriptor, uint64_t *seen, uint64_t code)
{
    return __atomic_compare_exchange_n(&descriptor->note.raw, seen, code, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

bool vm_given_add(const struct vm_space *space, phys_addr_t frame)
{
    struct frame_descriptor *descriptor = frame_descriptor(space->manager->config.frames, frame);
    uint64_t seen = frame_note_read(descriptor).raw;
    while (seen == 0 || vm_code_is_given(seen)) {
        if (note_change(descriptor, &seen, (seen ? seen : VM_CODE_GIVEN) + VM_CODE_ONE_PAGE)) {
            return true;
        }
    }
    return false;
}

void vm_given_remove(const struct vm_space *space, phys_addr_t frame)
{
    struct frame_descriptor *descriptor = frame_descriptor(space->manager->config.frames, frame);
    uint64_t seen = frame_note_read(descriptor).raw;
    uint64_t rest;
    do {
        ASSERT(vm_code_is_given(seen) && seen >= VM_CODE_ONE_PAGE);
        rest = seen - VM_CODE_ONE_PAGE;
    } while (!note_change(descriptor, &seen, rest < VM_CODE_ONE_PAGE ? 0 : rest));
}

/* ---- Looking ---- */

void vm_reverse_each(struct vm_manager *manager, phys_addr_t frame, vm_code_visitor *visit, void *context)
{
    uint64_t code = frame_note_read(frame_descriptor(manager->config.frames, frame)).raw;
    if (!(code & FRAME_NOTE_PAGE_BIT) || vm_code_is_given(code)) {
        return;
    }
    if (code & VM_CODE_FAMILY) {
        vm_family_each(manager, code, visit, context);
    } else {
        visit(context, code);
    }
}

bool vm_region_names(struct vm_space *space, const struct vm_region *region, phys_addr_t block,
                     uint64_t address)
{
    const struct frame_descriptor *descriptor = frame_descriptor(space->manager->config.frames, block);
    uint64_t code = frame_note_read(descriptor).raw;
    const struct vm_family *family = vm_region_family(space, region);
    if (region->source == VM_FRAMES) {
        return vm_code_is_given(code);
    }
    return code == vm_code(space->number, address) ||
           (family && code == vm_family_code(family, address - region->shift));
}

bool vm_page_shows(struct vm_space *space, uint64_t address, phys_addr_t block)
{
    spinlock_acquire(&space->lock);
    struct page_translation page = vm_page_at(space->table, address);
    spinlock_release(&space->lock);
    return page.mapped && vm_page_frame(&page).raw == block.raw;
}

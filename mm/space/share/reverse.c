/*
 * The reverse map: which pages show this frame?
 *
 * The answer starts in the note of the frame's descriptor (<ashlar/frame_note.h>):
 *   0                 no page
 *   lowest bit set    one page: space number and page number are in the note itself (vm_code())
 *   lowest bit clear  several: a chain of records from a slab cache
 * A private page, by far the most common, costs one store. Two pages or more cost a record each.
 *
 * A chain is guarded by the manager's mappings_lock. The note of a frame with one reference needs no lock but
 * that of the space whose page holds it: nobody else could reach the frame.
 */
#include "mm/space/internal.h"

#define CODE_NUMBER_SHIFT 1
#define CODE_PAGE_SHIFT   19 /* 18 bits of number, then 45 bits of page: 57 bits of address */

_Static_assert(VM_SPACES_MAX == 1U << (CODE_PAGE_SHIFT - CODE_NUMBER_SHIFT), "a number fits into a code");

uint64_t vm_code(uint32_t number, uint64_t address)
{
    return address >> FRAME_SHIFT << CODE_PAGE_SHIFT | (uint64_t)number << CODE_NUMBER_SHIFT |
           FRAME_NOTE_PAGE_BIT;
}

uint32_t vm_code_number(uint64_t code)
{
    return (uint32_t)(code >> CODE_NUMBER_SHIFT) & (VM_SPACES_MAX - 1);
}

uint64_t vm_code_address(uint64_t code)
{
    /* The page number is signed, as addresses are: the upper half is negative. */
    return (uint64_t)((int64_t)code >> CODE_PAGE_SHIFT) << FRAME_SHIFT;
}

static struct vm_mapping *make(struct vm_manager *manager, uint64_t code, struct vm_mapping *next)
{
    struct vm_mapping *mapping = slab_cache_alloc(&manager->mappings);
    if (mapping) {
        *mapping = (struct vm_mapping){next, code};
        atomic_fetch_add_explicit(&manager->mapping_count, 1, memory_order_relaxed);
    }
    return mapping;
}

static void unmake(struct vm_manager *manager, struct vm_mapping *mapping)
{
    slab_cache_free(&manager->mappings, mapping);
    atomic_fetch_sub_explicit(&manager->mapping_count, 1, memory_order_relaxed);
}

/* A chain of two: the page that was the only one, and the new one. NULL when there is no memory. */
static struct vm_mapping *make_chain(struct vm_manager *manager, uint64_t only, uint64_t code)
{
    struct vm_mapping *old = make(manager, only, NULL);
    struct vm_mapping *chain = old ? make(manager, code, old) : NULL;
    if (old && !chain) {
        unmake(manager, old);
    }
    return chain;
}

/* The note with one page more; 0 when there is no memory. */
static union frame_note note_with(struct vm_manager *manager, union frame_note note, uint64_t code)
{
    if (note.raw == 0) {
        return frame_note_of_page(code);
    }
    struct vm_mapping *chain = frame_note_is_page(note) ? make_chain(manager, frame_note_page(note), code)
                                                        : make(manager, code, note.mappings);
    return (union frame_note){.mappings = chain};
}

bool vm_reverse_add(struct vm_space *space, phys_addr_t frame, uint64_t address)
{
    struct vm_manager *manager = space->manager;
    struct frame_descriptor *descriptor = frame_descriptor(manager->config.frames, frame);
    uint64_t code = vm_code(space->number, address);
    spinlock_acquire(&manager->mappings_lock);
    union frame_note note = note_with(manager, descriptor->note, code);
    if (note.raw != 0) {
        descriptor->note = note;
    }
    spinlock_release(&manager->mappings_lock);
    return note.raw != 0;
}

/* The chain without the record of `code`, as a note: one record that is left becomes its page's code. */
static union frame_note shorten(struct vm_manager *manager, struct vm_mapping *chain, uint64_t code)
{
    struct vm_mapping **link = &chain;
    while ((*link)->code != code) {
        link = &(*link)->next;
        ASSERT(*link); /* a mapped page is in its frame's chain */
    }
    struct vm_mapping *gone = *link;
    *link = gone->next;
    unmake(manager, gone);
    if (chain->next) {
        return (union frame_note){.mappings = chain};
    }
    uint64_t only = chain->code;
    unmake(manager, chain);
    return frame_note_of_page(only);
}

void vm_reverse_remove(struct vm_space *space, phys_addr_t frame, uint64_t address)
{
    struct vm_manager *manager = space->manager;
    struct frame_descriptor *descriptor = frame_descriptor(manager->config.frames, frame);
    uint64_t code = vm_code(space->number, address);
    spinlock_acquire(&manager->mappings_lock);
    if (frame_note_is_page(descriptor->note)) {
        ASSERT(frame_note_page(descriptor->note) == code);
        frame_note_clear(descriptor);
    } else {
        ASSERT(descriptor->note.mappings);
        descriptor->note = shorten(manager, descriptor->note.mappings, code);
    }
    spinlock_release(&manager->mappings_lock);
}

uint64_t vm_reverse_codes(struct vm_manager *manager, phys_addr_t frame, uint64_t *codes, uint64_t limit)
{
    uint64_t count = 0;
    spinlock_acquire(&manager->mappings_lock);
    union frame_note note = frame_descriptor(manager->config.frames, frame)->note;
    if (frame_note_is_page(note)) {
        if (limit > 0) {
            codes[0] = frame_note_page(note);
        }
        count = 1;
    } else {
        for (const struct vm_mapping *mapping = note.mappings; mapping; mapping = mapping->next) {
            if (count < limit) {
                codes[count] = mapping->code;
            }
            count++;
        }
    }
    spinlock_release(&manager->mappings_lock);
    return count;
}

/* ---- Whose note is it? ---- */

/* Whether a note, which may be anybody's, leads to a record of ours. */
static bool is_chain(struct vm_manager *manager, union frame_note note)
{
    struct slab_facts facts;
    if (frame_note_is_page(note)) {
        return false;
    }
    slab_look(manager->config.slabs, note.mappings, &facts);
    return facts.place == SLAB_LIVE && facts.cache == &manager->mappings && facts.offset == 0;
}

/* The lock keeps the note as it is: the pages it names cannot go meanwhile, nor can their spaces. */
bool vm_reverse_accepts(struct vm_manager *manager, phys_addr_t frame)
{
    spinlock_acquire(&manager->mappings_lock);
    union frame_note note = frame_descriptor(manager->config.frames, frame)->note;
    bool accepts = note.raw == 0;
    if (frame_note_is_page(note)) {
        uint64_t code = frame_note_page(note);
        accepts = vm_number_covers(manager, vm_code_number(code), vm_code_address(code));
    } else if (!accepts) {
        accepts = is_chain(manager, note);
    }
    spinlock_release(&manager->mappings_lock);
    return accepts;
}

bool vm_reverse_names(struct vm_space *space, phys_addr_t block, uint64_t address)
{
    struct vm_manager *manager = space->manager;
    uint64_t code = vm_code(space->number, address);
    spinlock_acquire(&manager->mappings_lock);
    union frame_note note = frame_descriptor(manager->config.frames, block)->note;
    bool names = note.raw == code;
    const struct vm_mapping *mapping = is_chain(manager, note) ? note.mappings : NULL;
    for (; mapping && !names; mapping = mapping->next) {
        names = mapping->code == code;
    }
    spinlock_release(&manager->mappings_lock);
    return names;
}

bool vm_page_shows(struct vm_space *space, uint64_t address, phys_addr_t block)
{
    spinlock_acquire(&space->lock);
    struct page_translation page = vm_page_at(space->table, address);
    spinlock_release(&space->lock);
    return page.mapped && page_entry_leaf_address(page.leaf, page.level).raw == block.raw;
}

/* Other owners note other things: an entry of ours leads to a page that shows the block, or to a record of
 * our cache. */
bool vm_reverse_knows(struct vm_manager *manager, phys_addr_t block)
{
    union frame_note note = frame_descriptor(manager->config.frames, block)->note;
    if (!frame_note_is_page(note)) {
        return is_chain(manager, note);
    }
    uint64_t code = frame_note_page(note);
    struct vm_space *space = vm_space_get(manager, vm_code_number(code));
    if (!space) {
        return false;
    }
    bool knows = vm_page_shows(space, vm_code_address(code), block);
    vm_space_put(space);
    return knows;
}

/*
 * The reverse map: which pages show this frame?
 *
 * The answer starts in the frame's descriptor, in the word `object`:
 *   NULL              no page
 *   lowest bit set    one page: space number and page number are in the word itself (vm_code())
 *   lowest bit clear  several: a chain of records from a slab cache
 * A private page, by far the most common, costs one store. Two pages or more cost a record each.
 *
 * A chain is guarded by the manager's mappings_lock. The word of a frame with one reference needs no lock but
 * that of the space whose page holds it: nobody else could reach the frame.
 */
#include "mm/space/internal.h"

#define CODE_INLINE       FRAME_WORD_PAGE_BIT
#define CODE_NUMBER_SHIFT 1
#define CODE_PAGE_SHIFT   19 /* 18 bits of number, then 45 bits of page: 57 bits of address */

_Static_assert(VM_SPACES_MAX == 1U << (CODE_PAGE_SHIFT - CODE_NUMBER_SHIFT), "a number fits into a code");

uint64_t vm_code(uint32_t number, uint64_t address)
{
    return address >> FRAME_SHIFT << CODE_PAGE_SHIFT | (uint64_t)number << CODE_NUMBER_SHIFT | CODE_INLINE;
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

static bool is_inline(const void *object)
{
    return (uintptr_t)object & CODE_INLINE;
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

/* A chain of two: the page that was the only one, and the new one. */
static struct vm_mapping *make_chain(struct vm_manager *manager, uint64_t only, uint64_t code)
{
    struct vm_mapping *old = make(manager, only, NULL);
    struct vm_mapping *chain = old ? make(manager, code, old) : NULL;
    if (old && !chain) {
        unmake(manager, old);
    }
    return chain;
}

bool vm_reverse_add(struct vm_space *space, phys_addr_t frame, uint64_t address)
{
    struct vm_manager *manager = space->manager;
    struct frame_descriptor *descriptor = frame_descriptor(manager->config.frames, frame);
    uint64_t code = vm_code(space->number, address);
    spinlock_acquire(&manager->mappings_lock);
    void *object = descriptor->object;
    if (!object) {
        object = (void *)(uintptr_t)code;
    } else {
        object =
            is_inline(object) ? make_chain(manager, (uintptr_t)object, code) : make(manager, code, object);
    }
    if (object) {
        descriptor->object = object;
    }
    spinlock_release(&manager->mappings_lock);
    return object;
}

/* The chain without the record of `code`; one record left becomes an inline code. */
static void *shorten(struct vm_manager *manager, struct vm_mapping *chain, uint64_t code)
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
        return chain;
    }
    uint64_t only = chain->code;
    unmake(manager, chain);
    return (void *)(uintptr_t)only;
}

void vm_reverse_remove(struct vm_space *space, phys_addr_t frame, uint64_t address)
{
    struct vm_manager *manager = space->manager;
    struct frame_descriptor *descriptor = frame_descriptor(manager->config.frames, frame);
    uint64_t code = vm_code(space->number, address);
    spinlock_acquire(&manager->mappings_lock);
    if (is_inline(descriptor->object)) {
        ASSERT((uintptr_t)descriptor->object == code);
        descriptor->object = NULL;
    } else {
        ASSERT(descriptor->object);
        descriptor->object = shorten(manager, descriptor->object, code);
    }
    spinlock_release(&manager->mappings_lock);
}

uint64_t vm_reverse_codes(struct vm_manager *manager, phys_addr_t frame, uint64_t *codes, uint64_t limit)
{
    uint64_t count = 0;
    spinlock_acquire(&manager->mappings_lock);
    const void *object = frame_descriptor(manager->config.frames, frame)->object;
    if (is_inline(object)) {
        if (limit > 0) {
            codes[0] = (uintptr_t)object;
        }
        count = 1;
    } else {
        for (const struct vm_mapping *mapping = object; mapping; mapping = mapping->next) {
            if (count < limit) {
                codes[count] = mapping->code;
            }
            count++;
        }
    }
    spinlock_release(&manager->mappings_lock);
    return count;
}

/* ---- Whose word is it? ---- */

static bool is_record(struct vm_manager *manager, const void *object)
{
    struct slab_facts facts;
    slab_look(manager->config.slabs, object, &facts);
    return facts.place == SLAB_LIVE && facts.cache == &manager->mappings && facts.offset == 0;
}

/* The lock keeps the word as it is: the pages it names cannot go meanwhile, nor can their spaces. */
bool vm_reverse_accepts(struct vm_manager *manager, phys_addr_t frame)
{
    spinlock_acquire(&manager->mappings_lock);
    const void *object = frame_descriptor(manager->config.frames, frame)->object;
    uint64_t code = (uintptr_t)object;
    bool accepts =
        !object || (is_inline(object) ? vm_number_covers(manager, vm_code_number(code), vm_code_address(code))
                                      : is_record(manager, object));
    spinlock_release(&manager->mappings_lock);
    return accepts;
}

bool vm_reverse_names(struct vm_space *space, phys_addr_t block, uint64_t address)
{
    struct vm_manager *manager = space->manager;
    uint64_t code = vm_code(space->number, address);
    spinlock_acquire(&manager->mappings_lock);
    const void *object = frame_descriptor(manager->config.frames, block)->object;
    bool names = (uintptr_t)object == code;
    const struct vm_mapping *mapping = is_inline(object) || !is_record(manager, object) ? NULL : object;
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

/* Other owners keep other things in the word: an entry of ours leads to a page that shows the block, or to a
 * record of our cache. */
bool vm_reverse_knows(struct vm_manager *manager, phys_addr_t block)
{
    const void *object = frame_descriptor(manager->config.frames, block)->object;
    if (!is_inline(object)) {
        return is_record(manager, object);
    }
    uint64_t code = (uintptr_t)object;
    struct vm_space *space = vm_space_get(manager, vm_code_number(code));
    if (!space) {
        return false;
    }
    bool knows = vm_page_shows(space, vm_code_address(code), block);
    vm_space_put(space);
    return knows;
}

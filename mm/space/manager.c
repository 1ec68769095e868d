/* What all spaces of a frame pool share: record caches, the zero page, the table of spaces, pagers'
 * references. */
#include "internal.h"

/* ---- Numbers ---- */

#define NUMBER_FREE  1ULL /* the entry is a link in the list of free numbers */
#define NUMBER_DYING 2ULL /* the entry's space is being destroyed: nobody gets it any more */

static union vm_number *number_entry(struct vm_manager *manager, uint32_t number)
{
    return &manager->numbers[number / VM_NUMBERS_CHUNK][number % VM_NUMBERS_CHUNK];
}

static uint64_t link_to(uint32_t number)
{
    return 2 * (uint64_t)number | NUMBER_FREE;
}

/* The entry of a number that was given out, or 0 when there is none. */
static uint64_t word_of(struct vm_manager *manager, uint32_t number) REQUIRES(manager->lock)
{
    if (number >= manager->number_limit) {
        return 0;
    }
    uint64_t word = number_entry(manager, number)->word;
    return word & NUMBER_FREE ? 0 : word;
}

/* The space of a number, also while it is being destroyed; or NULL. */
static struct vm_space *space_of(struct vm_manager *manager, uint32_t number) REQUIRES(manager->lock)
{
    return (struct vm_space *)(uintptr_t)(word_of(manager, number) & ~NUMBER_DYING);
}

/* Makes room for VM_NUMBERS_CHUNK more numbers, all free. */
static enum vm_error grow_numbers(struct vm_manager *manager) REQUIRES(manager->lock)
{
    if (manager->number_limit == VM_SPACES_MAX) {
        return VM_TOO_MANY;
    }
    phys_addr_t frame = frame_alloc(manager->config.frames, 0, OWNER_POOL);
    if (frame.raw == 0) {
        return VM_NO_MEMORY;
    }
    uint32_t first = manager->number_limit;
    manager->numbers[first / VM_NUMBERS_CHUNK] = frame_pointer(manager->config.frames, frame);
    manager->number_limit += VM_NUMBERS_CHUNK;
    for (uint32_t number = first; number < manager->number_limit; number++) {
        number_entry(manager, number)->word = link_to(number + 1);
    }
    manager->number_free = first;
    return VM_OK;
}

_Static_assert(VM_NUMBERS_CHUNK * sizeof(union vm_number) == FRAME_BYTES, "a chunk of the table is a frame");

bool vm_number_take(struct vm_space *space, enum vm_error *error)
{
    struct vm_manager *manager = space->manager;
    spinlock_acquire(&manager->lock);
    *error = manager->number_free == manager->number_limit ? grow_numbers(manager) : VM_OK;
    if (*error == VM_OK) {
        space->number = manager->number_free;
        mutex_init(&space->change, LOCK_SPACE_CHANGE, space->number); /* before anybody can find the space */
        spinlock_init(&space->lock, LOCK_SPACE, space->number);
        union vm_number *entry = number_entry(manager, space->number);
        manager->number_free = (uint32_t)(entry->word / 2);
        entry->space = space;
        manager->space_count++;
    }
    spinlock_release(&manager->lock);
    return *error == VM_OK;
}

bool vm_number_is_taken(struct vm_manager *manager, const struct vm_space *space)
{
    spinlock_acquire(&manager->lock);
    bool taken = space_of(manager, space->number) == space;
    spinlock_release(&manager->lock);
    return taken;
}

/* As patient as for a mutex: what is done with a reference has no bound either. */
static void wait_for_references(struct vm_space *space)
{
    struct lock_wait wait = lock_wait_begin(MUTEX_PATIENCE);
    uint32_t references;
    while ((references = atomic_load_explicit(&space->references, memory_order_acquire)) != 0) {
        if (!lock_wait_goes_on(&wait)) {
            panic("vm: CPU %u waits to destroy space %u, %s, to which %u references are not returned",
                  cpu_number(), space->number, space->name, references);
        }
        cpu_relax();
    }
}

void vm_number_retire(struct vm_space *space)
{
    struct vm_manager *manager = space->manager;
    spinlock_acquire(&manager->lock);
    ASSERT(word_of(manager, space->number) == (uintptr_t)space);
    number_entry(manager, space->number)->word |= NUMBER_DYING;
    spinlock_release(&manager->lock);
    wait_for_references(space);
}

void vm_number_return(struct vm_space *space)
{
    struct vm_manager *manager = space->manager;
    spinlock_acquire(&manager->lock);
    number_entry(manager, space->number)->word = link_to(manager->number_free);
    manager->number_free = space->number;
    manager->space_count--;
    spinlock_release(&manager->lock);
}

bool vm_number_covers(struct vm_manager *manager, uint32_t number, uint64_t address)
{
    spinlock_acquire(&manager->lock);
    const struct vm_space *space = space_of(manager, number);
    bool covers = space && address >= space->base && address < space->end;
    spinlock_release(&manager->lock);
    return covers;
}

/* ---- Finding spaces ---- */

struct vm_space *vm_space_get(struct vm_manager *manager, uint32_t number)
{
    spinlock_acquire(&manager->lock);
    uint64_t word = word_of(manager, number);
    struct vm_space *space = word & NUMBER_DYING ? NULL : (struct vm_space *)(uintptr_t)word;
    if (space) {
        atomic_fetch_add_explicit(&space->references, 1, memory_order_relaxed);
    }
    spinlock_release(&manager->lock);
    return space;
}

struct vm_space *vm_space_get_next(struct vm_manager *manager, uint32_t *number)
{
    struct vm_space *space = NULL;
    spinlock_acquire(&manager->lock);
    uint32_t end = manager->number_limit;
    spinlock_release(&manager->lock);
    while (!space && *number < end) {
        space = vm_space_get(manager, (*number)++);
    }
    return space;
}

void vm_space_put(struct vm_space *space)
{
    uint32_t references = atomic_fetch_sub_explicit(&space->references, 1, memory_order_release);
    ASSERT(references != 0);
}

/* ---- Life ---- */

static enum vm_error make_caches(struct vm_manager *manager)
{
    struct slab_cache_config regions = {
        .name = "vm-region", .bytes = sizeof(struct vm_region), .unguarded = true};
    struct slab_cache_config mappings = {
        .name = "vm-mapping", .bytes = sizeof(struct vm_mapping), .unguarded = true};
    enum slab_error error = slab_cache_init(manager->config.slabs, &manager->regions, &regions);
    if (error == SLAB_OK) {
        error = slab_cache_init(manager->config.slabs, &manager->mappings, &mappings);
        if (error != SLAB_OK) {
            slab_cache_destroy(&manager->regions);
        }
    }
    return error == SLAB_OK ? VM_OK : error == SLAB_NO_MEMORY ? VM_NO_MEMORY : VM_TOO_MANY;
}

enum vm_error vm_manager_init(struct vm_manager *manager, const struct vm_manager_config *config)
{
    ASSERT(!slab_cache_in_use(config->slabs, &manager->regions)); /* else it is a manager already */
    memset(manager, 0, sizeof *manager);
    spinlock_init(&manager->lock, LOCK_SPACE_NUMBERS, 0);
    spinlock_init(&manager->mappings_lock, LOCK_MAPPINGS, 0);
    manager->config = *config;
    manager->zero_frame = frame_alloc_zeroed(config->frames, OWNER_POOL);
    if (manager->zero_frame.raw == 0) {
        return VM_NO_MEMORY;
    }
    enum vm_error error = make_caches(manager);
    if (error != VM_OK) {
        frame_free(config->frames, manager->zero_frame, 0);
    }
    return error;
}

void vm_manager_destroy(struct vm_manager *manager)
{
    struct frame_pool *frames = manager->config.frames;
    ASSERT(manager->space_count == 0);
    slab_cache_destroy(&manager->mappings);
    slab_cache_destroy(&manager->regions);
    frame_free(frames, manager->zero_frame, 0);
    for (uint32_t first = 0; first < manager->number_limit; first += VM_NUMBERS_CHUNK) {
        uintptr_t chunk = (uintptr_t)manager->numbers[first / VM_NUMBERS_CHUNK];
        frame_free(frames, phys_addr(chunk - frames->config.backing.base), 0);
    }
}

/* ---- Pagers ---- */

void vm_pager_get(struct vm_pager *pager)
{
    atomic_fetch_add_explicit(&pager->references, 1, memory_order_relaxed);
}

void vm_pager_put(struct vm_pager *pager)
{
    uint32_t references = atomic_fetch_sub_explicit(&pager->references, 1, memory_order_acq_rel);
    ASSERT(references != 0);
    if (references == 1 && pager->release) {
        pager->release(pager);
    }
}

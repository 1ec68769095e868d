/* What all spaces of a frame pool share: record caches, the zero page, the table of spaces, pagers'
 * references. */
#include "share/family.h"

/* ---- Numbers of spaces ---- */

#define NUMBER_DYING 2ULL /* the entry's space is being destroyed: nobody gets it any more */

/* The space of a number, also while it is being destroyed; or NULL. */
static struct vm_space *space_of(struct vm_manager *manager, uint32_t number) REQUIRES(manager->lock)
{
    return (struct vm_space *)(uintptr_t)(vm_numbers_word(&manager->space_numbers, number) & ~NUMBER_DYING);
}

bool vm_number_take(struct vm_space *space, enum vm_error *error)
{
    struct vm_manager *manager = space->manager;
    const union vm_number whose = {.space = space};
    spinlock_acquire(&manager->lock);
    *error = vm_numbers_take(manager, &manager->space_numbers, VM_SPACES_MAX, whose, &space->number);
    if (*error == VM_OK) { /* nobody can find the space before the lock is released */
        mutex_init(&space->change, LOCK_SPACE_CHANGE, space->number);
        spinlock_init(&space->lock, LOCK_SPACE, space->number);
    }
    spinlock_release(&manager->lock);
    return *error == VM_OK;
}

bool vm_number_is_taken(struct vm_manager *manager, const struct vm_space *space)
{
    return vm_number_space(manager, space->number) == space;
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
    ASSERT(vm_numbers_word(&manager->space_numbers, space->number) == (uintptr_t)space);
    vm_numbers_entry(&manager->space_numbers, space->number)->word |= NUMBER_DYING;
    spinlock_release(&manager->lock);
    wait_for_references(space);
}

void vm_number_return(struct vm_space *space)
{
    struct vm_manager *manager = space->manager;
    spinlock_acquire(&manager->lock);
    vm_numbers_return(&manager->space_numbers, space->number);
    spinlock_release(&manager->lock);
}

struct vm_space *vm_number_space(struct vm_manager *manager, uint32_t number)
{
    spinlock_acquire(&manager->lock);
    struct vm_space *space = space_of(manager, number);
    spinlock_release(&manager->lock);
    return space;
}

/* ---- Finding spaces ---- */

struct vm_space *vm_space_get(struct vm_manager *manager, uint32_t number)
{
    spinlock_acquire(&manager->lock);
    uint64_t word = vm_numbers_word(&manager->space_numbers, number);
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
    uint32_t end = manager->space_numbers.limit;
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
    struct slab_cache_config families = {
        .name = "vm-family", .bytes = sizeof(struct vm_family), .unguarded = true};
    enum slab_error error = slab_cache_init(manager->config.slabs, &manager->regions, &regions);
    if (error == SLAB_OK) {
        error = slab_cache_init(manager->config.slabs, &manager->families, &families);
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
    manager->config = *config;
    ASSERT(!config->access->open); /* entries have addresses for good */
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
    ASSERT(manager->space_numbers.count == 0 && manager->family_numbers.count == 0);
    slab_cache_destroy(&manager->families);
    slab_cache_destroy(&manager->regions);
    frame_free(manager->config.frames, manager->zero_frame, 0);
    vm_numbers_destroy(manager, &manager->space_numbers);
    vm_numbers_destroy(manager, &manager->family_numbers);
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
    if (references != 1) {
        return;
    }
    struct vm_family *family = atomic_load_explicit(&pager->family, memory_order_acquire);
    if (family) {
        vm_family_put(family);
    }
    if (pager->release) {
        pager->release(pager);
    }
}

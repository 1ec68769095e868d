/*
 * Address spaces.
 *
 * What: a space is a set of regions (region/tree.c), each with a rule that says what its pages hold, and a
 * set of page tables with the pages that have been delivered. The tables are the only record of what was
 * delivered: there is no second structure to be held against them. A hole in a region of zeros is a page of
 * zeros, a hole in a region of a pager is a page that must be asked for.
 *
 * How: regions are made (region/map.c), cut, joined and removed (region/cut.c, region/change.c) after a check
 * of what was asked (region/range.c). The page fault (fault/resolve.c) finds the region and either fills the
 * hole or opens the page (fault/fill.c); what it can only get without the lock, a pager's page or a large
 * zeroed block, it asks for and tries again (fault/need.c). Sharing for fork is in share/copy.c. Frames know
 * who shows them (share/reverse.c).
 *
 * Locks: <ashlar/vm_space.h> has the order. A space's `change` is held for a whole operation on its regions,
 * its lock while its part of the page tables is looked at or changed, so that vm_next_page() may read the
 * tables without theirs. The lock is let go after at most VM_HOLD_PAGES pages of work (hold.c), and what lost
 * rights is flushed before that.
 *
 * See inside: the monitor's `vm` (kernel/commands/vm.c), vm_space_check() and vm_manager_check()
 * (inside/check.c).
 */
#include "share/family.h"
#include "valid.h"
#include <ashlar/shortage.h>

/* Whether the configured range is one that a space can have. */
static enum vm_error check_range(const struct vm_manager *manager, const struct vm_space_config *config)
{
    unsigned levels = manager->config.levels;
    uint64_t base = config->base.raw;
    uint64_t end = base + config->bytes;
    if (!is_aligned(base | config->bytes, FRAME_BYTES)) {
        return VM_UNALIGNED;
    }
    if (end <= base) { /* empty, wrapping, or up to the last byte of all */
        return VM_BAD_RANGE;
    }
    if (!virt_is_canonical(config->base, levels) || !virt_is_canonical(virt_addr(end - 1), levels)) {
        return VM_NON_CANONICAL;
    }
    bool upper = (int64_t)base < 0;
    if (upper != ((int64_t)(end - 1) < 0)) {
        return VM_BAD_RANGE;
    }
    if (!config->tables && upper) {
        return VM_KERNEL_ADDRESS;
    }
    return config->tables && !upper ? VM_BAD_RANGE : VM_OK;
}

static void set_name(struct vm_space *space, const char *name)
{
    size_t length = 0;
    while (name[length] && length < VM_NAME_BYTES - 1) {
        length++;
    }
    memcpy(space->name, name, length);
    space->name[length] = 0;
}

static enum vm_error make_tables(struct vm_space *space, const struct vm_space_config *config)
{
    const struct vm_manager_config *common = &space->manager->config;
    if (config->tables) {
        space->table = config->tables;
        return VM_OK;
    }
    space->user = true;
    space->table = &space->own;
    enum page_table_error error = page_table_init(&space->own, common->frames, common->access, common->levels,
                                                  common->largest_level, config->kernel);
    if (error != PAGE_TABLE_OK) {
        return VM_NO_MEMORY;
    }
    space->own.physical_end = 1ULL << common->physical_bits;
    return VM_OK;
}

/* Of a space that is loaded on no CPU and maps nothing. */
static void return_tables(struct vm_space *space)
{
    if (space->user) {
        page_table_destroy(&space->own);
    }
}

static enum vm_error create_once(struct vm_space *space, struct vm_manager *manager,
                                 const struct vm_space_config *config)
{
    DEBUG_ASSERT(vm_manager_is_valid(manager));
    enum vm_error error = check_range(manager, config);
    if (error != VM_OK) {
        return error;
    }
    if (vm_number_is_taken(manager, space)) {
        return VM_IN_USE;
    }
    memset(space, 0, sizeof *space);
    space->manager = manager;
    space->base = max_u64(config->base.raw, FRAME_BYTES); /* address 0 stands for none */
    space->end = config->base.raw + config->bytes;
    space->owner = config->owner;
    set_name(space, config->name);
    error = make_tables(space, config);
    if (error != VM_OK) {
        return error;
    }
    if (!vm_number_take(space, &error)) {
        return_tables(space);
        return error;
    }
    space->random = 0x9e3779b97f4a7c15 ^ space->number; /* any start but 0 will do */
    return VM_OK;
}

enum vm_error vm_space_create(struct vm_space *space, struct vm_manager *manager,
                              const struct vm_space_config *config)
{
    return COLLECTING(manager->config.frames, VM_NO_MEMORY, create_once(space, manager, config));
}

static void expect_not_loaded(struct vm_space *space)
{
    uint32_t loaded = atomic_load(&space->loaded);
    if (loaded != 0) {
        panic("vm: %s is to be destroyed while %u CPUs have it loaded", space->name, loaded);
    }
}

/* What is left of an empty space. Nobody stops this CPU in the midst: a space has its number, and a root that
 * is counted, or it has neither. */
static void forget(struct vm_space *space)
{
    preempt_disable();
    vm_space_leave_family(space);
    vm_number_return(space);
    return_tables(space);
    preempt_enable();
}

void vm_space_destroy(struct vm_space *space)
{
    struct vm_work work;
    DEBUG_ASSERT(vm_space_is_valid(space));
    expect_not_loaded(space);
    vm_number_retire(space);
    expect_not_loaded(space); /* who found it before may have loaded it before its reference was returned */
    if (!vm_work_begin(space, &work, 0)) {
        panic("vm: no memory to destroy %s, which needs none", space->name);
    }
    vm_work_lock(space, &work);
    work.hold.ends = space->user;                           /* the kernel's tables stay loaded */
    vm_range_remove(space, &work, space->base, space->end); /* cuts nothing, so no spares */
    vm_work_unlock(space, &work);
    vm_work_end(space, &work);
    forget(space);
}

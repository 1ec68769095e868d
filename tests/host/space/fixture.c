#include "fixture.h"

#include <string.h>

#define VM_KERNEL_END 0xffffe10000000000ULL

void vm_report(void *context, const struct slab_report *report)
{
    char text[SLAB_REPORT_BYTES];
    (void)context;
    panic("%s", slab_report_text(report, NULL, text));
}

struct vm_manager_config vm_fixture_config(struct vm_fixture *fixture, unsigned levels)
{
    return (struct vm_manager_config){.frames = &fixture->machine.pool,
                                      .slabs = &fixture->slabs,
                                      .access = &fixture->physmap,
                                      .levels = levels,
                                      .largest_level = PAGE_LEVEL_1G,
                                      .physical_bits = 46,
                                      .device_claim = device_claim,
                                      .device_release = device_release,
                                      .device_context = &fixture->claims,
                                      .kernel = &fixture->kernel,
                                      .exclusive = 1ULL << OWNER_USER | 1ULL << OWNER_VMALLOC |
                                                   1ULL << OWNER_PAGE_TABLES};
}

/* Frames free once all caches have given back what they can. */
uint64_t vm_fixture_free(struct vm_fixture *fixture)
{
    slab_reap(&fixture->slabs);
    return frame_pool_free(&fixture->machine.pool);
}

void vm_fixture_start_cpus(struct vm_fixture *fixture, uint64_t bytes, unsigned levels, unsigned cpus)
{
    memset(fixture, 0, sizeof *fixture);
    machine_make(&fixture->machine, bytes);
    machine_range(&fixture->machine, MIB(1), bytes - MIB(1), MEMORY_USABLE);
    if (machine_start(&fixture->machine, cpus, NULL) != FRAME_OK) {
        panic("no frame pool");
    }
    frame_pool_back(&fixture->machine.pool, phys_addr(0), bytes);
    struct slab_pool_config slabs = {
        .frames = &fixture->machine.pool, .cpus = cpus, .seed = 0x5eed, .report = vm_report};
    if (slab_pool_init(&fixture->slabs, &slabs) != SLAB_OK) {
        panic("no slab caches");
    }
    mmu_model_start(fixture->machine.memory, bytes, &fixture->machine.pool);
    fixture->physmap =
        (struct page_table_access){.path = PAGE_TABLE_PHYSMAP, .offset = (uintptr_t)fixture->machine.memory};
    if (page_table_init(&fixture->kernel, &fixture->machine.pool, &fixture->physmap, levels, PAGE_LEVEL_1G,
                        NULL) != PAGE_TABLE_OK) {
        panic("no page tables");
    }
    mmu_model_add(&fixture->kernel);
    struct vm_manager_config config = vm_fixture_config(fixture, levels);
    if (vm_manager_init(&fixture->manager, &config) != VM_OK) {
        panic("no manager");
    }
    fixture->free_at_start = vm_fixture_free(fixture);
}

void vm_fixture_start_levels(struct vm_fixture *fixture, uint64_t bytes, unsigned levels)
{
    vm_fixture_start_cpus(fixture, bytes, levels, 1);
}

void vm_fixture_start(struct vm_fixture *fixture, uint64_t bytes)
{
    vm_fixture_start_levels(fixture, bytes, 4);
}

void vm_fixture_check(struct vm_fixture *fixture)
{
    struct vm_problem problem;
    if (!vm_manager_check(&fixture->manager, &problem)) {
        panic("spaces: %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64, problem.what, problem.address.raw,
              problem.found, problem.expected);
    }
}

void vm_fixture_stop(struct vm_fixture *fixture)
{
    struct frame_problem problem;
    uint64_t used = fixture->kernel.table_frames;
    vm_fixture_check(fixture);
    if (fixture->claims.claimed != 0) {
        panic("%" PRIu64 " pages of devices are claimed still", fixture->claims.claimed);
    }
    vm_manager_destroy(&fixture->manager);
    mmu_model_remove(&fixture->kernel);
    page_table_destroy(&fixture->kernel);
    slab_pool_destroy(&fixture->slabs);
    if (!frame_pool_check(&fixture->machine.pool, &problem)) {
        panic("frame pool: %s at frame %#" PRIx64, problem.what, problem.frame);
    }
    struct frame_ledger ledger;
    frame_pool_ledger(&fixture->machine.pool, &ledger);
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        bool ours = owner == OWNER_USER || owner == OWNER_VMALLOC || owner == OWNER_PAGE_TABLES ||
                    owner == OWNER_SLABS;
        if (ours && ledger.owner_bytes[owner] != 0) {
            panic("%s: %" PRIu64 " bytes left (%" PRIu64 " kernel tables)", frame_owner_name(owner),
                  ledger.owner_bytes[owner], used);
        }
    }
    machine_destroy(&fixture->machine);
}

void vm_fixture_add(struct vm_space *space)
{
    mmu_model_add(&space->own);
}

void vm_fixture_space(struct vm_fixture *fixture, struct vm_space *space, const char *name)
{
    struct vm_space_config config = {.name = name,
                                     .base = virt_addr(VM_USER_BASE),
                                     .bytes = VM_USER_END - VM_USER_BASE,
                                     .owner = OWNER_USER,
                                     .kernel = &fixture->kernel};
    enum vm_error error = vm_space_create(space, &fixture->manager, &config);
    if (error != VM_OK) {
        panic("no space: %s", vm_error_name(error));
    }
    vm_fixture_add(space);
}

void vm_fixture_kernel_space(struct vm_fixture *fixture, struct vm_space *space)
{
    struct vm_space_config config = {.name = "lazy",
                                     .base = virt_addr(VM_KERNEL),
                                     .bytes = VM_KERNEL_END - VM_KERNEL,
                                     .owner = OWNER_VMALLOC,
                                     .tables = &fixture->kernel};
    enum vm_error error = vm_space_create(space, &fixture->manager, &config);
    if (error != VM_OK) {
        panic("no space: %s", vm_error_name(error));
    }
}

void vm_fixture_drop(struct vm_space *space)
{
    if (space->user) {
        mmu_model_remove(space->table);
    }
    vm_space_destroy(space);
}

enum vm_access vm_access_of(enum mmu_use use)
{
    return use == MMU_WRITE ? VM_WRITE : use == MMU_EXECUTE ? VM_EXECUTE : VM_READ;
}

void *vm_touch(struct vm_space *space, uint64_t address, enum mmu_use use, enum vm_fault *fault)
{
    uint64_t target;
    *fault = VM_FAULT_COUNT;
    for (unsigned tries = 0; tries < 4; tries++) {
        if (mmu_model_access(space->table, address, use, space->user, &target) == MMU_OK) {
            return frame_pointer(space->manager->config.frames, phys_addr(target));
        }
        *fault = vm_space_fault(space, virt_addr(address), vm_access_of(use));
        if (!vm_fault_resolved(*fault)) {
            return NULL;
        }
    }
    panic("an access to %#" PRIx64 " faults again and again: %s", address, vm_fault_name(*fault));
}

phys_addr_t test_pager_get(struct vm_pager *base, uint64_t offset, bool wait)
{
    struct test_pager *pager = (struct test_pager *)base;
    uint64_t page = offset >> FRAME_SHIFT;
    if (pager->before_get) {
        pager->before_get(pager);
    }
    if (pager->failing || page >= PAGER_PAGES || (!wait && pager->cache[page].raw == 0)) {
        return FRAME_NONE;
    }
    phys_addr_t frame = pager->cache[page];
    if (frame.raw == 0) {
        frame = frame_alloc_zeroed(pager->frames, OWNER_CACHE);
        if (frame.raw == 0) {
            return FRAME_NONE;
        }
        frame_note_clear(frame_descriptor(pager->frames, frame));
        *(uint64_t *)frame_pointer(pager->frames, frame) = page;
        if (!pager->keeps) {
            return frame;
        }
        pager->cache[page] = frame;
    }
    return frame_try_get(pager->frames, frame) == FRAME_OK ? frame : FRAME_NONE;
}

static void test_pager_dirty(struct vm_pager *base, uint64_t offset, phys_addr_t frame)
{
    struct test_pager *pager = (struct test_pager *)base;
    if (offset >> FRAME_SHIFT >= PAGER_PAGES ||
        (pager->keeps && pager->cache[offset >> FRAME_SHIFT].raw != frame.raw)) {
        panic("the pager is told of a page that is not its own");
    }
    if (mmu_model_writes_unseen(frame)) {
        panic("the pager is told of a page that a CPU still writes to");
    }
    pager->dirtied[offset >> FRAME_SHIFT]++;
}

static void test_pager_release(struct vm_pager *base)
{
    ((struct test_pager *)base)->released++;
}

void test_pager_start(struct test_pager *pager, struct vm_fixture *fixture)
{
    memset(pager, 0, sizeof *pager);
    pager->pager = (struct vm_pager){
        .get = test_pager_get, .dirty = test_pager_dirty, .release = test_pager_release, .references = 1};
    pager->frames = &fixture->machine.pool;
    pager->keeps = true;
}

void test_pager_stop(struct test_pager *pager)
{
    vm_pager_put(&pager->pager);
    if (pager->released != 1) {
        panic("the pager was released %u times", pager->released);
    }
    for (unsigned i = 0; i < PAGER_PAGES; i++) {
        if (pager->cache[i].raw != 0) {
            if (!frame_put(pager->frames, pager->cache[i])) {
                panic("a reference to a pager's page was kept");
            }
            pager->cache[i] = FRAME_NONE;
        }
    }
}

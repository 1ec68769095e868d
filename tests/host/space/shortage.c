#include "shortage.h"

#include <string.h>

#define PAGES_MAX 2100

/* All that a program could see of a space. */
struct snapshot {
    uint64_t regions;            /* how many */
    uint64_t bytes;              /* their sum */
    uint64_t resident;           /* pages with a frame */
    uint64_t pages;              /* mapped pages */
    uint64_t targets[PAGES_MAX]; /* what each of them shows */
};

static void take(struct vm_space *of, struct snapshot *snapshot)
{
    struct vm_region_facts facts;
    memset(snapshot, 0, sizeof *snapshot);
    for (uint64_t at = 0; vm_space_next(of, virt_addr(at), &facts);) {
        snapshot->regions = snapshot->regions * 31 + facts.base.raw + facts.access * 7 + facts.bytes;
        for (at = facts.base.raw; at < facts.base.raw + facts.bytes; at += PAGE) {
            struct page_translation page = page_table_translate(of->table, virt_addr(at));
            if (page.mapped) {
                snapshot->targets[snapshot->pages++] = page.target.raw;
            }
        }
        snapshot->bytes += facts.bytes;
    }
    snapshot->resident = of->resident;
}

static phys_addr_t hoard[MIB(24) / FRAME_BYTES];
static unsigned hoarded;
bool keeps_block;
bool cuts_pages;

static void keep_only(unsigned frames)
{
    phys_addr_t frame;
    phys_addr_t block = keeps_block ? frame_alloc(&vm.machine.pool, FRAME_ORDER_2M, OWNER_TEST) : FRAME_NONE;
    assert_true(!keeps_block || block.raw != 0);
    while ((frame = frame_alloc(&vm.machine.pool, 0, OWNER_TEST)).raw != 0) {
        hoard[hoarded++] = frame;
    }
    for (unsigned i = 0; i < frames; i++) {
        frame_free(&vm.machine.pool, hoard[--hoarded], 0);
    }
    if (keeps_block) {
        frame_free(&vm.machine.pool, block, FRAME_ORDER_2M);
    }
}

static void give_back(void)
{
    while (hoarded > 0) {
        frame_free(&vm.machine.pool, hoard[--hoarded], 0);
    }
}

static uint64_t owned(enum frame_owner owner)
{
    struct frame_ledger ledger;
    frame_pool_ledger(&vm.machine.pool, &ledger);
    assert_int_equal(ledger.difference, 0);
    return ledger.owner_bytes[owner];
}

#define NEVER_AGAIN (1ULL << 40)

static void run_short(enum shortage shortage, unsigned number)
{
    switch (shortage) {
    case EVERY_NTH_RECORD:
        slab_fail_every(&vm.slabs, number + 1);
        break;
    case NTH_RECORD:
        slab_fail_every(&vm.slabs, NEVER_AGAIN);
        vm.slabs.failing.counted = NEVER_AGAIN - (number + 1);
        break;
    case FRAMES_LEFT:
    case SHORTAGES:
        slab_reap(&vm.slabs);
        keep_only(number);
    }
}

/* One attempt; when it fails, nothing has changed. */
static bool attempt(step *run, enum shortage shortage, unsigned number)
{
    static struct snapshot before;
    static struct snapshot after;
    uint64_t user = owned(OWNER_USER);
    uint64_t tables = owned(OWNER_PAGE_TABLES);
    take(&space, &before);
    mmu_model_fill();
    run_short(shortage, number);
    bool done = run();
    slab_fail_every(&vm.slabs, 0);
    give_back();
    mmu_model_check();
    vm_fixture_check(&vm);
    if (!done) {
        take(&space, &after);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(owned(OWNER_USER), user);
        assert_true(owned(OWNER_PAGE_TABLES) == tables || cuts_pages);
    }
    return done;
}

unsigned exhaust(step *run, void (*again)(void))
{
    unsigned failures = 0;
    for (enum shortage shortage = FRAMES_LEFT; shortage < SHORTAGES; shortage++) {
        uint64_t refused;
        bool done = false;
        for (unsigned number = 0; !done || vm.slabs.failing.failed != refused; number++) {
            refused = vm.slabs.failing.failed;
            done = attempt(run, shortage, number);
            failures += !done;
            assert_true(number < 4000);
            if (done) {
                again();
            }
        }
    }
    return failures;
}

bool is_done(enum vm_error error)
{
    assert_true(error == VM_OK || error == VM_NO_MEMORY);
    return error == VM_OK;
}

bool is_resolved(enum vm_fault fault, enum vm_fault expected)
{
    assert_true(fault == expected || fault == VM_FAULT_NO_MEMORY);
    return fault == expected;
}

void unmap_all(void)
{
    assert_int_equal(vm_space_unmap(&space, virt_addr(space.base), space.end - space.base), VM_OK);
}

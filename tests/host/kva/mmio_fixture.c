#include "mmio_fixture.h"

struct mmio_fixture mmio_fixture;
static const struct kva_purpose purpose = KVA_PURPOSE("test device");

static void report_nothing(void *context, const struct slab_report *report)
{
    (void)context;
    panic("heap: %s", slab_fault_name(report->fault));
}

void mmio_fixture_start(void)
{
    vmalloc_fixture_start(&mmio_fixture.machine, MIB(64), GIB(4), 1, true);
    const struct slab_pool_config pool = {
        .frames = &mmio_fixture.machine.machine.pool, .cpus = 1, .seed = 5, .report = report_nothing};
    assert_int_equal(slab_pool_init(&mmio_fixture.slabs, &pool), SLAB_OK);
    mmio_fixture.machine.table.physical_end = 1ULL << 40;
    struct mmio_config config = {.arena = &mmio_fixture.machine.arena,
                                 .table = &mmio_fixture.machine.table,
                                 .slabs = &mmio_fixture.slabs};
    physmap_plan_start(&config.physmap, mmio_fixture.machine.machine.map,
                       mmio_fixture.machine.machine.map_count, mmio_fixture.machine.table.physical_end);
    assert_true(physmap_plan_protect(&config.physmap, phys_addr(MMIO_CODE), MMIO_CODE_BYTES));
    assert_int_equal(mmio_init(&mmio_fixture.mmio, &config), MMIO_OK);
}

void mmio_fixture_check(void)
{
    struct mmio_problem problem;
    if (!mmio_check(&mmio_fixture.mmio, &problem)) {
        fail_msg("%s at %#" PRIx64, problem.what, problem.where.raw);
    }
    mmu_model_check();
    vmalloc_fixture_check(&mmio_fixture.machine);
}

void mmio_fixture_stop(void)
{
    vmalloc_feed(&mmio_fixture.machine);
    mmio_fixture_check();
    mmio_destroy(&mmio_fixture.mmio);
    slab_pool_destroy(&mmio_fixture.slabs);
    vmalloc_fixture_stop(&mmio_fixture.machine);
}

enum mmio_error mmio_fixture_try(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                                 void **pointer)
{
    const struct mmio_request request = {phys_addr(address), bytes, access, cache, &purpose, false};
    *pointer = NULL;
    return mmio_map(&mmio_fixture.mmio, &request, pointer);
}

uint8_t *mmio_fixture_map(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache)
{
    void *pointer;
    assert_int_equal(mmio_fixture_try(address, bytes, access, cache, &pointer), MMIO_OK);
    assert_non_null(pointer);
    mmio_fixture_check();
    return pointer;
}

enum mmio_error mmio_fixture_refusal(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache)
{
    void *pointer;
    uint64_t count = mmio_fixture.mmio.count;
    uint64_t tables = mmio_fixture.machine.table.table_frames;
    enum mmio_error error = mmio_fixture_try(address, bytes, access, cache, &pointer);
    assert_null(pointer);
    assert_int_equal(mmio_fixture.mmio.count, count);
    assert_int_equal(mmio_fixture.machine.table.table_frames, tables);
    mmio_fixture_check();
    return error;
}

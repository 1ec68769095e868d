/* What page tables cost. Under -icount shift=0 a tick is one guest instruction. */
#include <ashlar/bench.h>
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/page_table_view.h>

#define ROUNDS 1000

static struct page_table table; /* one benchmark runs at a time */

/* Tables of the benchmark's own: nothing is loaded, so nothing needs to be flushed. */
static bool make_table(struct bench *bench)
{
    struct page_table *kernel = kernel_page_table();
    if (page_table_init(&table, kernel->frames, kernel->access, kernel->levels, kernel->largest_level,
                        NULL) != PAGE_TABLE_OK) {
        bench_skip(bench, "not enough memory");
        return false;
    }
    return true;
}

static void drop_table(void)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, &table);
    page_table_unmap(&table, virt_addr(0), 1ULL << 47, &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    page_table_destroy(&table);
}

/* Empties a batch without its flush, which is measured by itself. */
static void batch_forget(struct tlb_batch *batch)
{
    tlb_batch_start(batch, &table);
}

KERNEL_BENCH(pt_map_unmap, "pt.map.unmap")
{
    struct tlb_batch batch;
    if (!make_table(bench)) {
        return;
    }
    page_table_map(&table, virt_addr(MIB(2)), phys_addr(0), KIB(4), PAGE_WRITE, CACHE_WRITE_BACK,
                   PAGE_LEVEL_4K);
    tlb_batch_start(&batch, &table);
    bench_start(bench);
    for (unsigned i = 0; i < ROUNDS; i++) {
        page_table_map(&table, virt_addr(MIB(3)), phys_addr(MIB(1)), KIB(4), PAGE_WRITE, CACHE_WRITE_BACK,
                       PAGE_LEVEL_4K);
        page_table_unmap(&table, virt_addr(MIB(3)), KIB(4), &batch, NULL, NULL);
        batch_forget(&batch);
    }
    bench_stop(bench, ROUNDS);
    drop_table();
}

KERNEL_BENCH(pt_map_1g, "pt.map.1g")
{
    if (!make_table(bench)) {
        return;
    }
    bench_start(bench);
    enum page_table_error error = page_table_map(&table, virt_addr(GIB(1)), phys_addr(0), GIB(1), PAGE_WRITE,
                                                 CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    bench_stop(bench, GIB(1) / FRAME_BYTES);
    if (error != PAGE_TABLE_OK) {
        bench_skip(bench, "not enough memory");
    }
    drop_table();
}

KERNEL_BENCH(pt_unmap_1g, "pt.unmap.1g")
{
    struct tlb_batch batch;
    if (!make_table(bench)) {
        return;
    }
    if (page_table_map(&table, virt_addr(GIB(1)), phys_addr(0), GIB(1), PAGE_WRITE, CACHE_WRITE_BACK,
                       PAGE_LEVEL_4K) != PAGE_TABLE_OK) {
        bench_skip(bench, "not enough memory");
    }
    tlb_batch_start(&batch, &table);
    bench_start(bench);
    page_table_unmap(&table, virt_addr(GIB(1)), GIB(1), &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    bench_stop(bench, GIB(1) / FRAME_BYTES);
    drop_table();
}

/* A 4 KiB page of the image: all levels are walked. */
KERNEL_BENCH(pt_translate, "pt.translate")
{
    const struct page_table *kernel = kernel_page_table();
    virt_addr_t address = virt_of(&table);
    uint64_t sum = 0;
    bench_start(bench);
    for (unsigned i = 0; i < ROUNDS; i++) {
        sum += page_table_translate(kernel, address).target.raw;
    }
    bench_stop(bench, ROUNDS);
    if (sum == 0) {
        bench_skip(bench, "the image is not mapped");
    }
}

/* The same by one of the ways; what opening the view takes is not counted. */
static void translate_by(struct bench *bench, enum page_table_path path)
{
    struct page_table_view view;
    if (page_table_view_open(&view, path) != PAGE_TABLE_OK) {
        bench_skip(bench, "not enough memory");
        return;
    }
    const struct page_table *kernel = kernel_page_table();
    struct page_table seen = {.root = kernel->root,
                              .lock = SPINLOCK_INITIALIZER(LOCK_PAGE_TABLE),
                              .levels = kernel->levels,
                              .access = view.access,
                              .pml4 = {kernel->pml4[0], kernel->pml4[1]}};
    uint64_t sum = 0;
    bench_start(bench);
    for (unsigned i = 0; i < ROUNDS; i++) {
        sum += page_table_translate(&seen, virt_of(&table)).target.raw;
    }
    bench_stop(bench, ROUNDS);
    page_table_view_close(&view);
    if (sum == 0) {
        bench_skip(bench, "the image is not mapped");
    }
}

KERNEL_BENCH(pt_translate_physmap, "pt.translate.physmap")
{
    translate_by(bench, PAGE_TABLE_PHYSMAP);
}

KERNEL_BENCH(pt_translate_identity, "pt.translate.identity")
{
    translate_by(bench, PAGE_TABLE_IDENTITY);
}

KERNEL_BENCH(pt_translate_offset, "pt.translate.offset")
{
    translate_by(bench, PAGE_TABLE_OFFSET);
}

KERNEL_BENCH(pt_translate_temporary, "pt.translate.temporary")
{
    translate_by(bench, PAGE_TABLE_TEMPORARY);
}

KERNEL_BENCH(pt_translate_recursive, "pt.translate.recursive")
{
    translate_by(bench, PAGE_TABLE_RECURSIVE);
}

/* One page from the batch to the TLB. */
KERNEL_BENCH(pt_flush_page, "pt.flush.page")
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, kernel_page_table());
    bench_start(bench);
    for (unsigned i = 0; i < ROUNDS; i++) {
        tlb_batch_add(&batch, virt_addr(0xffffef0000000000ULL), FRAME_BYTES, PAGE_LEVEL_4K, true);
        tlb_batch_finish(&batch);
    }
    bench_stop(bench, ROUNDS);
}

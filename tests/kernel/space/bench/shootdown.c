/*
 * What it takes to make another CPU forget a page: on both CPUs together, as the clock that counts guest
 * instructions counts those of all. To be measured with at least two CPUs (tools/bench --kernel --cpus 2).
 */
#include <ashlar/bench.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/vm_kernel.h>
#include <stdatomic.h>

#define FLUSHES 256

static struct vm_space space;
static _Atomic(unsigned) loaded; /* CPUs that have the space loaded */
static _Atomic(bool) over;

static void flush_pages(struct bench *bench)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, &space.own);
    bench_start(bench);
    for (unsigned i = 0; i < FLUSHES; i++) {
        tlb_batch_add(&batch, virt_addr(space.base), FRAME_BYTES, PAGE_LEVEL_4K, false);
        tlb_batch_finish(&batch);
    }
    bench_stop(bench, FLUSHES);
    atomic_store(&over, true);
}

/* The second CPU does nothing but be asked; a third is not. */
static void flush_or_wait(void *context, unsigned cpu)
{
    if (cpu > 1) {
        return;
    }
    preempt_disable();
    struct vm_space *before = space_load(&space);
    preempt_enable();
    atomic_fetch_add(&loaded, 1);
    while (atomic_load(&loaded) != 2) {
        cpu_relax();
    }
    if (cpu == 0) {
        flush_pages(context);
    }
    while (!atomic_load(&over)) {
        cpu_relax();
    }
    preempt_disable();
    space_load(before);
    preempt_enable();
}

KERNEL_BENCH(shootdown_page, "shootdown.page.2")
{
    if (processors_online() < 2) {
        bench_skip(bench, "one CPU alone");
        return;
    }
    if (user_space_create(&space, "bench") != VM_OK) {
        bench_skip(bench, "no memory");
        return;
    }
    atomic_store(&loaded, 0);
    atomic_store(&over, false);
    if (!processors_run(flush_or_wait, bench)) {
        bench_skip(bench, "no memory");
    }
    vm_space_destroy(&space);
}

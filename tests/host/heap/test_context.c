/* Where nobody allocates: under an irq_spinlock and in an interrupt handler. Every way in is held to it. */
#include <ashlar/lock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/internal.h"
#include "reports.h"
#include "tests/host/support/host.h"

static struct irq_spinlock irq_lock = IRQ_SPINLOCK_INITIALIZER(LOCK_IO_APIC);
static struct slab_cache cache;

/* What is freed. There is more in the magazines, and room: so that no way in needs a lock. */
static phys_addr_t block;
static phys_addr_t run;
static void *object;
static void *small;
static void *large;

static struct frame_pool *frames(void)
{
    return &fixture.machine.pool;
}

static void alloc_frame(void)
{
    frame_alloc(frames(), 0, OWNER_SLABS);
}

static void free_frame(void)
{
    frame_free(frames(), block, 0);
}

static void alloc_zeroed(void)
{
    frame_alloc_zeroed(frames(), OWNER_SLABS);
}

static void alloc_batch(void)
{
    phys_addr_t batch[2];
    frame_alloc_batch(frames(), 2, batch, OWNER_SLABS);
}

static void free_batch(void)
{
    frame_free_batch(frames(), 1, &block);
}

static void alloc_run(void)
{
    phys_addr_t address;
    frame_alloc_request(frames(), &(struct frame_request){.frames = 3, .owner = OWNER_SLABS}, &address);
}

static void free_run(void)
{
    frame_free_run(frames(), run, 3);
}

static void alloc_object(void)
{
    slab_cache_alloc(&cache);
}

static void free_object(void)
{
    slab_cache_free(&cache, object);
}

static void alloc_small(void)
{
    heap_alloc(&fixture.heap, 40);
}

static void alloc_small_zeroed(void)
{
    heap_alloc_zeroed(&fixture.heap, 40);
}

static void free_small(void)
{
    heap_free(&fixture.heap, small);
}

static void alloc_large(void)
{
    heap_alloc(&fixture.heap, FRAME_BYTES * 4);
}

static void free_large(void)
{
    heap_free(&fixture.heap, large);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"frame_alloc", alloc_frame},
    {"frame_free", free_frame},
    {"frame_alloc_zeroed", alloc_zeroed},
    {"frame_alloc_batch", alloc_batch},
    {"frame_free_batch", free_batch},
    {"frame_alloc_request", alloc_run},
    {"frame_free_run", free_run},
    {"slab_cache_alloc", alloc_object},
    {"slab_cache_free", free_object},
    {"heap_alloc", alloc_small},
    {"heap_alloc_zeroed", alloc_small_zeroed},
    {"heap_free", free_small},
    {"heap_alloc, large", alloc_large},
    {"heap_free, large", free_large},
};

static void prepare(void)
{
    make(&cache, "context", 64, 0);
    block = frame_alloc(frames(), 0, OWNER_SLABS);
    frame_free(frames(), frame_alloc(frames(), 0, OWNER_SLABS), 0);
    frame_alloc_request(frames(), &(struct frame_request){.frames = 3, .owner = OWNER_SLABS}, &run);
    frame_pool_idle(frames()); /* a zeroed frame is there */
    object = slab_cache_alloc(&cache);
    small = heap_alloc(&fixture.heap, 40);
    large = heap_alloc(&fixture.heap, FRAME_BYTES * 4);
}

static void give_back(void)
{
    free_frame();
    free_run();
    free_object();
    free_small();
    free_large();
    slab_cache_destroy(&cache);
}

/* Each way in panics with one of the two sentences; which, depends on whether it takes a lock first. */
static void expect_all_refused(const char *says, const char *or_says)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        struct host_panic_trap trap = {.message = ""};
        volatile bool panicked;
        CATCH_PANIC(trap, panicked, ways[i].run());
        if (!panicked || (!strstr(trap.message, says) && !strstr(trap.message, or_says))) {
            fail_msg("%s: \"%s\" does not say \"%s\"", ways[i].name, trap.message, says);
        }
        host_preempt_depth = 0;
    }
}

static void nobody_allocates_under_an_irq_spinlock(void **state)
{
    (void)state;
    prepare();
    irq_spinlock_acquire(&irq_lock);
    expect_all_refused("CPU 0 allocates or frees memory while it holds the IO-APIC lock",
                       "in the wrong order: it holds the IO-APIC lock");
    irq_spinlock_release(&irq_lock);
    give_back();
}

static void no_handler_allocates(void **state)
{
    (void)state;
    prepare();
    host_in_interrupt = true;
    expect_all_refused("CPU 0 allocates or frees memory in an interrupt handler",
                       "in an interrupt handler, which takes irq_spinlocks only");
    host_in_interrupt = false;
    give_back();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_allocates_under_an_irq_spinlock),
        TEST(no_handler_allocates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

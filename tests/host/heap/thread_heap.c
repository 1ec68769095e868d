/* Several CPUs (threads) use one heap at once, under the thread sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fixture.h"
#include "guard_fixture.h"
#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"

#define OPERATIONS 40000
#define SLOTS      200
#define SHARED     64

static struct heap_fixture fixture;
static struct guard_fixture guard;
static struct slab_cache cache;
static _Atomic(uint64_t *) shared[SHARED]; /* blocks that pass from one CPU to another */

/* A block's first words say how long it is and whose: two owners of one block would be seen. Some hold by
 * chance what marks free blocks. */
static void fill(uint64_t *block, uint64_t words, uint64_t mark)
{
    if (!block) {
        return;
    }
    block[0] = words;
    if (mark % 4 == 0) {
        *slab_mark(block) = SLAB_MARK_FREE;
    }
    for (uint64_t i = 1; i < words; i++) {
        block[i] = mark ^ i;
    }
}

static void verify(const uint64_t *block)
{
    for (uint64_t i = 2; i < (uint32_t)block[0]; i++) {
        if ((block[i] ^ i) != (block[1] ^ 1)) {
            panic("word %" PRIu64 " of a block changed", i);
        }
    }
}

static void pass_on(struct worker *worker)
{
    uint64_t random = random_next(&worker->random);
    uint64_t words = 2 + (random >> 32) % (random % 64 == 0 ? 4000 : 100);
    uint64_t *mine = heap_alloc(&fixture.heap, words * 8);
    fill(mine, words, random);
    uint64_t *theirs = atomic_exchange(&shared[random % SHARED], mine);
    if (theirs) {
        verify(theirs);
        heap_free(&fixture.heap, theirs);
    }
}

static void use_slot(struct worker *worker, uint64_t **slots)
{
    uint64_t random = random_next(&worker->random);
    uint64_t **slot = &slots[random % SLOTS];
    bool typed = (random % SLOTS) % 2;
    if (*slot) {
        verify(*slot);
        if (typed) {
            slab_cache_free(&cache, *slot);
        } else {
            heap_free(&fixture.heap, *slot);
        }
        *slot = NULL;
        return;
    }
    uint64_t words = typed ? 12 : 2 + (random >> 32) % 200;
    *slot = typed ? slab_cache_alloc(&cache) : heap_alloc(&fixture.heap, words * 8);
    fill(*slot, words, random);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t *slots[SLOTS] = {NULL};
    host_cpu = worker->cpu;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        use_slot(worker, slots);
        if (i % 3 == 0) {
            pass_on(worker);
        }
        if (i % 1999 == 0) {
            slab_reap(&fixture.heap.slabs);
        }
        if (i % 4001 == worker->cpu) { /* caches come and go */
            struct slab_cache own;
            char name[SLAB_NAME_BYTES];
            snprintf(name, sizeof name, "own-%u", worker->cpu);
            struct slab_cache_config config = {.name = name, .bytes = 40};
            if (slab_cache_init(&fixture.heap.slabs, &own, &config) != SLAB_OK) {
                panic("no cache");
            }
            slab_cache_free(&own, slab_cache_alloc(&own));
            slab_cache_destroy(&own);
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i] && i % 2) {
            slab_cache_free(&cache, slots[i]);
        } else {
            heap_free(&fixture.heap, slots[i]);
        }
    }
    return NULL;
}

static void run(unsigned threads, const char *debug)
{
    host_cpu = 0;
    assert_int_equal(fixture_start(&fixture, MIB(64), threads, debug), SLAB_OK);
    assert_int_equal(guard_start(&guard, &fixture.heap.slabs, 16, 16), SLAB_OK);
    struct slab_cache_config config = {.name = "shared", .bytes = 96};
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, &cache, &config), SLAB_OK);
    threads_run(threads, work);
    for (unsigned i = 0; i < SHARED; i++) {
        heap_free(&fixture.heap, atomic_exchange(&shared[i], NULL));
    }
    assert_int_equal(fixture.reports, 0);
    fixture_check(&fixture);
    assert_int_equal(slab_cache_destroy(&cache), 0);
    guard_stop(&guard);
    fixture_stop(&fixture);
}

static void two_cpus_share_a_heap(void **state)
{
    (void)state;
    run(2, NULL);
}

static void four_cpus_share_a_heap(void **state)
{
    (void)state;
    run(4, NULL);
}

static void two_cpus_share_a_heap_with_policies(void **state)
{
    (void)state;
    run(2, "*:all");
}

/* ---- All CPUs fill their magazines at once, from slabs that each of them makes ---- */

#define GROWING 3500 /* blocks of a CPU, in all half of the machine's memory */

static void *grow(void *argument)
{
    struct worker *worker = argument;
    host_cpu = worker->cpu;
    void *blocks[GROWING];
    for (unsigned i = 0; i < GROWING; i++) {
        blocks[i] = heap_alloc(&fixture.heap, 1000); /* a magazine takes all objects of three slabs */
        if (!blocks[i]) {
            panic("no memory, with %" PRIu64 " frames free", frame_pool_free(&fixture.machine.pool));
        }
    }
    for (unsigned i = 0; i < GROWING; i++) {
        heap_free(&fixture.heap, blocks[i]);
    }
    return NULL;
}

static void no_cpu_gets_nothing_because_others_were_faster(void **state)
{
    (void)state;
    host_cpu = 0;
    assert_int_equal(fixture_start(&fixture, MIB(64), 8, NULL), SLAB_OK);
    threads_run(8, grow);
    assert_int_equal(fixture.reports, 0);
    fixture_check(&fixture);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_share_a_heap),
        cmocka_unit_test(four_cpus_share_a_heap),
        cmocka_unit_test(two_cpus_share_a_heap_with_policies),
        cmocka_unit_test(no_cpu_gets_nothing_because_others_were_faster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

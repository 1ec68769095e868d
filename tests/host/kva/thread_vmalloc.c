/* Several CPUs (threads) use one vmalloc at once, under the thread sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"
#include "vmalloc_fixture.h"

#define OPERATIONS 6000
#define SLOTS      24
#define SHARED     16

static struct vmalloc_fixture fixture;
static _Atomic(uint8_t *) shared[SHARED]; /* blocks that pass from one CPU to another */

/* The word at an address, through the page tables; a page of somebody else would show another mark. */
static uint64_t *word(const uint8_t *address)
{
    struct page_translation found = page_table_translate(&fixture.table, virt_of(address));
    if (!found.mapped) {
        panic("%p is not mapped", (const void *)address);
    }
    return (uint64_t *)((uint8_t *)fixture.machine.memory + found.target.raw);
}

/* Each page of a block says which block it belongs to. */
static void mark(uint8_t *block, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        *word(block + i * FRAME_BYTES) = (uintptr_t)block;
    }
}

static void release(uint8_t *block)
{
    uint64_t pages = vmalloc_bytes(&fixture.vmalloc, block) / FRAME_BYTES;
    for (uint64_t i = 0; i < pages; i++) {
        if (*word(block + i * FRAME_BYTES) != (uintptr_t)block) {
            panic("page %" PRIu64 " of %p has two owners", i, (void *)block);
        }
    }
    if (pages == 0 || vmalloc_try_free(&fixture.vmalloc, block, NULL) != KVA_OK) {
        panic("%p cannot be freed", (void *)block);
    }
}

static uint8_t *take(uint64_t random)
{
    /* Short blocks: those are flushed under the lock, and the model's flushes are for one CPU at a time. */
    uint64_t longest = VMALLOC_RETIRED_PAGES - 1;
    uint64_t pages = random % 16 == 0 ? 1 + random / 16 % longest : 1 + random / 16 % 6;
    uint8_t *block = vmalloc_alloc(&fixture.vmalloc, pages * FRAME_BYTES);
    if (block) {
        mark(block, pages);
    }
    return block;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint8_t *slots[SLOTS] = {NULL};
    host_cpu = worker->cpu;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t random = random_next(&worker->random);
        uint8_t **slot = &slots[random % SLOTS];
        if (*slot && random >> 8 & 1) {
            uint8_t *theirs = atomic_exchange(&shared[random >> 9 & (SHARED - 1)], *slot);
            *slot = theirs;
        } else if (*slot) {
            release(*slot);
            *slot = NULL;
        } else {
            *slot = take(random >> 8);
        }
        if (random % 500 == 0) {
            vmalloc_flush(&fixture.vmalloc);
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i]) {
            release(slots[i]);
        }
    }
    return NULL;
}

static void run(unsigned threads)
{
    host_cpu = 0;
    vmalloc_fixture_start(&fixture, MIB(64), MIB(64), threads, false);
    threads_run(threads, work);
    for (unsigned i = 0; i < SHARED; i++) {
        uint8_t *left = atomic_exchange(&shared[i], NULL);
        if (left) {
            release(left);
        }
    }
    vmalloc_fixture_stop(&fixture);
}

static void two_cpus_share_vmalloc(void **state)
{
    (void)state;
    run(2);
}

static void four_cpus_share_vmalloc(void **state)
{
    (void)state;
    run(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_share_vmalloc),
        cmocka_unit_test(four_cpus_share_vmalloc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Several CPUs (threads) use one arena at once, under the thread sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"

#define OPERATIONS 15000
#define SLOTS      40
#define PAGES      8192

static struct kva_fixture fixture;
static _Atomic(uint8_t) owner_of[PAGES]; /* CPU + 1 of who has a page; 0 for nobody */

/* Every page changes hands from nobody to one, and back: two owners of one would be seen. */
static void claim(const struct kva_range *range, uint8_t from, uint8_t to)
{
    uint64_t first = (range->base.raw - fixture.arena.base.raw) / FRAME_BYTES - range->guard_pages;
    uint64_t count = range->bytes / FRAME_BYTES + 2ULL * range->guard_pages;
    for (uint64_t page = first; page < first + count; page++) {
        if (atomic_exchange(&owner_of[page], to) != from) {
            panic("page %" PRIu64 " has two owners", page);
        }
    }
}

static void use_slot(struct worker *worker, struct kva_range **slot, uint64_t random)
{
    uint8_t mark = (uint8_t)(worker->cpu + 1);
    if (!*slot) {
        enum kva_error error;
        uint64_t pages = random % 8 == 0 ? 1 + random / 8 % 60 : 1 + random / 8 % 4;
        *slot = kva_take(&fixture, pages * FRAME_BYTES, random % 32 == 1 ? KIB(64) : 0, random & 1, &error);
        if (*slot) {
            claim(*slot, 0, mark);
        } else if (error != KVA_NO_SPACE) {
            panic("%s", kva_error_name(error));
        }
        return;
    }
    struct kva_range *found;
    virt_addr_t base = (*slot)->base;
    if (kva_find(&fixture.arena, base, &found) != KVA_OK || found != *slot) {
        panic("a range is not found");
    }
    claim(*slot, mark, 0);
    *slot = NULL;
    if (random & 1) {
        kva_release(&fixture.arena, found);
    } else if (kva_free(&fixture.arena, base) != KVA_OK) {
        panic("a range cannot be freed");
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct kva_range *slots[SLOTS] = {NULL};
    host_cpu = worker->cpu;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t random = random_next(&worker->random);
        struct kva_facts facts;
        struct kva_statistics statistics;
        use_slot(worker, &slots[random % SLOTS], random >> 8);
        if (i % 16 == 0) {
            kva_look(&fixture.arena, virt_add(fixture.arena.base, random % (PAGES * FRAME_BYTES)), &facts);
        }
        if (i % 999 == worker->cpu) {
            kva_reap(&fixture.arena);
            kva_statistics(&fixture.arena, &statistics);
            kva_fixture_check(&fixture);
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i]) {
            use_slot(worker, &slots[i], i);
        }
    }
    return NULL;
}

static void run(unsigned threads)
{
    host_cpu = 0;
    kva_fixture_machine(&fixture, threads);
    assert_int_equal(
        kva_init(&fixture.arena, virt_addr(0xffffd00000000000), PAGES * FRAME_BYTES, &fixture.machine.pool),
        KVA_OK);
    threads_run(threads, work);
    kva_fixture_stop(&fixture, 0);
}

static void two_cpus_share_an_arena(void **state)
{
    (void)state;
    run(2);
}

static void four_cpus_share_an_arena(void **state)
{
    (void)state;
    run(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_share_an_arena),
        cmocka_unit_test(four_cpus_share_an_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * mm/paging/shootdown.c on several CPUs (threads) at once, under the thread sanitizer. Each has a small TLB
 * of its own that forgets nothing it was not told to; a page's owner unmaps it, has it flushed everywhere and
 * frees its frame, while others load spaces and read through what they have cached. A CPU is interrupted
 * between two of its operations. tests/host/explore has all orders of few operations; this has many
 * operations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/cpu_request.h>
#include <ashlar/page_table.h>

#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"

#define CPUS       4
#define OPERATIONS 5000
#define SPACES     9 /* more than a CPU has numbers for; 0 are the kernel's tables */
#define PAGES      8 /* of each; page i belongs to CPU i % cpus */
#define NUMBERS    8 /* of a TLB */

static struct page_table tables[SPACES];
static _Atomic(uint64_t) entries[SPACES][PAGES]; /* the frame, or 0 */
static _Atomic(bool) in_use[1 + SPACES * PAGES]; /* by frame */
static unsigned cpus;
static _Atomic(unsigned) working;
static _Atomic(uint64_t) interrupts;

/* What a CPU's TLB holds: by number the frame of each page, or 0; of the kernel's pages in every number. */
struct tlb {
    unsigned space, number; /* loaded */
    uint64_t frames[NUMBERS][PAGES];
    uint64_t kernel[NUMBERS][PAGES];
};

static _Thread_local struct tlb tlb;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "CPU %u: %s\n", cpu_number(), what);
        abort();
    }
}

static virt_addr_t address_of(unsigned space, unsigned page)
{
    return virt_addr((space == 0 ? 0xffffd00000000000 : MIB(2)) + page * FRAME_BYTES);
}

/* ---- <ashlar/arch/tlb.h> ---- */

bool tlb_has_numbers(void)
{
    return true;
}

void tlb_drop_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t address = base.raw + i * page_bytes;
        unsigned page = (unsigned)(address / FRAME_BYTES % 512);
        if ((int64_t)address < 0) {
            tlb.kernel[tlb.number][page] = 0;
        } else {
            tlb.frames[tlb.number][page] = 0;
        }
    }
}

static void drop_number(unsigned number)
{
    for (unsigned i = 0; i < PAGES; i++) {
        tlb.frames[number][i] = 0;
        tlb.kernel[number][i] = 0;
    }
}

void tlb_drop_loaded(void)
{
    drop_number(tlb.number);
}

void tlb_drop_everything(void)
{
    for (unsigned i = 0; i < NUMBERS; i++) {
        drop_number(i);
    }
}

void tlb_load_root(phys_addr_t root, unsigned number, bool keep)
{
    tlb.space = (unsigned)(root.raw / FRAME_BYTES - 1);
    tlb.number = number;
    if (!keep) {
        drop_number(number);
    }
}

/* ---- What CPUs do ---- */

static void interrupt(unsigned number)
{
    (void)number; /* it looks between two operations */
    atomic_fetch_add(&interrupts, 1);
}

/* A frame of a page is told from those of all others. */
static uint64_t frame_of(unsigned space, unsigned page)
{
    return 1 + space * PAGES + page;
}

static void use(unsigned space, uint64_t *cached, unsigned page)
{
    if (*cached == 0) {
        *cached = atomic_load(&entries[space][page]);
    }
    must(*cached == 0 || *cached == frame_of(space, page), "a page of another space is cached");
    must(*cached == 0 || atomic_load(&in_use[*cached]), "a frame that is free is cached");
}

static void use_all(void)
{
    for (unsigned page = 0; page < PAGES; page++) {
        use(0, &tlb.kernel[tlb.number][page], page);
        if (tlb.space != 0) {
            use(tlb.space, &tlb.frames[tlb.number][page], page);
        }
    }
}

/* Takes the page away if it is there, else puts it back. */
static void change(unsigned space, unsigned page, uint64_t random)
{
    uint64_t frame = atomic_load(&entries[space][page]);
    if (frame == 0) {
        atomic_store(&in_use[frame_of(space, page)], true);
        atomic_store(&entries[space][page], frame_of(space, page));
        return;
    }
    struct tlb_range range = {address_of(space, page), FRAME_BYTES, PAGE_LEVEL_4K};
    atomic_store_explicit(&entries[space][page], 0, memory_order_relaxed);
    tlb_flush(&tables[space], &range, random % 4 != 0, false);
    atomic_store(&in_use[frame], false);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    host_cpu = worker->cpu;
    if (worker->cpu != 0) {
        tlb_cpu_enter();
    }
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t random = random_next(&worker->random);
        unsigned space = (unsigned)(random >> 8) % SPACES;
        unsigned page = (unsigned)((random >> 16) % (PAGES / cpus) * cpus) + worker->cpu;
        if (random % 4 == 0) {
            change(space, page, random >> 32);
        } else if (random % 4 == 1) {
            tlb_load(&tables[space]);
        } else {
            use_all();
        }
        cpu_serve_requests();
    }
    tlb_load(&tables[0]);
    atomic_fetch_sub(&working, 1);
    while (atomic_load(&working) != 0) {
        cpu_serve_requests();
        cpu_relax();
    }
    return NULL;
}

static void run(unsigned count)
{
    static const struct cpu_request_calls calls = {.interrupt = interrupt};
    static uint64_t mailboxes[128];
    static uint64_t remembered[128];
    assert_in_range(cpu_requests_bytes(count), 1, sizeof mailboxes);
    assert_in_range(tlb_cpus_bytes(count), 1, sizeof remembered);
    cpus = count;
    working = count;
    interrupts = 0;
    cpu_requests_start(mailboxes, count, &calls);
    tlb_cpus_start(remembered, count);
    for (unsigned space = 0; space < SPACES; space++) {
        tables[space] = (struct page_table){.root = phys_addr((space + 1) * FRAME_BYTES),
                                            .space = space,
                                            .kernel = space == 0 ? NULL : &tables[0]};
        cpu_set_init(&tables[space].loaded, &tables[space].loaded_word, count);
        for (unsigned page = 0; page < PAGES; page++) {
            entries[space][page] = 0;
        }
    }
    threads_run(count, work);
    assert_true(interrupts > 0);
    for (unsigned space = 1; space < SPACES; space++) {
        assert_int_equal(cpu_set_count(&tables[space].loaded), 0);
    }
}

static void two_cpus_shoot_at_each_other(void **state)
{
    (void)state;
    run(2);
}

static void four_cpus_shoot_at_each_other(void **state)
{
    (void)state;
    run(CPUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_shoot_at_each_other),
        cmocka_unit_test(four_cpus_shoot_at_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

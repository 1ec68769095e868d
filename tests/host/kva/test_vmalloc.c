/* vmalloc and kernel stacks over a simulated MMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ashlar/kernel_stack.h>
#include <cmocka.h>

#include "tests/host/support/host.h"
#include "tests/host/support/random.h"
#include "vmalloc_model.h"

static struct vmalloc_fixture fixture;

static void start(void)
{
    vmalloc_fixture_start(&fixture, MIB(64), GIB(4), 1, true);
}

static struct vmalloc_statistics statistics(void)
{
    struct vmalloc_statistics now;
    vmalloc_statistics(&fixture.vmalloc, &now);
    return now;
}

static void blocks_are_contiguous_memory(void **state)
{
    (void)state;
    start();
    for (uint64_t bytes = 1; bytes < MIB(9); bytes = bytes * 3 + 1) {
        uint8_t *block = vmalloc_alloc(&fixture.vmalloc, bytes);
        assert_non_null(block);
        assert_int_equal(vmalloc_bytes(&fixture.vmalloc, block), align_up(bytes, FRAME_BYTES));
        for (uint64_t at = 0; at < bytes; at += 1024) {
            *vmalloc_word(&fixture, block + at, MMU_WRITE) = at;
        }
        for (uint64_t at = 0; at < bytes; at += 1024) {
            assert_int_equal(*vmalloc_word(&fixture, block + at, MMU_READ), at);
        }
        uint64_t target;
        uint64_t address = (uintptr_t)block;
        assert_int_equal(mmu_model_access(&fixture.table, address, MMU_EXECUTE, false, &target),
                         MMU_PROTECTION);
        assert_int_equal(mmu_model_access(&fixture.table, address - 1, MMU_READ, false, &target),
                         MMU_NOT_PRESENT);
        assert_int_equal(mmu_model_access(&fixture.table, address + align_up(bytes, FRAME_BYTES), MMU_READ,
                                          false, &target),
                         MMU_NOT_PRESENT);
        vmalloc_fixture_check(&fixture);
        vmalloc_free(&fixture.vmalloc, block);
    }
    vmalloc_fixture_stop(&fixture);
}

static void long_blocks_have_large_pages(void **state)
{
    (void)state;
    start();
    void *block = vmalloc_alloc(&fixture.vmalloc, MIB(5));
    assert_int_equal(statistics().large_pages, 2);
    assert_true(is_aligned((uintptr_t)block, MIB(2)));
    struct vmalloc_request small = {.bytes = MIB(5), .owner = OWNER_VMALLOC, .small_pages = true};
    void *other = vmalloc_request(&fixture.vmalloc, &small);
    assert_int_equal(statistics().large_pages, 2);
    vmalloc_free(&fixture.vmalloc, block);
    vmalloc_free(&fixture.vmalloc, other);
    vmalloc_fixture_stop(&fixture);
}

/* Without a whole 2 MiB block left, single frames serve as well. */
static void broken_memory_is_good_enough(void **state)
{
    (void)state;
    start();
    struct frame_pool *pool = &fixture.machine.pool;
    vmalloc_starve(&fixture, 0);
    uint64_t kept = 0;
    for (uint64_t i = 0; i < fixture.taken_count; i++) { /* every other frame comes back */
        if (fixture.taken[i].raw >> FRAME_SHIFT & 1) {
            frame_free(pool, fixture.taken[i], 0);
        } else {
            fixture.taken[kept++] = fixture.taken[i];
        }
    }
    fixture.taken_count = kept;
    void *block = vmalloc_alloc(&fixture.vmalloc, MIB(10));
    assert_non_null(block);
    assert_int_equal(statistics().large_pages, 0);
    vmalloc_fixture_check(&fixture);
    vmalloc_free(&fixture.vmalloc, block);
    vmalloc_fixture_stop(&fixture);
}

static void freeing_shares_flushes(void **state)
{
    (void)state;
    start();
    uint64_t before = statistics().flushes;
    for (unsigned i = 0; i < 10 * VMALLOC_RETIRED_RANGES; i++) {
        vmalloc_free(&fixture.vmalloc, vmalloc_alloc(&fixture.vmalloc, FRAME_BYTES));
    }
    assert_int_equal(statistics().flushes - before, 10);
    void *block = vmalloc_alloc(&fixture.vmalloc, FRAME_BYTES);
    vmalloc_free(&fixture.vmalloc, block);
    assert_int_equal(statistics().retired_ranges, 1);
    assert_int_equal(statistics().blocks, 0);
    struct kva_facts facts;
    kva_look(&fixture.arena, virt_of(block), &facts);
    assert_string_equal(facts.purpose->name, "freed virtual block");
    vmalloc_flush(&fixture.vmalloc);
    assert_int_equal(statistics().retired_ranges, 0);
    vmalloc_fixture_stop(&fixture);
}

static void zeroed_blocks_are_zero(void **state)
{
    (void)state;
    start();
    for (uint64_t bytes = FRAME_BYTES; bytes <= MIB(2); bytes *= 512) {
        void *block = vmalloc_alloc(&fixture.vmalloc, bytes);
        *vmalloc_word(&fixture, block, MMU_WRITE) = 5;
        vmalloc_free(&fixture.vmalloc, block);
        vmalloc_flush(&fixture.vmalloc);
        uint8_t *zeroed = vmalloc_alloc_zeroed(&fixture.vmalloc, bytes);
        assert_non_null(zeroed);
        for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
            assert_int_equal(*vmalloc_word(&fixture, zeroed + at, MMU_READ), 0);
        }
        vmalloc_free(&fixture.vmalloc, zeroed);
    }
    vmalloc_fixture_stop(&fixture);
}

/* A block that somebody has unmapped behind vmalloc's back cannot be freed: one page, several, and large
 * ones. */
static void what_is_not_mapped_cannot_be_freed(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {FRAME_BYTES, 3 * FRAME_BYTES, MIB(2)};
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct host_panic_trap trap;
        volatile bool panicked;
        struct tlb_batch batch;
        start();
        void *block = vmalloc_alloc(&fixture.vmalloc, sizes[i]);
        struct kva_range *range;
        assert_int_equal(kva_find(&fixture.arena, virt_of(block), &range), KVA_OK);
        tlb_batch_start(&batch, &fixture.table);
        if (sizes[i] < MIB(2)) {
            page_table_unmap(&fixture.table, virt_of(block), FRAME_BYTES, &batch, NULL, NULL);
        } else {
            range->bytes += 100;
        }
        tlb_batch_finish(&batch);
        CATCH_PANIC(trap, panicked, vmalloc_free(&fixture.vmalloc, block));
        assert_true(panicked);
        assert_non_null(strstr(trap.message, "cannot unmap"));
        machine_destroy(&fixture.machine);
    }
}

static struct kva_range *fillers[100];

/* Takes all addresses but the arena's second GiB, where there is no page table yet; returns how many ranges
 * that are. */
static unsigned leave_a_fresh_gib(void)
{
    static const struct kva_purpose purpose = KVA_PURPOSE("filler");
    struct kva_request request = {.bytes = GIB(1), .alignment = GIB(1), .purpose = &purpose};
    unsigned count = 0;
    struct kva_range *fresh;
    assert_int_equal(kva_alloc(&fixture.arena, &request, &fresh), KVA_OK);
    assert_int_equal(fresh->base.raw, VMALLOC_ARENA + GIB(1));
    for (request.alignment = 0; request.bytes >= FRAME_BYTES; request.bytes /= 2) {
        while (kva_alloc(&fixture.arena, &request, &fillers[count]) == KVA_OK) {
            count++;
            assert_true(count < ARRAY_LENGTH(fillers));
        }
    }
    kva_release(&fixture.arena, fresh);
    return count;
}

/* There is memory for the pages, and none for their page tables; until there is. */
static void without_page_tables_nothing_is_mapped(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {FRAME_BYTES, MIB(2)};
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        vmalloc_fixture_start(&fixture, MIB(64), GIB(2), 1, true);
        void *first = vmalloc_alloc(&fixture.vmalloc, FRAME_BYTES);
        unsigned count = leave_a_fresh_gib();
        void *block = NULL;
        for (uint64_t frames = 0; !block; frames++) {
            assert_true(frames < 20);
            phys_addr_t large = frame_alloc(&fixture.machine.pool, FRAME_ORDER_2M, OWNER_TEST);
            vmalloc_starve(&fixture, frames / 2); /* twice: the arena keeps what it took */
            if (sizes[i] == MIB(2)) {
                frame_free(&fixture.machine.pool, large, FRAME_ORDER_2M);
            }
            block = vmalloc_alloc(&fixture.vmalloc, sizes[i]);
            vmalloc_fixture_check(&fixture);
            if (sizes[i] != MIB(2)) {
                frame_free(&fixture.machine.pool, large, FRAME_ORDER_2M);
            }
            vmalloc_feed(&fixture);
        }
        assert_true((uintptr_t)block > VMALLOC_ARENA + GIB(1));
        vmalloc_free(&fixture.vmalloc, block);
        vmalloc_free(&fixture.vmalloc, first);
        while (count > 0) {
            kva_release(&fixture.arena, fillers[--count]);
        }
        vmalloc_fixture_stop(&fixture);
    }
}

static void mistakes_panic_with_their_name(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    start();
    uint8_t *block = vmalloc_alloc(&fixture.vmalloc, 3 * FRAME_BYTES);
    vmalloc_free(&fixture.vmalloc, NULL);
    CATCH_PANIC(trap, panicked, vmalloc_free(&fixture.vmalloc, block + FRAME_BYTES));
    assert_true(panicked && strstr(trap.message, "address inside a range (virtual block)"));
    CATCH_PANIC(trap, panicked, vmalloc_free(&fixture.vmalloc, block - FRAME_BYTES));
    assert_true(panicked && strstr(trap.message, "address inside a range"));
    CATCH_PANIC(trap, panicked, vmalloc_free(&fixture.vmalloc, &fixture));
    assert_true(panicked && strstr(trap.message, "address outside the arena (nobody's address)"));
    vmalloc_free(&fixture.vmalloc, block);
    CATCH_PANIC(trap, panicked, vmalloc_free(&fixture.vmalloc, block));
    assert_true(panicked && strstr(trap.message, "(freed virtual block)"));
    vmalloc_flush(&fixture.vmalloc);
    CATCH_PANIC(trap, panicked, vmalloc_free(&fixture.vmalloc, block));
    assert_true(panicked && strstr(trap.message, "freed already"));
    vmalloc_fixture_stop(&fixture);
}

static void impossible_requests_take_nothing(void **state)
{
    (void)state;
    start();
    uint64_t free = frame_pool_free(&fixture.machine.pool);
    assert_null(vmalloc_alloc(&fixture.vmalloc, 0));
    assert_null(vmalloc_alloc(&fixture.vmalloc, UINT64_MAX));
    assert_null(vmalloc_alloc(&fixture.vmalloc, GIB(5)));
    assert_null(vmalloc_alloc(&fixture.vmalloc, GIB(3)));
    struct vmalloc_request request = {.bytes = 100, .alignment = 3, .owner = OWNER_VMALLOC};
    assert_null(vmalloc_request(&fixture.vmalloc, &request));
    assert_true(free - frame_pool_free(&fixture.machine.pool) <= 1); /* one more of records may be kept */
    vmalloc_fixture_stop(&fixture);
}

/* With n frames left, for n = 0, 1, ... until it succeeds: a failure changes nothing. */
static void every_failure_leaves_all_as_it_was(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {FRAME_BYTES, 40 * FRAME_BYTES, MIB(2) + 3 * FRAME_BYTES};
    start();
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        void *block = NULL;
        uint64_t pages = sizes[i] / FRAME_BYTES;
        for (uint64_t frames = 0; !block; frames += frames < 50 ? 1 : 29) {
            vmalloc_starve(&fixture, frames);
            struct vmalloc_statistics before = statistics();
            uint64_t tables = fixture.table.table_frames;
            uint64_t kva_frames = fixture.arena.memory.node_frames + fixture.arena.memory.record_frames;
            uint64_t free = frame_pool_free(&fixture.machine.pool);
            block = vmalloc_alloc(&fixture.vmalloc, sizes[i]);
            mmu_model_fill();
            mmu_model_check();
            vmalloc_fixture_check(&fixture);
            if (!block) {
                kva_frames =
                    fixture.arena.memory.node_frames + fixture.arena.memory.record_frames - kva_frames;
                assert_int_equal(statistics().blocks, before.blocks);
                assert_int_equal(statistics().retired_ranges, 0);
                assert_int_equal(fixture.table.table_frames, tables);
                assert_int_equal(frame_pool_free(&fixture.machine.pool) + kva_frames, free);
            }
            assert_true(frames < pages + 50);
        }
        vmalloc_feed(&fixture);
        vmalloc_free(&fixture.vmalloc, block);
        vmalloc_flush(&fixture.vmalloc);
    }
    vmalloc_fixture_stop(&fixture);
}

/* What waits for a flush is not lost to those who need it. */
static void retired_memory_is_given_back_in_need(void **state)
{
    (void)state;
    start();
    void *blocks[10];
    for (unsigned i = 0; i < 10; i++) {
        blocks[i] = vmalloc_alloc(&fixture.vmalloc, 5 * FRAME_BYTES);
    }
    vmalloc_starve(&fixture, 0);
    for (unsigned i = 0; i < 9; i++) {
        vmalloc_free(&fixture.vmalloc, blocks[i]);
    }
    assert_int_equal(statistics().retired_ranges, 9);
    void *block = vmalloc_alloc(&fixture.vmalloc, 42 * FRAME_BYTES);
    assert_non_null(block);
    vmalloc_free(&fixture.vmalloc, block);
    vmalloc_free(&fixture.vmalloc, blocks[9]);
    vmalloc_fixture_stop(&fixture);
}

/* ---- Kernel stacks ---- */

static void stacks_have_guards_with_names(void **state)
{
    (void)state;
    struct kernel_stack stack;
    struct kernel_stack other;
    struct kva_facts facts;
    uint64_t target;
    start();
    assert_false(kernel_stack_alloc(&fixture.vmalloc, &stack, "worker", 0));
    assert_false(kernel_stack_alloc(&fixture.vmalloc, &stack, "worker", KERNEL_STACK_BYTES_MAX + 1));
    assert_true(kernel_stack_alloc(&fixture.vmalloc, &stack, "worker", KERNEL_STACK_BYTES - 100));
    assert_true(
        kernel_stack_alloc(&fixture.vmalloc, &other, "a name that is much longer than what fits in", 1));
    assert_int_equal(kernel_stack_top(&stack).raw - stack.bottom.raw, KERNEL_STACK_BYTES);
    *vmalloc_word(&fixture, virt_pointer(virt_add(kernel_stack_top(&stack), -8)), MMU_WRITE) = 5;
    assert_int_equal(mmu_model_access(&fixture.table, stack.bottom.raw - 8, MMU_WRITE, false, &target),
                     MMU_NOT_PRESENT);
    assert_true(kva_look(&fixture.arena, virt_add(stack.bottom, -8), &facts));
    assert_int_equal(facts.place, KVA_GUARD_BELOW);
    assert_string_equal(facts.purpose->below, "guard page below kernel stack of worker");
    assert_string_equal(other.purpose.name, "kernel stack of a name that is much longer than");
    assert_string_equal(other.purpose.above,
                        "guard page above kernel stack of a name that is much longer than");
    assert_int_equal(vmalloc_bytes(&fixture.vmalloc, virt_pointer(stack.bottom)), 0);
    assert_int_equal(vmalloc_try_free(&fixture.vmalloc, virt_pointer(stack.bottom), NULL), KVA_WRONG_PURPOSE);
    assert_int_equal(statistics().blocks, 2);
    vmalloc_fixture_check(&fixture);
    kernel_stack_free(&fixture.vmalloc, &stack);
    kernel_stack_free(&fixture.vmalloc, &other);
    struct host_panic_trap trap;
    bool panicked;
    CATCH_PANIC(trap, panicked, kernel_stack_free(&fixture.vmalloc, &stack));
    assert_true(panicked);
    vmalloc_fixture_stop(&fixture);
}

static void stacks_fail_whole(void **state)
{
    (void)state;
    struct kernel_stack stack;
    start();
    vmalloc_starve(&fixture, 5);
    assert_false(kernel_stack_alloc(&fixture.vmalloc, &stack, "worker", KERNEL_STACK_BYTES));
    assert_int_equal(stack.bytes, 0);
    vmalloc_fixture_stop(&fixture);
}

/* ---- The validator sees what is broken ---- */

static const char *complaint(void)
{
    struct vmalloc_problem problem;
    return vmalloc_check(&fixture.vmalloc, &problem) ? "none" : problem.what;
}

static void the_validator_names_damage(void **state)
{
    (void)state;
    start();
    void *block = vmalloc_alloc(&fixture.vmalloc, 3 * FRAME_BYTES);
    void *freed = vmalloc_alloc(&fixture.vmalloc, FRAME_BYTES);
    vmalloc_free(&fixture.vmalloc, freed);
    struct tlb_batch batch;
    phys_addr_t frame = page_table_translate(&fixture.table, virt_of(block)).target;
    struct frame_descriptor *descriptor = frame_descriptor(&fixture.machine.pool, frame);
    union frame_note note = descriptor->note;
    frame_note_clear(descriptor);
    assert_string_equal(complaint(), "a frame leads elsewhere");
    descriptor->note = note;
    fixture.vmalloc.retired_ranges = 2;
    assert_string_equal(complaint(), "count of retired ranges");
    fixture.vmalloc.retired_ranges = 1;
    fixture.vmalloc.retired_pages = 2;
    assert_string_equal(complaint(), "count of retired pages");
    fixture.vmalloc.retired_pages = 1;
    tlb_batch_start(&batch, &fixture.table);
    page_table_protect(&fixture.table, virt_of(block), FRAME_BYTES, PAGE_READ | PAGE_GLOBAL, CACHE_WRITE_BACK,
                       &batch);
    assert_string_equal(complaint(), "access of a page");
    page_table_protect(&fixture.table, virt_of(block), FRAME_BYTES, PAGE_WRITE | PAGE_GLOBAL,
                       CACHE_WRITE_BACK, &batch);
    virt_addr_t guard = virt_add(virt_of(block), -FRAME_BYTES);
    page_table_map(&fixture.table, guard, frame, FRAME_BYTES, PAGE_READ, CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    assert_string_equal(complaint(), "a guard page is mapped");
    page_table_unmap(&fixture.table, guard, FRAME_BYTES, &batch, NULL, NULL);
    page_table_unmap(&fixture.table, virt_of(block), FRAME_BYTES, &batch, NULL, NULL);
    assert_string_equal(complaint(), "bytes mapped of a block");
    page_table_map(&fixture.table, virt_of(block), frame, FRAME_BYTES, PAGE_WRITE | PAGE_GLOBAL,
                   CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    tlb_batch_finish(&batch);
    assert_string_equal(complaint(), "none");
    struct kva_range *range;
    assert_int_equal(kva_find(&fixture.arena, virt_of(block), &range), KVA_OK);
    range->next = fixture.vmalloc.retired;
    fixture.vmalloc.retired = range;
    assert_string_equal(complaint(), "a block in use is retired");
    fixture.vmalloc.retired = range->next;
    uint32_t tag = descriptor->tag;
    descriptor->tag = frame_tag(FRAME_ALLOCATED, 0, 2);
    assert_string_equal(complaint(), "frame of a page");
    descriptor->tag = tag;
    struct frame_descriptor *second = frame_descriptor(
        &fixture.machine.pool, page_table_translate(&fixture.table, virt_add(virt_of(block), 4096)).target);
    frame_note_clear(descriptor);
    frame_note_clear(second);
    assert_string_equal(complaint(), "a frame leads elsewhere"); /* the first of two */
    descriptor->note = note;
    second->note = note;
    uint64_t tree = fixture.arena.tree;
    struct kva_range *recent[ARRAY_LENGTH(fixture.arena.recent)];
    memcpy(recent, fixture.arena.recent, sizeof recent);
    memset(fixture.arena.recent, 0, sizeof recent);
    fixture.arena.tree = 0;
    assert_string_equal(complaint(), "a block cannot be found");
    fixture.arena.tree = tree;
    memcpy(fixture.arena.recent, recent, sizeof recent);
    assert_string_equal(complaint(), "none");
    vmalloc_free(&fixture.vmalloc, block);
    vmalloc_fixture_stop(&fixture);
}

/* ---- Against the model ---- */

static void random_operations(void **state)
{
    (void)state;
    uint64_t seed = 0x1234567;
    for (unsigned round = 0; round < 6; round++) {
        vmalloc_model_start();
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t random = random_next(&seed);
            vmalloc_model_operate((uint8_t)(random >> 8), (uint8_t)(random >> 16), (uint8_t)(random >> 24));
        }
        vmalloc_model_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_contiguous_memory),
        cmocka_unit_test(long_blocks_have_large_pages),
        cmocka_unit_test(broken_memory_is_good_enough),
        cmocka_unit_test(freeing_shares_flushes),
        cmocka_unit_test(zeroed_blocks_are_zero),
        cmocka_unit_test(what_is_not_mapped_cannot_be_freed),
        cmocka_unit_test(without_page_tables_nothing_is_mapped),
        cmocka_unit_test(mistakes_panic_with_their_name),
        cmocka_unit_test(impossible_requests_take_nothing),
        cmocka_unit_test(every_failure_leaves_all_as_it_was),
        cmocka_unit_test(retired_memory_is_given_back_in_need),
        cmocka_unit_test(stacks_have_guards_with_names),
        cmocka_unit_test(stacks_fail_whole),
        cmocka_unit_test(the_validator_names_damage),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Blocks that vmalloc makes longer, over a simulated MMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmalloc_fixture.h"

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

static phys_addr_t frame_at(const void *address)
{
    return page_table_translate(&fixture.table, virt_of(address)).target;
}

static void *grow(void *block, uint64_t bytes)
{
    struct vmalloc_request request = {.bytes = bytes, .owner = OWNER_VMALLOC};
    return vmalloc_grow(&fixture.vmalloc, block, &request);
}

/* A block that grows has its frames at other addresses, whatever pages it has, and new ones behind them. */
static void blocks_grow_without_a_copy(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {FRAME_BYTES, KIB(8), KIB(300), MIB(2), MIB(3) + KIB(4), MIB(7)};
    start();
    uint8_t *block = vmalloc_alloc(&fixture.vmalloc, lengths[0]);
    for (unsigned i = 1; i < ARRAY_LENGTH(lengths); i++) {
        phys_addr_t first = frame_at(block);
        phys_addr_t last = frame_at(block + lengths[i - 1] - FRAME_BYTES);
        for (uint64_t at = 0; at < lengths[i - 1]; at += FRAME_BYTES) {
            *vmalloc_word(&fixture, block + at, MMU_WRITE) = at + i;
        }
        int64_t free = frame_pool_free(&fixture.machine.pool);
        uint8_t *grown = grow(block, lengths[i]);
        assert_non_null(grown);
        assert_int_equal(vmalloc_bytes(&fixture.vmalloc, grown), lengths[i]);
        assert_int_equal(vmalloc_bytes(&fixture.vmalloc, block), 0);
        assert_int_equal(frame_at(grown).raw, first.raw);
        assert_int_equal(frame_at(grown + lengths[i - 1] - FRAME_BYTES).raw, last.raw);
        uint64_t more = (lengths[i] - lengths[i - 1]) / FRAME_BYTES;
        assert_in_range(free - frame_pool_free(&fixture.machine.pool), more, more + 8); /* and tables */
        for (uint64_t at = 0; at < lengths[i - 1]; at += FRAME_BYTES) {
            assert_int_equal(*vmalloc_word(&fixture, grown + at, MMU_READ), at + i);
        }
        uint64_t target;
        assert_int_equal(mmu_model_access(&fixture.table, (uintptr_t)block, MMU_READ, false, &target),
                         MMU_NOT_PRESENT);
        vmalloc_fixture_check(&fixture);
        block = grown;
    }
    assert_int_equal(statistics().blocks, 1);
    assert_true(statistics().large_pages > 0);
    assert_null(grow(block, MIB(7)));
    assert_null(grow(block + FRAME_BYTES, MIB(8)));
    vmalloc_free(&fixture.vmalloc, block);
    assert_null(grow(block, MIB(8)));
    vmalloc_fixture_stop(&fixture);
}

/* Whatever is missing (frames for the block, for page tables, addresses): nothing has changed. */
static void what_cannot_grow_is_as_it_was(void **state)
{
    (void)state;
    start();
    uint64_t *block = vmalloc_alloc(&fixture.vmalloc, KIB(400));
    phys_addr_t first = frame_at(block);
    uint64_t *grown = NULL;
    uint64_t frames = 480;
    assert_null(grow(block, GIB(5)));
    vmalloc_flush(&fixture.vmalloc);
    for (; !grown; frames++) {
        vmalloc_starve(&fixture, frames);
        int64_t free = frame_pool_free(&fixture.machine.pool);
        grown = grow(block, KIB(2400));
        if (!grown) {
            vmalloc_flush(&fixture.vmalloc);
            assert_int_equal(frame_at(block).raw, first.raw);
            assert_int_equal(vmalloc_bytes(&fixture.vmalloc, block), KIB(400));
            assert_int_equal(frame_pool_free(&fixture.machine.pool), free);
        }
        vmalloc_fixture_check(&fixture);
        vmalloc_feed(&fixture);
    }
    assert_in_range(frames, 502, 510); /* 500 pages, and tables for all of them */
    assert_int_equal(frame_at(grown).raw, first.raw);
    assert_int_equal(statistics().bytes, KIB(2400));
    vmalloc_free(&fixture.vmalloc, grown);
    vmalloc_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_grow_without_a_copy),
        cmocka_unit_test(what_cannot_grow_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * How long the locks of the kernel's addresses and page tables are held while blocks of any length come and
 * go, beside any number of others: no longer than FRAME_BATCH pages take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/host/support/counted.h"
#include "vmalloc_fixture.h"

#define HOLD_MAX 1500 /* branches of the longest hold allowed */

static struct vmalloc_fixture fixture;

#define COUNTED(what, of, call)                                                                              \
    do {                                                                                                     \
        count_begin();                                                                                       \
        call;                                                                                                \
        count_end(what, of, HOLD_MAX);                                                                       \
    } while (0)

static const struct kind {
    const char *name;
    uint64_t bytes;
    bool small_pages;
} kinds[] = {
    {"a page", FRAME_BYTES, true},
    {"48 pages", 48 * FRAME_BYTES, true},
    {"4 MiB of small pages", MIB(4), true},
    {"20 MiB of small pages", MIB(20) + 5 * FRAME_BYTES, true},
    {"20 MiB of large pages", MIB(20) + 5 * FRAME_BYTES, false},
};

static struct vmalloc_request request_of(const struct kind *kind, uint64_t bytes)
{
    return (struct vmalloc_request){.bytes = bytes, .owner = OWNER_VMALLOC, .small_pages = kind->small_pages};
}

static void use_block(const struct kind *kind)
{
    struct vmalloc_request first = request_of(kind, kind->bytes);
    struct vmalloc_request more = request_of(kind, kind->bytes + kind->bytes / 2 + FRAME_BYTES);
    void *block = NULL;
    void *none = NULL;
    COUNTED("allocate", kind->name, block = vmalloc_request(&fixture.vmalloc, &first));
    assert_non_null(block);
    COUNTED("grow", kind->name, block = vmalloc_grow(&fixture.vmalloc, block, &more));
    assert_non_null(block);
    uint64_t free = frame_pool_free(&fixture.machine.pool) - 8; /* too few are left for the tables */
    struct vmalloc_request too_much = request_of(kind, more.bytes + free * FRAME_BYTES);
    if (kind->small_pages) {
        COUNTED("grow in vain", kind->name, none = vmalloc_grow(&fixture.vmalloc, block, &too_much));
        assert_null(none);
    }
    COUNTED("free", kind->name, vmalloc_free(&fixture.vmalloc, block));
    COUNTED("flush", kind->name, vmalloc_flush(&fixture.vmalloc));
}

static void no_hold_grows_with_a_block(void **state)
{
    (void)state;
    vmalloc_fixture_start(&fixture, MIB(64), GIB(64), 1, false);
    for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++) {
        use_block(&kinds[i]);
    }
    vmalloc_fixture_stop(&fixture);
}

static struct kva_range *ranges[20000];

static void take_range(unsigned i)
{
    static const struct kva_purpose purpose = KVA_PURPOSE("test");
    struct kva_request request = {.bytes = FRAME_BYTES * (1 + i % 50), .guard_pages = 1, .purpose = &purpose};
    assert_int_equal(kva_alloc(&fixture.arena, &request, &ranges[i]), KVA_OK);
}

static void look_at_all(void)
{
    virt_addr_t at = virt_addr(0);
    struct kva_facts facts;
    struct kva_statistics statistics;
    while (kva_next(&fixture.arena, &at, &facts)) {
    }
    kva_statistics(&fixture.arena, &statistics);
}

static void no_hold_grows_with_the_ranges(void **state)
{
    (void)state;
    vmalloc_fixture_start(&fixture, MIB(64), GIB(64), 1, false);
    count_begin();
    for (unsigned i = 0; i < ARRAY_LENGTH(ranges); i++) {
        take_range(i);
    }
    count_end("taking", "20,000 ranges", HOLD_MAX);
    count_begin();
    for (unsigned i = 0; i < ARRAY_LENGTH(ranges); i += 2) {
        kva_release(&fixture.arena, ranges[i]);
    }
    count_end("releasing", "every second range", HOLD_MAX);
    COUNTED("looking", "20,000 ranges", look_at_all());
    COUNTED("a block", "20,000 ranges", use_block(&kinds[1]));
    for (unsigned i = 1; i < ARRAY_LENGTH(ranges); i += 2) {
        kva_release(&fixture.arena, ranges[i]);
    }
    vmalloc_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_hold_grows_with_a_block),
        cmocka_unit_test(no_hold_grows_with_the_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

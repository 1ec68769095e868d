/* Normalising the firmware's map: each rule alone, real maps of OVMF, and random maps against the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "memory_map_model.h"
#include "tests/host/support/random.h"

#define WRITE_BACK 0xfULL
#define MOST       64

struct map {
    struct map_model_descriptor descriptors[16];
    size_t count;
    struct memory_claim claims[4];
    size_t claim_count;
};

struct result {
    struct memory_range ranges[MOST];
    size_t count;
};

static struct loader_error error;

static struct result normalise(struct map map)
{
    uint64_t raw[16 * 6] = {0};
    uint64_t workspace[512];
    for (size_t i = 0; i < map.count; i++) {
        raw[6 * i] = map.descriptors[i].type;
        raw[6 * i + 1] = map.descriptors[i].start;
        raw[6 * i + 3] = map.descriptors[i].pages;
        raw[6 * i + 4] = map.descriptors[i].attribute;
    }
    struct memory_map_input input = {raw, map.count * 48, 48, map.claims, map.claim_count};
    struct result result;
    if (!memory_map_normalise(&input, workspace, sizeof workspace, result.ranges, MOST, &result.count,
                              &error)) {
        fail_msg("%s", error.text);
    }
    assert_null(memory_ranges_check(result.ranges, result.count, NULL));
    return result;
}

static void expect_range(const struct result *result, size_t index, uint64_t base, uint64_t end,
                         enum memory_type type)
{
    assert_true(index < result->count);
    assert_int_equal(result->ranges[index].base.raw, base);
    assert_int_equal(result->ranges[index].bytes, end - base);
    assert_string_equal(memory_type_name(result->ranges[index].type), memory_type_name(type));
    assert_int_equal(result->ranges[index].unused, 0);
}

static void sorts_and_merges(void **state)
{
    (void)state;
    struct result result = normalise((struct map){.descriptors = {{7, 0x9000, 2, WRITE_BACK},
                                                                  {7, 0x4000, 1, WRITE_BACK},
                                                                  {4, 0x7000, 2, WRITE_BACK},
                                                                  {3, 0x6000, 1, WRITE_BACK},
                                                                  {7, 0x5000, 1, WRITE_BACK}},
                                                  .count = 5});
    assert_int_equal(result.count, 3);
    expect_range(&result, 0, 0x4000, 0x6000, MEMORY_USABLE);
    expect_range(&result, 1, 0x6000, 0x9000, MEMORY_BOOT_RECLAIMABLE);
    expect_range(&result, 2, 0x9000, 0xb000, MEMORY_USABLE);
}

static void overlap_goes_to_the_more_reserved(void **state)
{
    (void)state;
    struct result result = normalise((struct map){
        .descriptors = {{7, 0x1000, 16, WRITE_BACK}, {6, 0x4000, 4, WRITE_BACK}, {10, 0x5000, 8, WRITE_BACK}},
        .count = 3});
    assert_int_equal(result.count, 4);
    expect_range(&result, 0, 0x1000, 0x4000, MEMORY_USABLE);
    expect_range(&result, 1, 0x4000, 0x8000, MEMORY_RUNTIME);
    expect_range(&result, 2, 0x8000, 0xd000, MEMORY_ACPI_NVS);
    expect_range(&result, 3, 0xd000, 0x11000, MEMORY_USABLE);
}

static void types_are_named_by_the_specification(void **state)
{
    (void)state;
    static const enum memory_type expected[] = {MEMORY_RESERVED,
                                                MEMORY_BOOT_RECLAIMABLE,
                                                MEMORY_BOOT_RECLAIMABLE,
                                                MEMORY_BOOT_RECLAIMABLE,
                                                MEMORY_BOOT_RECLAIMABLE,
                                                MEMORY_RUNTIME,
                                                MEMORY_RUNTIME,
                                                MEMORY_USABLE,
                                                MEMORY_UNUSABLE,
                                                MEMORY_ACPI_RECLAIMABLE,
                                                MEMORY_ACPI_NVS,
                                                MEMORY_MMIO,
                                                MEMORY_MMIO,
                                                MEMORY_RESERVED,
                                                MEMORY_PERSISTENT,
                                                MEMORY_RESERVED,
                                                MEMORY_RESERVED};
    for (uint32_t type = 0; type < ARRAY_LENGTH(expected); type++) {
        struct result result =
            normalise((struct map){.descriptors = {{type, 0x1000, 1, WRITE_BACK}}, .count = 1});
        expect_range(&result, 0, 0x1000, 0x2000, expected[type]);
    }
    struct result oem =
        normalise((struct map){.descriptors = {{0x80000001, 0x1000, 1, WRITE_BACK}}, .count = 1});
    expect_range(&oem, 0, 0x1000, 0x2000, MEMORY_RESERVED);
}

static void attributes_reserve(void **state)
{
    (void)state;
    struct result result = normalise((struct map){.descriptors = {{7, 0x1000, 1, WRITE_BACK | 1ULL << 18},
                                                                  {7, 0x2000, 1, WRITE_BACK | 1ULL << 15},
                                                                  {4, 0x3000, 1, WRITE_BACK | 1ULL << 63},
                                                                  {7, 0x4000, 1, 1},
                                                                  {11, 0x5000, 1, 1ULL << 63 | 1},
                                                                  {0, 0x6000, 1, 1ULL << 63 | 1}},
                                                  .count = 6});
    assert_int_equal(result.count, 6);
    expect_range(&result, 0, 0x1000, 0x2000, MEMORY_RESERVED);
    expect_range(&result, 1, 0x2000, 0x3000, MEMORY_PERSISTENT);
    expect_range(&result, 2, 0x3000, 0x4000, MEMORY_RUNTIME);
    expect_range(&result, 3, 0x4000, 0x5000, MEMORY_RESERVED);
    expect_range(&result, 4, 0x5000, 0x6000, MEMORY_MMIO);
    expect_range(&result, 5, 0x6000, 0x7000, MEMORY_RESERVED);
}

static void partial_frames_are_never_usable(void **state)
{
    (void)state;
    struct result usable = normalise((struct map){.descriptors = {{7, 0x1800, 3, WRITE_BACK}}, .count = 1});
    assert_int_equal(usable.count, 3);
    expect_range(&usable, 0, 0x1000, 0x2000, MEMORY_RESERVED);
    expect_range(&usable, 1, 0x2000, 0x4000, MEMORY_USABLE);
    expect_range(&usable, 2, 0x4000, 0x5000, MEMORY_RESERVED);

    struct result tables = normalise(
        (struct map){.descriptors = {{7, 0x1800, 1, WRITE_BACK}, {9, 0x2800, 1, WRITE_BACK}}, .count = 2});
    assert_int_equal(tables.count, 2);
    expect_range(&tables, 0, 0x1000, 0x2000, MEMORY_RESERVED);
    expect_range(&tables, 1, 0x2000, 0x4000, MEMORY_ACPI_RECLAIMABLE);
}

static void frame_zero_is_reserved_when_it_is_free_ram(void **state)
{
    (void)state;
    struct result free_ram = normalise((struct map){.descriptors = {{4, 0, 2, WRITE_BACK}}, .count = 1});
    assert_int_equal(free_ram.count, 2);
    expect_range(&free_ram, 0, 0, 0x1000, MEMORY_RESERVED);
    expect_range(&free_ram, 1, 0x1000, 0x2000, MEMORY_BOOT_RECLAIMABLE);

    struct result alone = normalise(
        (struct map){.descriptors = {{7, 0, 1, WRITE_BACK}, {0, 0x1000, 1, WRITE_BACK}}, .count = 2});
    assert_int_equal(alone.count, 1);
    expect_range(&alone, 0, 0, 0x2000, MEMORY_RESERVED);

    struct result nvs = normalise((struct map){.descriptors = {{10, 0, 1, WRITE_BACK}}, .count = 1});
    expect_range(&nvs, 0, 0, 0x1000, MEMORY_ACPI_NVS);
}

static void lengths_that_cannot_be_true_are_reserved(void **state)
{
    (void)state;
    static const uint64_t pages[] = {UINT64_MAX, (uint64_t)1 << 52, (uint64_t)1 << 40};
    for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
        struct result result = normalise((struct map){
            .descriptors = {{7, 0x3000, pages[i], WRITE_BACK}, {8, 0x5000, 1, WRITE_BACK}}, .count = 2});
        assert_int_equal(result.count, 3);
        expect_range(&result, 0, 0x3000, 0x5000, MEMORY_RESERVED);
        expect_range(&result, 1, 0x5000, 0x6000, MEMORY_UNUSABLE);
        expect_range(&result, 2, 0x6000, PHYSICAL_END, MEMORY_RESERVED);
    }
    struct result exact =
        normalise((struct map){.descriptors = {{7, PHYSICAL_END - 0x2000, 2, WRITE_BACK}}, .count = 1});
    expect_range(&exact, 0, PHYSICAL_END - 0x2000, PHYSICAL_END, MEMORY_USABLE);
}

static void nothing_comes_of_empty_or_unreachable_entries(void **state)
{
    (void)state;
    struct result result = normalise((struct map){.descriptors = {{7, 0x3000, 0, WRITE_BACK},
                                                                  {0, 0x3800, 0, WRITE_BACK},
                                                                  {7, PHYSICAL_END, 5, WRITE_BACK},
                                                                  {11, UINT64_MAX, UINT64_MAX, 1}},
                                                  .count = 4,
                                                  .claims = {{{0x7000}, 0, MEMORY_KERNEL}},
                                                  .claim_count = 1});
    assert_int_equal(result.count, 0);
}

static void claims_name_what_the_loader_made(void **state)
{
    (void)state;
    struct result result = normalise(
        (struct map){.descriptors = {{2, 0x1000, 16, WRITE_BACK}},
                     .count = 1,
                     .claims = {{{0x3000}, 0x2000, MEMORY_KERNEL}, {{0x5000}, 0x800, MEMORY_PAGE_TABLES}},
                     .claim_count = 2});
    assert_int_equal(result.count, 4);
    expect_range(&result, 1, 0x3000, 0x5000, MEMORY_KERNEL);
    expect_range(&result, 2, 0x5000, 0x6000, MEMORY_PAGE_TABLES);
    expect_range(&result, 3, 0x6000, 0x11000, MEMORY_BOOT_RECLAIMABLE);
}

static void usable_claims_release_boot_memory_alone(void **state)
{
    (void)state;
    struct result result =
        normalise((struct map){.descriptors = {{1, 0x1000, 16, WRITE_BACK}, {0, 0x11000, 4, WRITE_BACK}},
                               .count = 2,
                               .claims = {{{0x3800}, 0x1c00, MEMORY_USABLE},
                                          {{0x8000}, 0x1000, MEMORY_KERNEL},
                                          {{0x7000}, 0xc000, MEMORY_USABLE}},
                               .claim_count = 3});
    expect_range(&result, 0, 0x1000, 0x4000, MEMORY_BOOT_RECLAIMABLE);
    expect_range(&result, 1, 0x4000, 0x5000, MEMORY_USABLE);
    expect_range(&result, 2, 0x5000, 0x7000, MEMORY_BOOT_RECLAIMABLE);
    expect_range(&result, 3, 0x7000, 0x8000, MEMORY_USABLE);
    expect_range(&result, 4, 0x8000, 0x9000, MEMORY_KERNEL);
    expect_range(&result, 5, 0x9000, 0x11000, MEMORY_USABLE);
    expect_range(&result, 6, 0x11000, 0x15000, MEMORY_RESERVED);
}

/* Expects a refusal whose message has `text` in it. */
static void expect_refusal(struct memory_map_input input, void *workspace, size_t workspace_bytes,
                           size_t capacity, const char *text)
{
    struct memory_range ranges[MOST];
    size_t count = 99;
    assert_false(memory_map_normalise(&input, workspace, workspace_bytes, ranges, capacity, &count, &error));
    assert_int_equal(count, 0);
    if (!strstr(error.text, text)) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

static void refuses_what_is_no_map(void **state)
{
    (void)state;
    uint64_t raw[12] = {7, 0x1000, 0, 1, WRITE_BACK, 0, 4, 0x3000, 0, 1, WRITE_BACK, 0};
    uint64_t workspace[64];
    struct memory_claim wrapping = {{0x1000}, UINT64_MAX, MEMORY_KERNEL};
    struct memory_claim untyped = {{0x1000}, 0x1000, MEMORY_TYPE_COUNT};
    size_t enough = sizeof workspace;
    expect_refusal((struct memory_map_input){raw, 96, 39, NULL, 0}, workspace, enough, MOST, "size 39");
    expect_refusal((struct memory_map_input){raw, 0, 48, NULL, 0}, workspace, enough, MOST, "0 bytes");
    expect_refusal((struct memory_map_input){raw, 95, 48, NULL, 0}, workspace, enough, MOST, "95 bytes");
    expect_refusal((struct memory_map_input){raw, 96, 48, &wrapping, 1}, workspace, enough, MOST, "claim 0");
    expect_refusal((struct memory_map_input){raw, 96, 48, &untyped, 1}, workspace, enough, MOST, "type 13");
    expect_refusal((struct memory_map_input){raw, 96, 48, NULL, 0}, workspace, 63, MOST, "63 bytes");
    expect_refusal((struct memory_map_input){raw, 96, 48, NULL, 0}, (char *)workspace + 4, enough - 4, MOST,
                   "8-byte aligned");
    expect_refusal((struct memory_map_input){raw, 96, 48, NULL, 0}, workspace, enough, 1, "1 ranges");
}

/* A map captured from OVMF 2022.11 on QEMU 7.2 (q35), and its totals in frames, added up from the raw
 * descriptors. */
struct captured {
    const char *file;
    uint64_t usable, boot_reclaimable;
    size_t ranges;
};

static const struct captured captures[] = {
    {"ovmf-q35-48M.descriptor48", 1423, 9214, 27},
    {"ovmf-q35-256M.descriptor48", 54670, 9215, 26},
    {"ovmf-q35-3G.descriptor48", 775566, 9215, 27},
    {"ovmf-q35-8G.descriptor48", 2086286, 9215, 27},
    {"ovmf-q35-512G.descriptor48", 134205836, 10241, 29},
    {"ovmf-q35-960G.descriptor48", 251646345, 10244, 29},
};

static size_t read_capture(const char *name, void *buffer, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/memory_maps/%s", TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail_msg("cannot open %s", path);
        return 0;
    }
    size_t length = fread(buffer, 1, bytes, file);
    (void)fclose(file);
    assert_true(length > 0 && length < bytes && length % 48 == 0);
    return length;
}

static void check_capture(const struct captured *captured)
{
    static uint8_t raw[16384];
    static uint64_t workspace[4096];
    static struct memory_range ranges[1024];
    size_t count = 0;
    size_t bytes = read_capture(captured->file, raw, sizeof raw);
    struct memory_map_input input = {raw, bytes, 48, NULL, 0};
    if (!memory_map_normalise(&input, workspace, sizeof workspace, ranges, ARRAY_LENGTH(ranges), &count,
                              &error)) {
        fail_msg("%s: %s", captured->file, error.text);
    }
    assert_null(memory_ranges_check(ranges, count, NULL));
    assert_int_equal(count, captured->ranges);

    const uint64_t expected[MEMORY_TYPE_COUNT] = {
        [MEMORY_USABLE] = captured->usable,
        [MEMORY_BOOT_RECLAIMABLE] = captured->boot_reclaimable,
        [MEMORY_ACPI_RECLAIMABLE] = 18,
        [MEMORY_ACPI_NVS] = 506,
        [MEMORY_RUNTIME] = 902,
        [MEMORY_MMIO] = 1024,
        [MEMORY_RESERVED] = 65665,
    };
    uint64_t totals[MEMORY_TYPE_COUNT];
    uint64_t sum = memory_ranges_totals(ranges, count, totals);
    uint64_t described = 0;
    for (size_t type = 0; type < MEMORY_TYPE_COUNT; type++) {
        assert_int_equal(totals[type], expected[type] * FRAME_BYTES);
    }
    for (size_t at = 0; at < bytes; at += 48) {
        uint64_t pages;
        memcpy(&pages, raw + at + 24, sizeof pages);
        described += pages * FRAME_BYTES;
    }
    assert_int_equal(sum, described); /* OVMF's descriptors do not overlap: the ledger closes to the byte */
}

static void real_maps_give_exact_totals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(captures); i++) {
        check_capture(&captures[i]);
    }
}

static void random_maps_equal_the_model(void **state)
{
    (void)state;
    uint64_t random = 0x415348;
    for (int round = 0; round < 20000; round++) {
        uint8_t data[200];
        size_t length = random_next(&random) % sizeof data;
        random_fill(&random, data, length);
        const char *difference = map_model_check(data, length);
        if (difference) {
            fail_msg("round %d: %s", round, difference);
        }
    }
}

/* Six hundred descriptors, each overlapping its neighbours, from the highest down: the bounds hold, the
 * result merges. */
static bool has_cache(const struct map_model_descriptor *descriptors, size_t count)
{
    uint64_t raw[4 * 6] = {0};
    for (size_t i = 0; i < count; i++) {
        raw[6 * i] = descriptors[i].type;
        raw[6 * i + 1] = descriptors[i].start;
        raw[6 * i + 3] = descriptors[i].pages;
        raw[6 * i + 4] = descriptors[i].attribute;
    }
    const struct memory_map_input input = {raw, count * 48, 48, NULL, 0};
    error.text[0] = 0;
    return memory_map_check_cache(&input, &error);
}

/* Without the attribute no memory is usable, and it must be said why; one entry that has it is enough. */
static void free_memory_has_to_be_cached(void **state)
{
    (void)state;
    enum { BOOT_DATA = 4, CONVENTIONAL = 7 };
    const struct map_model_descriptor map[] = {{CONVENTIONAL, 0, 1, 0x7},
                                               {CONVENTIONAL, 0x1000, 0, WRITE_BACK}, /* empty */
                                               {BOOT_DATA, 0x2000, 1, WRITE_BACK},
                                               {CONVENTIONAL, 0x3000, 1, WRITE_BACK}};
    assert_false(has_cache(map, 3));
    assert_non_null(strstr(error.text, "none of its 1 entries of free memory has the attribute write-back"));
    assert_true(has_cache(map, 4));
    assert_true(has_cache(map + 1, 2)); /* no free memory: that is not the reason */
    assert_string_equal(error.text, "");
}

static void many_descriptors(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    static uint64_t raw[COUNT * 6];
    static uint64_t workspace[COUNT * 4];
    static struct memory_range ranges[COUNT * 4];
    for (size_t i = 0; i < COUNT; i++) {
        raw[6 * i] = i % 2 ? 7 : 4;
        raw[6 * i + 1] = (COUNT - i) * 0x2000;
        raw[6 * i + 3] = 3;
        raw[6 * i + 4] = WRITE_BACK;
    }
    assert_int_equal(memory_map_workspace_bytes(COUNT, 0), sizeof workspace);
    assert_int_equal(memory_map_range_limit(COUNT, 0), ARRAY_LENGTH(ranges));
    struct memory_map_input input = {raw, sizeof raw, 48, NULL, 0};
    size_t count = 0;
    assert_true(memory_map_normalise(&input, workspace, sizeof workspace, ranges, ARRAY_LENGTH(ranges),
                                     &count, &error));
    assert_null(memory_ranges_check(ranges, count, NULL));
    assert_int_equal(count, COUNT);
    uint64_t totals[MEMORY_TYPE_COUNT];
    assert_int_equal(memory_ranges_totals(ranges, count, totals), (2 * COUNT + 1) * FRAME_BYTES);
    assert_int_equal(totals[MEMORY_BOOT_RECLAIMABLE], FRAME_BYTES * 3 * (COUNT / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_and_merges),
        cmocka_unit_test(overlap_goes_to_the_more_reserved),
        cmocka_unit_test(types_are_named_by_the_specification),
        cmocka_unit_test(attributes_reserve),
        cmocka_unit_test(partial_frames_are_never_usable),
        cmocka_unit_test(frame_zero_is_reserved_when_it_is_free_ram),
        cmocka_unit_test(lengths_that_cannot_be_true_are_reserved),
        cmocka_unit_test(nothing_comes_of_empty_or_unreachable_entries),
        cmocka_unit_test(claims_name_what_the_loader_made),
        cmocka_unit_test(usable_claims_release_boot_memory_alone),
        cmocka_unit_test(refuses_what_is_no_map),
        cmocka_unit_test(real_maps_give_exact_totals),
        cmocka_unit_test(random_maps_equal_the_model),
        cmocka_unit_test(free_memory_has_to_be_cached),
        cmocka_unit_test(many_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

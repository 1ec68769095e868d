/* The format of an entry: every bit by its name, at every level, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ashlar/arch/page_entry_kind.h>

static const enum page_cache caches[] = {CACHE_WRITE_BACK, CACHE_WRITE_COMBINING, CACHE_UNCACHED_WEAK,
                                         CACHE_UNCACHED,   CACHE_WRITE_PROTECTED, CACHE_WRITE_THROUGH};

/* The raw value, from the manual's figures and not from the header. */
static uint64_t expected_leaf(uint64_t target, unsigned level, unsigned access, unsigned cache)
{
    uint64_t raw = target | 1;
    raw |= access & PAGE_WRITE ? 1ULL << 1 : 0;
    raw |= access & PAGE_USER ? 1ULL << 2 : 0;
    raw |= cache & 1 ? 1ULL << 3 : 0;
    raw |= cache & 2 ? 1ULL << 4 : 0;
    raw |= cache & 4 ? 1ULL << (level == 1 ? 7 : 12) : 0;
    raw |= level > 1 ? 1ULL << 7 : 0;
    raw |= access & PAGE_GLOBAL ? 1ULL << 8 : 0;
    raw |= access & PAGE_EXECUTE ? 0 : 1ULL << 63;
    return raw;
}

static void leaves_are_as_the_manual_draws_them(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 3; level++) {
        for (unsigned access = 0; access <= PAGE_ACCESS_ALL; access++) {
            for (unsigned i = 0; i < ARRAY_LENGTH(caches); i++) {
                for (unsigned bit = page_level_shift(level); bit < 52; bit++) {
                    uint64_t target = 1ULL << bit;
                    page_table_entry_t leaf = page_entry_leaf(phys_addr(target), level, access, caches[i]);
                    assert_int_equal(leaf.raw, expected_leaf(target, level, access, caches[i]));
                    assert_int_equal(page_entry_access(leaf), access);
                    assert_int_equal(page_entry_cache(leaf, level), caches[i]);
                    assert_int_equal(page_entry_leaf_address(leaf, level).raw, target);
                    assert_int_equal(page_entry_kind(leaf, level), ENTRY_LEAF);
                    assert_int_equal(page_entry_reserved(leaf, level, 52), 0);
                }
            }
        }
    }
}

/* Changing one thing leaves the others. */
static void each_part_changes_by_itself(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 3; level++) {
        for (unsigned i = 0; i < ARRAY_LENGTH(caches); i++) {
            page_table_entry_t leaf = page_entry_leaf(phys_addr(GIB(7)), level, PAGE_WRITE, caches[i]);
            leaf = page_entry_with_used(page_entry_with_key(leaf, 9), true, true);
            for (unsigned value = 0; value <= PAGE_SOFTWARE_MAX; value++) {
                page_table_entry_t now = page_entry_with_software(leaf, value);
                assert_int_equal(page_entry_software(now), value);
                assert_int_equal(page_entry_with_software(now, 0).raw, leaf.raw);
            }
            for (unsigned key = 0; key <= PAGE_KEY_MAX; key++) {
                page_table_entry_t now = page_entry_with_key(leaf, key);
                assert_int_equal(page_entry_key(now), key);
                assert_int_equal(page_entry_with_key(now, 9).raw, leaf.raw);
            }
            for (unsigned access = 0; access <= PAGE_ACCESS_ALL; access++) {
                page_table_entry_t now = page_entry_with_access(leaf, access);
                assert_int_equal(page_entry_access(now), access);
                assert_int_equal(page_entry_with_access(now, PAGE_WRITE).raw, leaf.raw);
            }
            for (unsigned other = 0; other < ARRAY_LENGTH(caches); other++) {
                page_table_entry_t now = page_entry_with_cache(leaf, level, caches[other]);
                assert_int_equal(page_entry_cache(now, level), caches[other]);
                assert_int_equal(page_entry_with_cache(now, level, caches[i]).raw, leaf.raw);
            }
            assert_true(page_entry_accessed(leaf) && page_entry_dirty(leaf));
            assert_false(page_entry_dirty(page_entry_with_used(leaf, true, false)));
        }
    }
}

/* An inaccessible leaf is absent for the CPU and no hole; all but its access is kept, there and back. */
static void inaccessible_leaves_are_absent_and_no_holes(void **state)
{
    (void)state;
    for (unsigned level = 1; level <= 2; level++) {
        for (unsigned access = 0; access <= PAGE_ACCESS_ALL; access++) {
            for (unsigned i = 0; i < ARRAY_LENGTH(caches); i++) {
                page_table_entry_t leaf = page_entry_leaf(phys_addr(GIB(7)), level, access, caches[i]);
                leaf = page_entry_with_used(page_entry_with_software(leaf, PAGE_SOFTWARE_MAX), true, true);
                page_table_entry_t inaccessible = page_entry_with_access(leaf, PAGE_INACCESSIBLE);
                assert_false(page_entry_present(inaccessible) || inaccessible.raw & 1);
                assert_int_equal(page_entry_kind(inaccessible, level), ENTRY_INACCESSIBLE);
                assert_int_equal(page_entry_kind(leaf, level), ENTRY_LEAF);
                assert_true(page_entry_dirty(inaccessible));
                assert_int_equal(page_entry_access(inaccessible), PAGE_INACCESSIBLE);
                assert_int_equal(page_entry_leaf_address(inaccessible, level).raw, GIB(7));
                assert_int_equal(page_entry_cache(inaccessible, level), caches[i]);
                assert_int_equal(page_entry_with_access(inaccessible, access).raw, leaf.raw);
            }
        }
    }
}

/* Every slot comes back, is neither present nor anything else, and seems to name memory that nobody has. */
static void expect_slot(uint32_t slot)
{
    page_table_entry_t entry = page_entry_swapped(slot);
    assert_int_equal(page_entry_slot(entry), slot);
    assert_int_equal(page_entry_kind(entry, PAGE_LEVEL_4K), ENTRY_SWAPPED);
    assert_false(page_entry_present(entry) || entry.raw & PAGE_ENTRY_GLOBAL);
    /* Nothing but the number and the tag: what a validator compares with. */
    assert_int_equal(entry.raw & ~(PAGE_ENTRY_ADDRESS | PAGE_ENTRY_SOFTWARE_LOW), 0);
    /* L1TF: beyond all that the format can express but for the last 16 TiB. */
    assert_true((entry.raw & PAGE_ENTRY_ADDRESS) >= PAGE_PHYSICAL_END - TIB(16));
    /*
     * And on a CPU that compares `bits` of the address: in its upper half, as long as the slots stay below.
     */
    for (unsigned bits = 36; bits <= 46; bits++) {
        if (slot < 1ULL << (bits - 13)) {
            assert_true(entry.raw >> (bits - 1) & 1);
        }
    }
}

static void slots_come_back_and_name_no_memory(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (uint32_t slot = 0; slot < 70000; slot++) {
        expect_slot(slot);
        expect_slot(UINT32_MAX - slot);
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        expect_slot(1u << bit);
        expect_slot(~(1u << bit));
    }
    for (unsigned i = 0; i < 100000; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        expect_slot((uint32_t)(random >> 32));
    }
}

/* What each kind is, at each level; above level 1 nothing is swapped or held. */
static void every_entry_has_one_kind(void **state)
{
    (void)state;
    const page_table_entry_t hole = {0};
    for (unsigned level = 1; level <= 5; level++) {
        bool first = level == PAGE_LEVEL_4K;
        bool large = level == PAGE_LEVEL_2M || level == PAGE_LEVEL_1G;
        assert_int_equal(page_entry_kind(hole, level), ENTRY_ABSENT);
        assert_int_equal(page_entry_kind(page_entry_table(phys_addr(MIB(1)), true), level),
                         first ? ENTRY_LEAF : ENTRY_TABLE);
        assert_int_equal(page_entry_kind(page_entry_swapped(7), level), first ? ENTRY_SWAPPED : ENTRY_ABSENT);
        assert_int_equal(page_entry_kind(page_entry_held(), level), first ? ENTRY_HELD : ENTRY_ABSENT);
        for (unsigned tag = 0; tag < 8; tag++) {
            const page_table_entry_t entry = {(uint64_t)tag << 9};
            enum page_entry_kind expected = tag == 1 ? ENTRY_SWAPPED : tag == 7 ? ENTRY_HELD : ENTRY_ABSENT;
            assert_int_equal(page_entry_kind(entry, level), first ? expected : ENTRY_ABSENT);
        }
        const page_table_entry_t global = {PAGE_ENTRY_GLOBAL};
        assert_int_equal(page_entry_kind(global, level), first ? ENTRY_INACCESSIBLE : ENTRY_ABSENT);
        const page_table_entry_t large_global = {PAGE_ENTRY_GLOBAL | PAGE_ENTRY_LARGE};
        assert_int_equal(page_entry_kind(large_global, level),
                         first || large ? ENTRY_INACCESSIBLE : ENTRY_ABSENT);
    }
    for (unsigned kind = ENTRY_ABSENT; kind <= ENTRY_HELD; kind++) {
        assert_true(strlen(page_entry_kind_name((enum page_entry_kind)kind)) >= 4);
        assert_string_not_equal(page_entry_kind_name((enum page_entry_kind)kind), "unknown");
    }
    assert_string_equal(page_entry_kind_name((enum page_entry_kind)99), "unknown");
}

static void parts_translate_as_the_whole(void **state)
{
    (void)state;
    for (unsigned level = 2; level <= 3; level++) {
        for (unsigned i = 0; i < ARRAY_LENGTH(caches); i++) {
            page_table_entry_t whole = page_entry_leaf(phys_addr(GIB(3)), level, PAGE_EXECUTE, caches[i]);
            for (unsigned part = 0; part < PAGE_TABLE_ENTRIES; part++) {
                uint64_t target = GIB(3) + part * page_level_bytes(level - 1);
                assert_int_equal(page_entry_part(whole, level, part).raw,
                                 expected_leaf(target, level - 1, PAGE_EXECUTE, caches[i]));
            }
            assert_int_equal(page_entry_whole(page_entry_part(whole, level, 0), level).raw, whole.raw);
        }
    }
}

/* Tables 4-15 to 4-20: with 40 address bits. */
static void reserved_bits_are_known_at_every_level(void **state)
{
    (void)state;
    static const uint64_t large_only[] = {0, 0, 0x1fe000, 0x3fffe000};
    for (unsigned level = 1; level <= 5; level++) {
        for (unsigned bit = 1; bit < 64; bit++) {
            uint64_t mask = 1ULL << bit;
            bool table = (bit >= 40 && bit < 52) || (level >= 4 && bit == 7);
            page_table_entry_t entry = {1 | mask};
            bool large = level >= 2 && level <= 3 && bit == 7;
            assert_int_equal(page_entry_reserved(entry, level, 40) != 0, table && !large);
            if (level == 2 || level == 3) {
                page_table_entry_t leaf = {1 | PAGE_ENTRY_LARGE | mask};
                bool reserved = (bit >= 40 && bit < 52) || (large_only[level] & mask);
                assert_int_equal(page_entry_reserved(leaf, level, 40) != 0, reserved);
            }
        }
    }
}

static void the_first_cache_kinds_have_the_same_bits_everywhere(void **state)
{
    (void)state;
    for (unsigned level = PAGE_LEVEL_4K; level <= PAGE_LEVEL_1G; level++) {
        for (enum page_cache cache = CACHE_WRITE_BACK; cache <= CACHE_UNCACHED; cache++) {
            page_table_entry_t leaf = {page_entry_cache_bits_common(cache)};
            assert_int_equal(page_entry_cache(leaf, level), cache);
            assert_int_equal(leaf.raw, page_entry_cache_bits(level, cache));
        }
    }
}

static void indexes_and_canonical_addresses(void **state)
{
    (void)state;
    virt_addr_t address =
        virt_addr(0xffff800000000000ULL | 5ULL << 39 | 6ULL << 30 | 7ULL << 21 | 8ULL << 12);
    assert_int_equal(page_table_index(address, 5), 511);
    assert_int_equal(page_table_index(address, 4), 256 + 5);
    assert_int_equal(page_table_index(address, 3), 6);
    assert_int_equal(page_table_index(address, 2), 7);
    assert_int_equal(page_table_index(address, 1), 8);
    for (unsigned level = 1; level <= 5; level++) {
        assert_int_equal(page_table_offset(address, level),
                         page_table_index(address, level) * sizeof(page_table_entry_t));
    }
    for (unsigned levels = 4; levels <= 5; levels++) {
        uint64_t half = 1ULL << (levels * 9 + 11);
        assert_true(virt_is_canonical(virt_addr(half - 1), levels));
        assert_false(virt_is_canonical(virt_addr(half), levels));
        assert_false(virt_is_canonical(virt_addr(0 - half - 1), levels));
        assert_true(virt_is_canonical(virt_addr(0 - half), levels));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_are_as_the_manual_draws_them),
        cmocka_unit_test(each_part_changes_by_itself),
        cmocka_unit_test(inaccessible_leaves_are_absent_and_no_holes),
        cmocka_unit_test(slots_come_back_and_name_no_memory),
        cmocka_unit_test(every_entry_has_one_kind),
        cmocka_unit_test(parts_translate_as_the_whole),
        cmocka_unit_test(reserved_bits_are_known_at_every_level),
        cmocka_unit_test(the_first_cache_kinds_have_the_same_bits_everywhere),
        cmocka_unit_test(indexes_and_canonical_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What exceptions mean: classification, page-table walks, instruction operands (arch/x86_64/fault*.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/fault/decode.h"

static enum fault_kind classify(uint64_t error_code, uint64_t address, enum page_walk_end end,
                                unsigned access, bool guard)
{
    struct trap_frame frame = {.error_code = error_code,
                               .rsp = 0xffffff8000010000,
                               .cs = error_code & PAGE_FAULT_USER ? 0x2b : 0x08};
    struct page_walk walk = {.end = end, .access = access};
    return page_fault_classify(&frame, virt_addr(address), &walk, guard);
}

static void absent_pages_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(classify(0, 0, WALK_NOT_PRESENT, 0, false), FAULT_NULL);
    assert_int_equal(classify(2, NULL_AREA_BYTES - 1, WALK_NOT_PRESENT, 0, false), FAULT_NULL);
    assert_int_equal(classify(0x10, 0, WALK_NOT_PRESENT, 0, false), FAULT_NULL);
    assert_int_equal(classify(0, NULL_AREA_BYTES, WALK_NOT_PRESENT, 0, false), FAULT_UNMAPPED);
    assert_int_equal(classify(2, 0xffffff800000fff8, WALK_NOT_PRESENT, 0, true), FAULT_GUARD);
    assert_int_equal(classify(2, 0xffffff800000fff8, WALK_NOT_PRESENT, 0, false), FAULT_STACK);
    assert_int_equal(classify(2, 0xffffff8000010000 - STACK_REACH_BYTES, WALK_NOT_PRESENT, 0, false),
                     FAULT_STACK);
    assert_int_equal(classify(2, 0xffffff8000010000 - STACK_REACH_BYTES - 1, WALK_NOT_PRESENT, 0, false),
                     FAULT_UNMAPPED);
    assert_int_equal(classify(6, 0xffffff800000fff8, WALK_NOT_PRESENT, 0, false), FAULT_UNMAPPED);
}

static void forbidden_accesses_are_told_apart(void **state)
{
    (void)state;
    const uint64_t at = 0xffffffff80001000;
    assert_int_equal(classify(3, at, WALK_MAPPED, PAGE_EXECUTE, false), FAULT_READ_ONLY);
    assert_int_equal(classify(0x11, at, WALK_MAPPED, PAGE_WRITE, false), FAULT_NO_EXECUTE);
    assert_int_equal(classify(0x11, 0x400000, WALK_MAPPED, PAGE_USER | PAGE_EXECUTE, false), FAULT_SMEP);
    assert_int_equal(classify(1, 0x400000, WALK_MAPPED, PAGE_USER | PAGE_WRITE, false), FAULT_SMAP);
    assert_int_equal(classify(3, 0x400000, WALK_MAPPED, PAGE_USER | PAGE_WRITE, false), FAULT_SMAP);
    assert_int_equal(classify(5, at, WALK_MAPPED, PAGE_WRITE, false), FAULT_KERNEL_ONLY);
    assert_int_equal(classify(0x15, at, WALK_MAPPED, PAGE_EXECUTE, false), FAULT_KERNEL_ONLY);
    assert_int_equal(classify(7, 0x400000, WALK_MAPPED, PAGE_USER, false), FAULT_READ_ONLY);
    assert_int_equal(classify(0x15, 0x400000, WALK_MAPPED, PAGE_USER | PAGE_WRITE, false), FAULT_NO_EXECUTE);
}

static void an_access_that_is_allowed_now_is_stale(void **state)
{
    (void)state;
    assert_int_equal(classify(1, 0xffff800000000000, WALK_MAPPED, PAGE_WRITE, false), FAULT_STALE);
    assert_int_equal(classify(3, 0xffff800000000000, WALK_MAPPED, PAGE_WRITE, false), FAULT_STALE);
    assert_int_equal(classify(0x11, 0xffff800000000000, WALK_MAPPED, PAGE_EXECUTE, false), FAULT_STALE);
    assert_int_equal(classify(3, 0xffff800000000000, WALK_NOT_PRESENT, 0, false), FAULT_STALE);
}

static void special_bits_decide_before_all_else(void **state)
{
    (void)state;
    assert_int_equal(classify(0x9, 0, WALK_RESERVED, 0, true), FAULT_CORRUPT_TABLE);
    assert_int_equal(classify(0x8, 0, WALK_RESERVED, 0, true), FAULT_CORRUPT_TABLE);
    assert_int_equal(classify(0x25, 0x400000, WALK_MAPPED, PAGE_USER, false), FAULT_KEY);
    assert_int_equal(classify(0x47, 0x400000, WALK_MAPPED, PAGE_USER, false), FAULT_SHADOW);
    assert_int_equal(classify(0x8007, 0x400000, WALK_MAPPED, PAGE_USER, false), FAULT_ENCLAVE);
}

static void bits_are_named(void **state)
{
    (void)state;
    char text[PAGE_FAULT_BITS_BYTES];
    assert_string_equal(page_fault_bits_text(0, text), "read by kernel code, page not present");
    assert_string_equal(page_fault_bits_text(7, text), "write by user code, page present");
    assert_string_equal(page_fault_bits_text(0x11, text), "fetch by kernel code, page present");
    assert_string_equal(page_fault_bits_text(0x806d, text),
                        "read by user code, page present, reserved bit, protection key, shadow stack, SGX");
}

static void selectors_are_named(void **state)
{
    (void)state;
    char text[SELECTOR_ERROR_BYTES];
    assert_string_equal(selector_error_text(0xff8, text), "GDT entry 511 (0xff8)");
    assert_string_equal(selector_error_text(0x12, text), "IDT entry 2 (0x10)");
    assert_string_equal(selector_error_text(0x15, text), "LDT entry 2 (0x10), external event");
}

static void every_kind_and_vector_has_its_words(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        assert_true(strlen(fault_kind_text((enum fault_kind)kind)) > 5);
        assert_true(strlen(fault_kind_advice((enum fault_kind)kind)) > 5);
    }
    assert_string_equal(exception_name(14), "page fault");
    assert_string_equal(exception_name(15), "reserved exception");
    assert_string_equal(exception_name(400), "reserved exception");
    assert_true(exception_has_selector_error(13) && exception_has_selector_error(10));
    assert_false(exception_has_selector_error(14) || exception_has_selector_error(8));
}

/* Page tables in an array: table n lies at physical address n * 4096. */
struct memory {
    uint64_t entries[6][PAGE_TABLE_ENTRIES];
};

static bool read_memory(void *context, virt_addr_t address, struct page_walk_step *step)
{
    const struct memory *memory = context;
    assert_int_equal(step->index, page_table_index(address, step->level));
    if (step->table.raw >= sizeof memory->entries) {
        return false;
    }
    step->entry.raw = memory->entries[step->table.raw / FRAME_BYTES][step->index];
    return true;
}

#define INDEX(level) page_table_index(virt_addr(ADDRESS), level)
#define ADDRESS      0x0000123456789abcULL

/* Root at table 1, level 4; the leaf at level 1 maps 0xabc000. */
static struct memory *make_tables(void)
{
    struct memory *memory = calloc(1, sizeof *memory);
    assert_non_null(memory);
    memory->entries[1][INDEX(4)] = 0x2000 | 7;
    memory->entries[2][INDEX(3)] = 0x3000 | 7;
    memory->entries[3][INDEX(2)] = 0x4000 | 7;
    memory->entries[4][INDEX(1)] = 0xabc000 | 7 | PAGE_ENTRY_NO_EXECUTE;
    return memory;
}

static struct page_walk walk_of(struct memory *memory)
{
    return page_walk(read_memory, memory, phys_addr(0x1000), 4, 40, virt_addr(ADDRESS));
}

static void a_walk_ends_at_the_page(void **state)
{
    (void)state;
    struct memory *memory = make_tables();
    struct page_walk walk = walk_of(memory);
    char text[PAGE_WALK_TEXT_BYTES];
    assert_int_equal(walk.end, WALK_MAPPED);
    assert_int_equal(walk.step_count, 4);
    assert_int_equal(walk.target.raw, 0xabcabc);
    assert_int_equal(walk.access, PAGE_WRITE | PAGE_USER);
    assert_int_equal(page_walk_entry_at(&walk.steps[3]).raw, 0x4000 + INDEX(1) * 8);
    assert_string_equal(page_walk_text(&walk, text),
                        "PML4[36] 0x2007 > PDPT[209] 0x3007 > PD[179] 0x4007 > PT[393] 0x8000000000abc007"
                        " -> physical 0xabcabc, writable, no-execute, user");
    free(memory);
}

static void every_level_must_grant(void **state)
{
    (void)state;
    struct memory *memory = make_tables();
    memory->entries[2][INDEX(3)] &= ~(uint64_t)PAGE_ENTRY_WRITE;
    memory->entries[3][INDEX(2)] &= ~(uint64_t)PAGE_ENTRY_USER;
    memory->entries[4][INDEX(1)] |= PAGE_ENTRY_GLOBAL;
    assert_int_equal(walk_of(memory).access, PAGE_GLOBAL);
    memory->entries[4][INDEX(1)] &= ~PAGE_ENTRY_NO_EXECUTE;
    assert_int_equal(walk_of(memory).access, PAGE_GLOBAL | PAGE_EXECUTE);
    memory->entries[1][INDEX(4)] |= PAGE_ENTRY_NO_EXECUTE;
    assert_int_equal(walk_of(memory).access, PAGE_GLOBAL);
    free(memory);
}

static void a_walk_ends_where_nothing_is_present(void **state)
{
    (void)state;
    struct memory *memory = make_tables();
    for (unsigned level = 1; level <= 4; level++) {
        memory->entries[5 - level][INDEX(level)] &= ~(uint64_t)PAGE_ENTRY_PRESENT;
        struct page_walk walk = walk_of(memory);
        assert_int_equal(walk.end, WALK_NOT_PRESENT);
        assert_int_equal(walk.step_count, 5 - level);
    }
    free(memory);
}

static void large_pages_end_a_walk_early(void **state)
{
    (void)state;
    struct memory *memory = make_tables();
    memory->entries[3][INDEX(2)] = 0x40000000 | 0x83;
    assert_int_equal(walk_of(memory).target.raw, 0x40000000 + (ADDRESS & 0x1fffff));
    memory->entries[3][INDEX(2)] |= PAGE_ENTRY_PAT_LARGE;
    assert_int_equal(walk_of(memory).target.raw, 0x40000000 + (ADDRESS & 0x1fffff));
    memory->entries[2][INDEX(3)] = 0x40000000 | 0x83;
    assert_int_equal(walk_of(memory).target.raw, 0x40000000 + (ADDRESS & 0x3fffffff));
    assert_int_equal(walk_of(memory).step_count, 2);
    free(memory);
}

static void reserved_bits_end_a_walk(void **state)
{
    (void)state;
    const struct {
        unsigned level;
        uint64_t bits;
    } cases[] = {
        {1, 1ULL << 40},                    /* beyond the CPU's physical addresses */
        {4, 1ULL << 51},                    /* the same in a table's entry */
        {4, PAGE_ENTRY_LARGE},              /* no large page is that large */
        {2, PAGE_ENTRY_LARGE | 1ULL << 13}, /* a large page that is not aligned */
        {3, PAGE_ENTRY_LARGE | 1ULL << 29},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct memory *memory = make_tables();
        memory->entries[5 - cases[i].level][INDEX(cases[i].level)] |= cases[i].bits;
        struct page_walk walk = walk_of(memory);
        assert_int_equal(walk.end, WALK_RESERVED);
        assert_int_equal(walk.step_count, 5 - cases[i].level);
        free(memory);
    }
}

static void a_walk_survives_tables_that_lead_nowhere(void **state)
{
    (void)state;
    struct memory *memory = make_tables();
    memory->entries[3][INDEX(2)] = 0x7ffffff000 | 7;
    assert_int_equal(walk_of(memory).end, WALK_UNREADABLE);
    assert_int_equal(walk_of(memory).step_count, 3);
    struct page_walk none = page_walk(read_memory, memory, phys_addr(0x1000), 4, 40, virt_addr(1ULL << 47));
    assert_int_equal(none.end, WALK_NON_CANONICAL);
    assert_int_equal(none.step_count, 0);
    char text[PAGE_WALK_TEXT_BYTES];
    assert_string_equal(page_walk_text(&none, text), "none: the address is not canonical");
    free(memory);
}

static void five_levels_walk_one_more(void **state)
{
    (void)state;
    struct memory *memory = make_tables();
    memory->entries[5][0] = 0x1000 | 7;
    struct page_walk walk = page_walk(read_memory, memory, phys_addr(0x5000), 5, 40, virt_addr(ADDRESS));
    assert_int_equal(walk.end, WALK_MAPPED);
    assert_int_equal(walk.step_count, 5);
    assert_int_equal(walk.target.raw, 0xabcabc);
    free(memory);
}

static const struct trap_frame registers = {
    .rax = 0x1000,
    .rcx = 0x2000,
    .rdx = 0x3000,
    .rbx = 0x4000,
    .rsp = 0x5000,
    .rbp = 0x6000,
    .rsi = 0x7000,
    .rdi = 0x8000,
    .r8 = 0x9000,
    .r9 = 0xa000,
    .r10 = 0xb000,
    .r11 = 0xc000,
    .r12 = 0xd000,
    .r13 = 0xe000,
    .r14 = 0xf000,
    .r15 = 0x10000,
};

struct operand_case {
    const char *instruction; /* for people */
    uint8_t bytes[16];
    uint8_t length;
    bool found;
    uint64_t address;
};

/* Encodings by clang's assembler. */
static const struct operand_case operand_cases[] = {
    {"mov (%rax), %rax", {0x48, 0x8b, 0x00}, 3, true, 0x1000},
    {"mov 0x18(%rdi), %eax", {0x8b, 0x47, 0x18}, 3, true, 0x8018},
    {"mov -8(%rbp), %rax", {0x48, 0x8b, 0x45, 0xf8}, 4, true, 0x5ff8},
    {"mov 0x12345(%r13), %rax", {0x49, 0x8b, 0x85, 0x45, 0x23, 0x01, 0x00}, 7, true, 0xe000 + 0x12345},
    {"mov (%r12), %rax", {0x49, 0x8b, 0x04, 0x24}, 4, true, 0xd000},
    {"mov 8(%rsp), %rax", {0x48, 0x8b, 0x44, 0x24, 0x08}, 5, true, 0x5008},
    {"mov (%rax,%rcx,8), %rdx", {0x48, 0x8b, 0x14, 0xc8}, 4, true, 0x1000 + 8 * 0x2000},
    {"mov (%r8,%r9,2), %r10", {0x4f, 0x8b, 0x14, 0x48}, 4, true, 0x9000 + 2 * 0xa000},
    {"mov (%rax,%r12), %rdx", {0x4a, 0x8b, 0x14, 0x20}, 4, true, 0x1000 + 0xd000},
    {"mov 0x1000(,%rcx,4), %rdx",
     {0x48, 0x8b, 0x14, 0x8d, 0x00, 0x10, 0x00, 0x00},
     8,
     true,
     0x1000 + 4 * 0x2000},
    {"movb $1, 5(%rax)", {0xc6, 0x40, 0x05, 0x01}, 4, true, 0x1005},
    {"lock cmpxchg %rcx, (%rdx)", {0xf0, 0x48, 0x0f, 0xb1, 0x0a}, 5, true, 0x3000},
    {"movzbl (%rsi), %eax", {0x0f, 0xb6, 0x06}, 3, true, 0x7000},
    {"movbe (%rax), %ecx", {0x0f, 0x38, 0xf0, 0x08}, 4, true, 0x1000},
    {"incw (%rbx)", {0x66, 0xff, 0x03}, 3, true, 0x4000},
    {"call *(%rax)", {0xff, 0x10}, 2, true, 0x1000},
    {"addl %eax, (%rcx)", {0x01, 0x01}, 2, true, 0x2000},
    {"rep stosb", {0xf3, 0xaa}, 2, true, 0x8000},
    {"lodsb", {0xac}, 1, true, 0x7000},
    {"movabs 0x1122334455667788, %al",
     {0xa0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11},
     9,
     true,
     0x1122334455667788},
    {"mov %rax, %rcx", {0x48, 0x89, 0xc1}, 3, false, 0},
    {"lea (%rax), %rcx", {0x48, 0x8d, 0x08}, 3, false, 0},
    {"mov 0(%rip), %rax", {0x48, 0x8b, 0x05, 0, 0, 0, 0}, 7, false, 0},
    {"mov %gs:8, %eax", {0x65, 0x8b, 0x04, 0x25, 8, 0, 0, 0}, 8, false, 0},
    {"ret", {0xc3}, 1, false, 0},
    {"ud2", {0x0f, 0x0b}, 2, false, 0},
    {"jmp", {0xe9, 0, 0, 0, 0}, 5, false, 0},
    {"hlt", {0xf4}, 1, false, 0},
    {"nothing", {0}, 0, false, 0},
    {"mov 0x18(%rdi), %eax, cut", {0x8b, 0x47}, 2, false, 0},
    {"mov with SIB, cut", {0x48, 0x8b, 0x14}, 3, false, 0},
    {"prefixes only", {0x66, 0xf2, 0x48}, 3, false, 0},
    {"mov %es:(%rax), %eax", {0x26, 0x8b, 0x00}, 3, true, 0x1000},
    {"mov %cs:(%rax), %eax", {0x2e, 0x8b, 0x00}, 3, true, 0x1000},
    {"mov %ss:(%rax), %eax", {0x36, 0x8b, 0x00}, 3, true, 0x1000},
    {"mov %ds:(%rax), %eax", {0x3e, 0x8b, 0x00}, 3, true, 0x1000},
    {"mov %fs:(%rax), %eax", {0x64, 0x8b, 0x00}, 3, false, 0},
    {"mov (%eax), %eax", {0x67, 0x8b, 0x00}, 3, false, 0},
    {"movslq (%rax), %rcx", {0x48, 0x63, 0x08}, 3, true, 0x1000},
    {"imul $2, (%rcx), %eax", {0x6b, 0x01, 0x02}, 3, true, 0x2000},
    {"shlb $2, (%rbx)", {0xc0, 0x23, 0x02}, 3, true, 0x4000},
    {"negl (%rdx)", {0xf7, 0x1a}, 2, true, 0x3000},
    {"incb (%rsi)", {0xfe, 0x06}, 2, true, 0x7000},
    {"mov without ModRM, cut", {0x8b}, 1, false, 0},
    {"two bytes, cut", {0x0f}, 1, false, 0},
};

static void operands_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(operand_cases); i++) {
        const struct operand_case *one = &operand_cases[i];
        uint8_t *code =
            malloc(one->length ? one->length : 1U); /* of exact size, so that reading on is seen */
        memcpy(code, one->bytes, one->length);
        virt_addr_t address = {0};
        bool found = instruction_memory_operand(code, one->length, &registers, &address);
        if (found != one->found || (found && address.raw != one->address)) {
            fail_msg("%s: found %d, address %#" PRIx64, one->instruction, found, address.raw);
        }
        free(code);
    }
}

static void every_end_of_a_walk_has_its_words(void **state)
{
    (void)state;
    const struct {
        enum page_walk_end end;
        page_table_entry_t last;
        const char *text;
    } cases[] = {
        {WALK_NOT_PRESENT, {0}, "PT[0] 0: not present"},
        {WALK_NOT_PRESENT,
         page_entry_leaf(phys_addr(GIB(1)), PAGE_LEVEL_4K, PAGE_INACCESSIBLE, CACHE_WRITE_BACK),
         "PT[0] 0x8000000040000100: not present, a page that is kept inaccessible"},
        {WALK_NOT_PRESENT, page_entry_swapped(12),
         "PT[0] 0xfffffffff3200: not present, a page on disk, slot 12"},
        {WALK_NOT_PRESENT, page_entry_held(), "PT[0] 0xe00: not present, held for temporary mappings"},
        {WALK_RESERVED, {0x1001}, "PT[0] 0x1001: reserved bits set"},
        {WALK_UNREADABLE, {0x1001}, "PT[0] 0x1001: the next table cannot be read"}};
    char text[PAGE_WALK_TEXT_BYTES];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct page_walk walk = {.end = cases[i].end, .step_count = 1};
        walk.steps[0] = (struct page_walk_step){.level = PAGE_LEVEL_4K, .entry = cases[i].last};
        assert_string_equal(page_walk_text(&walk, text), cases[i].text);
    }
    const struct page_walk none = {.end = WALK_NON_CANONICAL};
    assert_string_equal(page_walk_text(&none, text), "none: the address is not canonical");
}

static void a_copy_names_the_worse_operand(void **state)
{
    (void)state;
    struct trap_frame frame = registers;
    virt_addr_t address;
    const uint8_t movs[] = {0xf3, 0xa4};
    frame.rdi = 0x8000000000000000;
    assert_true(instruction_memory_operand(movs, sizeof movs, &frame, &address));
    assert_int_equal(address.raw, frame.rdi);
    frame.rsi = 0x4000000000000000;
    assert_true(instruction_memory_operand(movs, sizeof movs, &frame, &address));
    assert_int_equal(address.raw, frame.rsi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_pages_are_told_apart),
        cmocka_unit_test(forbidden_accesses_are_told_apart),
        cmocka_unit_test(an_access_that_is_allowed_now_is_stale),
        cmocka_unit_test(special_bits_decide_before_all_else),
        cmocka_unit_test(bits_are_named),
        cmocka_unit_test(selectors_are_named),
        cmocka_unit_test(every_kind_and_vector_has_its_words),
        cmocka_unit_test(a_walk_ends_at_the_page),
        cmocka_unit_test(every_level_must_grant),
        cmocka_unit_test(a_walk_ends_where_nothing_is_present),
        cmocka_unit_test(large_pages_end_a_walk_early),
        cmocka_unit_test(reserved_bits_end_a_walk),
        cmocka_unit_test(a_walk_survives_tables_that_lead_nowhere),
        cmocka_unit_test(five_levels_walk_one_more),
        cmocka_unit_test(operands_are_found),
        cmocka_unit_test(every_end_of_a_walk_has_its_words),
        cmocka_unit_test(a_copy_names_the_worse_operand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

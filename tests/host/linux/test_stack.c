/* A program's first stack, read back as a C library's start-up code reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/image/stack.h"
#include "tests/host/support/random.h"

#define TOP   0x7ffffffff000ULL
#define BYTES KIB(64)

static uint8_t memory[BYTES];
static uint64_t lowest_written;
static unsigned writes_left;

static bool write_memory(void *context, uint64_t address, const void *bytes, uint64_t length)
{
    (void)context;
    assert_true(address >= TOP - BYTES && length <= TOP - address);
    if (writes_left-- == 0) {
        return false;
    }
    memcpy(memory + (address - (TOP - BYTES)), bytes, length);
    lowest_written = address < lowest_written ? address : lowest_written;
    return true;
}

static const void *at(uint64_t address)
{
    assert_true(address >= TOP - BYTES && address < TOP);
    return memory + (address - (TOP - BYTES));
}

static uint64_t word(uint64_t address)
{
    uint64_t value;
    memcpy(&value, at(address), sizeof value);
    return value;
}

static const struct auxiliary vector[] = {{AT_PAGESZ, 4096}, {AT_ENTRY, 0x401000}};

static struct program_stack stack_for(const char *strings, uint64_t length, uint32_t arguments,
                                      uint32_t variables)
{
    memset(memory, 0xee, sizeof memory);
    lowest_written = TOP;
    writes_left = 10000;
    return (struct program_stack){.top = TOP,
                                  .lowest = TOP - BYTES,
                                  .strings = {strings, length, arguments, variables},
                                  .random = "0123456789abcde",
                                  .vector = vector,
                                  .vector_count = 2,
                                  .write = write_memory};
}

/* Walks over it and compares all. */
static void expect_stack(const struct program_stack *stack, uint64_t pointer)
{
    const char *text = stack->strings.bytes;
    assert_int_equal(pointer % 16, 0);
    assert_int_equal(pointer, lowest_written);
    assert_int_equal(word(pointer), stack->strings.argument_count);
    pointer += 8;
    for (uint32_t i = 0; i < stack->strings.argument_count; i++, pointer += 8, text += strlen(text) + 1) {
        assert_string_equal(at(word(pointer)), text);
    }
    assert_int_equal(word(pointer), 0);
    pointer += 8;
    for (uint32_t i = 0; i < stack->strings.variable_count; i++, pointer += 8, text += strlen(text) + 1) {
        assert_string_equal(at(word(pointer)), text);
    }
    assert_int_equal(word(pointer), 0);
    pointer += 8;
    for (unsigned i = 0; i < stack->vector_count; i++, pointer += 16) {
        assert_int_equal(word(pointer), stack->vector[i].kind);
        assert_int_equal(word(pointer + 8), stack->vector[i].value);
    }
    assert_int_equal(word(pointer), AT_RANDOM);
    assert_memory_equal(at(word(pointer + 8)), stack->random, PROGRAM_RANDOM_BYTES);
    assert_int_equal(word(pointer + 16), AT_PLATFORM);
    assert_string_equal(at(word(pointer + 24)), "x86_64");
    assert_int_equal(word(pointer + 32), AT_EXECFN);
    assert_string_equal(at(word(pointer + 40)), text);
    assert_int_equal(word(pointer + 48), AT_NULL);
}

static void a_stack_is_what_a_program_expects(void **state)
{
    (void)state;
    static const char strings[] = "hello\0one\0\0A=1\0B=\0/bin/hello";
    uint64_t pointer;
    struct program_stack stack = stack_for(strings, sizeof strings, 3, 2);
    assert_int_equal(program_stack_build(&stack, &pointer), PROGRAM_STACK_OK);
    expect_stack(&stack, pointer);
}

static void stacks_of_all_sizes_are_sound(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t random = round + 1;
        uint32_t arguments = random_number(&random) % 200;
        uint32_t variables = random_number(&random) % 200;
        char *strings = malloc(401 * 40);
        uint64_t length = 0;
        for (uint32_t i = 0; i <= arguments + variables; i++) {
            uint64_t bytes = random_number(&random) % 40;
            memset(strings + length, 'a' + (int)(i % 26), bytes);
            length += bytes;
            strings[length++] = 0;
        }
        struct program_stack stack = stack_for(strings, length, arguments, variables);
        uint64_t pointer;
        assert_int_equal(program_stack_build(&stack, &pointer), PROGRAM_STACK_OK);
        expect_stack(&stack, pointer);
        /* With exactly as much room it fits, or is refused without a byte below. */
        stack.lowest = pointer;
        assert_true(program_stack_build(&stack, &pointer) != PROGRAM_STACK_NOT_WRITTEN);
        stack.lowest = pointer + 16;
        assert_int_equal(program_stack_build(&stack, &pointer), PROGRAM_STACK_TOO_LONG);
        free(strings);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    uint64_t pointer = 7;
    char *strings = calloc(1, PROGRAM_STRING_BYTES + 2);
    memset(strings, 'x', PROGRAM_STRING_BYTES);
    struct program_stack stack = stack_for(strings, PROGRAM_STRING_BYTES + 2, 1, 0);
    assert_int_equal(program_stack_build(&stack, &pointer), PROGRAM_STACK_TOO_LONG); /* more than BYTES */
    stack.lowest = TOP - MIB(1);
    assert_int_equal(program_stack_build(&stack, &pointer), PROGRAM_STACK_TOO_LONG); /* one string too long */
    assert_int_equal(pointer, 7);
    free(strings);
}

static void a_write_that_fails_is_told(void **state)
{
    (void)state;
    static const char strings[] = "a\0/a";
    uint64_t pointer = 7;
    for (unsigned i = 0; i < 4; i++) {
        struct program_stack stack = stack_for(strings, sizeof strings, 1, 0);
        writes_left = i;
        assert_int_equal(program_stack_build(&stack, &pointer), PROGRAM_STACK_NOT_WRITTEN);
        assert_int_equal(pointer, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_is_what_a_program_expects),
        cmocka_unit_test(stacks_of_all_sizes_are_sound),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(a_write_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

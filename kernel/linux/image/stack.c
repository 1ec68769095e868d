/* A program's first stack; see stack.h. */
#include "stack.h"

#include <ashlar/string.h>

#define PLATFORM      "x86_64"
#define END_BYTES     8 /* zeros at the very top, as Linux has them */
#define STACK_ALIGN   16
#define WRITTEN_WORDS 64
#define OWN_ENTRIES   4 /* of the vector: AT_RANDOM, AT_PLATFORM, AT_EXECFN, AT_NULL */

/* Words on their way to the stack, some at a time. */
struct words {
    const struct program_stack *stack;
    uint64_t address; /* of the next one to be written */
    unsigned count;
    uint64_t words[WRITTEN_WORDS];
    bool failed;
};

static void flush(struct words *words)
{
    uint64_t bytes = words->count * sizeof words->words[0];
    words->failed =
        words->failed || !words->stack->write(words->stack->context, words->address, words->words, bytes);
    words->address += bytes;
    words->count = 0;
}

static void put(struct words *words, uint64_t word)
{
    words->words[words->count++] = word;
    if (words->count == WRITTEN_WORDS) {
        flush(words);
    }
}

static void put_entry(struct words *words, uint64_t kind, uint64_t value)
{
    put(words, kind);
    put(words, value);
}

/* Puts pointers to the next `count` strings, and a null; moves *offset behind them. */
static void put_pointers(struct words *words, uint64_t strings_at, uint64_t *offset, uint32_t count)
{
    const char *bytes = words->stack->strings.bytes;
    for (uint32_t i = 0; i < count; i++) {
        put(words, strings_at + *offset);
        *offset += strlen(bytes + *offset) + 1;
    }
    put(words, 0);
}

static bool strings_fit(const struct program_strings *strings)
{
    uint64_t offset = 0;
    for (uint64_t i = 0; i < (uint64_t)strings->argument_count + strings->variable_count; i++) {
        uint64_t bytes = strlen(strings->bytes + offset) + 1;
        if (bytes > PROGRAM_STRING_BYTES) {
            return false;
        }
        offset += bytes;
    }
    return true;
}

static uint64_t word_count(const struct program_stack *stack)
{
    return 1 + (uint64_t)stack->strings.argument_count + 1 + stack->strings.variable_count + 1 +
           2 * ((uint64_t)stack->vector_count + OWN_ENTRIES);
}

enum program_stack_result program_stack_build(const struct program_stack *stack, uint64_t *pointer)
{
    uint64_t room = stack->top - stack->lowest;
    uint64_t words_bytes = word_count(stack) * sizeof(uint64_t);
    uint64_t fixed = END_BYTES + sizeof PLATFORM + PROGRAM_RANDOM_BYTES + 3ULL * STACK_ALIGN;
    if (stack->strings.length > room || words_bytes > room - stack->strings.length ||
        fixed > room - stack->strings.length - words_bytes || !strings_fit(&stack->strings)) {
        return PROGRAM_STACK_TOO_LONG;
    }
    uint64_t strings_at = stack->top - END_BYTES - stack->strings.length;
    uint64_t platform_at = align_down(strings_at - sizeof PLATFORM, STACK_ALIGN);
    uint64_t random_at = platform_at - PROGRAM_RANDOM_BYTES;
    uint64_t bottom = align_down(random_at - words_bytes, STACK_ALIGN);
    uint64_t offset = 0;
    struct words words = {.stack = stack, .address = bottom};
    put(&words, stack->strings.argument_count);
    put_pointers(&words, strings_at, &offset, stack->strings.argument_count);
    put_pointers(&words, strings_at, &offset, stack->strings.variable_count);
    for (unsigned i = 0; i < stack->vector_count; i++) {
        put_entry(&words, stack->vector[i].kind, stack->vector[i].value);
    }
    put_entry(&words, AT_RANDOM, random_at);
    put_entry(&words, AT_PLATFORM, platform_at);
    put_entry(&words, AT_EXECFN, strings_at + offset);
    put_entry(&words, AT_NULL, 0);
    flush(&words);
    if (words.failed || !stack->write(stack->context, random_at, stack->random, PROGRAM_RANDOM_BYTES) ||
        !stack->write(stack->context, platform_at, PLATFORM, sizeof PLATFORM) ||
        !stack->write(stack->context, strings_at, stack->strings.bytes, stack->strings.length)) {
        return PROGRAM_STACK_NOT_WRITTEN;
    }
    *pointer = bottom;
    return PROGRAM_STACK_OK;
}

static uint64_t bytes_of_strings(const char *bytes, uint64_t count)
{
    uint64_t offset = 0;
    while (count-- > 0) {
        offset += strlen(bytes + offset) + 1;
    }
    return offset;
}

struct program_stack_places program_stack_places(const struct program_stack *stack, uint64_t pointer)
{
    const struct program_strings *strings = &stack->strings;
    uint64_t first = stack->top - END_BYTES - strings->length;
    uint64_t arguments = bytes_of_strings(strings->bytes, strings->argument_count);
    uint64_t variables = bytes_of_strings(strings->bytes + arguments, strings->variable_count);
    uint64_t vector_bytes = 2 * sizeof(uint64_t) * ((uint64_t)stack->vector_count + OWN_ENTRIES);
    uint64_t end = pointer + word_count(stack) * sizeof(uint64_t);
    return (struct program_stack_places){.arguments = first,
                                         .variables = first + arguments,
                                         .variables_end = first + arguments + variables,
                                         .vector = end - vector_bytes,
                                         .vector_end = end};
}

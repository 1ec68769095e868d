/*
 * What a program finds on its stack when it begins (System V ABI for x86-64, 3.4.1): from the stack pointer
 * upwards the number of arguments, pointers to them, pointers to the environment, the auxiliary vector; then
 * random bytes, the platform's name and the strings themselves. Pure: what is written goes through a
 * function.
 */
#pragma once

#include <ashlar/types.h>

/* Linux's limits (include/uapi/linux/binfmts.h). */
#define PROGRAM_STRING_BYTES (32 * FRAME_BYTES) /* of one argument or variable, with its terminator */

/*
 * Strings of a program: arguments, then the environment, then the file's name, each with its terminator, one
 * behind the other.
 */
struct program_strings {
    const char *bytes;
    uint64_t length;         /* of all */
    uint32_t argument_count; /* the first ones */
    uint32_t variable_count; /* those that follow */
};

/* Kinds of entries of the auxiliary vector (include/uapi/linux/auxvec.h). */
enum auxiliary_kind {
    AT_NULL = 0,
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_PLATFORM = 15,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_RANDOM = 25,
    AT_HWCAP2 = 26,
    AT_EXECFN = 31,
    AT_SYSINFO_EHDR = 33,
    AT_MINSIGSTKSZ = 51,
};

struct auxiliary {
    uint64_t kind;
    uint64_t value;
};

#define PROGRAM_RANDOM_BYTES 16

struct program_stack {
    uint64_t top;    /* first address above the stack, a multiple of FRAME_BYTES */
    uint64_t lowest; /* the stack pointer must not come below this */
    struct program_strings strings;
    uint8_t random[PROGRAM_RANDOM_BYTES]; /* for AT_RANDOM */
    const struct auxiliary *vector;       /* entries but AT_RANDOM, AT_PLATFORM, AT_EXECFN and AT_NULL */
    unsigned vector_count;
    bool (*write)(void *context, uint64_t address, const void *bytes, uint64_t length);
    void *context;
};

enum program_stack_result {
    PROGRAM_STACK_OK,
    PROGRAM_STACK_TOO_LONG, /* it does not fit above `lowest`, or a string is longer than Linux allows */
    PROGRAM_STACK_NOT_WRITTEN,
};

/* Writes it all; *pointer is the stack pointer then, a multiple of 16. `strings` is sound: as many strings as
 * it says, and one more. */
enum program_stack_result program_stack_build(const struct program_stack *stack, uint64_t *pointer);

/* Where its parts lie, for whoever looks at the program later: addresses. */
struct program_stack_places {
    uint64_t arguments; /* the strings of the arguments, up to those of the variables */
    uint64_t variables;
    uint64_t variables_end;
    uint64_t vector;
    uint64_t vector_end;
};

/* pointer: what program_stack_build() stored. */
struct program_stack_places program_stack_places(const struct program_stack *stack, uint64_t pointer);

/*
 * A user program in an address space of its own, for tests and benchmarks: a few instructions that end with
 * int3. Its code is a given frame; its data and its stack are delivered by the page faults it takes.
 */
#pragma once

#include <ashlar/vm_kernel.h>

#define USER_PROGRAM_CODE        0x400000ULL
#define USER_PROGRAM_DATA        0x600000ULL /* zeros, of MIB(2) */
#define USER_PROGRAM_STACK_TOP   0x7ffff0000000ULL
#define USER_PROGRAM_STACK_BYTES KIB(64)

struct user_program {
    struct vm_space space; /* what it runs in */
    phys_addr_t code;      /* the frame with its code */
    uint64_t result;       /* its RAX at the end */
    bool from_user;        /* it was user mode that ended it */
};

/* Makes the space and its regions; false when there is no memory. */
bool user_program_make(struct user_program *program, const uint8_t *code, size_t bytes);

/* Runs it from its first instruction to its int3. One at a time. */
void user_program_run(struct user_program *program);

void user_program_drop(struct user_program *program);

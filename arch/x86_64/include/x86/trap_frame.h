/*
 * What the CPU and the entry code leave on the stack when an exception or interrupt arrives: the interrupted
 * state, complete. Handlers may change it; the return restores from it.
 */
#pragma once

#include <ashlar/types.h>

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8; /* pushed by the entry code, as are the next */
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;     /* 0 .. 255, pushed by the entry stub; or TRAP_SYSTEM_CALL */
    uint64_t error_code; /* pushed by the CPU for the vectors that have one, else 0 by the stub; of a system
                            call its number, as RAX will hold the answer */
    uint64_t rip;        /* the CPU's own frame: SDM volume 3, 6.14.2 */
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};

#define TRAP_SYSTEM_CALL 256 /* no vector: the instruction SYSCALL */

_Static_assert(sizeof(struct trap_frame) == 176, "arch/x86_64/trap/entry.S builds this by pushes");
_Static_assert(offsetof(struct trap_frame, vector) == 120, "arch/x86_64/trap/entry.S uses these offsets");

/* The exceptions: SDM volume 3, table 6-1. */
enum exception_vector {
    EXCEPTION_DIVIDE = 0,
    EXCEPTION_DEBUG = 1,
    EXCEPTION_NMI = 2,
    EXCEPTION_BREAKPOINT = 3,
    EXCEPTION_OVERFLOW = 4,
    EXCEPTION_BOUND = 5,
    EXCEPTION_INVALID_OPCODE = 6,
    EXCEPTION_DEVICE_NOT_AVAILABLE = 7,
    EXCEPTION_DOUBLE_FAULT = 8,
    EXCEPTION_INVALID_TSS = 10,
    EXCEPTION_SEGMENT_NOT_PRESENT = 11,
    EXCEPTION_STACK_SEGMENT = 12,
    EXCEPTION_GENERAL_PROTECTION = 13,
    EXCEPTION_PAGE_FAULT = 14,
    EXCEPTION_X87 = 16,
    EXCEPTION_ALIGNMENT_CHECK = 17,
    EXCEPTION_MACHINE_CHECK = 18,
    EXCEPTION_SIMD = 19,
    EXCEPTION_VIRTUALISATION = 20,
    EXCEPTION_CONTROL_PROTECTION = 21,
    EXCEPTION_COUNT = 32, /* vectors below this belong to the CPU */
};

/* Whether the frame is of code that ran with user privilege. */
static inline bool trap_from_user(const struct trap_frame *frame)
{
    return (frame->cs & 3) != 0;
}

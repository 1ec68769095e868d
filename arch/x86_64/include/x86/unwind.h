/*
 * Walking up the stack: return addresses by the chain of frame pointers, across traps. Every read is a probe,
 * so a broken stack ends the walk instead of the kernel.
 */
#pragma once

#include <ashlar/types.h>
#include <x86/trap_frame.h>

struct unwind {
    virt_addr_t address;    /* code at this step */
    bool is_return;         /* it follows a call; otherwise it is the very instruction that was interrupted */
    bool scanned;           /* found by searching the stack after the chain broke, or behind such a step */
    unsigned trap;          /* vector of the trap that interrupted `address`, or UNWIND_NO_TRAP */
    uint64_t frame_pointer; /* RBP at `address` */
    uint64_t stack;         /* RSP at `address` */
    uint64_t scan_end;      /* scanning: where to stop; 0 before */
};

#define UNWIND_NO_TRAP 256

/* Starts at the caller of the function whose frame pointer is `function_frame`. */
static inline struct unwind unwind_caller_of(const void *function_frame)
{
    const uint64_t *frame = function_frame;
    return (struct unwind){.address = virt_addr(frame[1]),
                           .is_return = true,
                           .trap = UNWIND_NO_TRAP,
                           .frame_pointer = frame[0],
                           .stack = (uintptr_t)(frame + 2)};
}

/* Starts at the caller of the function that calls this. Inlined: it reads that function's own frame. */
__attribute__((always_inline)) static inline struct unwind unwind_caller(void)
{
    return unwind_caller_of(__builtin_frame_address(0));
}

/* Starts at the interrupted instruction of `frame`. */
struct unwind unwind_frame(const struct trap_frame *frame);

/* Moves to the next outer step; false at the end. */
bool unwind_next(struct unwind *at);

/* Whether `address` lies in the kernel's code. */
bool unwind_is_code(virt_addr_t address);

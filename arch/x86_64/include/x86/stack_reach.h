/* When a page fault is the stack's own: for C and assembler. */
#pragma once

/*
 * A page fault this close to the stack pointer, below or above, is the stack's own: a function's variables
 * lie just above the stack pointer, and a page of them is as many as a guard page stops. One number for the
 * entry code, which does not move such a fault to the interrupted stack, and for the report, which says what
 * it was.
 */
#define STACK_REACH_BYTES 4096

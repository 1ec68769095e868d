/* What a page fault says of itself, for C and assembler: its error code, and when it is the stack's own. */
#pragma once

/*
 * A page fault this close to the stack pointer, below or above, is the stack's own: a function's variables
 * lie just above the stack pointer, and a page of them is as many as a guard page stops. One number for the
 * entry code, which does not move such a fault to the interrupted stack, and for the report, which says what
 * it was.
 */
#define STACK_REACH_BYTES 4096

#ifndef __ASSEMBLER__

/* Page-fault error code: SDM volume 3, 4.7. */
enum page_fault_bits {
    PAGE_FAULT_PRESENT = 1 << 0,        /* the translation exists and forbids the access */
    PAGE_FAULT_WRITE = 1 << 1,          /* a write */
    PAGE_FAULT_USER = 1 << 2,           /* by user-mode code */
    PAGE_FAULT_RESERVED = 1 << 3,       /* a reserved bit is set in a page-table entry */
    PAGE_FAULT_FETCH = 1 << 4,          /* an instruction fetch */
    PAGE_FAULT_PROTECTION_KEY = 1 << 5, /* forbidden by a protection key */
    PAGE_FAULT_SHADOW_STACK = 1 << 6,   /* a shadow-stack access */
    PAGE_FAULT_SGX = 1 << 15,           /* forbidden by SGX, not by the page tables */
};

#endif

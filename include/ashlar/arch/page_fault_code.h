/* The error code of a page fault: SDM volume 3, 4.7. */
#pragma once

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

/*
 * One page that user mode may touch, for provocations and tests before (and beside) real address spaces: page
 * tables of its own, hung into the root's empty user half.
 */
#pragma once

#include <ashlar/types.h>

enum user_page_kind {
    USER_PAGE_CODE,    /* readable and executable, as user code is */
    USER_PAGE_DATA,    /* writable, not executable */
    USER_PAGE_CORRUPT, /* the root's entry has a reserved bit set */
};

/* Maps the page (the former mapping is gone) and returns its user address. Interrupts and preemption as they
 * are. */
virt_addr_t user_page_map(enum user_page_kind kind);

/* The page's FRAME_BYTES bytes through the kernel's own mapping. */
uint8_t *user_page_contents(void);

/* Takes the mapping away. */
void user_page_unmap(void);

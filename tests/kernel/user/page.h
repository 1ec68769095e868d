/*
 * One page that user mode may touch, for tests and provoked faults that need no address space: it has page
 * tables of its own, of frames of the pool, which are entered into the root's empty user half.
 */
#pragma once

#include <ashlar/types.h>

enum user_page_kind {
    USER_PAGE_CODE,    /* readable and executable, as user code is */
    USER_PAGE_DATA,    /* writable, not executable */
    USER_PAGE_CORRUPT, /* the root's entry has a reserved bit set */
};

/* Maps the page in the tables that are loaded, in place of a mapping of it that is there, and returns its
 * user address. One user at a time; no locks. */
virt_addr_t user_page_map(enum user_page_kind kind);

/* The page's FRAME_BYTES bytes through the kernel's own mapping. */
uint8_t *user_page_contents(void);

/* Takes the mapping away, and the contents. */
void user_page_unmap(void);

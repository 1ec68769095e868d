/*
 * What an exception means: pure functions on its numbers and on the page-table walk behind a page fault.
 * Host-tested (tests/host/arch/test_fault.c).
 */
#pragma once

#include <ashlar/arch/page_fault_code.h>
#include <ashlar/page_walk.h>
#include <x86/stack_reach.h>
#include <x86/trap_frame.h>

/* Addresses below this are taken for a null pointer plus the offset of a member. */
#define NULL_AREA_BYTES KIB(64)

enum fault_kind {
    FAULT_NULL,          /* null dereference */
    FAULT_UNMAPPED,      /* nothing is mapped there */
    FAULT_GUARD,         /* a guard page */
    FAULT_STACK,         /* the stack pointer leads to unmapped memory */
    FAULT_READ_ONLY,     /* write to read-only memory */
    FAULT_NO_EXECUTE,    /* execution of data */
    FAULT_SMEP,          /* the kernel executed user memory */
    FAULT_SMAP,          /* the kernel touched user memory without user_access_begin() */
    FAULT_KERNEL_ONLY,   /* user code touched kernel memory */
    FAULT_CORRUPT_TABLE, /* a reserved bit in a page-table entry */
    FAULT_KEY,           /* protection key */
    FAULT_SHADOW,        /* shadow stack */
    FAULT_ENCLAVE,       /* SGX */
    FAULT_STALE,         /* the page tables allow it now: a missing TLB flush, or another CPU changed them */
    FAULT_NON_CANONICAL, /* the address is not canonical (arrives as #GP or #SS) */
    FAULT_KIND_COUNT
};

/*
 * What the page fault of `frame` at `address` is. walk: of the address; guard: whether the address lies in a
 * guard page.
 */
enum fault_kind page_fault_classify(const struct trap_frame *frame, virt_addr_t address,
                                    const struct page_walk *walk, bool guard);

/* "write to read-only memory", and what to look at next. */
const char *fault_kind_text(enum fault_kind kind);
const char *fault_kind_advice(enum fault_kind kind);

/* The error code's bits in words: "present, write, kernel". Returns `buffer`. */
#define PAGE_FAULT_BITS_BYTES 128
const char *page_fault_bits_text(uint64_t error_code, char buffer[PAGE_FAULT_BITS_BYTES]);

/* The walk in one line: "PML4[511] 0x... > PT[3] 0x...: not present". Returns `buffer`. */
#define PAGE_WALK_TEXT_BYTES 256
const char *page_walk_text(const struct page_walk *walk, char buffer[PAGE_WALK_TEXT_BYTES]);

/* A selector error code in words: "GDT entry 0x30, external event". Returns `buffer`. */
#define SELECTOR_ERROR_BYTES 64
const char *selector_error_text(uint64_t error_code, char buffer[SELECTOR_ERROR_BYTES]);

/* "page fault"; "reserved exception" for a vector the CPU does not define. vector: 0 .. 31. */
const char *exception_name(unsigned vector);

/* Whether the vector's error code is a selector. */
bool exception_has_selector_error(unsigned vector);

#define INSTRUCTION_BYTES 15 /* longest instruction */

/*
 * The address that the instruction `code` (of which `bytes` bytes could be read) uses as its memory operand,
 * from the registers in `frame`. Returns false when it has none or is not one this decoder knows (SDM volume
 * 2, 2.1).
 */
bool instruction_memory_operand(const uint8_t *code, size_t bytes, const struct trap_frame *frame,
                                virt_addr_t *address);

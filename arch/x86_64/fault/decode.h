/*
 * What an exception means: pure functions on its numbers, and the page-table walk behind a page fault.
 * Host-tested (tests/host/arch/test_fault.c).
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>
#include <x86/trap_frame.h>

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
    FAULT_SMAP,          /* the kernel touched user memory without saying so */
    FAULT_KERNEL_ONLY,   /* user code touched kernel memory */
    FAULT_CORRUPT_TABLE, /* a reserved bit in a page-table entry */
    FAULT_KEY,           /* protection key */
    FAULT_SHADOW,        /* shadow stack */
    FAULT_ENCLAVE,       /* SGX */
    FAULT_STALE,         /* the page tables allow it now: a missing TLB flush, or another CPU changed them */
    FAULT_NON_CANONICAL, /* the address is none (arrives as #GP or #SS) */
    FAULT_KIND_COUNT
};

/* One entry on the way from the root to the page. */
struct page_walk_step {
    unsigned level;       /* 5 .. 1 */
    phys_addr_t entry_at; /* where the entry lies */
    uint64_t entry;       /* its value */
};

enum page_walk_end {
    WALK_MAPPED,        /* a leaf was found */
    WALK_NOT_PRESENT,   /* the last step's entry is not present */
    WALK_RESERVED,      /* the last step's entry has a reserved bit set */
    WALK_UNREADABLE,    /* the next table lies where nothing can be read */
    WALK_NON_CANONICAL, /* no walk: the address is none */
};

struct page_walk {
    enum page_walk_end end;
    unsigned step_count;
    struct page_walk_step steps[PAGE_LEVEL_PML5]; /* from the root down */
    unsigned access;    /* enum page_access allowed by all steps together, if mapped */
    phys_addr_t target; /* where `address` lands, if mapped */
};

/* Reads the page-table entry at physical address `at`; false when there is no memory there. */
typedef bool page_table_reader(void *context, phys_addr_t at, uint64_t *entry);

/* Translates `address` as the CPU does. physical_bits: of the CPU; address bits above are reserved in
 * entries. */
struct page_walk page_walk(page_table_reader *read, void *context, phys_addr_t root, unsigned levels,
                           unsigned physical_bits, virt_addr_t address);

/* A page fault this close to the stack pointer is the stack's own. */
#define STACK_REACH_BYTES 256

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
const char *page_walk_text(const struct page_walk *walk, virt_addr_t address,
                           char buffer[PAGE_WALK_TEXT_BYTES]);

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

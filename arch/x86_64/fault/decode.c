/* What an exception's numbers mean; see decode.h. */
#include "decode.h"

#include <ashlar/format.h>

static const char *const exception_names[EXCEPTION_COUNT] = {
    [EXCEPTION_DIVIDE] = "divide error",
    [EXCEPTION_DEBUG] = "debug",
    [EXCEPTION_NMI] = "non-maskable interrupt",
    [EXCEPTION_BREAKPOINT] = "breakpoint",
    [EXCEPTION_OVERFLOW] = "overflow",
    [EXCEPTION_BOUND] = "bound range exceeded",
    [EXCEPTION_INVALID_OPCODE] = "invalid opcode",
    [EXCEPTION_DEVICE_NOT_AVAILABLE] = "FPU not available",
    [EXCEPTION_DOUBLE_FAULT] = "double fault",
    [EXCEPTION_INVALID_TSS] = "invalid TSS",
    [EXCEPTION_SEGMENT_NOT_PRESENT] = "segment not present",
    [EXCEPTION_STACK_SEGMENT] = "stack-segment fault",
    [EXCEPTION_GENERAL_PROTECTION] = "general protection fault",
    [EXCEPTION_PAGE_FAULT] = "page fault",
    [EXCEPTION_X87] = "x87 floating-point error",
    [EXCEPTION_ALIGNMENT_CHECK] = "alignment check",
    [EXCEPTION_MACHINE_CHECK] = "machine check",
    [EXCEPTION_SIMD] = "SIMD floating-point exception",
    [EXCEPTION_VIRTUALISATION] = "virtualisation exception",
    [EXCEPTION_CONTROL_PROTECTION] = "control protection exception",
};

static const struct {
    const char *text;
    const char *advice;
} kinds[] = {
    [FAULT_NULL] = {"null dereference",
                    "the pointer that is null: the address is the offset of the member used"},
    [FAULT_UNMAPPED] = {"nothing is mapped there",
                        "a pointer used after its memory was freed, or never valid"},
    [FAULT_GUARD] = {"guard page",
                     "what overran its stack or buffer: deep recursion or a large local variable"},
    [FAULT_STACK] =
        {"the stack pointer leads to unmapped memory",
         "who set the stack pointer: a saved frame that was overwritten, or a wrong stack switch"},
    [FAULT_READ_ONLY] = {"write to read-only memory",
                         "who writes to a constant, to code, or to a sealed page"},
    [FAULT_NO_EXECUTE] = {"execution of data", "a function pointer or return address that was overwritten"},
    [FAULT_SMEP] = {"SMEP violation: the kernel executed user memory",
                    "a function pointer under user control"},
    [FAULT_SMAP] = {"SMAP violation: the kernel touched user memory",
                    "a user pointer used without a copy function"},
    [FAULT_KERNEL_ONLY] = {"user code touched kernel memory", "the user program"},
    [FAULT_CORRUPT_TABLE] = {"corrupted page table: a reserved bit is set",
                             "who wrote to the page table in the last step of the walk"},
    [FAULT_KEY] = {"forbidden by a protection key", "the page's key and PKRU"},
    [FAULT_SHADOW] = {"shadow-stack access violation", "a return address that was overwritten"},
    [FAULT_ENCLAVE] = {"SGX violation", "enclave memory used from outside"},
    [FAULT_STALE] = {"the page tables allow this access", "a change of the page tables without a TLB flush"},
    [FAULT_NON_CANONICAL] = {"non-canonical address", "a pointer that was overwritten or never initialised"},
};

_Static_assert(ARRAY_LENGTH(kinds) == FAULT_KIND_COUNT, "every kind has its texts");

const char *exception_name(unsigned vector)
{
    const char *name = vector < EXCEPTION_COUNT ? exception_names[vector] : NULL;
    return name ? name : "reserved exception";
}

bool exception_has_selector_error(unsigned vector)
{
    return vector >= EXCEPTION_INVALID_TSS && vector <= EXCEPTION_GENERAL_PROTECTION;
}

const char *fault_kind_text(enum fault_kind kind)
{
    return kinds[kind].text;
}

const char *fault_kind_advice(enum fault_kind kind)
{
    return kinds[kind].advice;
}

static enum fault_kind classify_absent(const struct trap_frame *frame, virt_addr_t address, bool guard)
{
    if (guard) {
        return FAULT_GUARD;
    }
    if (!trap_from_user(frame) &&
        address.raw - (frame->rsp - STACK_REACH_BYTES) < 2 * (uint64_t)STACK_REACH_BYTES) {
        return FAULT_STACK;
    }
    return address.raw < NULL_AREA_BYTES ? FAULT_NULL : FAULT_UNMAPPED;
}

/* The page is there: what about it forbids the access? The same order of checks as SDM volume 3, 4.6.1. */
static enum fault_kind classify_forbidden(uint64_t error_code, const struct page_walk *walk)
{
    if (walk->end != WALK_MAPPED) {
        return FAULT_STALE;
    }
    bool user_page = walk->access & PAGE_USER;
    if (error_code & PAGE_FAULT_USER && !user_page) {
        return FAULT_KERNEL_ONLY;
    }
    if (error_code & PAGE_FAULT_FETCH) {
        if (!(error_code & PAGE_FAULT_USER) && user_page) {
            return FAULT_SMEP;
        }
        return walk->access & PAGE_EXECUTE ? FAULT_STALE : FAULT_NO_EXECUTE;
    }
    if (error_code & PAGE_FAULT_WRITE && !(walk->access & PAGE_WRITE)) {
        return FAULT_READ_ONLY;
    }
    return !(error_code & PAGE_FAULT_USER) && user_page ? FAULT_SMAP : FAULT_STALE;
}

enum fault_kind page_fault_classify(const struct trap_frame *frame, virt_addr_t address,
                                    const struct page_walk *walk, bool guard)
{
    uint64_t error_code = frame->error_code;
    if (error_code & PAGE_FAULT_SGX) {
        return FAULT_ENCLAVE;
    }
    if (error_code & PAGE_FAULT_RESERVED) {
        return FAULT_CORRUPT_TABLE;
    }
    if (error_code & PAGE_FAULT_PROTECTION_KEY) {
        return FAULT_KEY;
    }
    if (error_code & PAGE_FAULT_SHADOW_STACK) {
        return FAULT_SHADOW;
    }
    return error_code & PAGE_FAULT_PRESENT ? classify_forbidden(error_code, walk)
                                           : classify_absent(frame, address, guard);
}

const char *page_fault_bits_text(uint64_t error_code, char buffer[PAGE_FAULT_BITS_BYTES])
{
    const char *access = error_code & PAGE_FAULT_FETCH   ? "fetch"
                         : error_code & PAGE_FAULT_WRITE ? "write"
                                                         : "read";
    format(buffer, PAGE_FAULT_BITS_BYTES, "%s by %s code, page %s%s%s%s%s", access,
           error_code & PAGE_FAULT_USER ? "user" : "kernel",
           error_code & PAGE_FAULT_PRESENT ? "present" : "not present",
           error_code & PAGE_FAULT_RESERVED ? ", reserved bit" : "",
           error_code & PAGE_FAULT_PROTECTION_KEY ? ", protection key" : "",
           error_code & PAGE_FAULT_SHADOW_STACK ? ", shadow stack" : "",
           error_code & PAGE_FAULT_SGX ? ", SGX" : "");
    return buffer;
}

const char *selector_error_text(uint64_t error_code, char buffer[SELECTOR_ERROR_BYTES])
{
    /* SDM volume 3, 6.13. */
    const char *table = error_code & 2 ? "IDT" : error_code & 4 ? "LDT" : "GDT";
    uint64_t index = error_code >> 3 & 0x1fff;
    format(buffer, SELECTOR_ERROR_BYTES, "%s entry %" PRIu64 " (%#" PRIx64 ")%s", table, index,
           (error_code & 0xfff8), error_code & 1 ? ", external event" : "");
    return buffer;
}

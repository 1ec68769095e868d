/* What hand_off.c tells the assembly that enters the kernel; hand_off.S knows these offsets. */
#pragma once

#include <ashlar/types.h>

struct hand_off {
    uint64_t root;       /* 0: physical address of the kernel's root table */
    uint64_t stack_top;  /* 8: virtual, 16-byte aligned */
    uint64_t entry;      /* 16: virtual */
    uint64_t boot_info;  /* 24: virtual */
    uint64_t cr4;        /* 32: value to run with, except for LA57 */
    uint64_t trampoline; /* 40: page to switch to 5 levels in, or 0 */
};

_Static_assert(offsetof(struct hand_off, trampoline) == 40, "hand_off.S counts on it");

/* The code that is copied to the trampoline page, and the parts of it that are filled in there. */
extern const uint8_t la57_start[];
extern const uint8_t la57_end[];
extern const uint8_t la57_gdt_pointer[]; /* limit:16, base:64 */
extern const uint8_t la57_gdt[];
extern const uint8_t la57_far_32[]; /* offset:32, selector:16 */
extern const uint8_t la57_code_32[];
extern const uint8_t la57_far_64[]; /* offset:32, selector:16 */
extern const uint8_t la57_code_64[];
extern const uint8_t la57_hand_off[]; /* struct hand_off */

/* Sets the CPU to known values, switches page tables and stack, and calls the kernel. */
_Noreturn void kernel_enter(const struct hand_off *hand_off);

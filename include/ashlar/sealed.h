/*
 * Data that is written while the machine starts and never again: it lies in its own segment of the image,
 * which address_space_start() maps read-only at every address. A stray write to it is a page fault from then
 * on.
 */
#pragma once

#include <ashlar/boot_info.h>

/* Stands before a variable, as in `static SEALED struct interrupt_table idt;`. The variable starts as zeros,
 * which take no room in the file. */
#define SEALED __attribute__((section(".bss.sealed")))

/* The segment's first byte, and the one behind its last (arch/x86_64/boot/kernel.ld). */
extern uint8_t sealed_start[];
extern uint8_t sealed_end[];

static inline bool is_sealed(virt_addr_t address)
{
    return address.raw >= (uintptr_t)sealed_start && address.raw < (uintptr_t)sealed_end;
}

/* Whether a segment of the image may be written once the kernel's own page tables are loaded: the sealed one
 * may not. */
static inline bool segment_is_writable(const struct boot_segment *segment)
{
    return (segment->flags & BOOT_SEGMENT_WRITE) && !is_sealed(segment->virtual_base);
}

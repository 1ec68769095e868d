/*
 * Data that is written while the machine starts and never again: it lies in a segment of the image of its
 * own, which address_space_start() maps read-only at every address. A stray write to it, later, is a page
 * fault.
 */
#pragma once

#include <ashlar/boot_info.h>

/* Before a variable: static SEALED struct interrupt_table idt; it starts as zeros, which the image does not
 * carry. */
#define SEALED __attribute__((section(".bss.sealed")))

/* The segment's first byte, and the one behind its last (arch/x86_64/boot/kernel.ld). */
extern uint8_t sealed_start[];
extern uint8_t sealed_end[];

static inline bool is_sealed(virt_addr_t address)
{
    return address.raw >= (uintptr_t)sealed_start && address.raw < (uintptr_t)sealed_end;
}

/* Whether a segment of the image may be written at run time: what is sealed was, for the last time, before
 * the kernel's own tables were loaded. */
static inline bool segment_is_writable(const struct boot_segment *segment)
{
    return (segment->flags & BOOT_SEGMENT_WRITE) && !is_sealed(segment->virtual_base);
}

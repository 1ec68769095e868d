/* The interrupt descriptor table: one gate per vector, all leading to entry.S (SDM volume 3, 6.14). */
#include <ashlar/sealed.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/segments.h>

#include "internal.h"

#define GATE_INTERRUPT 0x8e /* present, 64-bit interrupt gate: the CPU turns interrupts off */
#define GATE_USER      0x60 /* user mode may raise it by INT n */

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack; /* IST slot, or 0 for the interrupted stack */
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

_Static_assert(sizeof(struct gate) == 16, "fixed by the CPU");

struct interrupt_table {
    struct gate gates[INTERRUPT_VECTORS];
} __attribute__((aligned(4096)));

static SEALED struct interrupt_table idt;

static uint8_t stack_of(unsigned vector)
{
    switch (vector) {
    case EXCEPTION_DEBUG:
        return IST_DEBUG;
    case EXCEPTION_NMI:
        return IST_NMI;
    case EXCEPTION_DOUBLE_FAULT:
        return IST_DOUBLE_FAULT;
    case EXCEPTION_PAGE_FAULT:
        return IST_PAGE_FAULT;
    case EXCEPTION_MACHINE_CHECK:
        return IST_MACHINE_CHECK;
    default:
        return 0;
    }
}

static struct gate gate_of(unsigned vector)
{
    uint64_t entry = (uintptr_t)trap_stubs + (uint64_t)vector * TRAP_STUB_BYTES;
    return (struct gate){
        .offset_low = (uint16_t)entry,
        .selector = SELECTOR_KERNEL_CODE,
        .stack = stack_of(vector),
        .type = GATE_INTERRUPT | (vector == EXCEPTION_BREAKPOINT ? GATE_USER : 0),
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

void idt_load(void)
{
    struct descriptor_table table = {.limit = sizeof idt - 1, .base = (uintptr_t)&idt};
    DESCRIPTOR_TABLE_LOAD("lidt", table);
}

void idt_init(void)
{
    for (unsigned vector = 0; vector < INTERRUPT_VECTORS; vector++) {
        idt.gates[vector] = gate_of(vector);
    }
    idt_load();
}

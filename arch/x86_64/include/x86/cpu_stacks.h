/* The stacks that traps of the boot CPU run on when the interrupted one may be broken. */
#pragma once

#include <x86/per_cpu.h>

/* Writes the stacks' addresses into the task state of `cpu`. */
void cpu_stacks_init(struct per_cpu *cpu);

/* Unmaps the page below each stack and names it for fault reports. Needs boot_info() and this CPU's traps. */
void cpu_stacks_guard(void);

/*
 * Stores the address of guard page number `index`, from 0 on; returns false when there are no more. Page
 * tables for the image must leave these pages unmapped.
 */
bool cpu_stacks_guard_page(unsigned index, virt_addr_t *page);

/* Top of the stack that panic reports run on. */
void *panic_stack_top(void);

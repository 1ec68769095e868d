/* The stacks that traps of the boot CPU run on when the interrupted one may be broken. */
#pragma once

#include <x86/per_cpu.h>

/* Enters the stacks into `cpu`'s task state. */
void cpu_stacks_init(struct per_cpu *cpu);

/* Unmaps the page below each stack and names it for fault reports. Needs boot_info() and this CPU's traps. */
void cpu_stacks_guard(void);

/*
 * The guard page numbered `index`, from 0 on: whoever builds page tables for the image leaves these out.
 * False when there are no more.
 */
bool cpu_stacks_guard_page(unsigned index, virt_addr_t *page);

/* Top of the stack that panic reports run on. */
void *panic_stack_top(void);

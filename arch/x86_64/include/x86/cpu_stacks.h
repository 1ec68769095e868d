/*
 * The stacks that traps run on when the interrupted one may be broken. The boot CPU's lie in the image, since
 * the first fault can come before there is any allocator; those of others are allocated by kernel/processor/.
 */
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

/* What another CPU's stack for interrupt stack table slot 1 .. IST_COUNT is to be: its length in bytes, and
 * what it is for ("NMI"). */
size_t trap_stack_bytes(unsigned slot);
const char *trap_stack_name(unsigned slot);

/* Top of the stack that panic reports run on; one for all CPUs, since only one of them reports. */
void *panic_stack_top(void);

/* Bringing the CPU under the kernel's control. */
#pragma once

#include <ashlar/boot_info.h>
#include <x86/cpuid.h>
#include <x86/per_cpu.h>

/*
 * Gives the boot CPU its per-CPU data, descriptor tables, trap stacks with guard pages and hardened control
 * registers, and sets the stack protector's guard. Once, right after boot_info_keep(), with interrupts off;
 * everything that uses <ashlar/platform.h> comes after it. Of boot_info(), which may not have passed its
 * check, it uses the physmap's address and the seed only.
 */
void cpu_early_init(const struct boot_info *info);

/* The values that the control registers of every CPU get at its start, and those that this CPU has. */
struct cpu_control {
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
    uint64_t pat; /* 0 on a CPU without a page attribute table */
};
struct cpu_control cpu_control_wanted(void);
struct cpu_control cpu_control_actual(void);

/*
 * For CPUs after the first, each on itself: which features (bit n: enum cpu_feature n) the boot CPU has and
 * this one lacks; which of those it cannot be without, as the kernel has them in use; the revision of its
 * microcode, 0 when it is not known.
 */
uint64_t cpu_features_lacking(void);
uint64_t cpu_features_needed(void);
uint64_t cpu_microcode(void);

/* Gives this CPU's control registers what cpu_control_wanted() says. For each CPU on its own start. */
void cpu_control_set(void);

/* Loads this CPU's descriptor table, task register and GS base. For each CPU on its own start. */
void gdt_load(struct per_cpu *cpu);

/* Fills the interrupt descriptor table and loads it on this CPU. Once, by the boot CPU. */
void idt_init(void);

/* Loads the filled table on this CPU. */
void idt_load(void);

/* CPU 0's structure. */
extern struct per_cpu boot_cpu;

/*
 * Calls function(argument) on the stack that ends at `stack_top` (16-byte aligned) and returns to this one.
 */
void call_on_stack(void (*function)(void *argument), void *argument, void *stack_top);

/*
 * CPUs around the model of the MMU: control registers, INVLPG and INVPCID, as the SDM has them (volume 3,
 * 4.10.4.1), so that arch/x86_64/paging/tlb.c and mm/paging/shootdown.c themselves can be run and their
 * flushes judged. They are the worst CPUs again: each has a TLB of its own, and each instruction drops there
 * what it must and nothing else.
 *
 * The CPU at work is that with the thread's number, host_cpu. One set of tables is loaded on each. Only that
 * one is read ahead, and only what is cached under its PCID, or global, can be used; the rest stays until it
 * is dropped, and is found stale when its PCID is loaded.
 */
#pragma once

#include "mmu_model.h"

#define MMU_CPUS_MAX 8

/*
 * Starts CPUs 0 .. cpus - 1 with or without PCIDs and INVPCID; `kernel` is loaded on each. The first is at
 * work, and where there are several each has a mailbox and is online; one that is interrupted answers at
 * once. After mmu_model_start().
 */
void mmu_cpu_start(struct page_table *kernel, unsigned cpus, bool pcid, bool invpcid);

/* Lets the CPU with that number be at work from now on. */
void mmu_cpu_play(unsigned number);

/* Interrupts sent so far. */
uint64_t mmu_cpu_interrupts(void);

/* mmu_model_fill() and mmu_model_check() on each CPU. */
void mmu_cpu_fill_all(void);
void mmu_cpu_check_all(void);

/* Early in a start: global pages are off, and what is marked so is dropped like the rest. */
void mmu_cpu_without_global_pages(void);

/* Tables that may be loaded from now on, and those that may not any more; what is cached of them stays. */
void mmu_cpu_know(struct page_table *table);
void mmu_cpu_forget(struct page_table *table);

/* What is loaded on the CPU at work. */
struct page_table *mmu_cpu_loaded(void);

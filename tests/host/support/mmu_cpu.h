/*
 * A CPU around the model of the MMU: control registers, INVLPG and INVPCID, as the SDM has them (volume 3,
 * 4.10.4.1), so that arch/x86_64/paging/tlb.c itself can be run and its flushes judged. It is the worst CPU
 * again: each instruction drops what it must and nothing else.
 *
 * One set of tables is loaded at a time. Only that one is read ahead, and only what is cached under its PCID,
 * or global, can be used; the rest stays until it is dropped, and is found stale when its PCID is loaded.
 */
#pragma once

#include "mmu_model.h"

/* Starts a CPU with or without PCIDs and INVPCID; `kernel` is loaded. After mmu_model_start(). */
void mmu_cpu_start(struct page_table *kernel, bool pcid, bool invpcid);

/* Early in a start: global pages are off, and what is marked so is dropped like the rest. */
void mmu_cpu_without_global_pages(void);

/* Tables that may be loaded from now on, and those that may not any more; what is cached of them stays. */
void mmu_cpu_know(struct page_table *table);
void mmu_cpu_forget(struct page_table *table);

/* What is loaded. */
struct page_table *mmu_cpu_loaded(void);

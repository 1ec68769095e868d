/* The kernel's private header: what main.c calls of its own room. */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/heap.h>

/* Called by arch/x86_64/boot/entry.S, through the hooks, on the boot stack; does not return. */
void kernel_main(const struct boot_info *info) __attribute__((noreturn));

/*
 * Audits the loader's page tables: from the kernel's first instruction on no frame may be both writable and
 * executable, at whatever addresses. Called before the identity map is dropped; there is no console yet, so
 * loader_tables_judge() reports the result. On a CPU without 1 GiB pages the cost grows with the RAM, so only
 * builds with all assertions do it; a boot test checks the others from outside.
 */
void loader_tables_audit(const struct boot_info *info);

/* Panics if loader_tables_audit(), which was called before, has found something. The console is there. */
void loader_tables_judge(void);

/*
 * Makes the kernel's heap on its frames, with the debug rules of the command line; panics without memory.
 * virtually: gives it blocks for which no run of frames is long enough.
 */
void heap_start(const struct boot_info *info, const struct heap_virtual *virtually);

/* From now on, an allocation that finds nothing gets what other CPUs have in their magazines. Before any
 * other CPU runs. */
void collect_start(void);

/* Gives the heap blocks of vmalloc; none before addresses_start(). */
extern const struct heap_virtual heap_virtual_blocks;

/* Calls `visit` for each block of vmalloc that is not the heap's, kernel stacks included. A block that is
 * being freed may be unmapped already. */
void addresses_each_block(void (*visit)(void *context, const void *base, uint64_t bytes), void *context);

/*
 * Makes the kernel's arena of virtual addresses, and what stands on it; panics without memory. After the
 * heap.
 */
void addresses_start(const struct boot_info *info);

/* Makes the kernel's address spaces: the lazily filled range, and what user spaces share; panics without
 * memory. */
void spaces_start(void);

/* Lets fault reports say why a space refused an address. After spaces_start(). */
void page_faults_start(void);

/* Gives the heap its guarded slots, if there is memory for them. After addresses_start(). */
void heap_guard_start(void);

/* Opens the serial port and the screen, as far as they exist and the command line wants them. */
void consoles_start(void);

#ifdef ASHLAR_DEBUG
struct kernel_test_order;

/*
 * As kernel_tests_run() (<ashlar/test.h>); with `interleave=SEED` of the command line, in the interleaving
 * that the seed gives, and with `interleave-seeds=COUNT`, once for each of so many seeds from there on, until
 * one fails. Logs how each run was told from others (<ashlar/interleave.h>).
 */
unsigned interleaved_tests_run(const char *pattern, const struct kernel_test_order *order);
#endif

/* Prints who we are and what we run on: version, CPU, firmware, paging, memory map, timeline. */
void banner_print(void);

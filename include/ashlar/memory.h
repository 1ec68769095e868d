/*
 * The kernel's own memory: its pool of physical frames, its page tables, and its arena of virtual addresses.
 */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/kva.h>

struct page_table;
struct physmap_plan;

/*
 * Makes the kernel's frame pool from the memory map the loader handed over; panics when the machine has no
 * memory for it. Once, by the boot CPU, before anything that allocates. Memory that the firmware's boot
 * services used is not in the pool before memory_reclaim_boot().
 */
void memory_start(const struct boot_info *info);

/*
 * Builds the kernel's own page tables, loads them, and takes back the memory of the loader's; panics when
 * there is none for it. Once, by the boot CPU, right after memory_start().
 */
void address_space_start(const struct boot_info *info);

/* The kernel's page tables; valid after address_space_start(). */
struct page_table *kernel_page_table(void);

/* The tables for UEFI runtime calls, with the kernel's half and the firmware's regions; NULL when the
 * firmware cannot be called. */
struct page_table *address_space_runtime(void);

/*
 * Begins a plan (<ashlar/physmap.h>) of how the kernel maps all its RAM, in the physmap and in any other
 * window onto RAM: executable and sealed memory is read-only in it. limit: first physical address that is not
 * mapped.
 */
void kernel_physmap_plan(struct physmap_plan *plan, uint64_t limit);

/*
 * Gives the pool the memory that the firmware's boot services and the loader used. The loader has seen to it
 * that nothing is needed of it any more (<ashlar/boot_info.h>, firmware_copies). Once, by the boot CPU, after
 * address_space_start().
 */
void memory_reclaim_boot(void);

/*
 * One frame below 1 MiB for `owner`: for code that a CPU starts with in real mode. That memory is kept from
 * all other use. FRAME_NONE when the firmware has left none, or all of it is taken. Any number of CPUs at
 * once.
 */
phys_addr_t memory_take_low(enum frame_owner owner);

/* Returns a frame of memory_take_low(); panics when it is not `owner`'s. */
void memory_return_low(phys_addr_t frame, enum frame_owner owner);

/* The kernel's frames; valid after memory_start(). */
struct frame_pool *kernel_frames(void);

/*
 * The ledger of the kernel's frames, and how many of them are free, to the byte: with the world stopped
 * (<ashlar/world.h>), as a CPU that prepares a zeroed frame, or gives frames back, has some in its hands.
 */
void memory_ledger(struct frame_ledger *ledger);
uint64_t memory_free_frames(void);

/* The kernel's virtual addresses (ARENA_BASE .. ARENA_END, <ashlar/layout.h>); valid once the heap is. */
struct kva_arena *kernel_kva(void);

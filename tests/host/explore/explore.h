/*
 * Every interleaving of a few CPUs that run real code, tried out one after the other.
 *
 * A CPU is a coroutine. It stops before each step that others can notice: an atomic operation, an instruction
 * that changes what its TLB holds, a turn of a loop that waits. What can happen next is one step of one of
 * them, or that a CPU takes an interrupt that was sent to it, or that the oldest store in a store buffer
 * reaches memory. The explorer tries all of these in turn, goes on from there, and comes back to try the
 * others: all that the CPUs can write lies in one structure, stacks included, which is copied and put back. A
 * state that was seen before is not gone into again, and so the search ends where loops go round.
 *
 * The TLBs are the worst there can be: after every step each of them holds all that it could read from the
 * loaded tables, beside all that it read before and was not told to drop. A CPU may use what it holds at any
 * moment. So the search fails as soon as one holds a frame under the loaded number that is free, or that
 * belongs to other tables; and when nobody can go on although somebody is not done.
 */
#pragma once

#include <ashlar/page_table.h>

#define EXPLORE_CPUS  3
#define EXPLORE_PAGES 3 /* two of each space, and one of the kernel's half */

/* Where the pages are. */
#define EXPLORE_KERNEL_PAGE 2
virt_addr_t explore_address(unsigned page);

/* The tables: of the kernel, and of two spaces that share its half. */
enum explore_table { EXPLORE_KERNEL, EXPLORE_A, EXPLORE_B, EXPLORE_TABLES };

struct explore_scenario {
    const char *name;
    unsigned cpus;
    bool pcid;                           /* they have PCIDs */
    bool global;                         /* the kernel's page is mapped PAGE_GLOBAL */
    void (*prepare[EXPLORE_CPUS])(void); /* what each has done before; NULL: it is not even online */
    void (*run[EXPLORE_CPUS])(void);     /* what each does */
};

/* What came of it: NULL, or what went wrong; and how many states there were. */
const char *explore(const struct explore_scenario *scenario, uint64_t *states);

/* Prints how the last failure came about, step by step. */
void explore_print_path(void);

/* ---- For what the CPUs run ---- */

struct page_table *explore_tables(enum explore_table table);

/* Begins to use whatever is mapped: the CPU at work is online. */
void explore_is_online(void);

/* Turns interrupts on or off; returns whether they were on. */
bool explore_interrupts(bool on);

/* Takes the page out of the tables, like an unmapping that has not flushed yet. */
void explore_clear(enum explore_table table, unsigned page);

/* The frame that the page had is free from now on, and may be anybody's. */
void explore_free(enum explore_table table, unsigned page);

/* Inside the explorer: the machine that the CPUs share. All that changes lies in `world`. */
#pragma once

#include "explore.h"

#define EXPLORE_NUMBERS 8  /* PCIDs that the code under test may use */
#define EXPLORE_STORES  16 /* places of a store buffer */
#define EXPLORE_STACK   512
#define EXPLORE_MEMORY  256 /* words for mailboxes and what CPUs remember */

struct explore_store {
    uint64_t *word;
    uint64_t value;
};

struct explore_cpu {
    void *stack;          /* where it goes on */
    const char *about_to; /* do this */
    bool done;            /* with its part of the scenario */
    bool waits;           /* until others write something */
    bool news;            /* others have */
    bool interrupts_on;
    bool interrupted; /* an interrupt was sent to it */
    bool taking;      /* it goes on in the handler */
    bool careful;     /* it is not online, and uses no page that may go */
    uint64_t cr3, cr4;
    uint64_t tlb[EXPLORE_NUMBERS][EXPLORE_PAGES]; /* frames that are cached, a bit for each */
    uint64_t global;                              /* frames of the kernel's page that are cached as global */
    uint64_t stores;                              /* waiting in the store buffer, the oldest first */
    struct explore_store buffer[EXPLORE_STORES];
};

/* Whole words only, as it is hashed by words. */
struct explore_world {
    unsigned at; /* the CPU at work */
    const char *failure;
    struct explore_cpu cpu[EXPLORE_CPUS];
    uint64_t entries[EXPLORE_TABLES]
                    [EXPLORE_PAGES]; /* the frame's bit, or 0; the kernel's page in its table */
    uint64_t freed;                  /* frames */
    struct page_table tables[EXPLORE_TABLES];
    uint64_t memory[EXPLORE_MEMORY];
    uint64_t stacks[EXPLORE_CPUS][EXPLORE_STACK];
};

extern struct explore_world world;

static inline struct explore_cpu *explore_here(void)
{
    return &world.cpu[world.at];
}

/* ---- explore.c ---- */

/* The CPU at work stops before it does `what`. */
void explore_step(const char *what);

/* The search ends with this. */
void explore_fail(const char *what);

/* ---- machine.c ---- */

void explore_make_world(const struct explore_scenario *scenario);

/* The oldest store in the buffer reaches memory. */
void explore_drain_one(struct explore_cpu *cpu);

/* Each TLB reads all that it can. */
void explore_read_ahead(void);

/* No CPU can use what it must not. */
void explore_check(void);

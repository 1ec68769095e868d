/*
 * Starting the other processors (SDM volume 3, 8.4.4): INIT, then STARTUP, which makes a processor begin in
 * real mode in a frame below 1 MiB. The code there brings it to 64-bit mode on tables whose root lies below
 * 4 GiB, and on to the kernel, where each processor finds its own record by its APIC number.
 *
 * The frame is never writable and executable at once: its code is written first; while processors run it, it
 * is read-only at every address. docs/processors.md draws the way.
 */
#pragma once

#include <ashlar/types.h>
#include <x86/per_cpu.h>

enum startup_state {
    STARTUP_EXPECTED,   /* the processor has not come yet */
    STARTUP_ARRIVED,    /* it runs on the kernel's own tables: written by the processor */
    STARTUP_GIVEN_UP,   /* nobody waits for it any more: written by the boot CPU */
    STARTUP_LACKS_NX,   /* it cannot come, as it has no such feature: written by the processor, which halts */
    STARTUP_LACKS_LA57, /* the same */
};

/* One processor to be started. arch/x86_64/processor/startup.S reads its number and its stack. */
struct startup_cpu {
    uint32_t apic_id;          /* local APIC or x2APIC identifier */
    _Atomic(uint32_t) arrived; /* enum startup_state */
    uint64_t stack_top;        /* where it begins: kernel address, 16-byte aligned */
    struct per_cpu *cpu;       /* its data, with number and trap stacks filled in */
};

/* All of them. A processor looks here before it switches paging on: in memory below 4 GiB. */
struct startup_table {
    uint32_t count;            /* of those that may arrive; one that is not among them halts at once */
    uint32_t x2apic;           /* 1: they are to switch x2APIC mode on */
    struct startup_cpu cpus[]; /* in any order */
};

/* What the start-up code has to know; all lies below 4 GiB. */
struct startup_places {
    phys_addr_t frame; /* where it runs, below 1 MiB */
    phys_addr_t root;  /* of page tables that show the kernel's half and, at its physical address, `frame` */
    phys_addr_t table; /* the struct startup_table */
};

/* Writes the start-up code to `page`, where its frame is writable now. */
void startup_code_write(void *page, const struct startup_places *places);

/* Lets the first `count` processors of the table arrive, on the kernel's tables, whose root this is. */
void startup_expect(struct startup_table *table, unsigned count, phys_addr_t root);

/* Whether processors of this kind need 10 ms between INIT and STARTUP. */
bool startup_needs_pause(void);

/* Fills in the data of a CPU that is not the boot CPU: its number, and the tops of its trap stacks, from that
 * of slot 1 on. */
void per_cpu_prepare(struct per_cpu *cpu, uint32_t number, const virt_addr_t stack_tops[IST_COUNT]);

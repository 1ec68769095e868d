/* What the files of this folder share. */
#pragma once

#include <ashlar/cpu_set.h>
#include <ashlar/processor.h>
#include <stdatomic.h>
#include <x86/startup.h>

/* ---- count.c ---- */

/* Processors that the firmware has switched on; 0 when it names none. */
unsigned processors_enabled(void);

/* ---- list.c ---- */

/* Makes the list; returns how many of it, from the boot CPU on, are to be started and have a number. */
unsigned processors_list(void);

/* The processor at an index below that. */
struct processor *processor_listed(unsigned index);

/* ---- memory.c ---- */

/* Makes a CPU's own data and its guarded stacks, and its record. False when there is no memory, and then
 * nothing is kept. */
bool processor_make(struct processor *processor, struct startup_cpu *record);

/* ---- page.c ---- */

/* The frame below 1 MiB that processors begin in, and the tables that they begin on. */
struct startup_page {
    phys_addr_t frame; /* FRAME_NONE: there is none */
    phys_addr_t root;  /* of the tables; below 4 GiB */
};

/* Makes it: the frame holds the start-up code; it is executable in these tables and read-only everywhere.
 * Returns NULL, or what is missing, and then nothing is kept. */
const char *startup_page_make(struct startup_page *page);

/* Gives all of it back. No processor runs there, nor can begin to. */
void startup_page_free(struct startup_page *page);

/* ---- run.c ---- */

/* Logs what is odd about a processor that has come online, or why it has not. */
void processor_report(const struct processor *processor);

/* ---- tsc.c ---- */

/* By how many ticks the time-stamp counter of another CPU, which is online, is ahead of this one's; 0 when no
 * difference can be seen. only: an empty set, which is empty again afterwards. */
int64_t processor_compare_counter(unsigned cpu, struct cpu_set *only);

/* ---- world.c ---- */

/* Gives world_stop() the memory of its set: cpu_set_words() words. Before other CPUs run. */
void world_start(void *memory, unsigned cpus);

/* For the mailbox's handler: waits here if somebody has stopped the world and this is a good moment. */
void world_park_if_asked(void);

/* ---- stop.c ---- */

/* Lets a panic stop all other CPUs and say where they were. Before other CPUs run. */
void processor_panics_start(void);

/* Logs where a CPU is that does not answer; asked by an NMI. */
void processor_tell_where(unsigned cpu);

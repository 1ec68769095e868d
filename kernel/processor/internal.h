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

/* What processors begin with: the frame below 1 MiB with the code, the tables that they begin on, and the
 * table of those that may come. */
struct startup_page {
    struct startup_places places;
    unsigned table_order;        /* of the blocks of frames that the table is */
    struct startup_table *table; /* the same by its kernel address; with room for `count` */
};

/* Makes it: the frame holds the start-up code; it is executable in these tables and read-only everywhere.
 * Returns NULL, or what is missing, and then nothing is kept. */
const char *startup_page_make(struct startup_page *page, unsigned count);

/* Gives all of it back. No processor runs there, nor can begin to. */
void startup_page_free(struct startup_page *page);

/* ---- run.c ---- */

/* Refuses one that lacks something needed, as its `lacks` says. */
void processor_refuse(struct processor *processor);

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

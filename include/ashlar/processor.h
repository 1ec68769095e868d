/*
 * The machine's processors: which there are, which are started, and what each of them is doing.
 *
 * Numbers: the boot CPU is CPU 0; the others follow in the order of the firmware's table. The table is read
 * before there is memory (processors_count()), so all that is kept for each CPU is sized by what is there.
 * They are started when everything else works (processors_start()). docs/processors.md tells the story.
 */
#pragma once

#include <ashlar/types.h>

struct per_cpu;

enum processor_state {
    PROCESSOR_PARKED,   /* never started: the command line wants fewer, or something was missing */
    PROCESSOR_STARTING, /* it has been sent its start-up messages */
    PROCESSOR_ONLINE,   /* it runs */
    PROCESSOR_SILENT,   /* it did not come in time */
    PROCESSOR_REFUSED,  /* it came, but lacks what the kernel uses */
    PROCESSOR_STATES
};

struct processor {
    uint32_t number;         /* of the CPU; means nothing for one that is parked */
    uint32_t apic_id;        /* of its local APIC */
    uint32_t processor_id;   /* ACPI's own number; 0 when ACPI does not tell */
    _Atomic(uint32_t) state; /* enum processor_state */
    const char *why;         /* why it is not online, for people; NULL: there is no more to say */
    struct per_cpu *cpu;     /* its own data; NULL when it was not to be started */
    uint64_t lacks;          /* bit n: it lacks enum cpu_feature n, which the boot CPU has */
    uint64_t microcode;      /* revision; 0: unknown */
    int64_t ticks_ahead;     /* of its time-stamp counter, before the boot CPU's; 0: they agree */
};

/*
 * How many CPUs memory is kept for: the processors that are switched on, or `cpus=N` of the command line if
 * that is less; at least 1. The same at any time after START_FIRMWARE.
 */
unsigned processors_count(void);

/* The largest APIC number of a processor that is switched on; 0 when the firmware names none. */
uint32_t processors_largest_apic_id(void);

/*
 * Starts all CPUs but this one and returns when each is online or given up; those are logged, by number.
 * Once, by the boot CPU, with interrupts on, when all its devices are started.
 */
void processors_start(void);

/* The processors that are switched on, started or not, by index; NULL from the last one on. After
 * processors_start(); index 0 is the boot CPU, always. */
const struct processor *processor_at(unsigned index);

/* The data of CPU `number`; NULL when it has none, as it was not to be started. Any time. */
struct per_cpu *processor_data(unsigned number);

/* CPUs that run, from 1 on. Any time. */
unsigned processors_online(void);

/*
 * Runs work(context, cpu) on all CPUs that are online at once, in a thread that is bound to each; on this one
 * it is the calling thread. Returns true when all are done; false, and has run nothing, without memory for
 * the threads. cpu: the number of the CPU that runs it. Holding nothing.
 */
typedef void processor_work(void *context, unsigned cpu);
bool processors_run(processor_work *work, void *context) __attribute__((warn_unused_result));

/*
 * Runs work(context, cpu) on one CPU, and returns when it is done; otherwise as processors_run(). Returns
 * false, and runs nothing, when there is no such CPU online, or no memory.
 */
bool processor_run_on(unsigned cpu, processor_work *work, void *context);

/*
 * Has another CPU start work(context, cpu) and does not wait; otherwise as processor_run_on().
 */
bool processor_begin_on(unsigned cpu, processor_work *work, void *context);

/*
 * Asks another CPU, which is online, by an NMI where it is: returns the address of the instruction that it
 * was about to execute, or 0 when it has not answered in some milliseconds. Any context but an NMI's.
 */
uint64_t processor_where(unsigned cpu);

/* Where a processor goes on that has been started: <ashlar/hooks.h>. */
void processor_enter(void) __attribute__((noreturn));

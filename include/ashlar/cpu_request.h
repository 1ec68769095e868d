/*
 * Requests between CPUs: one CPU asks others to do something at once, and waits until all have done it.
 *
 * Each CPU has a mailbox with two sets: who has asked it for something, and who has not answered yet what it
 * has asked for itself. A CPU has one request of its own under way at a time, and it lies on its stack, as it
 * waits there for the answers. To ask is to enter the other's set and to interrupt it; to answer is to leave
 * the asker's set. So there are no queues, nothing is allocated, and nothing can be full.
 *
 * Nobody waits for ever: a CPU answers in the interrupt's handler, and where interrupts are off, while it
 * waits for answers or spins for a lock: whoever does that calls cpu_serve_requests() in the loop. So two
 * CPUs that ask each other at once, interrupts off, serve one another.
 *
 * Until cpu_requests_start() there is the boot CPU alone. It asks nobody, and has nothing to serve.
 */
#pragma once

#include <ashlar/cpu_set.h>

/* What the CPU that is asked runs, interrupts off. It asks nobody itself, and neither allocates nor waits. */
typedef void cpu_request_function(const void *context);

/* What sending takes from the architecture. */
struct cpu_request_calls {
    /* Interrupts CPU `cpu`, whose handler calls cpu_serve_requests(). All that this CPU has written before
     * must be seen by the handler; where the interrupt is sent by a write that does not wait for earlier ones
     * (WRMSR to an x2APIC: SDM volume 3, 10.12.3), it is to wait for them first. From any context. */
    void (*interrupt)(unsigned cpu);
    /* Says where a CPU is that has not answered in time; a panic follows. NULL: nothing can be said. */
    void (*silent)(unsigned cpu);
};

/* How much memory, aligned to 8 bytes, the mailboxes of `cpus` CPUs take. */
size_t cpu_requests_bytes(unsigned cpus);

/*
 * Makes mailboxes for CPUs 0 .. cpus - 1 in `memory`, which stays in use for good. The calling CPU is online,
 * the others are not yet. Called once at start-up, before any other CPU runs, and while no tables but the
 * kernel's are loaded: a set of page tables that was made before has room in its set of CPUs for one alone,
 * so no other CPU may load it.
 */
void cpu_requests_start(void *memory, unsigned cpus, const struct cpu_request_calls *calls);

/* How many CPUs can be online; 1 until cpu_requests_start(). */
unsigned cpus_present(void);

extern bool cpu_mailboxes_are_there; /* read by the following function alone */

/* Whether there can be more than one: for a short way where there cannot. */
static inline bool cpus_are_several(void)
{
    return __builtin_expect(cpu_mailboxes_are_there, false);
}

/* The CPUs that are asked when all are; empty until cpu_requests_start(). */
const struct cpu_set *cpus_online(void);

/* The calling CPU is online from now on: it has entered the set when this returns, by a full fence. */
void cpu_enter_online(void);

/* What a CPU has had to do with requests since it came online. */
struct cpu_request_counts {
    uint64_t asked;    /* times that it has asked others for something, however many at once */
    uint64_t answered; /* requests of others that it has answered */
};

/* Those of CPU `cpu`; 0 until cpu_requests_start(), and for a CPU that cannot be online. Any context. */
struct cpu_request_counts cpu_request_counts(unsigned cpu);

/* Interrupts another CPU, which is asked nothing: it looks for what there is to do. Not before
 * cpu_requests_start(). Any context. */
void cpu_interrupt(unsigned cpu);

/* Says where a CPU is that does not do what is waited for, if that can be found out. A panic follows. */
void cpu_say_where(unsigned cpu);

/*
 * Asks all CPUs of `cpus` but this one, or with NULL all that are online, to run function(context). The
 * caller has executed a full fence since it wrote what those must see that will not be asked because they
 * enter the set only now. Preemption is off from before the call until cpu_request_wait() has returned; not
 * in a handler.
 */
void cpu_request_send(const struct cpu_set *cpus, cpu_request_function *function, const void *context);

/* Waits until all have answered, and serves what others ask meanwhile. Panics, naming who does not answer,
 * after the patience of a lock. */
void cpu_request_wait(void);

/* Answers what other CPUs have asked of this one. From the interrupt's handler, and from every loop in which
 * a CPU waits for another one; not in an NMI's handler. */
void cpu_serve_requests(void);

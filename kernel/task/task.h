/* What the rest of kernel/ calls of the threads' machinery, beside <ashlar/thread.h> and <ashlar/wait.h>. */
#pragma once

#include <ashlar/thread.h>

/* The code that runs becomes the first thread, of the name "main". Once, by the boot CPU, after
 * START_ADDRESSES. */
void threads_start(void);

/* Lets threads use several CPUs; memory: what threads_cpus_bytes() says, zeroed, for good. Before others run.
 */
size_t threads_cpus_bytes(unsigned cpus);
void threads_cpus_start(void *memory, unsigned cpus);

struct per_cpu;

/* Makes the thread of a CPU that is to be started: it is what that CPU begins as, and runs when it has
 * nothing else to do. */
void thread_make_idle(struct thread *thread, struct per_cpu *cpu);

/* The thread made so is the one that runs here, and is listed from now on. By each started CPU. */
void threads_enter(void);

/* What the CPU's own thread does for good. Interrupts are on. */
_Noreturn void threads_idle(void);

/* Looks whether another CPU has put something into this one's queue. By the handler of its interrupt. */
void threads_look(void);

/* For the hooks: <ashlar/hooks.h>. */
void thread_preempt(void);
bool mutex_sleep(struct mutex *mutex);
void mutex_hand_on(struct mutex *mutex);

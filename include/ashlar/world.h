/*
 * Stopping the world, for those who look at structures that all CPUs change: validators, audits, the leak
 * scan, the ledger. While it is stopped every other CPU waits, at a moment when it had preemption on and was
 * in no handler: so it held no spinlock, and what locks guard is whole.
 */
#pragma once

#include <ashlar/types.h>

/*
 * Stops all other CPUs, and returns when they wait. The caller holds no spinlock, and does not wait for
 * anything that another CPU would have to do. Preemption is off until world_resume(). Does nothing where only
 * one CPU runs. Nests. Two that stop the world at once do so one after the other.
 */
void world_stop(void);

/* Lets them go on. */
void world_resume(void);

/* The truth of an expression that a validator works out, with the world stopped meanwhile. */
#define WORLD_STOPPED(expression)                                                                            \
    ({                                                                                                       \
        world_stop();                                                                                        \
        bool world_answer = (expression);                                                                    \
        world_resume();                                                                                      \
        world_answer;                                                                                        \
    })

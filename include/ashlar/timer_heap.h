/*
 * Timers by deadline, those that run on a CPU and those of programs: a leftist heap whose links lie in the
 * timers themselves, so nothing is allocated. To add one or to take any one out takes a number of steps that
 * grows with the logarithm of how many there are, in the worst case too; the first one is at hand.
 *
 * Nothing here has a lock: the caller's guards the heap and the links of the timers in it.
 */
#pragma once

#include <ashlar/clock.h>

/* The heap is the timer that is due first, or NULL. Of several with the same deadline any may be first. */
void timer_heap_add(struct timer **heap, struct timer *timer);

/* Takes out a timer that is in this heap. */
void timer_heap_remove(struct timer **heap, struct timer *timer);

/*
 * Random machines for the frame pool's model: a seed gives a memory map, a number of CPUs, and a sequence of
 * operations. Included by the test and by the long run.
 */
#pragma once

#include "model.h"

extern struct frame_model the_model;

/* One random map, and `steps` operations on it. Returns false when the map has no room for a pool. */
bool run_one(struct machine *machine, uint64_t seed, uint64_t steps, const struct frame_policy *policy);

/* The same with GiBs of memory, large blocks, and descriptors that are backed as they are used. */
void run_large(struct machine *machine, uint64_t seed, uint64_t steps);

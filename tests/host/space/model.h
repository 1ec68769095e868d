/*
 * Address spaces against a model with one entry for each page. One language of operations, four bytes each,
 * for the fuzzer and for long seeded runs: map, place, replace, unmap, protect, move, extend, read, write,
 * execute, clone, destroy, copy, sync, and let memory fail in what follows. Each page holds a value; what an
 * access finds must be what the model says, through the model of the TLB; what cannot be done must be refused
 * with the model's error, and then nothing has changed.
 */
#pragma once

#include "reference.h"

/*
 * Begins with one empty space of a kind: enum space_model_kind, or'ed. All is compared and validated at one
 * operation in `check_every`, chosen by the operations themselves, and in the end; 1: at each.
 */
void space_model_start(unsigned kind, unsigned check_every);

/* One operation: what and on which space, where, how, and how many pages. */
void space_model_operate(const uint8_t bytes[4]);

/* Checks all and takes it down; every frame must be back. */
void space_model_stop(void);

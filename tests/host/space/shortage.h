/*
 * Running out of memory on purpose: an operation is tried with 0, 1, 2, ... free frames until it succeeds,
 * with every 1st, 2nd, ... of its slab allocations failing, and with the 1st, 2nd, ... one alone. When it
 * fails nothing has changed, and no frame is lost.
 */
#pragma once

#include "steps.h"

extern bool keeps_block; /* a 2 MiB block stays free beside the frames */
extern bool cuts_pages;  /* the operation may have made pages smaller, and tables for them, when it fails */

typedef bool step(void); /* returns whether it succeeded; false is for lack of memory only */

enum shortage { FRAMES_LEFT, EVERY_NTH_RECORD, NTH_RECORD, SHORTAGES };

/*
 * Lets `run` fail in every way there is; `again` makes the space as it was. Returns how often it failed. An
 * operation that can do without what it did not get is tried on until nothing was refused.
 */
unsigned exhaust(step *run, void (*again)(void));
bool is_done(enum vm_error error);
bool is_resolved(enum vm_fault fault, enum vm_fault expected);
void unmap_all(void);

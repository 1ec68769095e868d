/*
 * The heap of the tests: a second one on the kernel's frames, in a block of its own. Tests run one after the
 * other, so there is one at a time.
 */
#pragma once

#include <ashlar/heap.h>

extern struct heap *tests_heap; /* between start and stop */

/* Makes it; fails as heap_init(), or with SLAB_NO_MEMORY. */
enum slab_error tests_heap_start(const struct heap_config *config);

/* Destroys it; nothing of it is in use. */
void tests_heap_stop(void);

/* Whether a block of the kernel's heap lies in a guarded slot. */
bool tests_is_guarded(const void *pointer);

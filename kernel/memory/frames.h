/* Of kernel/memory/frames.c, for the other files of this folder. */
#pragma once

#include <ashlar/types.h>

/* Keeps all memory below 1 MiB that is free from ordinary use, whoever runs short (memory_take_low()). */
void memory_keep_low(void);

/* From now on the tables with this root show each descriptor that the frame pool backs; first the loader's.
 */
void memory_use_tables(phys_addr_t root);

/* Of kernel/memory/frames.c, for the other files of this folder. */
#pragma once

#include <ashlar/types.h>

/* Takes all free memory below 1 MiB out of ordinary use: only memory_take_low() gives it. */
void memory_keep_low(void);

/*
 * From now on the tables with this root show each descriptor that the frame pool backs; first the loader's.
 */
void memory_use_tables(phys_addr_t root);

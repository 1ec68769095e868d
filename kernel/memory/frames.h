/* Of kernel/memory/frames.c, for the other files of this folder. */
#pragma once

#include <ashlar/types.h>

/*
 * From now on the tables with this root show each descriptor that the frame pool backs; first the loader's.
 */
void memory_use_tables(phys_addr_t root);

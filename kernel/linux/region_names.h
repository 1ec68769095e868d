/*
 * Names that programs give to their anonymous memory (PR_SET_VMA_ANON_NAME). Regions point to them; equal
 * names are one, so that regions of the same name can become one. A set of names belongs to a memory and to
 * those that were copied from it, and goes with the last of them: so a name stays as long as any region might
 * have it, and a set has no more than NAMES_MAX.
 */
#pragma once

#include "process.h"

/* A memory that has been copied from one with the set, or NULL, has it too; or has it no more, when its space
 * is gone. */
struct region_names *region_names_get(struct region_names *names);
void region_names_put(struct region_names *names);

/* prctl(PR_SET_VMA, ...) */
int64_t prctl_region(const struct trap_frame *frame);

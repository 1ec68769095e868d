/* The vDSO in programs: see arch/x86_64/vdso/vdso.c. */
#pragma once

#include "process.h"

/* Makes its two pages, which all programs share. Before a first program is loaded; afterwards it does
 * nothing. Without memory for them programs have none. */
void vdso_prepare(void);

/* Maps it into an empty memory, from `base` upwards. Returns where its file begins, or 0: it is not there. */
uint64_t vdso_map(struct memory *memory, uint64_t base);

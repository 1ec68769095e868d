/* What the first steps of a CPU (start.c) ask of features.c. */
#pragma once

/* Asks the CPU what it can do, for cpu_has(). */
void cpu_features_find(void);

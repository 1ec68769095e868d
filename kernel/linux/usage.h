/* What processes and threads have used: time, memory, page faults. */
#pragma once

#include "process.h"

/* Adds what one had used. */
void usage_add(struct usage *to, const struct usage *from);

/* With the tree's mutex held: the time that all tasks of the process have run for, those that have ended
 * among them. */
struct thread_times process_times(const struct process *process);

/* Writes a struct rusage, unless `to` is 0. Returns whether it could. */
bool usage_put(user_addr_t to, const struct usage *usage);

/* The part of prctl() that is not about names and signals. */
#pragma once

#include "process.h"

/* As a system call; -EINVAL for what there is not. */
int64_t prctl_rest(const struct trap_frame *frame);

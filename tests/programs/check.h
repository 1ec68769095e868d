/* What the programs of this folder share: each prints what its calls answer, line by line, for two kernels to
 * be compared. */
#pragma once

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Prints the answer of a call: an error by its number, a success as 0, or as the number if `exact`. */
static inline long tell(const char *what, long answer, int exact)
{
    if (answer == -1) {
        printf("%s: error %d\n", what, errno);
    } else {
        printf("%s: %ld\n", what, exact ? answer : 0);
    }
    return answer;
}

#define TELL(call)       tell(#call, (long)(call), 0)
#define TELL_EXACT(call) tell(#call, (long)(call), 1)

/* Processes as people see them: for the monitor's ps and kill. */
#pragma once

#include "process.h"

struct process_report {
    uint32_t number;
    uint32_t parent; /* 0: the kernel */
    uint32_t group;
    uint32_t tasks;
    char name[PROCESS_NAME_BYTES];
    enum process_state state;
    bool runs;             /* one of its threads runs, or is ready to */
    uint64_t resident;     /* pages */
    uint64_t reserved;     /* bytes of its regions */
    const char *waits_for; /* its first thread, or NULL */
};

/* The process with the lowest number of at least `from`; false: there is none. */
bool process_next(uint32_t from, struct process_report *report);

/* Sends a signal: 0, -ESRCH or -EINVAL. */
int64_t process_kill(uint32_t number, uint32_t signal);

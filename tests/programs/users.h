/* What the programs about users and capabilities share. They are run by root; each part is a process of its
 * own, as what is lost does not come back. */
#pragma once

#include "check.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VERSION_3 0x20080522

struct header {
    unsigned version;
    int number;
};

struct part {
    unsigned effective, permitted, inheritable;
};

static inline void part_of_process(const char *name, void (*run)(void))
{
    int status = -1;
    printf("-- %s\n", name);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (status != 0) {
        printf("ended with %x\n", status);
    }
}

/* Not every root of a Linux may raise limits: none here may. */
static inline void drop_resource(void)
{
    struct header header = {VERSION_3, 0};
    struct part parts[2];
    syscall(SYS_capget, &header, parts);
    parts[0].effective &= ~(1U << 24);
    parts[0].permitted &= ~(1U << 24);
    syscall(SYS_capset, &header, parts);
}

/* Before the first part. */
static inline void begin_parts(void)
{
    mkdir("/tmp", 0777);
    setpriority(PRIO_PROCESS, 0, 0);
    drop_resource();
}

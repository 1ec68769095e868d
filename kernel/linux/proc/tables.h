/*
 * Which names there are below /proc, and what each is.
 *
 * The names of a directory are one string, in the order of its items (text/text.h).
 */
#pragma once

#include "proc.h"

enum place {
    AT_ROOT,
    AT_PROCESS,
    AT_TASKS,
    AT_TASK,
    AT_DESCRIPTORS,
    AT_SYS,
    AT_SYS_FS,
    AT_SYS_KERNEL,
    AT_SYS_VM
};

enum link { LINK_SELF, LINK_THREAD_SELF, LINK_MOUNTS, LINK_PROGRAM, LINK_HERE, LINK_TOP };

/* In a mode: only who may look into the process opens the file. */
#define PROC_GUARDED 07000

/* What a name is. */
struct proc_item {
    proc_step *step;  /* of a file; NULL: pagemap */
    uint16_t mode;    /* enum fs_mode; of a file with PROC_GUARDED */
    uint8_t argument; /* a directory's enum place, a link's enum link, a setting's enum proc_settings */
};

/* A directory that has the same names always; of the others `names` is NULL. */
struct proc_table {
    const char *names;
    const struct proc_item *items;
    unsigned count; /* of names: those behind are not there */
};
extern const struct proc_table proc_tables[];

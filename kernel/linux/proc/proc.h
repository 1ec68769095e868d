/*
 * /proc: files that tell of processes and of the machine, made when they are read. docs/files.md has the
 * whole.
 *
 *     tables.c, names.c          which names there are; what each leads to
 *     file.c                     reading: text that is made a part at a time
 *     subject.c                  the process that a file is about
 *     maps.c, process.c          files of a process
 *     machine.c, processors.c    files of the machine
 *     text/                      formats; pure
 */
#pragma once

#include <ashlar/made.h>

#include "kernel/linux/tree.h"
#include "text/lines.h"

/* What a file or directory is about. */
struct proc_what {
    uint32_t process; /* its number; 0: the machine */
    uint32_t task;    /* the same of one of its tasks, or 0 */
    uint64_t begun;   /* when the process began: another one with its number is not meant */
    uint16_t place;   /* of the directory, or of the file's directory */
    uint16_t index;   /* in the directory's table */
    uint16_t setting; /* of a setting: which */
};

struct made_what proc_pack(struct proc_what what);
struct proc_what proc_unpack(const struct made_what *packed);

/*
 * Writes what comes at *cursor, and moves that on: a line or a record, or all there is. Whatever does not fit
 * is asked for again, with the same cursor and more room. A cursor is 0 at the start, and what the file makes
 * of it then. Returns 1, or 0 behind the last one, or an error number with a minus, such as -ESRCH.
 */
typedef int proc_step(const struct proc_what *what, struct proc_text *text, uint64_t *cursor);

/* Of a file that is one record: whether that has been told. */
static inline bool proc_is_told(uint64_t *cursor)
{
    return (*cursor)++ != 0;
}

/* ---- file.c ---- */

extern const struct file_operations proc_file_operations;

/* ---- subject.c ---- */

/* What is told of a process, as it was at one moment. */
struct proc_facts {
    uint32_t number, parent, group, session;
    uint32_t threads, exit_signal, cpu;
    uint32_t task_number;          /* of the task that is meant: the first one, if none is named */
    char name[PROCESS_NAME_BYTES]; /* of that task */
    char state;                    /* R, S or Z, as Linux has it */
    uint64_t begun;                /* clock_nanoseconds() */
    uint64_t status;               /* as wait4() tells it */
    struct thread_times times, children_times;
    uint64_t faults, children_faults;
    struct limit limits[LIMITS];
    struct credentials *credentials; /* with a reference, to be given back by proc_let_go() */
    struct signal_sets signals;
    bool no_new_privileges;
    /* Of its memory; all 0 when it has none any more: */
    struct vm_space *space; /* with a reference, to be given back by proc_let_go(); or NULL */
    uint64_t bytes, bytes_peak, locked, resident, peak, tables;
    uint64_t heap_base, heap_end;
    struct memory_layout layout;
};

/*
 * Fills *facts. 0, or -ESRCH: there is no such process or task any more. Whoever has the space's reference
 * does not wait for anything but memory: the end of the process waits for it.
 */
bool proc_find(uint32_t number,
               struct proc_what *what); /* the process with the number; false: there is none */
int proc_look(const struct proc_what *what, struct proc_facts *facts);
void proc_let_go(struct proc_facts *facts);

/* Of a file that is one record: 1 when it is to be told, with *facts; 0 when it has been; or an error. */
int proc_look_once(const struct proc_what *what, struct proc_facts *facts, uint64_t *cursor);

/* Bytes of regions by what may be done there; and pages of the whole space by what they are. */
struct proc_sums {
    uint64_t code, data, stack;
};
struct proc_sums proc_sums(const struct proc_facts *facts);
void proc_count(const struct proc_facts *facts, struct vm_counts *counts);

/* Copies from the process's memory; returns how many bytes it could. */
uint64_t proc_copy(const struct proc_facts *facts, void *to, uint64_t address, uint64_t bytes);

/* The file of one of its descriptors, with a reference, or NULL. */
struct file *proc_file(const struct proc_what *what, uint32_t number);
/* The first descriptor from *number on that is used; false: there is none. */
bool proc_next_file(const struct proc_what *what, uint64_t *number);
/* How many descriptors its table has room for. */
uint64_t proc_files_size(const struct proc_what *what);
/* Who a file of the process belongs to, as long as others may look into it; else to user 0. of_directory: as
 * a directory that everybody may read does, whatever others may. */
void proc_owner(const struct proc_what *what, bool of_directory, uint32_t *user, uint32_t *group);
/* Whether the calling task may look into the process: 0, -EACCES or -ESRCH. */
int proc_may_look(const struct proc_what *what);

/* Its view of the files, with a reference; false: it has none any more. */
bool proc_view(const struct proc_what *what, struct fs_view *view);
/* The place of its program's file, with a reference, or none. */
struct path proc_program(const struct proc_what *what);

/* ---- Files ---- */

/* status.c has proc_status. */
proc_step proc_maps, proc_smaps, proc_statm, proc_status, proc_stat, proc_command_line, proc_environment,
    proc_vector, proc_limits, proc_comm;
proc_step proc_meminfo, proc_vmstat, proc_buddyinfo, proc_slabinfo, proc_version, proc_filesystems,
    proc_mounts, proc_kernel_command_line, proc_setting;
proc_step proc_cpuinfo, proc_uptime, proc_loadavg, proc_machine_stat;

/* pagemap has words in place of text. */
int64_t proc_pagemap_read(const struct proc_what *what, struct file_buffer *buffer, uint64_t *offset);

/* tables.c: what the file does; NULL: it is pagemap. */
proc_step *proc_step_of(const struct proc_what *what);
/* The same: whether only who may look into the process opens the file. */
bool proc_is_guarded(const struct proc_what *what);

/* Below /proc/sys. */
enum proc_settings {
    SETTING_FILES_MOST,
    SETTING_DESCRIPTORS_MOST,
    SETTING_NODE,
    SETTING_RELEASE,
    SETTING_SYSTEM,
    SETTING_NUMBERS_END,
    SETTING_BY_CHANCE,
    SETTING_VERSION,
    SETTING_OVERCOMMIT,
};

/* Lines of files below /proc, in Linux's formats (fs/proc/task_mmu.c, fs/proc/array.c). Pure. */
#pragma once

#include <ashlar/vm_space.h>

#include "text.h"

/* A line of maps. */
struct map_line {
    uint64_t base, end;
    unsigned access; /* enum vm_access */
    bool shared;
    uint64_t offset; /* of a file, in bytes */
    uint64_t node;   /* of a file, its number; 0: no file */
    const char *name;
};
void text_map(struct proc_text *text, const struct map_line *line);

/* What smaps says below that line. stack: the region grows downwards. */
void text_map_counts(struct proc_text *text, const struct map_line *line, const struct vm_counts *counts,
                     bool stack);

/* A page's word in pagemap. frame: its number. */
uint64_t pagemap_word(bool present, bool swapped, bool file, bool alone, uint64_t frame);

/* "Name:" and a length in KiB, as in status and meminfo. */
void text_kib(struct proc_text *text, const char *name, uint64_t bytes);

/* A line of limits. UINT64_MAX: unlimited. */
void text_limit(struct proc_text *text, const char *name, uint64_t soft, uint64_t hard, const char *unit);

/* The line that stat has of a process. Times are in hundredths of a second. */
struct stat_line {
    uint32_t number;
    const char *name;
    char state;
    uint32_t parent, group, session;
    uint64_t faults, children_faults;
    uint64_t user_time, kernel_time;
    uint64_t children_user_time, children_kernel_time;
    uint32_t threads;
    uint64_t started;
    uint64_t bytes;    /* of its regions */
    uint64_t resident; /* pages */
    uint64_t resident_limit;
    uint64_t code, code_end, stack;
    uint32_t exit_signal, cpu;
    uint64_t data, data_end, heap;
    uint64_t arguments, variables, variables_end;
    uint64_t exit_code;
};
void text_stat(struct proc_text *text, const struct stat_line *line);

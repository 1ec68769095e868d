/*
 * Processes: programs that run, on Linux's system call interface. docs/programs.md explains how.
 *
 * A process has one thread, for the present. What is here belongs to that thread alone, but for the space.
 */
#pragma once

#include <ashlar/error_number.h>
#include <ashlar/thread.h>
#include <ashlar/user_copy.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/wait.h>
#include <x86/trap_frame.h>

#include "image/stack.h"

/* Limits, by their numbers (include/uapi/asm-generic/resource.h). */
enum process_limit {
    LIMIT_CPU,
    LIMIT_FILE,
    LIMIT_DATA,
    LIMIT_STACK,
    LIMIT_CORE,
    LIMIT_RESIDENT,
    LIMIT_PROCESSES,
    LIMIT_FILES,
    LIMIT_LOCKED,
    LIMIT_SPACE,
    LIMIT_LOCKS,
    LIMIT_SIGNALS,
    LIMIT_QUEUES,
    LIMIT_NICE,
    LIMIT_REALTIME,
    LIMIT_REALTIME_TIME,
    LIMITS
};

struct limit {
    uint64_t soft;
    uint64_t hard;
};

#define PROCESS_NAME_BYTES 16 /* as Linux's comm, with the terminator */
#define PROCESS_PATH_BYTES 256

/* How a process ended, as wait4() tells it: the exit code in bits 8 .. 15, or a signal in bits 0 .. 6. */
#define PROCESS_EXITED(code)   ((uint64_t)((code)&0xff) << 8)
#define PROCESS_KILLED(signal) ((uint64_t)(signal))

/* Signals that end a process today (include/uapi/asm-generic/signal.h). */
enum signal_number {
    SIGNAL_ILL = 4,
    SIGNAL_TRAP = 5,
    SIGNAL_BUS = 7,
    SIGNAL_FPE = 8,
    SIGNAL_KILL = 9,
    SIGNAL_SEGV = 11,
};

/* What all threads have in common that run in one space. */
struct memory {
    struct vm_space space;
    _Atomic(uint32_t) users; /* processes that have it: more than one after vfork() */
    uint64_t image_base;     /* of the program's first segment */
    uint64_t image_end;      /* behind its last one */
    uint64_t heap_base;      /* where brk() begins */
    uint64_t heap_end;       /* what brk() was given last */
    uint64_t map_base;       /* mmap() looks for room from here upwards */
    uint64_t peak;           /* of resident pages, up to the last time that some went */
};

/* A program that runs. */
struct process {
    struct memory *memory;
    uint32_t number;               /* its pid: that of its first thread */
    char name[PROCESS_NAME_BYTES]; /* the last part of the program's name, cut */
    char path[PROCESS_PATH_BYTES]; /* what /proc/self/exe says */
    struct limit limits[LIMITS];   /* enforced: data, stack, space */
};

/* One of its threads: what Linux keeps for each, beyond the kernel's own thread. Belongs to that thread. */
struct task {
    struct process *process;
    struct thread *thread;
    uint32_t number;           /* its tid */
    user_addr_t clear_on_exit; /* set_tid_address(); 0: none */
    user_addr_t robust_list;   /* set_robust_list(); 0: none */
};

/* The calling thread's; only of one of a program. */
static inline struct task *task_current(void)
{
    return thread_current()->task;
}

static inline struct process *process_current(void)
{
    return task_current()->process;
}

/* Makes a process with an empty space, and a number. NULL: there is no memory. `name`: of its program. */
struct process *process_create(const char *name);

/* Returns all that it has. No thread is in its space any more. */
void process_destroy(struct process *process);

/* Notes how many pages are resident: before some go. */
void process_note_peak(struct process *process);

/* Linux's number for what a space answered: 0, or one with a minus. */
int64_t error_of_space(enum vm_error error);

/* ---- image.c: from a file to a process ---- */

/* A program's file: who gives its pages, and its bytes for the kernel. */
struct program_file {
    const char *name;
    uint64_t bytes;
    struct vm_pager *pager;
    /* Copies [offset, offset + bytes), which lies in the file. Returns whether it could. */
    bool (*read)(struct program_file *file, void *to, uint64_t offset, size_t bytes);
};

/*
 * Maps the program into the loaded, empty space of `process`, gives it its stack, and stores in *frame where
 * it begins. Returns 0, -ENOEXEC (with a line in the log that says what is wrong with the file), -E2BIG,
 * -ENOENT (its interpreter, as there is none) or -ENOMEM.
 */
int process_load(struct process *process, struct program_file *file, const struct program_strings *strings,
                 struct trap_frame *frame);

/* ---- placement.c: where a program's memory goes ---- */

struct placement {
    uint64_t stack_top; /* first address above the stack */
    uint64_t program;   /* where a program that can be moved begins */
    uint64_t map_base;  /* where mmap() begins */
    uint64_t heap_gap;  /* bytes between the program and its heap */
};

/* By chance, unless the command line says norandom. alignment: of `program`, a power of two. */
struct placement placement_choose(uint64_t alignment);

/* ---- run.c ---- */

/* How a program fared. */
struct program_report {
    uint64_t status; /* as wait4() tells it */
    uint64_t ticks;  /* time-stamp counter, from its first instruction to its end */
    uint64_t faults[VM_FAULT_COUNT];
    uint64_t peak;       /* resident pages */
    uint64_t tables;     /* frames of page tables at its end */
    int64_t frames_kept; /* frames of programs and page tables that did not come back: 0, while no other
                            program runs */
};

/* Runs the program, in a thread of its own, and waits for its end. Returns 0, or why it could not start. */
int program_run(struct program_file *file, const struct program_strings *strings,
                struct program_report *report);

/* ---- The parts' own beginnings ---- */

/* fault.c: ends the program that raised the exception, with a line in the log. */
bool process_exception(struct trap_frame *frame);

/* table.c: carries a system call out. */
uint64_t process_system_call(struct trap_frame *frame);

/* Ends the calling task, whose process ends with it. status: as wait4() tells it. */
_Noreturn void task_end(uint64_t status);

/* Lets programs run: what comes from user mode goes here. Once. */
void programs_start(void);

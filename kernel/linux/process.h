/*
 * Processes: programs that run, on Linux's system call interface. docs/programs.md explains how.
 *
 * A process consists of tasks: threads of the kernel that run its code. Three records stand for what they
 * share:
 *
 *   struct memory    the space, and where things lie in it; of one process, or of two after vfork()
 *   struct process   what all tasks of a process have in common, and its place in the tree (tree.h)
 *   struct task      one thread of it; begins in task_start(), and ends itself in task_leave()
 *
 * (T): written and read with the tree's mutex held (tree.h). What has no mark belongs to the calling task, or
 * is as it was when the process began.
 */
#pragma once

#include <ashlar/error_number.h>
#include <ashlar/thread.h>
#include <ashlar/user_copy.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/wait.h>
#include <x86/trap_frame.h>

#include "descriptors.h"
#include "image/stack.h"
#include "program_file.h"
#include "signals.h"
#include "timers.h"

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

/* What has become of a process, as wait4() tells it: the exit code in bits 8 .. 15, or a signal in bits 0 ..
 * 6; of one that has stopped the signal in bits 8 .. 15; or that it goes on. */
#define PROCESS_EXITED(code)    ((uint64_t)((code)&0xff) << 8)
#define PROCESS_KILLED(signal)  ((uint64_t)(signal))
#define PROCESS_STOPPED(signal) ((uint64_t)(signal) << 8 | 0x7f)
#define PROCESS_CONTINUED       0xffffULL

/* Where a program's parts lie, for whoever looks at it: addresses. */
struct memory_layout {
    uint64_t code, code_end; /* executable segments, without gaps */
    uint64_t data, data_end; /* the same of writable ones, as far as the file has them */
    uint64_t stack;          /* the stack pointer at the beginning */
    struct program_stack_places strings;
};

struct region_names;

#define MEMORY_WAITS (1U << 31) /* what is locked by mlockall() alone fills as it is touched */

/* What all threads have in common that run in one space. */
struct memory {
    struct vm_space space;
    _Atomic(uint32_t) users;        /* processes that have it: more than one after vfork() */
    struct mutex heap;              /* held while heap_end is moved */
    struct file *file;              /* the program's, held as executed; NULL: none yet */
    uint64_t image_base;            /* of the program's first segment */
    uint64_t image_end;             /* behind its last one */
    uint64_t heap_base;             /* where brk() begins */
    uint64_t heap_end;              /* what brk() was given last */
    uint64_t map_base;              /* mmap() looks for room from here upwards */
    uint64_t peak;                  /* of resident pages, up to the last time that some went */
    _Atomic(unsigned) future_marks; /* enum vm_mark that new regions get, and MEMORY_WAITS: mlockall() */
    struct memory_layout layout;
    _Atomic(struct region_names *) names; /* region_names.h; NULL: its regions have none */
    _Atomic(bool) barriers;               /* a task has asked to use membarrier() */
    _Atomic(bool) undumpable;             /* PR_SET_DUMPABLE: kept and told */
};

/* What a process has used, up to the last time that one of its tasks or its memory went. */
struct usage {
    uint64_t ticks;                  /* time-stamp counter, in which its tasks ran */
    uint64_t kernel_ticks;           /* of these, in the kernel */
    uint64_t peak;                   /* resident pages */
    uint64_t tables;                 /* frames of page tables at its end */
    uint64_t faults[VM_FAULT_COUNT]; /* page faults, by kind */
};

enum process_state {
    PROCESS_RUNS,
    PROCESS_ENDS,   /* all its tasks have been told to end; `status` is set */
    PROCESS_ZOMBIE, /* it has no task any more; somebody is to be told `status` */
};

struct identity;
struct process_handle;

/* A program that runs. */
struct process {
    struct memory *memory;          /* (T) to write; NULL when the last task has let it go */
    struct descriptors *files;      /* (T) to write; NULL when its last task has gone */
    struct places *places;          /* the same */
    _Atomic(uint32_t) file_users;   /* tasks that are not done with these */
    uint32_t with_memory;           /* (T) tasks that have not let it go */
    uint32_t number;                /* its pid: that of its first task */
    char name[PROCESS_NAME_BYTES];  /* the last part of the program's name, cut */
    struct limit limits[LIMITS];    /* enforced: data, stack, locked, space, processes, signals */
    struct signal_actions *actions; /* (T) to write */
    struct process_signals signals;
    struct process_timers timers;

    _Atomic(uint32_t) state;    /* (T) to write: enum process_state */
    uint64_t begun;             /* clock_nanoseconds(), of its first task */
    uint64_t status;            /* (T) how it ended, as wait4() tells it */
    uint32_t exit_signal;       /* that its parent gets at its end; 0: none */
    struct task *executor;      /* (T) it carries execve() out, and the others end; NULL: none */
    _Atomic(bool) traced;       /* its calls are watched: trace/trace.h */
    bool awaited;               /* (T) program_run() waits for it */
    bool has_executed;          /* (T) execve() was carried out: its parent's setpgid() is too late */
    struct identity *identity;  /* (T) its number */
    struct identity *group;     /* (T) */
    struct identity *session;   /* (T) */
    struct process *parent;     /* (T) NULL: the kernel */
    _Atomic(uint32_t) ppid;     /* (T) to write: the number of the parent, or 0 */
    struct process *children;   /* (T) the first */
    struct process *next_child; /* (T) of the same parent */
    struct process *previous_child;
    struct process *next_member; /* (T) of the same group */
    struct process *previous_member;
    struct task *tasks;           /* (T) the first */
    _Atomic(uint32_t) task_count; /* (T) to write */
    _Atomic(uint32_t) changes;    /* of children: each that ends adds 1 */
    struct wait_queue watchers;   /* who waits for a change; and program_run() */
    struct usage usage;           /* (T) */
    struct usage children_usage;  /* (T) of those that were waited for; the highest peak */

    struct process_handle *handle; /* (T) for who has it as a file (pidfd.h); NULL: nobody ever */
};

/* One of its threads: what Linux keeps for each, beyond the kernel's own thread. */
struct task {
    struct process *process;
    struct thread *thread;
    uint32_t number;           /* its tid */
    user_addr_t clear_on_exit; /* set_tid_address(); 0: none */
    user_addr_t set_at_start;  /* where its number goes when it begins; 0: nowhere */
    user_addr_t robust_list;   /* set_robust_list(); 0: none */
    struct trap_frame start;   /* where it begins */
    struct task_signals signals;
    struct identity *identity; /* (T) its number */
    struct task *next;         /* (T) of the same process */
    struct task *previous;
    struct task *borrower;      /* (T) the child that uses this task's memory after vfork(), while it waits */
    struct task *lender;        /* (T) the other way round */
    struct wait_queue returned; /* where it waits for that */
    char name[PROCESS_NAME_BYTES]; /* (T) PR_SET_NAME; at first the process's */
    uint32_t policy;               /* (T) sched_setscheduler(): kept and told, as the next */
    int32_t nice;                  /* (T) setpriority() */
    bool keeps_capabilities;       /* PR_SET_KEEPCAPS: kept and told, as the next */
    bool no_new_privileges;        /* PR_SET_NO_NEW_PRIVS */
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

/* Makes a process without tasks, memory and place in the tree. `like`: whose names and limits it gets, or
 * NULL: then `name` is its program's. NULL: there is no memory. */
struct process *process_create(const struct process *like, const char *name);

/* Its table of descriptors becomes `files`; returns the one that it was. */
struct descriptors *process_change_files(struct process *process, struct descriptors *files);

/* Closes its files, as nobody uses them any more. */
void process_drop_files(struct process *process);

/* Returns its record: it was never entered into the tree, or has left it. */
void process_free(struct process *process);

/* Its name is the last part of `path`. */
void process_set_name(struct process *process, const char *path);

/* Makes an empty space with one user; or a copy of another one's. Stores it and returns 0, or -ENOMEM. */
int memory_create(struct memory **memory, const char *name);
int memory_copy(struct memory **memory, struct memory *from, const char *name);

/* Another process has it; a process has it no more. The last one destroys it, and what its faults and pages
 * were is added to *usage; nobody has it loaded any more. */
void memory_get(struct memory *memory);
void memory_put(struct memory *memory, struct usage *usage);

/* clear_on_exit and robust_list come true: the calling task ends, or goes on in another memory. */
void task_leave_memory(struct task *task);

/* Notes how many pages are resident: before some go. */
void memory_note_peak(struct memory *memory);

/* ---- task.c: the life of a task ---- */

/* Makes a task of the process, with a thread that does not run yet. NULL: there is no memory. task_discard()
 * is for one that was not started, and has left the tree. */
struct task *task_create(struct process *process);
void task_discard(struct task *task);

/* Runs it from task->start on. It has its number and its place (tree.h). */
void task_start(struct task *task);

/* Ends the calling task. When it is the process's last one the process ends with it, and with its status.
 * status: as wait4() tells it. */
_Noreturn void task_end(uint64_t status);

/* Ends the process of the calling task, with all its tasks. */
_Noreturn void process_end(uint64_t status);

/* kill.c, with the tree's mutex held: sends the signal to a process, or that of a task; of signal 0 it looks
 * whether there is one. 0, -ESRCH or -EAGAIN. */
int64_t process_signal(uint32_t number, const struct signal_information *information);

/* The hook: what is to be done before user mode goes on (<ashlar/hooks.h>). */
void task_user_work(struct trap_frame *frame);

/*
 * The calling task goes on in `memory`, which is loaded already, instead of its process's, of which it is the
 * only task that is left; or in none: NULL. What it borrowed by vfork() goes back to its lender.
 */
void task_change_memory(struct task *task, struct memory *memory);

/* Linux's number for what a space answered: 0, or one with a minus. */
int64_t error_of_space(enum vm_error error);

#define STACK_GAP (256 * FRAME_BYTES) /* that a stack keeps free below it as it grows */

/* stack.c, of a space's `grow`: a stack above the address reaches there now, within the program's limits. */
bool memory_grow_stack(struct vm_space *space, virt_addr_t address);

/* ---- image.c: from a file to a process ---- */

/*
 * Maps the program into `memory`, which is loaded and empty, gives it a stack of stack_bytes at most, and
 * stores in *frame where it begins. Returns 0, -ENOEXEC (with a line in the log that says what is wrong with
 * the file), -E2BIG, -ENOENT (its interpreter, as there is none) or -ENOMEM.
 */
int program_load(struct memory *memory, struct program_file *file, const struct program_strings *strings,
                 uint64_t stack_bytes, struct trap_frame *frame);

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
int program_run(const char *path, const struct program_strings *strings, struct program_report *report);

/* The same, and its system calls are watched (trace/trace.h). */
int program_run_traced(const char *path, const struct program_strings *strings,
                       struct program_report *report);

/* ---- init.c ---- */

/* Runs the program that the command line names with init=, if it does, and says how it ended. */
void init_run_if_asked(void);

/* ---- The parts' own beginnings ---- */

/* fault.c: ends the program that raised the exception, with a line in the log. */
bool process_exception(struct trap_frame *frame);

/* table.c: carries a system call out. */
uint64_t process_system_call(struct trap_frame *frame);

/* proc/names.c: mounts /proc. Once, after files_start(). */
void proc_mount(void);

/* Lets programs run: what comes from user mode goes here. Once. */
void programs_start(void);

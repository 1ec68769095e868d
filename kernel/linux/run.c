/* Running a program from its first instruction to its end; see process.h. */
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/world.h>
#include <x86/interrupt.h>
#include <x86/user_mode.h>

#include "process.h"

/* What the thread of a program that begins has to know. */
struct launch {
    struct task task;
    struct program_file *file;
    const struct program_strings *strings;
    struct program_report *report;
    int error; /* 0, or why it could not start */
};

/* Notes how it fared while its space is there. */
static void run_loaded(struct process *process, const struct trap_frame *frame, struct program_report *report)
{
    uint64_t began = cpu_ticks();
    report->status = user_mode_run(frame);
    report->ticks = cpu_ticks() - began;
    process_note_peak(process);
    report->peak = process->memory->peak;
    report->tables = vm_space_tables(&process->memory->space);
    memcpy(report->faults, process->memory->space.faults, sizeof report->faults);
}

static uint64_t run_thread(void *context)
{
    struct launch *launch = context;
    struct process *process = launch->task.process;
    struct trap_frame frame;
    thread_current()->task = &launch->task;
    space_load(&process->memory->space);
    launch->error = process_load(process, launch->file, launch->strings, &frame);
    if (launch->error == 0) {
        run_loaded(process, &frame, launch->report);
    }
    space_load(NULL);
    thread_current()->task = NULL;
    return 0;
}

static int run_process(struct launch *launch)
{
    struct process *process = launch->task.process;
    const struct thread_request request = {.name = process->name,
                                           .entry = run_thread,
                                           .argument = launch,
                                           .level = THREAD_NORMAL,
                                           .cpu = THREAD_ANY_CPU,
                                           .has_user_state = true};
    struct thread *thread = thread_create(&request);
    if (!thread) {
        return -ENOMEM;
    }
    launch->task.thread = thread;
    thread_start(thread);
    thread_join(thread, NULL);
    return launch->error;
}

/* Bytes that programs have: user memory, and page tables, the kernel's with it. */
static uint64_t bytes_of_programs(void)
{
    struct frame_ledger ledger;
    world_stop();
    memory_ledger(&ledger);
    world_resume();
    return ledger.owner_bytes[OWNER_USER] + ledger.owner_bytes[OWNER_PAGE_TABLES];
}

int program_run(struct program_file *file, const struct program_strings *strings,
                struct program_report *report)
{
    struct launch launch = {.file = file, .strings = strings, .report = report};
    memset(report, 0, sizeof *report);
    uint64_t before = bytes_of_programs();
    struct process *process = process_create(file->name);
    if (!process) {
        return -ENOMEM;
    }
    launch.task.process = process;
    launch.task.number = process->number;
    int error = run_process(&launch);
    process_destroy(process);
    report->frames_kept = (int64_t)(bytes_of_programs() - before) / (int64_t)FRAME_BYTES;
    return error;
}

void programs_start(void)
{
    system_call_set_handler(process_system_call);
    user_exception_set_handler(process_exception);
}

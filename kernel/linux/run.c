/* Running a program from its first instruction to its end; see process.h. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/world.h>
#include <x86/interrupt.h>
#include <x86/user_mode.h>

#include "process.h"

/* Runs what is loaded, and notes how it fared while its space is there. */
static void run_loaded(struct process *process, const struct trap_frame *frame, struct program_report *report)
{
    user_bases_load(0, 0);
    user_vectors_clear();
    uint64_t began = cpu_ticks();
    report->status = user_mode_run(frame);
    report->ticks = cpu_ticks() - began;
    user_bases_load(0, 0);
    process_note_peak(process);
    report->peak = process->peak;
    report->tables = vm_space_tables(&process->space);
    memcpy(report->faults, process->space.faults, sizeof report->faults);
}

/* The handlers are every program's; tests have others for a while. */
static int run_process(struct process *process, struct program_file *file,
                       const struct program_strings *strings, struct program_report *report)
{
    struct trap_frame frame;
    struct vm_space *before = space_load(&process->space);
    int error = process_load(process, file, strings, &frame);
    if (error == 0) {
        system_call_handler *calls = system_call_set_handler(process_system_call);
        exception_handler *exceptions = user_exception_set_handler(process_exception);
        run_loaded(process, &frame, report);
        user_exception_set_handler(exceptions);
        system_call_set_handler(calls);
    }
    space_load(before);
    return error;
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
    memset(report, 0, sizeof *report);
    struct process *process = heap_alloc(&kernel_heap, sizeof *process);
    if (!process) {
        return -ENOMEM;
    }
    uint64_t before = bytes_of_programs();
    int error = process_create(process, file->name);
    if (error == 0) {
        error = run_process(process, file, strings, report);
        process_destroy(process);
    }
    report->frames_kept = (int64_t)(bytes_of_programs() - before) / (int64_t)FRAME_BYTES;
    heap_free(&kernel_heap, process);
    return error;
}

/* Running a program from its first instruction to its end; see process.h. */
#include <ashlar/clock.h>
#include <ashlar/console_input.h>
#include <ashlar/files.h>
#include <ashlar/memory.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/world.h>
#include <x86/interrupt.h>
#include <x86/user_mode.h>

#include "futex.h"
#include "kernel/files/console_file.h"
#include "terminal.h"
#include "trace/trace.h"
#include "tree.h"
#include "vdso.h"

/* Loads the program into the memory of a process that has not begun, and stores where it begins. */
static int load(struct process *process, struct program_file *file, const struct program_strings *strings,
                struct trap_frame *frame)
{
    int error = memory_create(&process->memory, process->name);
    if (error == 0) {
        struct fs_view view;
        const struct program_request request = {.strings = strings,
                                                .view = &view,
                                                .rights = &process->credentials->rights,
                                                .stack_bytes = process->limits[LIMIT_STACK].soft};
        fs_view_root(kernel_files(), &view);
        struct vm_space *before = space_load(&process->memory->space);
        error = program_load(process->memory, file, &request, frame);
        space_load(before);
        fs_view_put(&view);
    }
    return error;
}

static int begin(struct process *process, struct program_file *file, const struct program_strings *strings,
                 struct task **task)
{
    *task = task_create(process);
    if (!*task) {
        return -ENOMEM;
    }
    int error = load(process, file, strings, &(*task)->start);
    if (error == 0) {
        tree_lock();
        error = tree_enter(process, NULL, *task);
        if (error == 0) {
            terminal_begin(process);
        }
        tree_unlock();
    }
    if (error) {
        task_discard(*task);
    }
    return error;
}

static bool has_ended(const struct process *process)
{
    return atomic_load(&process->state) == PROCESS_ZOMBIE;
}

/* Rests until it has ended, or something was typed. */
static void rest(struct process *process)
{
    const struct wait_how how = {.deadline = WAIT_FOREVER, .from_outside = true};
    struct waiter waiters[2];
    wait_enter(&process->ended, &waiters[0], "the end of a program");
    wait_enter(&console_readers, &waiters[1], "the end of a program");
    if (has_ended(process) || console_file_is_left()) {
        wait_leave(&waiters[0]);
        wait_leave(&waiters[1]);
    } else {
        (void)wait_rest_any(waiters, ARRAY_LENGTH(waiters), &how);
    }
}

/* Waits for its end, and takes it out of the tree. Meanwhile a key leads to the monitor and back. */
static void await(struct process *process)
{
    console_file_watch(true);
    while (!has_ended(process)) {
        if (console_file_is_left()) {
            monitor_interlude();
            console_file_return();
        }
        rest(process);
    }
    console_file_watch(false);
    tree_lock();
    tree_remove(process);
    tree_unlock();
}

static void fill_report(const struct process *process, struct program_report *report)
{
    report->status = process->status;
    report->peak = process->usage.peak;
    report->tables = process->usage.tables;
    memcpy(report->faults, process->usage.faults, sizeof report->faults);
}

/* Its input, output and errors are the console. */
static int open_console(struct process *process)
{
    struct fs_view view;
    struct file *file;
    int error = files_make_devices();
    process->files = descriptors_create();
    process->places = places_create();
    if (error || !process->files || !process->places) {
        return error ? error : -ENOMEM;
    }
    fs_view_root(kernel_files(), &view);
    error = fs_open(&view, NULL, "/dev/console", FILE_READ_WRITE, 0, &file);
    fs_view_put(&view);
    if (error) {
        return error;
    }
    for (unsigned i = 0; i < 3 && error == 0; i++) {
        file_get(file);
        if (descriptor_put_at(process->files, file, false, i, DESCRIPTORS_MAX) < 0) {
            file_put(file);
            error = -ENOMEM;
        }
    }
    file_put(file);
    return error;
}

static int run_file(struct program_file *file, const struct program_strings *strings, bool traced,
                    struct program_report *report)
{
    struct task *task;
    struct usage unused = {.ticks = 0};
    struct process *process = process_create(NULL, file->name);
    if (!process) {
        return -ENOMEM;
    }
    process->actions = signal_actions_create();
    process->awaited = true;
    atomic_init(&process->traced, traced);
    int error = process->actions ? open_console(process) : -ENOMEM;
    error = error ? error : begin(process, file, strings, &task);
    if (error == 0) {
        uint64_t began = cpu_ticks();
        task_start(task);
        await(process);
        report->ticks = cpu_ticks() - began;
        fill_report(process, report);
    } else if (process->memory) {
        memory_put(process->memory, &unused);
    }
    process_free(process);
    return error;
}

static int run(const char *path, const struct program_strings *strings, bool traced,
               struct program_report *report)
{
    struct fs_view view;
    struct program_file file;
    fs_view_root(kernel_files(), &view);
    int error = program_file_open(&view, NULL, path, 0, &file);
    if (error == 0) {
        error = run_file(&file, strings, traced, report);
        program_file_close(&file);
    }
    fs_view_put(&view);
    return error;
}

/* Bytes that programs have: user memory, and page tables but the kernel's own, which come and go with stacks.
 */
static uint64_t bytes_of_programs(void)
{
    struct frame_ledger ledger;
    const struct page_table *kernel = kernel_page_table();
    world_stop();
    memory_ledger(&ledger);
    uint64_t own_tables = kernel->table_frames + atomic_load(&kernel->tables_waiting);
    world_resume();
    return ledger.owner_bytes[OWNER_USER] + ledger.owner_bytes[OWNER_PAGE_TABLES] - own_tables * FRAME_BYTES;
}

static int run_and_count(const char *path, const struct program_strings *strings, bool traced,
                         struct program_report *report)
{
    struct clock_date date; /* found out now, so that no program waits for the firmware */
    memset(report, 0, sizeof *report);
    clock_date_now(&date);
    vdso_prepare();
    uint64_t before = bytes_of_programs();
    int error = run(path, strings, traced, report);
    report->frames_kept = (int64_t)(bytes_of_programs() - before) / (int64_t)FRAME_BYTES;
    return error;
}

int program_run(const char *path, const struct program_strings *strings, struct program_report *report)
{
    return run_and_count(path, strings, false, report);
}

int program_run_traced(const char *path, const struct program_strings *strings, struct program_report *report)
{
    trace_begin();
    int error = run_and_count(path, strings, true, report);
    trace_end();
    return error;
}

void programs_start(void)
{
    futexes_start();
    system_call_set_handler(process_system_call);
    user_exception_set_handler(process_exception);
}

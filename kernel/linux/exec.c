/*
 * execve: another program in this process. All that can fail is done before anything changes: the new memory
 * is made and filled beside the old one, which goes when the program is ready.
 */
#include "exec.h"

#include <ashlar/files.h>
#include <ashlar/format.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <x86/extended_state.h>
#include <x86/user_mode.h>

#include "calls.h"
#include "futex.h"
#include "tree.h"

/* ---- Collecting ---- */

static int get_path(char path[FS_PATH_MAX], user_addr_t from)
{
    int64_t length = strncpy_from_user(path, from, FS_PATH_MAX);
    if (length < 0) {
        return length == USER_STRING_FAULT ? -EFAULT : -ENAMETOOLONG;
    }
    return length == 0 ? -ENOENT : 0;
}

/* A program without arguments gets an empty one, as Linux gives it. */
static int collect(const struct executable *executable, user_addr_t arguments, user_addr_t variables,
                   struct strings *bytes, struct program_strings *strings)
{
    int error = 0;
    uint32_t skipped = 0;
    uint32_t count;
    for (unsigned i = 0; i < executable->first_count && !error; i++) {
        error = strings_add(bytes, executable->first[i]);
    }
    if (executable->first_count != 0 && arguments.raw != 0) {
        uint64_t first;
        error = error ? error : get_user_64(&first, arguments) ? 0 : -EFAULT;
        skipped = !error && first != 0;
    }
    if (executable->first_count == 0 || skipped) {
        error = error ? error : strings_add_list(bytes, arguments, skipped, &count);
    } else {
        count = 0;
    }
    if (!error && executable->first_count + count == 0) {
        error = strings_add(bytes, "");
        count = 1;
    }
    strings->argument_count = executable->first_count + (error ? 0 : count);
    error = error ? error : strings_add_list(bytes, variables, 0, &strings->variable_count);
    error = error ? error : strings_add(bytes, executable->path);
    strings->bytes = bytes->bytes;
    strings->length = bytes->length;
    return error;
}

/* ---- The new memory ---- */

static int make_memory(const struct process *process, struct executable *executable,
                       const struct program_strings *strings, struct memory **memory,
                       struct trap_frame *frame)
{
    int error = memory_create(memory, executable->program.name);
    if (error) {
        return error;
    }
    struct vm_space *before = space_load(&(*memory)->space);
    error = program_load(*memory, &executable->program, strings, process->limits[LIMIT_STACK].soft, frame);
    space_load(before);
    if (error) {
        struct usage unused = {.ticks = 0};
        memory_put(*memory, &unused);
    }
    return error;
}

/* ---- The others ---- */

/* The calling task becomes the only one, and the first: it takes over the process's number. */
static int end_others(struct task *task)
{
    struct process *process = task->process;
    const struct wait_how how = {
        .deadline = WAIT_FOREVER, .killable = true, .deaf = true, .from_outside = true};
    if (!tree_begin_execution(task)) {
        return -EINTR;
    }
    if (WAIT_UNTIL(&process->watchers, atomic_load(&process->task_count) == 1, "other threads to end", how) !=
        WAIT_WOKEN) {
        return -EINTR;
    }
    tree_end_execution(task);
    return 0;
}

/* ---- The change ---- */

static void set_registers(struct task *task)
{
    struct thread *thread = task->thread;
    thread->fs_base = thread->gs_base = 0;
    preempt_disable();
    user_bases_load(0, 0);
    extended_state_init(thread->extended);
    extended_state_load(thread->extended);
    preempt_enable();
}

/* The name is the last part of what was asked for. */
static void set_names(struct task *task, const struct executable *executable)
{
    struct process *process = task->process;
    tree_lock();
    process_set_name(process, executable->path);
    memcpy(task->name, process->name, sizeof task->name);
    process->has_executed = true;
    tree_unlock();
    format(task->thread->name, sizeof task->thread->name, "%s", process->name);
}

/* Files are the process's own from now on, without those that were to be closed. `own`: NULL if they were. */
static void change_files(struct process *process, struct descriptors *own)
{
    if (own) {
        struct descriptors *before = process_change_files(process, own);
        if (!descriptors_are_shared(before)) {
            descriptors_take_owner(own, before); /* it had been copied for threads that have ended */
        }
        descriptors_put(before);
    }
    descriptors_close_on_exec(process->files);
}

static void change(struct task *task, struct memory *memory, const struct executable *executable)
{
    task_leave_memory(task);
    task->clear_on_exit = task->robust_list = user_addr(0);
    task->keeps_capabilities = false;
    space_load(&memory->space);
    task_change_memory(task, memory);
    set_names(task, executable);
    set_registers(task);
}

static int execute(struct executable *executable, user_addr_t arguments, user_addr_t variables,
                   struct trap_frame *frame)
{
    struct task *task = task_current();
    struct strings bytes = {.bytes = NULL};
    struct program_strings strings;
    struct memory *memory = NULL;
    struct descriptors *own = NULL;
    struct signal_actions *actions = NULL;
    struct trap_frame start;
    int error = collect(executable, arguments, variables, &bytes, &strings);
    error = error ? error : make_memory(task->process, executable, &strings, &memory, &start);
    strings_free(&bytes);
    if (error) {
        return error;
    }
    /* While there are other threads, one of them may still share the table (CLONE_FILES). */
    if (atomic_load(&task->process->task_count) > 1 || descriptors_are_shared(task->process->files)) {
        own = descriptors_copy(task->process->files);
        error = own ? 0 : -ENOMEM;
    }
    error = error ? error : signals_prepare_execution(task->process, &actions);
    error = error ? error : end_others(task);
    if (error) {
        if (actions) {
            signal_actions_put(actions);
        }
        if (own) {
            descriptors_put(own);
        }
        struct usage unused = {.ticks = 0};
        memory_put(memory, &unused);
        return error;
    }
    change_files(task->process, own);
    tree_lock();
    posix_timers_end(task->process);
    tree_unlock();
    signals_execute(task, actions);
    change(task, memory, executable);
    *frame = start;
    return 0;
}

/* The frame is this call's own, and what it returns goes into it: a program begins with 0 in RAX. */
static int64_t execute_path(const struct trap_frame *frame, user_addr_t path, user_addr_t arguments,
                            user_addr_t variables)
{
    struct fs_view view;
    struct executable *executable = heap_alloc(&kernel_heap, sizeof *executable);
    if (!executable) {
        return -ENOMEM;
    }
    task_view(&view);
    int error = get_path(executable->path, path);
    error = error ? error : executable_find(&view, executable);
    if (!error) {
        error = execute(executable, arguments, variables, (struct trap_frame *)frame);
        program_file_close(&executable->program);
    }
    fs_view_put(&view);
    heap_free(&kernel_heap, executable);
    return error;
}

int64_t call_execve(const struct trap_frame *frame)
{
    return execute_path(frame, user_addr(argument_1(frame)), user_addr(argument_2(frame)),
                        user_addr(argument_3(frame)));
}

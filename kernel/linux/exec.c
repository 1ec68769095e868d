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

#include "file_calls.h"
#include "futex.h"
#include "tree.h"

/* ---- Collecting ---- */

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

static int make_memory(struct executable *executable, const struct program_request *request,
                       struct memory **memory, struct trap_frame *frame)
{
    int error = memory_create(memory, executable->program.name);
    if (error) {
        return error;
    }
    struct vm_space *before = space_load(&(*memory)->space);
    error = program_load(*memory, &executable->program, request, frame);
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

/* What the program gets that can fail to be made. */
struct preparation {
    struct memory *memory;
    struct descriptors *files;       /* or NULL: the process keeps its own */
    struct signal_actions *actions;  /* the same */
    struct credentials *credentials; /* the same of the task */
    struct trap_frame start;
};

static void give_up(struct preparation *made)
{
    struct usage unused = {.ticks = 0};
    if (made->actions) {
        signal_actions_put(made->actions);
    }
    if (made->files) {
        descriptors_put(made->files);
    }
    if (made->credentials) {
        credentials_put(made->credentials);
    }
    if (made->memory) {
        memory_put(made->memory, &unused);
    }
}

/* Rights that the program is to have: in `credentials` those that are others than the task's. */
static int prepare_rights(const struct task *task, struct preparation *made, struct program_request *request)
{
    struct rights rights = task->credentials->rights;
    request->secure = rights_execute(&rights, task->no_new_privileges);
    request->rights = &task->credentials->rights;
    if (memcmp(&rights, request->rights, sizeof rights) == 0) {
        return 0;
    }
    made->credentials = credentials_copy();
    if (!made->credentials) {
        return -ENOMEM;
    }
    made->credentials->rights = rights;
    request->rights = &made->credentials->rights;
    return 0;
}

static int prepare(struct task *task, struct executable *executable, struct program_request *request,
                   struct preparation *made)
{
    struct process *process = task->process;
    int error = prepare_rights(task, made, request);
    error = error ? error : make_memory(executable, request, &made->memory, &made->start);
    /* While there are other threads, one of them may still share the table (CLONE_FILES). */
    if (!error && (atomic_load(&process->task_count) > 1 || descriptors_are_shared(process->files))) {
        made->files = descriptors_copy(process->files);
        error = made->files ? 0 : -ENOMEM;
    }
    return error ? error : signals_prepare_execution(process, &made->actions);
}

/* Nothing fails from here on. Who runs with another user's rights shows nothing of himself to the first. */
static void carry_out(struct task *task, struct executable *executable, const struct fs_view *view,
                      struct preparation *made)
{
    bool hidden = !file_may_be_read(view, executable->program.file);
    change_files(task->process, made->files);
    tree_lock();
    posix_timers_end(task->process);
    tree_unlock();
    signals_execute(task, made->actions);
    made->memory->undumpable = true; /* nobody looks into it before it is known who may */
    change(task, made->memory, executable);
    credentials_note_execution(hidden);
    if (made->credentials) {
        credentials_set(made->credentials);
    }
}

static int execute(struct executable *executable, user_addr_t arguments, user_addr_t variables,
                   const struct fs_view *view, struct trap_frame *frame)
{
    struct task *task = task_current();
    struct strings bytes = {.bytes = NULL};
    struct program_strings strings;
    struct preparation made = {.memory = NULL};
    struct program_request request = {
        .strings = &strings, .view = view, .stack_bytes = task->process->limits[LIMIT_STACK].soft};
    int error = collect(executable, arguments, variables, &bytes, &strings);
    error = error ? error : prepare(task, executable, &request, &made);
    strings_free(&bytes);
    error = error ? error : end_others(task);
    if (error) {
        give_up(&made);
        return error;
    }
    carry_out(task, executable, view, &made);
    *frame = made.start;
    return 0;
}

/* ---- What is meant ---- */

/* A file that is given by a descriptor has a path in /dev/fd, as Linux makes one up. */
static int set_path(struct executable *executable, const struct named *named, uint64_t descriptor)
{
    if (!named->file) {
        memcpy(executable->path, named->name, strlen(named->name) + 1);
        return 0;
    }
    const char *name = named->name;
    size_t length = format(executable->path, sizeof executable->path, "/dev/fd/%u%s%s", (uint32_t)descriptor,
                           *name ? "/" : "", name);
    executable->closes = descriptor_flag(process_current()->files, descriptor) == 1;
    return length < sizeof executable->path ? 0 : -ENAMETOOLONG;
}

static int describe(struct executable *executable, const struct named *named, uint64_t descriptor,
                    unsigned flags)
{
    executable->name = named->name;
    executable->at = named->at;
    executable->open = named->name[0] == 0 ? named->file : NULL;
    executable->flags = flags & FS_AT_NO_FOLLOW;
    executable->closes = false;
    if (named->name[0] == 0 && !named->file) {
        return -EACCES; /* it would be the working directory */
    }
    return set_path(executable, named, descriptor);
}

/* The frame is this call's own, and what it returns goes into it: a program begins with 0 in RAX. */
static int64_t execute_at(const struct trap_frame *frame, uint64_t descriptor, uint64_t path,
                          uint64_t arguments, uint64_t variables, uint64_t flags)
{
    struct named named;
    if ((uint32_t)flags & ~(uint32_t)(FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    struct executable *executable = heap_alloc(&kernel_heap, sizeof *executable);
    int64_t error = executable ? named_begin(&named, descriptor, path, (unsigned)flags) : -ENOMEM;
    if (error) {
        heap_free(&kernel_heap, executable);
        return error;
    }
    error = describe(executable, &named, descriptor, (unsigned)flags);
    error = error ? error : executable_find(&named.view, executable);
    if (!error) {
        error = execute(executable, user_addr(arguments), user_addr(variables), &named.view,
                        (struct trap_frame *)frame);
        program_file_close(&executable->program);
    }
    named_end(&named);
    heap_free(&kernel_heap, executable);
    return error;
}

int64_t call_execve(const struct trap_frame *frame)
{
    return execute_at(frame, (uint64_t)AT_HERE, argument_1(frame), argument_2(frame), argument_3(frame), 0);
}

int64_t call_execveat(const struct trap_frame *frame)
{
    return execute_at(frame, argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame),
                      argument_5(frame));
}

/* System calls of processes as files: pidfd_open, pidfd_send_signal, pidfd_getfd; see pidfd.h. */
#include "pidfd.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>

#include "file_calls.h"
#include "kernel/files/event.h"
#include "tree.h"

/* ---- The file ---- */

static unsigned pidfd_ready(struct file *file)
{
    const struct process_handle *handle = file->own;
    return atomic_load(&handle->ended) ? FILE_READY_READ : 0;
}

static struct fs_event *pidfd_event(struct file *file)
{
    return &((struct process_handle *)file->own)->event;
}

static void pidfd_release(struct file *file)
{
    process_handle_put(file->own);
}

static const struct file_operations operations = {
    .ready = pidfd_ready, .event = pidfd_event, .release = pidfd_release, .stream = true};

/* The number of a file for the handle, whose reference goes in any case. */
static int64_t give(struct process_handle *handle, unsigned flags)
{
    struct fs_view view;
    struct file *file;
    task_view(&view);
    int64_t error = fs_special(&view, &operations, FILE_READ_WRITE | flags, handle, &file);
    fs_view_put(&view);
    if (error) {
        process_handle_put(handle);
        return error;
    }
    return file_give(file, true);
}

int64_t pidfd_for_child(struct process *process, user_addr_t at)
{
    struct process_handle *handle = process_handle_get(process);
    int64_t number = handle ? give(handle, 0) : -ENOMEM;
    if (number >= 0 && !put_user_32(at, (uint32_t)number)) {
        descriptor_close(process_current()->files, (uint64_t)number);
        return -EFAULT;
    }
    return number;
}

/* The descriptor's file, with a reference; NULL: it is no process. */
static struct file *find_file(uint64_t descriptor)
{
    struct file *file = file_to_use(descriptor);
    if (file && file->operations != &operations) {
        file_put(file);
        return NULL;
    }
    return file;
}

int64_t pidfd_number(uint64_t descriptor, bool *patient)
{
    struct file *file = find_file(descriptor);
    if (!file) {
        return -EBADF;
    }
    const struct process_handle *handle = file->own;
    *patient = !(atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_WAIT);
    tree_lock();
    int64_t number = handle->process ? (int64_t)handle->process->number : -ECHILD;
    tree_unlock();
    file_put(file);
    return number;
}

int64_t pidfd_space(uint64_t descriptor, struct vm_space **space)
{
    struct file *file = find_file(descriptor);
    if (!file) {
        return -EBADF;
    }
    const struct process_handle *handle = file->own;
    int64_t error = -ESRCH;
    *space = NULL;
    tree_lock();
    const struct task *task = handle->process ? handle->process->tasks : NULL;
    if (task && task->process->memory) {
        const struct vm_space *found = &task->process->memory->space;
        error = task_may_trace(task, true) ? 0 : -EACCES;
        *space = error ? NULL : vm_space_get(found->manager, found->number);
    }
    tree_unlock();
    file_put(file);
    return error ? error : *space ? 0 : -ESRCH;
}

/* ---- The calls ---- */

int64_t call_pidfd_open(const struct trap_frame *frame)
{
    int32_t number = (int32_t)argument_1(frame);
    uint32_t flags = (uint32_t)argument_2(frame);
    struct process_handle *handle = NULL;
    if ((flags & ~(uint32_t)FILE_NO_WAIT) || number <= 0) {
        return -EINVAL;
    }
    tree_lock();
    struct process *process = process_find((uint32_t)number);
    int64_t error = process ? 0 : task_find((uint32_t)number) ? -EINVAL : -ESRCH;
    if (process) {
        handle = process_handle_get(process);
        error = handle ? 0 : -ENOMEM;
    }
    tree_unlock();
    return error ? error : give(handle, flags);
}

/* What is told with the signal: what is at `from`, if that is not 0, or who sends it. */
static int64_t get_information(struct signal_information *information, user_addr_t from, uint32_t signal)
{
    uint32_t told;
    if (from.raw == 0) {
        *information = signal_by_process(signal, CODE_USER);
        return 0;
    }
    int64_t error = copy_from_user(&told, from, sizeof told)
                        ? signal_information_get(information, from, signal)
                        : -EFAULT;
    return error ? error : told == signal ? 0 : -EINVAL;
}

/* (T) */
static int64_t send(const struct process_handle *handle, const struct signal_information *information)
{
    if (!handle->process) {
        return -ESRCH;
    }
    return (uint32_t)information->signal < SIGNALS_END ? process_signal(handle->process->number, information)
                                                       : -EINVAL;
}

int64_t call_pidfd_send_signal(const struct trap_frame *frame)
{
    struct signal_information information;
    if ((uint32_t)argument_4(frame) != 0) {
        return -EINVAL;
    }
    struct file *file = find_file(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    user_addr_t from = user_addr(argument_3(frame));
    int64_t error = get_information(&information, from, (uint32_t)argument_2(frame));
    if (error == 0) {
        tree_lock();
        bool own = file->own == process_current()->handle;
        error = from.raw != 0 && !own && !signal_may_tell(&information, 0) ? -EPERM
                                                                           : send(file->own, &information);
        tree_unlock();
    }
    file_put(file);
    return error;
}

/* Another process's file of that number, with a reference. */
static int64_t take_file(const struct process_handle *handle, uint64_t descriptor, struct file **file)
{
    int64_t error = -ESRCH;
    tree_lock();
    const struct task *task = handle->process ? handle->process->tasks : NULL;
    if (task && handle->process->files) {
        bool may = task_may_trace(task, false);
        *file = may ? descriptor_file(handle->process->files, descriptor) : NULL;
        error = !may ? -EPERM : *file ? 0 : -EBADF;
    }
    tree_unlock();
    return error;
}

int64_t call_pidfd_getfd(const struct trap_frame *frame)
{
    struct file *taken;
    if ((uint32_t)argument_3(frame) != 0) {
        return -EINVAL;
    }
    struct file *file = find_file(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t error = take_file(file->own, argument_2(frame), &taken);
    file_put(file);
    return error ? error : file_give(taken, true);
}

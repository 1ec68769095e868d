/*
 * Processes as files. A handle stands for a process, also when that has ended and was waited for, and its
 * number means another one. (T): written and read with the tree's mutex held (tree.h).
 */
#pragma once

#include <ashlar/file.h>

#include "process.h"

struct process_handle {
    _Atomic(uint32_t) references; /* the process's own, and those of files */
    _Atomic(bool) ended;          /* its last task has gone */
    struct process *process;      /* (T) NULL: it was waited for */
    struct fs_event event;        /* it has ended */
};

/* (T) The handle of a process, with a reference for the caller; NULL: there is no memory. */
struct process_handle *process_handle_get(struct process *process);
void process_handle_put(struct process_handle *handle);

/* (T) The process's last task goes; and it leaves the tree, or never came there. */
void process_handle_end(struct process *process);
void process_handle_drop(struct process *process);

/*
 * A descriptor, closed by execve(), of a process that no one else ends meanwhile; what it is told goes to
 * `at` as well. For clone(): the process is in no tree yet. The number, or -EMFILE, -ENOMEM, -ENOSPC or
 * -EFAULT.
 */
int64_t pidfd_for_child(struct process *process, user_addr_t at);

/* The process's number behind a descriptor, whose flag FILE_NO_WAIT is stored in *patient as its opposite.
 * -EBADF: it is no process; -ECHILD: that was waited for. */
int64_t pidfd_number(uint64_t descriptor, bool *patient);

/* Stores the space of that process, with a reference. -EBADF: the descriptor is no process; -ESRCH: it has no
 * memory any more; -EACCES: the caller may not look into it. */
int64_t pidfd_space(uint64_t descriptor, struct vm_space **space);

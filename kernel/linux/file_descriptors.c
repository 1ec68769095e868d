/* System calls of descriptors: open, close, dup, fcntl, pipe, memfd_create. */
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "file_calls.h"
#include "file_locks.h"
#include "tree.h"

#define CLOSE_RANGE_UNSHARE 2U
#define CLOSE_RANGE_ON_EXEC 4U
#define MEMFD_CLOSE_ON_EXEC 1U
#define MEMFD_SEALING       2U
#define MEMFD_NAME_MAX      249 /* bytes without the terminator */

enum fcntl_command {
    FCNTL_DUP = 0,
    FCNTL_GET_DESCRIPTOR = 1,
    FCNTL_SET_DESCRIPTOR = 2,
    FCNTL_GET_FLAGS = 3,
    FCNTL_SET_FLAGS = 4,
    FCNTL_GET_OWNER = 9,
    FCNTL_GET_SIGNAL = 11,
    FCNTL_GET_OWNER_TOO = 16,
    FCNTL_DUP_CLOSE_ON_EXEC = 1030,
    FCNTL_SET_PIPE_BYTES = 1031,
    FCNTL_GET_PIPE_BYTES = 1032,
    FCNTL_ADD_SEALS = 1033,
    FCNTL_GET_SEALS = 1034,
};

static uint64_t limit(void)
{
    return process_current()->limits[LIMIT_FILES].soft;
}

/* The descriptor is got first, so that nothing is made or cut for which there is none. */
static int64_t open_named(const struct named *named, uint32_t flags, uint32_t mode)
{
    struct descriptors *descriptors = process_current()->files;
    int64_t number = descriptor_set_apart(descriptors, 0, limit());
    if (number < 0) {
        return number;
    }
    struct file *file;
    int error = fs_open(&named->view, named->at, named->name, flags, mode, &file);
    descriptor_fill(descriptors, (uint64_t)number, error ? NULL : file, flags & FILE_CLOSE_ON_EXEC);
    return error ? error : number;
}

static int64_t open_at(uint64_t descriptor, uint64_t name, uint64_t flags, uint64_t mode)
{
    struct named named;
    int64_t result = named_begin(&named, descriptor, name, 0);
    if (result == 0) {
        result = open_named(&named, (uint32_t)flags, (uint32_t)mode);
        named_end(&named);
    }
    return result;
}

int64_t call_open(const struct trap_frame *frame)
{
    return open_at((uint64_t)AT_HERE, argument_1(frame), argument_2(frame), argument_3(frame));
}

int64_t call_openat(const struct trap_frame *frame)
{
    return open_at(argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame));
}

int64_t call_creat(const struct trap_frame *frame)
{
    return open_at((uint64_t)AT_HERE, argument_1(frame), FILE_CREATE | FILE_TRUNCATE | FILE_WRITE_ONLY,
                   argument_2(frame));
}

int64_t call_close(const struct trap_frame *frame)
{
    return descriptor_close(process_current()->files, argument_1(frame));
}

int64_t call_close_range(const struct trap_frame *frame)
{
    struct process *process = process_current();
    uint64_t first = (uint32_t)argument_1(frame);
    uint64_t last = (uint32_t)argument_2(frame);
    uint64_t flags = (uint32_t)argument_3(frame);
    if ((flags & ~(uint64_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_ON_EXEC)) || first > last) {
        return -EINVAL;
    }
    if ((flags & CLOSE_RANGE_UNSHARE) && atomic_load(&process->task_count) > 1) {
        return -EINVAL; /* threads of a process have the same files */
    }
    if ((flags & CLOSE_RANGE_UNSHARE) && descriptors_are_shared(process->files)) {
        struct descriptors *own = descriptors_copy(process->files);
        if (!own) {
            return -ENOMEM;
        }
        descriptors_put(process_change_files(process, own));
    }
    descriptors_close_range(process->files, first, last, flags & CLOSE_RANGE_ON_EXEC);
    return 0;
}

/* ---- Copies of descriptors ---- */

static int64_t duplicate(uint64_t descriptor, bool close_on_exec, uint64_t lowest)
{
    struct file *file = file_of(descriptor);
    if (!file) {
        return -EBADF;
    }
    int64_t number = descriptor_add(process_current()->files, file, close_on_exec, lowest, limit());
    if (number < 0) {
        file_put(file);
    }
    return number;
}

static int64_t duplicate_to(uint64_t descriptor, uint64_t number, bool close_on_exec)
{
    struct file *file = file_of(descriptor);
    if (!file) {
        return -EBADF;
    }
    int64_t result = descriptor_put_at(process_current()->files, file, close_on_exec, number, limit());
    if (result < 0) {
        file_put(file);
    }
    return result;
}

int64_t call_dup(const struct trap_frame *frame)
{
    return duplicate(argument_1(frame), false, 0);
}

int64_t call_dup2(const struct trap_frame *frame)
{
    if ((uint32_t)argument_1(frame) == (uint32_t)argument_2(frame)) {
        int64_t flag = descriptor_flag(process_current()->files, argument_1(frame));
        return flag < 0 ? flag : (int64_t)(uint32_t)argument_1(frame);
    }
    return duplicate_to(argument_1(frame), argument_2(frame), false);
}

int64_t call_dup3(const struct trap_frame *frame)
{
    uint32_t flags = (uint32_t)argument_3(frame);
    if ((flags & ~(uint32_t)FILE_CLOSE_ON_EXEC) ||
        (uint32_t)argument_1(frame) == (uint32_t)argument_2(frame)) {
        return -EINVAL;
    }
    return duplicate_to(argument_1(frame), argument_2(frame), flags & FILE_CLOSE_ON_EXEC);
}

/* A pipe has room for so many bytes, and for no more. */
static int64_t control_pipe(const struct file *file, uint32_t command, uint64_t argument)
{
    struct fs_status status;
    file_status((struct file *)file, &status);
    if ((status.mode & FS_KIND) != FS_PIPE) {
        return -EBADF;
    }
    if (command == FCNTL_SET_PIPE_BYTES && (uint32_t)argument > FS_PIPE_BYTES) {
        return -EPERM;
    }
    return FS_PIPE_BYTES;
}

static int64_t control_file(struct file *file, uint64_t descriptor, uint32_t command, uint64_t argument)
{
    const uint64_t nobody = 0; /* struct f_owner_ex */
    int64_t result;
    unsigned flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
    if ((flags & FILE_PLACE) && command != FCNTL_GET_FLAGS) {
        return -EBADF;
    }
    if (lock_command(file, descriptor, command, user_addr(argument), &result)) {
        return result;
    }
    switch (command) {
    case FCNTL_GET_OWNER:
    case FCNTL_GET_SIGNAL:
        return 0; /* nobody is sent signals because of files */
    case FCNTL_GET_OWNER_TOO:
        return copy_to_user(user_addr(argument), &nobody, sizeof nobody) ? 0 : -EFAULT;
    case FCNTL_GET_PIPE_BYTES:
    case FCNTL_SET_PIPE_BYTES:
        return control_pipe(file, command, argument);
    case FCNTL_GET_FLAGS:
        /* FILE_LARGE is what Linux shows of every file that was opened by a 64-bit program. */
        return (int64_t)(flags | (file->path.entry && !(flags & FILE_PLACE) ? (unsigned)FILE_LARGE : 0u));
    case FCNTL_SET_FLAGS:
        file_set_flags(file, (unsigned)argument);
        return 0;
    case FCNTL_ADD_SEALS:
        return argument > UINT32_MAX ? -EINVAL : file_add_seals(file, (unsigned)argument);
    case FCNTL_GET_SEALS:
        return file_seals(file);
    default:
        return -EINVAL;
    }
}

int64_t call_fcntl(const struct trap_frame *frame)
{
    struct descriptors *files = process_current()->files;
    uint64_t descriptor = argument_1(frame);
    uint64_t argument = argument_3(frame);
    uint32_t command = (uint32_t)argument_2(frame);
    struct file *file = file_of(descriptor);
    if (!file) {
        return -EBADF;
    }
    int64_t result;
    switch (command) {
    case FCNTL_DUP:
    case FCNTL_DUP_CLOSE_ON_EXEC:
        result = argument >= limit() ? -EINVAL
                                     : duplicate(descriptor, command == FCNTL_DUP_CLOSE_ON_EXEC, argument);
        break;
    case FCNTL_GET_DESCRIPTOR:
        result = descriptor_flag(files, descriptor);
        break;
    case FCNTL_SET_DESCRIPTOR:
        result = descriptor_set_flag(files, descriptor, argument & 1);
        break;
    default:
        result = control_file(file, descriptor, command, argument);
    }
    file_put(file);
    return result;
}

/* ---- Files without a name ---- */

/* Both ends get a number, or none does. */
static int64_t give_both(struct file *ends[2], bool close_on_exec, uint64_t to)
{
    uint32_t numbers[2];
    int64_t first = file_give(ends[0], close_on_exec);
    if (first < 0) {
        file_put(ends[1]);
        return first;
    }
    int64_t second = file_give(ends[1], close_on_exec);
    numbers[0] = (uint32_t)first;
    numbers[1] = (uint32_t)second;
    int64_t error = second < 0 ? second : copy_to_user(user_addr(to), numbers, sizeof numbers) ? 0 : -EFAULT;
    if (error) {
        descriptor_close(process_current()->files, (uint64_t)first);
        if (second >= 0) {
            descriptor_close(process_current()->files, (uint64_t)second);
        }
    }
    return error;
}

static int64_t make_pipe(uint64_t to, uint32_t flags)
{
    struct file *ends[2];
    struct fs_view view;
    if (flags & ~(uint32_t)(FILE_CLOSE_ON_EXEC | FILE_NO_WAIT)) {
        return -EINVAL;
    }
    places_view(process_current()->places, &view);
    int64_t error = fs_pipe(&view, flags & FILE_NO_WAIT, ends);
    fs_view_put(&view);
    return error ? error : give_both(ends, flags & FILE_CLOSE_ON_EXEC, to);
}

int64_t call_pipe(const struct trap_frame *frame)
{
    return make_pipe(argument_1(frame), 0);
}

int64_t call_pipe2(const struct trap_frame *frame)
{
    return make_pipe(argument_1(frame), (uint32_t)argument_2(frame));
}

/* The name is for people, and nobody sees it yet. */
int64_t call_memfd_create(const struct trap_frame *frame)
{
    char name[MEMFD_NAME_MAX + 1];
    uint32_t flags = (uint32_t)argument_2(frame);
    struct fs_view view;
    struct file *file;
    if (flags & ~(uint32_t)(MEMFD_CLOSE_ON_EXEC | MEMFD_SEALING)) {
        return -EINVAL;
    }
    int64_t length = strncpy_from_user(name, user_addr(argument_1(frame)), sizeof name);
    if (length < 0) {
        return length == USER_STRING_TOO_LONG ? -EINVAL : -EFAULT;
    }
    places_view(process_current()->places, &view);
    int64_t error = fs_unnamed(&view, &file);
    fs_view_put(&view);
    if (error) {
        return error;
    }
    file_begin_sealing(file, flags & MEMFD_SEALING ? 0 : FILE_SEAL_SEAL);
    return file_give(file, flags & MEMFD_CLOSE_ON_EXEC);
}

/* System calls of locks that programs agree on: fcntl() with its commands of locks, flock. */
#include "file_locks.h"

#include <ashlar/file_lock.h>

#define LOCK_SHARED    1U
#define LOCK_EXCLUSIVE 2U
#define LOCK_NO_WAIT   4U
#define LOCK_GIVE      8U
#define LOCK_MANDATORY 32U /* LOCK_MAND, of no meaning since Linux 5.19 */

#define NOBODY (-1) /* number of who has an open file's lock */

enum lock_type { TYPE_READ = 0, TYPE_WRITE = 1, TYPE_GIVE = 2 };

/* struct flock */
struct lock_request {
    int16_t type;
    int16_t whence;
    int64_t start;
    int64_t bytes;
    int32_t process;
};

/* Where the range counts from, or an error. */
static int64_t origin_of(struct file *file, int16_t whence)
{
    struct fs_status status;
    switch (whence) {
    case FILE_FROM_START:
        return 0;
    case FILE_FROM_HERE:
        return file->operations->stream ? 0 : file_seek(file, 0, FILE_FROM_HERE);
    case FILE_FROM_END:
        file_status(file, &status);
        return (int64_t)status.bytes;
    default:
        return -EINVAL;
    }
}

/* A length below 0 reaches backwards, one of 0 to the end. */
static int64_t set_range(struct file *file, const struct lock_request *request, struct file_lock *lock)
{
    int64_t start = origin_of(file, request->whence);
    if (start < 0) {
        return start;
    }
    if (__builtin_add_overflow(start, request->start, &start)) {
        return -EOVERFLOW;
    }
    if (start < 0) {
        return -EINVAL;
    }
    int64_t last = INT64_MAX;
    if (request->bytes > 0 && __builtin_add_overflow(start, request->bytes - 1, &last)) {
        return -EOVERFLOW;
    }
    if (request->bytes < 0) {
        last = start - 1;
        start += request->bytes;
    }
    if (start < 0) {
        return -EINVAL;
    }
    lock->first = (uint64_t)start;
    lock->last = (uint64_t)last;
    return 0;
}

static int64_t make_lock(struct file *file, const struct lock_request *request, bool of_file,
                         struct file_lock *lock)
{
    const struct process *process = process_current();
    *lock = (struct file_lock){
        .kind = of_file ? FILE_LOCK_OPEN : FILE_LOCK_PROCESS,
        .writes = request->type == TYPE_WRITE,
        .owner = of_file ? (uintptr_t)file : descriptors_owner(process->files),
        .process = process->number,
    };
    int64_t error = set_range(file, request, lock);
    if (error) {
        return error;
    }
    if (request->type < TYPE_READ || request->type > TYPE_GIVE) {
        return -EINVAL;
    }
    return of_file && request->process != 0 ? -EINVAL : 0;
}

static int64_t get_lock(struct file *file, struct lock_request *request, bool of_file)
{
    struct file_lock lock;
    struct file_lock other;
    if (!of_file && request->type != TYPE_READ && request->type != TYPE_WRITE) {
        return -EINVAL;
    }
    int64_t error = make_lock(file, request, of_file, &lock);
    if (error) {
        return error;
    }
    if (!file_lock_find(file, &lock, &other)) {
        request->type = TYPE_GIVE;
        return 0;
    }
    request->type = other.writes ? TYPE_WRITE : TYPE_READ;
    request->whence = FILE_FROM_START;
    request->start = (int64_t)other.first;
    request->bytes = other.last == FILE_LOCK_END ? 0 : (int64_t)(other.last - other.first + 1);
    request->process = other.kind == FILE_LOCK_OPEN ? NOBODY : (int32_t)other.process;
    return 0;
}

static bool may_take(const struct file *file, int16_t type)
{
    unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
    unsigned needed = type == TYPE_READ ? FILE_READ_ONLY : FILE_WRITE_ONLY;
    return type == TYPE_GIVE || access == needed || access == FILE_READ_WRITE;
}

/* A process's lock does not outlive the descriptor that another thread has closed meanwhile. */
static void end_if_closed(struct file *file, uint64_t descriptor, const struct file_lock *lock)
{
    struct file *now = file_of(descriptor);
    if (now != file) {
        file_locks_end(file, lock->kind, lock->owner);
    }
    if (now) {
        file_put(now);
    }
}

static int64_t set_lock(struct file *file, uint64_t descriptor, const struct lock_request *request,
                        bool of_file, bool waits)
{
    struct file_lock lock;
    int64_t error = make_lock(file, request, of_file, &lock);
    if (error) {
        return error;
    }
    if (!may_take(file, request->type)) {
        return -EBADF;
    }
    if (request->type == TYPE_GIVE) {
        return file_lock_give(file, &lock);
    }
    error = file_lock_take(file, &lock, waits);
    if (error == 0 && !of_file) {
        end_if_closed(file, descriptor, &lock);
    }
    return error;
}

bool lock_command(struct file *file, uint64_t descriptor, uint32_t command, user_addr_t at, int64_t *result)
{
    struct lock_request request;
    bool of_file = command >= FCNTL_GET_OPEN_LOCK;
    bool gets = command == FCNTL_GET_LOCK || command == FCNTL_GET_OPEN_LOCK;
    bool waits = command == FCNTL_WAIT_LOCK || command == FCNTL_WAIT_OPEN_LOCK;
    if (!gets && !waits && command != FCNTL_SET_LOCK && command != FCNTL_SET_OPEN_LOCK) {
        return false;
    }
    if (!copy_from_user(&request, at, sizeof request)) {
        *result = -EFAULT;
    } else if (gets) {
        *result = get_lock(file, &request, of_file);
        if (*result == 0 && !copy_to_user(at, &request, sizeof request)) {
            *result = -EFAULT;
        }
    } else {
        *result = set_lock(file, descriptor, &request, of_file, waits);
    }
    return true;
}

int64_t call_flock(const struct trap_frame *frame)
{
    uint32_t operation = (uint32_t)argument_2(frame);
    uint32_t wanted = operation & ~(uint32_t)LOCK_NO_WAIT;
    if (operation & LOCK_MANDATORY) {
        return 0;
    }
    if (wanted != LOCK_SHARED && wanted != LOCK_EXCLUSIVE && wanted != LOCK_GIVE) {
        return -EINVAL;
    }
    struct file *file = file_to_use(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    const struct file_lock lock = {.kind = FILE_LOCK_WHOLE,
                                   .writes = wanted == LOCK_EXCLUSIVE,
                                   .last = FILE_LOCK_END,
                                   .owner = (uintptr_t)file,
                                   .process = process_current()->number};
    int64_t error = 0;
    if (wanted == LOCK_GIVE) {
        file_locks_end(file, FILE_LOCK_WHOLE, lock.owner);
    } else {
        error = file_lock_take(file, &lock, !(operation & LOCK_NO_WAIT));
    }
    file_put(file);
    return error;
}

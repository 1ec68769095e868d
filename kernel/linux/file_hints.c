/* System calls that tell of how a file will be used, or wish that it reaches a disk: files are in memory, so
 * what remains is to say what is wrong with the request. */
#include "file_calls.h"

#define ADVICE_MOST      5U /* POSIX_FADV_NOREUSE */
#define SYNC_RANGE_FLAGS 7U

static uint32_t kind_of(struct file *file)
{
    struct fs_status status;
    file_status(file, &status);
    return status.mode & FS_KIND;
}

int64_t call_fadvise64(const struct trap_frame *frame)
{
    struct file *file = file_to_use(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t error = kind_of(file) == FS_PIPE                    ? -ESPIPE
                    : (int64_t)argument_3(frame) < 0            ? -EINVAL
                    : (uint32_t)argument_4(frame) > ADVICE_MOST ? -EINVAL
                                                                : 0;
    file_put(file);
    return error;
}

static int64_t check_range(int64_t offset, int64_t bytes, uint32_t flags)
{
    int64_t end;
    return (flags & ~SYNC_RANGE_FLAGS) || offset < 0 || __builtin_add_overflow(offset, bytes, &end) ||
                   end < offset
               ? -EINVAL
               : 0;
}

int64_t call_sync_file_range(const struct trap_frame *frame)
{
    struct file *file = file_to_use(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t error =
        check_range((int64_t)argument_2(frame), (int64_t)argument_3(frame), (uint32_t)argument_4(frame));
    uint32_t kind = kind_of(file);
    if (error == 0 && kind != FS_REGULAR && kind != FS_DIRECTORY && kind != FS_BLOCK) {
        error = -ESPIPE;
    }
    file_put(file);
    return error;
}

/* fallocate: memory for a part of a file, or a hole in it (fs/open.c). */
#include "file_calls.h"

static bool is_writable(const struct file *file)
{
    unsigned flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
    unsigned access = flags & FILE_ACCESS;
    return !(flags & FILE_PLACE) && (access == FILE_WRITE_ONLY || access == FILE_READ_WRITE);
}

int64_t call_fallocate(const struct trap_frame *frame)
{
    uint32_t flags = (uint32_t)argument_2(frame);
    int64_t offset = (int64_t)argument_3(frame);
    int64_t bytes = (int64_t)argument_4(frame);
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t error = offset < 0 || bytes <= 0                                                    ? -EINVAL
                    : flags & ~(uint32_t)(FILE_KEEP_LENGTH | FILE_PUNCH) || flags == FILE_PUNCH ? -EOPNOTSUPP
                    : !is_writable(file)                                                        ? -EBADF
                                                                                                : 0;
    error = error ? error : file_allocate(file, flags, offset, bytes);
    file_put(file);
    return error;
}

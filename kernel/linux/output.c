/*
 * System calls of files, as far as a program needs them that only writes: descriptors 0, 1 and 2 are the
 * console, which is no terminal yet, and /proc/self/exe is the only name.
 */
#include <ashlar/console.h>
#include <ashlar/string.h>

#include "calls.h"

#define DESCRIPTORS     3
#define PART_BYTES      256
#define VECTORS_MAX     1024       /* UIO_MAXIOV */
#define WRITE_LARGEST   0x7ffff000 /* of one call: MAX_RW_COUNT */
#define MODE_CONSOLE    0020620U   /* a character device, as a terminal's */
#define DEVICE_CONSOLE  0x0501U    /* 5, 1 */
#define BLOCK_BYTES     1024
#define FLAG_EMPTY_PATH 0x1000U
#define FLAGS_STATUS    0x1900U /* AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH */
#define EXECUTABLE_LINK "/proc/self/exe"

static bool is_console(uint64_t descriptor)
{
    return (uint32_t)descriptor < DESCRIPTORS;
}

/* Writes until memory ends; returns how many bytes, or -EFAULT when that is none of some. */
static int64_t write_console(user_addr_t from, uint64_t bytes)
{
    char part[PART_BYTES];
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t wanted = min_u64(bytes - done, sizeof part);
        uint64_t copied = copy_some_from_user(part, user_add(from, done), wanted);
        console_write(part, copied);
        done += copied;
        if (copied < wanted) {
            return done ? (int64_t)done : -EFAULT;
        }
    }
    return (int64_t)done;
}

int64_t call_write(const struct trap_frame *frame)
{
    uint64_t bytes = argument_3(frame);
    user_addr_t from = user_addr(argument_2(frame));
    if (!is_console(argument_1(frame))) {
        return -EBADF;
    }
    if ((int64_t)bytes < 0) {
        return -EINVAL;
    }
    return user_range_is_sound(from, bytes) ? write_console(from, min_u64(bytes, WRITE_LARGEST)) : -EFAULT;
}

/* struct iovec */
struct part {
    uint64_t base;
    uint64_t bytes;
};

/* All parts are looked at before the first byte is written. */
static int64_t check_parts(user_addr_t parts, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct part part;
        if (!copy_from_user(&part, user_add(parts, i * sizeof part), sizeof part)) {
            return -EFAULT;
        }
        if ((int64_t)part.bytes < 0 || sum + part.bytes > INT64_MAX) {
            return -EINVAL;
        }
        if (!user_range_is_sound(user_addr(part.base), part.bytes)) {
            return -EFAULT;
        }
        sum += part.bytes;
    }
    return 0;
}

int64_t call_writev(const struct trap_frame *frame)
{
    user_addr_t parts = user_addr(argument_2(frame));
    uint64_t count = (uint32_t)argument_3(frame);
    if (!is_console(argument_1(frame))) {
        return -EBADF;
    }
    if (count > VECTORS_MAX) {
        return -EINVAL;
    }
    int64_t done = check_parts(parts, count);
    for (uint64_t i = 0; i < count && done >= 0; i++) {
        struct part part;
        if (!copy_from_user(&part, user_add(parts, i * sizeof part), sizeof part)) {
            return done ? done : -EFAULT;
        }
        uint64_t bytes = min_u64(part.bytes, WRITE_LARGEST - (uint64_t)done);
        int64_t written = write_console(user_addr(part.base), bytes);
        if (written < 0) {
            return done ? done : written;
        }
        done += written;
        if (written < (int64_t)bytes) {
            break;
        }
    }
    return done;
}

/* struct stat */
struct status {
    uint64_t device;
    uint64_t node;
    uint64_t links;
    uint32_t mode;
    uint32_t user;
    uint32_t group;
    uint32_t unused0;
    uint64_t special;
    int64_t bytes;
    int64_t block_bytes;
    int64_t blocks;
    uint64_t times[6];
    int64_t unused[3];
};

_Static_assert(sizeof(struct status) == 144, "Linux's struct stat on x86-64");

static int64_t put_console_status(user_addr_t to)
{
    struct status status;
    memset(&status, 0, sizeof status);
    status.node = 1;
    status.links = 1;
    status.mode = MODE_CONSOLE;
    status.special = DEVICE_CONSOLE;
    status.block_bytes = BLOCK_BYTES;
    return copy_to_user(to, &status, sizeof status) ? 0 : -EFAULT;
}

int64_t call_fstat(const struct trap_frame *frame)
{
    return is_console(argument_1(frame)) ? put_console_status(user_addr(argument_2(frame))) : -EBADF;
}

/* The name, or an error: -EFAULT, -ENAMETOOLONG. Longer names than there are may be cut: nothing has them. */
static int64_t get_name(uint64_t from, char name[PART_BYTES])
{
    int64_t length = strncpy_from_user(name, user_addr(from), PART_BYTES);
    if (length == USER_STRING_TOO_LONG) {
        return -ENOENT;
    }
    return length < 0 ? -EFAULT : length;
}

int64_t call_newfstatat(const struct trap_frame *frame)
{
    char name[PART_BYTES];
    uint64_t flags = (uint32_t)argument_4(frame);
    if (flags & ~(uint64_t)FLAGS_STATUS) {
        return -EINVAL;
    }
    int64_t length = get_name(argument_2(frame), name);
    if (length < 0) {
        return length;
    }
    if (length == 0 && (flags & FLAG_EMPTY_PATH)) {
        return is_console(argument_1(frame)) ? put_console_status(user_addr(argument_3(frame))) : -EBADF;
    }
    return -ENOENT;
}

static int64_t read_link(uint64_t name_at, user_addr_t to, int32_t bytes)
{
    char name[PART_BYTES];
    const char *path = process_current()->path;
    if (bytes <= 0) {
        return -EINVAL;
    }
    int64_t length = get_name(name_at, name);
    if (length < 0) {
        return length;
    }
    if (strcmp(name, EXECUTABLE_LINK) != 0) {
        return -ENOENT;
    }
    uint64_t wanted = min_u64(strlen(path), (uint64_t)bytes);
    return copy_to_user(to, path, wanted) ? (int64_t)wanted : -EFAULT;
}

int64_t call_readlink(const struct trap_frame *frame)
{
    return read_link(argument_1(frame), user_addr(argument_2(frame)), (int32_t)argument_3(frame));
}

int64_t call_readlinkat(const struct trap_frame *frame)
{
    return read_link(argument_2(frame), user_addr(argument_3(frame)), (int32_t)argument_4(frame));
}

int64_t call_ioctl(const struct trap_frame *frame)
{
    return is_console(argument_1(frame)) ? -ENOTTY : -EBADF;
}

/* System calls that move bytes: read and write in their forms, lseek, truncation, and syncing. */
#include <ashlar/memory.h>

#include "file_calls.h"
#include "kernel/files/console_file.h"
#include "terminal.h"

#define FLAGS_FOR_DISKS 7U /* RWF_HIPRI, RWF_DSYNC, RWF_SYNC */

/* Who writes to a pipe that nobody reads is told by a signal, too. */
static void tell_broken(const struct file_buffer *buffer)
{
    if (buffer->broken) {
        signal_self(SIGNAL_PIPE);
    }
}

enum position { POSITION_HERE, POSITION_GIVEN };

/* Who is not in front does not read from the terminal, and writes to it only if the terminal lets him. */
static int64_t check_terminal(const struct file *file, bool writes)
{
    if (!file_is_console(file) || (writes && !console_file_stops_writers())) {
        return 0;
    }
    return terminal_check(writes ? SIGNAL_TERMINAL_WRITE : SIGNAL_TERMINAL_READ);
}

int64_t file_use(struct file *file, struct file_buffer *buffer, bool writes, const int64_t *offset)
{
    int64_t error = check_terminal(file, writes);
    if (error) {
        return error;
    }
    if (offset) {
        return writes ? file_write_at(file, buffer, *offset) : file_read_at(file, buffer, *offset);
    }
    int64_t result = writes ? file_write(file, buffer) : file_read(file, buffer);
    tell_broken(buffer);
    return result;
}

/* What is wrong with the file comes before what is wrong with the buffer. */
int64_t file_check_access(const struct file *file, bool writes)
{
    unsigned flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
    unsigned access = flags & FILE_ACCESS;
    bool may = access == FILE_READ_WRITE || access == (writes ? FILE_WRITE_ONLY : FILE_READ_ONLY);
    return may && !(flags & FILE_PLACE) ? 0 : -EBADF;
}

static int64_t move_one(const struct trap_frame *frame, bool writes, enum position position)
{
    struct user_buffer buffer;
    if (position == POSITION_GIVEN && (int64_t)argument_4(frame) < 0) {
        return -EINVAL;
    }
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t result = position == POSITION_GIVEN && file->operations->stream ? -ESPIPE : 0;
    result = result ? result : file_check_access(file, writes);
    result = result ? result : user_buffer_begin(&buffer, argument_2(frame), argument_3(frame));
    if (result == 0) {
        int64_t offset = (int64_t)argument_4(frame);
        result = file_use(file, &buffer.buffer, writes, position == POSITION_GIVEN ? &offset : NULL);
    }
    file_put(file);
    return result;
}

static int64_t move_parts(const struct trap_frame *frame, bool writes, enum position position)
{
    struct user_buffer buffer;
    if (position == POSITION_GIVEN && (int64_t)argument_4(frame) < 0) {
        return -EINVAL;
    }
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t result = position == POSITION_GIVEN && file->operations->stream ? -ESPIPE : 0;
    result = result ? result : file_check_access(file, writes);
    result = result ? result : user_buffer_begin_parts(&buffer, argument_2(frame), argument_3(frame));
    if (result == 0) {
        int64_t offset = (int64_t)argument_4(frame);
        result = file_use(file, &buffer.buffer, writes, position == POSITION_GIVEN ? &offset : NULL);
        user_buffer_end(&buffer);
    }
    file_put(file);
    return result;
}

int64_t call_read(const struct trap_frame *frame)
{
    return move_one(frame, false, POSITION_HERE);
}

int64_t call_write(const struct trap_frame *frame)
{
    return move_one(frame, true, POSITION_HERE);
}

int64_t call_pread64(const struct trap_frame *frame)
{
    return move_one(frame, false, POSITION_GIVEN);
}

int64_t call_pwrite64(const struct trap_frame *frame)
{
    return move_one(frame, true, POSITION_GIVEN);
}

int64_t call_readv(const struct trap_frame *frame)
{
    return move_parts(frame, false, POSITION_HERE);
}

int64_t call_writev(const struct trap_frame *frame)
{
    return move_parts(frame, true, POSITION_HERE);
}

int64_t call_preadv(const struct trap_frame *frame)
{
    return move_parts(frame, false, POSITION_GIVEN);
}

int64_t call_pwritev(const struct trap_frame *frame)
{
    return move_parts(frame, true, POSITION_GIVEN);
}

/* A position of -1 is the file's own. Files are in memory, so what flags wish of disks is so already. */
static int64_t move_as_flagged(const struct trap_frame *frame, bool writes)
{
    if ((uint32_t)argument_6(frame) & ~(uint32_t)FLAGS_FOR_DISKS) {
        return -EOPNOTSUPP;
    }
    return move_parts(frame, writes, argument_4(frame) == UINT64_MAX ? POSITION_HERE : POSITION_GIVEN);
}

int64_t call_preadv2(const struct trap_frame *frame)
{
    return move_as_flagged(frame, false);
}

int64_t call_pwritev2(const struct trap_frame *frame)
{
    return move_as_flagged(frame, true);
}

int64_t call_lseek(const struct trap_frame *frame)
{
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t result = file_seek(file, (int64_t)argument_2(frame), (uint32_t)argument_3(frame));
    file_put(file);
    return result;
}

/* ---- Lengths ---- */

int64_t call_ftruncate(const struct trap_frame *frame)
{
    struct file *file = file_of(argument_1(frame));
    if ((int64_t)argument_2(frame) < 0 || !file) {
        if (file) {
            file_put(file);
        }
        return (int64_t)argument_2(frame) < 0 ? -EINVAL : -EBADF;
    }
    int64_t result = file_truncate(file, (int64_t)argument_2(frame));
    file_put(file);
    return result;
}

int64_t call_truncate(const struct trap_frame *frame)
{
    struct named named;
    if ((int64_t)argument_2(frame) < 0) {
        return -EINVAL;
    }
    int64_t result = named_begin(&named, (uint64_t)AT_HERE, argument_1(frame), 0);
    if (result == 0) {
        result = fs_truncate(&named.view, named.at, named.name, argument_2(frame));
        named_end(&named);
    }
    return result;
}

/* ---- Syncing: memory is all there is, so what was written is where it belongs ---- */

int64_t call_fsync(const struct trap_frame *frame)
{
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    bool place = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PLACE;
    bool syncs = !file->operations->stream; /* what is none is a pipe or the console */
    file_put(file);
    return place ? -EBADF : syncs ? 0 : -EINVAL;
}

int64_t call_fdatasync(const struct trap_frame *frame)
{
    return call_fsync(frame);
}

int64_t call_sync(const struct trap_frame *frame)
{
    (void)frame;
    return 0;
}

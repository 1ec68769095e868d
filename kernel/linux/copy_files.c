/* sendfile and copy_file_range: from file to file, by way of a page of the kernel's. */
#include <ashlar/memory.h>
#include <ashlar/pipe.h>

#include "splice.h"

#define CARRIER_BYTES FRAME_BYTES

/* Writes all of `bytes` bytes, or up to an error; returns how many. */
static int64_t write_all(struct file *to, struct file_place *place, char *from, int64_t bytes)
{
    int64_t done = 0;
    while (done < bytes) {
        struct file_memory memory;
        struct file_buffer *buffer = file_memory(&memory, from + done, (size_t)(bytes - done));
        int64_t written = file_use_at(to, buffer, true, place);
        if (written <= 0) {
            return done != 0 ? done : written;
        }
        done += written;
    }
    return done;
}

/* From in->offset on, which moves by what was written. */
static int64_t carry(const struct file_ends *ends, struct file_place *in, struct file_place *out,
                     uint64_t bytes)
{
    int64_t done = 0;
    char *carrier = heap_alloc(&kernel_heap, CARRIER_BYTES);
    int64_t result = carrier ? 1 : -ENOMEM;
    while (result > 0 && (uint64_t)done < bytes && !thread_killed()) {
        struct file_memory memory;
        size_t wanted = (size_t)min_u64(bytes - (uint64_t)done, CARRIER_BYTES);
        result = file_use(ends->from, file_memory(&memory, carrier, wanted), false, &in->offset);
        result = result > 0 ? write_all(ends->to, out, carrier, result) : result;
        in->offset += result > 0 ? result : 0;
        done += result > 0 ? result : 0;
    }
    heap_free(&kernel_heap, carrier);
    return done != 0 ? done : result;
}

/* The file's own position, if none is given: what moves there is set at the end. */
static int64_t begin(struct file *file, struct file_place *place, uint64_t at)
{
    int64_t error = file_place_get(place, at);
    if (error == 0 && at == 0) {
        place->offset = file_seek(file, 0, FILE_FROM_HERE);
    }
    return error ? error : place->offset < 0 ? -EINVAL : 0;
}

static int64_t end(struct file *file, const struct file_place *place)
{
    if (!place->given) {
        file_seek(file, place->offset, FILE_FROM_START);
    }
    return file_place_put(place);
}

/* ---- sendfile ---- */

static int64_t send(const struct file_ends *ends, uint64_t offset_at, uint64_t bytes)
{
    struct file_place in = {.given = false};
    struct file_place out = {.given = false};
    unsigned flags = atomic_load_explicit(&ends->to->flags, memory_order_relaxed);
    int64_t result = begin(ends->from, &in, offset_at);
    if (result == 0 && flags & FILE_APPEND && !file_is_pipe(ends->to)) {
        result = -EINVAL;
    }
    if (result == 0 && file_is_pipe(ends->to)) {
        struct file_place moving = {.offset = in.offset, .given = true};
        result = splice_into_pipe(ends->from, &moving, ends->to, bytes, !(flags & FILE_NO_WAIT));
        in.offset = moving.offset;
    } else if (result == 0) {
        result = carry(ends, &in, &out, min_u64(bytes, READ_LARGEST));
    }
    return result >= 0 && end(ends->from, &in) ? -EFAULT : result;
}

int64_t call_sendfile(const struct trap_frame *frame)
{
    struct file_ends ends;
    int64_t result = file_ends_get(&ends, argument_2(frame), argument_1(frame));
    result = result ? result : file_check_access(ends.from, false);
    result = result ? result : file_check_access(ends.to, true);
    if (result == 0 && (ends.from->operations->stream || !ends.from->operations->read)) {
        result = -EINVAL;
    }
    result = result ? result : send(&ends, argument_3(frame), argument_4(frame));
    file_ends_put(&ends);
    return result;
}

/* ---- copy_file_range ---- */

/* Whether the two can be copied: regular files, of one file system. */
static int64_t check_files(const struct file_ends *ends, const struct fs_status *from,
                           const struct fs_status *to)
{
    if ((from->mode & FS_KIND) == FS_DIRECTORY || (to->mode & FS_KIND) == FS_DIRECTORY) {
        return -EISDIR;
    }
    if ((from->mode & FS_KIND) != FS_REGULAR || (to->mode & FS_KIND) != FS_REGULAR) {
        return -EINVAL;
    }
    if (file_check_access(ends->from, false) || file_check_access(ends->to, true) ||
        atomic_load_explicit(&ends->to->flags, memory_order_relaxed) & FILE_APPEND) {
        return -EBADF;
    }
    return from->device == to->device ? 0 : -EXDEV;
}

/* Cuts *bytes at the end of the file. */
static int64_t check_range(const struct fs_status *from, const struct fs_status *to, int64_t in, int64_t out,
                           uint64_t *bytes)
{
    if ((uint64_t)in + *bytes < *bytes || (uint64_t)out + *bytes < *bytes) {
        return -EOVERFLOW;
    }
    if (in < 0 || out < 0) {
        return -EINVAL;
    }
    *bytes = (uint64_t)in < from->bytes ? min_u64(*bytes, from->bytes - (uint64_t)in) : 0;
    bool meet = (uint64_t)out + *bytes > (uint64_t)in && (uint64_t)out < (uint64_t)in + *bytes;
    return from->number == to->number && meet ? -EINVAL : 0;
}

static int64_t copy_range(const struct file_ends *ends, struct file_place *in, struct file_place *out,
                          uint64_t bytes)
{
    struct fs_status from;
    struct fs_status to;
    file_status(ends->from, &from);
    file_status(ends->to, &to);
    int64_t error = check_files(ends, &from, &to);
    error = error ? error : check_range(&from, &to, in->offset, out->offset, &bytes);
    if (error || bytes == 0) {
        return error;
    }
    struct file_place moving = {.offset = out->offset, .given = true};
    int64_t result = carry(ends, in, &moving, min_u64(bytes, READ_LARGEST));
    out->offset = moving.offset;
    return result;
}

int64_t call_copy_file_range(const struct trap_frame *frame)
{
    struct file_ends ends;
    struct file_place in = {.given = false};
    struct file_place out = {.given = false};
    int64_t result = file_ends_get(&ends, argument_1(frame), argument_3(frame));
    result = result ? result : file_place_get(&in, argument_2(frame));
    result = result ? result : file_place_get(&out, argument_4(frame));
    if (result == 0 && (uint32_t)argument_6(frame) != 0) {
        result = -EINVAL;
    }
    if (result == 0 && !in.given) {
        in.offset = file_seek(ends.from, 0, FILE_FROM_HERE);
    }
    if (result == 0 && !out.given) {
        out.offset = file_seek(ends.to, 0, FILE_FROM_HERE);
    }
    result = result ? result : copy_range(&ends, &in, &out, argument_5(frame));
    if (result > 0 && (end(ends.from, &in) | end(ends.to, &out))) {
        result = -EFAULT;
    }
    file_ends_put(&ends);
    return result;
}

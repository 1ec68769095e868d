/* What is the same for all open files; see <ashlar/file.h>. */
#include "internal.h"

/* ---- Buffers in the kernel's memory ---- */

static struct file_memory *memory_of(struct file_buffer *buffer)
{
    return (struct file_memory *)(void *)buffer; /* its first member */
}

static size_t advance(struct file_memory *memory, size_t bytes)
{
    memory->at += bytes;
    memory->buffer.left -= bytes;
    return bytes;
}

static size_t memory_put(struct file_buffer *buffer, const void *from, size_t bytes)
{
    bytes = (size_t)min_u64(bytes, buffer->left);
    memcpy(memory_of(buffer)->at, from, bytes);
    return advance(memory_of(buffer), bytes);
}

static size_t memory_take(struct file_buffer *buffer, void *to, size_t bytes)
{
    bytes = (size_t)min_u64(bytes, buffer->left);
    memcpy(to, memory_of(buffer)->at, bytes);
    return advance(memory_of(buffer), bytes);
}

struct file_buffer *file_memory(struct file_memory *memory, void *at, size_t bytes)
{
    *memory =
        (struct file_memory){.buffer = {.put = memory_put, .take = memory_take, .left = bytes}, .at = at};
    return &memory->buffer;
}

/* ---- Reading and writing ---- */

static unsigned flags_of(const struct file *file)
{
    return atomic_load_explicit(&file->flags, memory_order_relaxed);
}

void file_set_flags(struct file *file, unsigned flags)
{
    unsigned before = flags_of(file);
    unsigned changeable = FILE_CHANGEABLE;
    unsigned after;
    if (file->operations == &fs_pipe_operations) {
        changeable |= FILE_DIRECT;
    }
    do {
        after = (before & ~changeable) | (flags & changeable);
    } while (!atomic_compare_exchange_weak_explicit(&file->flags, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static int check_read(const struct file *file)
{
    unsigned access = flags_of(file) & FILE_ACCESS;
    if ((flags_of(file) & FILE_PLACE) || (access != FILE_READ_ONLY && access != FILE_READ_WRITE)) {
        return -EBADF;
    }
    if (fs_kind(file->node) == FS_DIRECTORY) {
        return -EISDIR;
    }
    return file->operations->read ? 0 : -EINVAL;
}

static int check_write(const struct file *file)
{
    unsigned access = flags_of(file) & FILE_ACCESS;
    if ((flags_of(file) & FILE_PLACE) || (access != FILE_WRITE_ONLY && access != FILE_READ_WRITE)) {
        return -EBADF;
    }
    return file->operations->write ? 0 : -EINVAL;
}

/* A file that counts no positions is used without the mutex: its readers may wait. */
static int64_t use_here(struct file *file, struct file_buffer *buffer,
                        int64_t (*use)(struct file *file, struct file_buffer *buffer, uint64_t *offset))
{
    if (file->operations->stream) {
        return use(file, buffer, NULL);
    }
    mutex_acquire(&file->seeking);
    int64_t result = use(file, buffer, &file->position);
    mutex_release(&file->seeking);
    return result;
}

/* What is wrong with the position comes before what is wrong with the file. */
static int64_t use_at(struct file *file, struct file_buffer *buffer, int64_t offset, int error,
                      int64_t (*use)(struct file *file, struct file_buffer *buffer, uint64_t *offset))
{
    uint64_t position = (uint64_t)offset;
    if (offset < 0) {
        return -EINVAL;
    }
    if (file->operations->stream) {
        return -ESPIPE;
    }
    return error ? error : use(file, buffer, &position);
}

int64_t file_read(struct file *file, struct file_buffer *buffer)
{
    int error = check_read(file);
    return error ? error : use_here(file, buffer, file->operations->read);
}

int64_t file_write(struct file *file, struct file_buffer *buffer)
{
    int error = check_write(file);
    return error ? error : use_here(file, buffer, file->operations->write);
}

int64_t file_read_at(struct file *file, struct file_buffer *buffer, int64_t offset)
{
    return use_at(file, buffer, offset, check_read(file), file->operations->read);
}

int64_t file_write_at(struct file *file, struct file_buffer *buffer, int64_t offset)
{
    return use_at(file, buffer, offset, check_write(file), file->operations->write);
}

/* ---- Positions ---- */

/* Where `offset` counts from; less than 0 for an error. */
static int64_t seek_base(struct file *file, int64_t offset, unsigned whence)
{
    struct fs_status status;
    switch (whence) {
    case FILE_FROM_START:
        return 0;
    case FILE_FROM_HERE:
        return (int64_t)file->position;
    case FILE_FROM_END:
        fs_node_status(file->node, &status);
        return fs_has_pages(file->node) ? (int64_t)status.bytes : -EINVAL;
    default:
        if (!fs_has_pages(file->node)) {
            return -EINVAL;
        }
        return offset < 0 ? -ENXIO : fs_regular_seek(file->node, (uint64_t)offset, whence == FILE_FROM_DATA);
    }
}

int64_t file_seek(struct file *file, int64_t offset, unsigned whence)
{
    if (flags_of(file) & FILE_PLACE) {
        return -EBADF;
    }
    if (whence > FILE_FROM_HOLE) {
        return -EINVAL;
    }
    if (file->operations->stream) {
        return file->operations->seeks_nowhere ? 0 : -ESPIPE;
    }
    mutex_acquire(&file->seeking);
    int64_t result = seek_base(file, offset, whence);
    if (result >= 0 && whence <= FILE_FROM_END && __builtin_add_overflow(result, offset, &result)) {
        result = -EOVERFLOW;
    } else if (result < 0 && whence <= FILE_FROM_END && seek_base(file, offset, whence) >= 0) {
        result = -EINVAL; /* before the start */
    }
    if (result >= 0) {
        file->position = (uint64_t)result;
    }
    mutex_release(&file->seeking);
    return result;
}

int file_truncate(struct file *file, int64_t bytes)
{
    unsigned access = flags_of(file) & FILE_ACCESS;
    if (flags_of(file) & FILE_PLACE) {
        return -EBADF;
    }
    bool writes = access == FILE_WRITE_ONLY || access == FILE_READ_WRITE;
    if (bytes < 0 || !writes || !fs_has_pages(file->node)) {
        return -EINVAL;
    }
    return fs_regular_truncate(file->node, (uint64_t)bytes, file->unprivileged, file->outsider);
}

void file_status(struct file *file, struct fs_status *status)
{
    fs_node_status(file->node, status);
}

/* ---- Waiting ---- */

unsigned file_ready(struct file *file)
{
    return file->operations->ready ? file->operations->ready(file)
                                   : (unsigned)(FILE_READY_READ | FILE_READY_WRITE);
}

struct fs_event *file_event(struct file *file)
{
    return file->operations->event ? file->operations->event(file) : NULL;
}

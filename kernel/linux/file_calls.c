/* What the system calls of files share; see file_calls.h. */
#include "file_calls.h"

#include <ashlar/memory.h>
#include <ashlar/string.h>

struct file *file_of(uint64_t descriptor)
{
    return descriptor_file(process_current()->files, descriptor);
}

struct file *file_to_use(uint64_t descriptor)
{
    struct file *file = file_of(descriptor);
    if (file && (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PLACE)) {
        file_put(file);
        return NULL;
    }
    return file;
}

int64_t file_give(struct file *file, bool close_on_exec)
{
    struct process *process = process_current();
    int64_t number =
        descriptor_add(process->files, file, close_on_exec, 0, process->limits[LIMIT_FILES].soft);
    if (number < 0) {
        file_put(file);
    }
    return number;
}

/* ---- Names ---- */

static int64_t get_name(char *to, uint64_t from)
{
    int64_t length = strncpy_from_user(to, user_addr(from), FS_PATH_MAX);
    return length == USER_STRING_TOO_LONG ? -ENAMETOOLONG : length < 0 ? -EFAULT : length;
}

static int64_t begin_at(struct named *named, uint64_t descriptor)
{
    if (named->name[0] == '/' || (int32_t)descriptor == AT_HERE) {
        return 0;
    }
    named->file = file_of(descriptor);
    if (!named->file) {
        return -EBADF;
    }
    named->begin = named->file->path;
    named->at = &named->begin;
    return named->begin.entry || named->name[0] == 0 ? 0 : -ENOTDIR;
}

int64_t named_begin(struct named *named, uint64_t descriptor, uint64_t name, unsigned flags)
{
    *named = (struct named){.name = heap_alloc(&kernel_heap, FS_PATH_MAX)};
    if (!named->name) {
        return -ENOMEM;
    }
    task_view(&named->view);
    int64_t length = get_name(named->name, name);
    int64_t error = length < 0 ? length : length == 0 && !(flags & FS_AT_EMPTY_PATH) ? -ENOENT : 0;
    error = error ? error : begin_at(named, descriptor);
    if (error) {
        named_end(named);
    }
    return error;
}

void named_end(struct named *named)
{
    if (named->file) {
        file_put(named->file);
    }
    fs_view_put(&named->view);
    heap_free(&kernel_heap, named->name);
}

/* ---- Buffers ---- */

static struct user_buffer *of(struct file_buffer *buffer)
{
    return (struct user_buffer *)(void *)buffer; /* its first member */
}

/* Bytes that come next to each other. */
static uint64_t next_part(struct user_buffer *buffer, uint64_t bytes, user_addr_t *at)
{
    while (buffer->count != 0 && buffer->done == buffer->parts->bytes) {
        buffer->parts++;
        buffer->count--;
        buffer->done = 0;
    }
    if (buffer->count == 0) {
        return 0;
    }
    *at = user_addr(buffer->parts->base + buffer->done);
    return min_u64(min_u64(bytes, buffer->buffer.left), buffer->parts->bytes - buffer->done);
}

/* What moves bytes to a program, however many, ends here when the program ends. */
static size_t copy(struct user_buffer *buffer, void *to, const void *from, size_t bytes)
{
    size_t done = 0;
    while (done < bytes && !thread_killed()) {
        user_addr_t at = user_addr(0);
        uint64_t part = next_part(buffer, bytes - done, &at);
        uint64_t copied = to ? copy_some_from_user((uint8_t *)to + done, at, part)
                             : copy_some_to_user(at, (const uint8_t *)from + done, part);
        done += copied;
        buffer->done += copied;
        buffer->buffer.left -= copied;
        if (copied < part || part == 0) {
            break;
        }
    }
    return done;
}

static size_t put(struct file_buffer *buffer, const void *from, size_t bytes)
{
    return copy(of(buffer), NULL, from, bytes);
}

static size_t take(struct file_buffer *buffer, void *to, size_t bytes)
{
    return copy(of(buffer), to, NULL, bytes);
}

int64_t user_buffer_begin(struct user_buffer *buffer, uint64_t base, uint64_t bytes)
{
    *buffer = (struct user_buffer){.buffer = {.put = put, .take = take}, .count = 1};
    if (!user_range_is_sound(user_addr(base), bytes)) {
        return -EFAULT;
    }
    buffer->one = (struct user_part){base, min_u64(bytes, READ_LARGEST)};
    buffer->parts = &buffer->one;
    buffer->buffer.left = buffer->one.bytes;
    return 0;
}

/* All parts are looked at before the first byte goes. */
static int64_t check_parts(struct user_buffer *buffer)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < buffer->count; i++) {
        struct user_part *part = &buffer->several[i];
        if ((int64_t)part->bytes < 0) {
            return -EINVAL;
        }
        if (!user_range_is_sound(user_addr(part->base), part->bytes)) {
            return -EFAULT;
        }
        part->bytes = min_u64(part->bytes, READ_LARGEST - sum);
        sum += part->bytes;
    }
    buffer->buffer.left = sum;
    return 0;
}

int64_t user_buffer_begin_parts(struct user_buffer *buffer, uint64_t parts, uint64_t count)
{
    *buffer = (struct user_buffer){.buffer = {.put = put, .take = take}, .count = count};
    if (count > PARTS_MAX) {
        return -EINVAL;
    }
    uint64_t bytes = count * sizeof(struct user_part);
    buffer->several = heap_alloc(&kernel_heap, bytes + 1);
    if (!buffer->several) {
        return -ENOMEM;
    }
    buffer->parts = buffer->several;
    int64_t error = copy_from_user(buffer->several, user_addr(parts), bytes) ? check_parts(buffer) : -EFAULT;
    if (error) {
        user_buffer_end(buffer);
    }
    return error;
}

void user_buffer_end(struct user_buffer *buffer)
{
    heap_free(&kernel_heap, buffer->several);
    buffer->several = NULL;
}

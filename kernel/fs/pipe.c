/*
 * Pipes: bytes between those who write and those who read.
 *
 * The bytes lie in slots of a frame each, as many as the pipe has room for. What is written at once, of up to
 * PIPE_BUF bytes, lies in one slot, and so is read as one piece: it goes in as a whole or not at all; behind
 * what lies in the newest slot, if there is room for all of it. In packet mode (O_DIRECT) each slot is a
 * packet: one read takes one, and what it has no room for is lost. A pipe is there as long as somebody has it
 * open; a named one begins anew when it is opened again.
 */
#include "pipe.h"

static bool waits(const struct file *file)
{
    return !(atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_WAIT);
}

static bool opened_for(const struct file *file, unsigned other)
{
    unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
    return access == other || access == FILE_READ_WRITE;
}

/* Waits for a change; `lock` is let go meanwhile. */
static int wait_for_change(struct file *file, struct fs_pipe *pipe, bool may_wait)
{
    return may_wait ? file->fs->config.wait(&pipe->event, &pipe->lock) : -EAGAIN;
}

int pipe_wait_for_bytes(struct file *file, struct fs_pipe *pipe, bool may_wait)
{
    int error = 0;
    while (error == 0 && pipe->head == pipe->tail && (pipe->writers != 0 || pipe->taken != 0)) {
        error = wait_for_change(file, pipe, may_wait);
    }
    return pipe->head != pipe->tail ? 1 : error;
}

int pipe_wait_for_slot(struct file *file, struct fs_pipe *pipe, bool may_wait)
{
    for (;;) {
        if (pipe->readers == 0) {
            return -EPIPE;
        }
        if (!pipe_is_full(pipe)) {
            return 0;
        }
        int error = wait_for_change(file, pipe, may_wait);
        if (error) {
            return error;
        }
    }
}

int pipe_get_frame(struct file *file, struct fs_pipe *pipe, phys_addr_t *frame)
{
    *frame = pipe->spare;
    pipe->spare = FRAME_NONE;
    return frame->raw != 0 ? 0 : fs_paged_alloc(file->fs, false, frame);
}

void pipe_put_frame(struct file *file, struct fs_pipe *pipe, phys_addr_t frame)
{
    if (pipe->spare.raw == 0) {
        pipe->spare = frame;
    } else {
        fs_paged_free(file->fs, frame);
    }
}

/* ---- Reading ---- */

/* Takes out what is there, up to what the buffer wants, or to the end of a packet. */
static int64_t take_out(struct file *file, struct fs_pipe *pipe, struct file_buffer *buffer)
    REQUIRES(pipe->lock)
{
    uint64_t done = 0;
    bool goes_on = true;
    while (goes_on && pipe->head != pipe->tail && buffer->left > 0) {
        struct pipe_piece *piece = pipe_slot(pipe, pipe->head);
        size_t part = min_u64(buffer->left, piece->bytes);
        size_t copied = buffer->put(buffer, pipe_bytes(file, piece), part);
        done += copied;
        piece->offset += (uint16_t)copied;
        piece->bytes -= (uint16_t)copied;
        goes_on = copied == part && !piece->packet;
        if (copied == part && (piece->bytes == 0 || piece->packet)) {
            pipe_put_frame(file, pipe, piece->frame);
            pipe->head++;
        }
    }
    return done == 0 ? -EFAULT : (int64_t)done;
}

static int64_t pipe_read(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct fs_pipe *pipe = file->own;
    (void)offset;
    if (buffer->left == 0) {
        return 0;
    }
    mutex_acquire(&pipe->lock);
    int64_t result = pipe_wait_for_bytes(file, pipe, waits(file));
    if (result > 0) {
        bool was_full = pipe_is_full(pipe);
        result = take_out(file, pipe, buffer);
        pipe_tell_room(file, pipe, was_full);
    }
    mutex_release(&pipe->lock);
    return result;
}

/* ---- Writing ---- */

/* Puts `bytes` bytes behind what the piece has; all or none. */
static int64_t put_behind(struct file *file, struct pipe_piece *piece, struct file_buffer *buffer,
                          size_t bytes)
{
    if (buffer->take(buffer, pipe_bytes(file, piece) + piece->bytes, bytes) < bytes) {
        return -EFAULT;
    }
    piece->bytes += (uint16_t)bytes;
    return (int64_t)bytes;
}

/* What does not fill a frame goes behind what lies there already, if all of it fits; returns how much did. */
static int64_t put_into_newest(struct file *file, struct fs_pipe *pipe, struct file_buffer *buffer)
{
    size_t rest = buffer->left % FRAME_BYTES;
    if (pipe->readers == 0 || pipe->head == pipe->tail || rest == 0) {
        return 0;
    }
    struct pipe_piece *piece = pipe_slot(pipe, pipe->tail - 1);
    bool fits = !piece->packet && !piece->given && piece->offset + piece->bytes + rest <= FRAME_BYTES;
    return fits ? put_behind(file, piece, buffer, rest) : 0;
}

/* Puts as much as fits into a new slot, which is free. */
static int64_t put_into_new(struct file *file, struct fs_pipe *pipe, struct file_buffer *buffer)
    REQUIRES(pipe->lock)
{
    bool packet = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_DIRECT;
    struct pipe_piece piece = {.packet = packet};
    int64_t result = pipe_get_frame(file, pipe, &piece.frame);
    if (result == 0) {
        result = put_behind(file, &piece, buffer, min_u64(buffer->left, FRAME_BYTES));
        if (result > 0) {
            *pipe_slot(pipe, pipe->tail++) = piece;
        } else {
            pipe_put_frame(file, pipe, piece.frame);
        }
    }
    return result;
}

static int64_t pipe_write(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct fs_pipe *pipe = file->own;
    uint64_t wanted = buffer->left;
    uint64_t done = 0;
    (void)offset;
    mutex_acquire(&pipe->lock);
    int64_t result = put_into_newest(file, pipe, buffer);
    while (result >= 0) {
        if (result > 0) {
            file->fs->config.notify(&pipe->event, FILE_READY_READ);
            done += (uint64_t)result;
        }
        if (done == wanted) {
            break;
        }
        result = pipe_wait_for_slot(file, pipe, waits(file));
        result = result ? result : put_into_new(file, pipe, buffer);
    }
    mutex_release(&pipe->lock);
    buffer->broken = result == -EPIPE;
    return done != 0 ? (int64_t)done : result;
}

/* ---- Waiting for both ---- */

static unsigned pipe_ready(struct file *file)
{
    struct fs_pipe *pipe = file->own;
    unsigned ready = 0;
    mutex_acquire(&pipe->lock);
    if (opened_for(file, FILE_READ_ONLY)) {
        ready |= pipe->head != pipe->tail ? (unsigned)FILE_READY_READ : 0u;
        ready |= pipe->writers == 0 && pipe->writer_opens != 0 ? (unsigned)FILE_READY_HANG_UP : 0u;
    }
    if (opened_for(file, FILE_WRITE_ONLY)) {
        ready |= pipe_is_full(pipe) ? 0u : (unsigned)FILE_READY_WRITE;
        ready |= pipe->readers == 0 ? (unsigned)FILE_READY_ERROR : 0u;
    }
    mutex_release(&pipe->lock);
    return ready;
}

static struct fs_event *pipe_event(struct file *file)
{
    struct fs_pipe *pipe = file->own;
    return &pipe->event;
}

/* ---- Opening and closing ---- */

static struct fs_pipe *make_pipe(const struct fs *fs)
{
    struct fs_pipe *pipe = heap_alloc_zeroed(fs->config.heap, sizeof *pipe);
    if (!pipe) {
        return NULL;
    }
    pipe->limit = FS_PIPE_BYTES / FRAME_BYTES;
    pipe->slots = heap_alloc_zeroed(fs->config.heap, pipe->limit * sizeof *pipe->slots);
    if (!pipe->slots) {
        heap_free(fs->config.heap, pipe);
        return NULL;
    }
    mutex_init(&pipe->lock, LOCK_FILE_CONTENTS, 0);
    return pipe;
}

/* The node's pipe, which is made if need be, with one file more. */
static struct fs_pipe *join(struct file *file)
{
    struct fs_node *node = file->node;
    mutex_acquire(&file->fs->names);
    if (!node->pipe) {
        node->pipe = make_pipe(file->fs);
    }
    struct fs_pipe *pipe = node->pipe;
    if (pipe) {
        pipe->files++;
    }
    mutex_release(&file->fs->names);
    return pipe;
}

static void free_pipe(struct fs *fs, struct fs_pipe *pipe)
{
    while (pipe->head != pipe->tail) {
        fs_paged_free(fs, pipe_slot(pipe, pipe->head++)->frame);
    }
    if (pipe->spare.raw != 0) {
        fs_paged_free(fs, pipe->spare);
    }
    heap_free(fs->config.heap, pipe->slots);
    heap_free(fs->config.heap, pipe);
}

static void leave(struct file *file, struct fs_pipe *pipe)
{
    mutex_acquire(&file->fs->names);
    bool last = --pipe->files == 0;
    if (last) {
        file->node->pipe = NULL;
    }
    mutex_release(&file->fs->names);
    if (last) {
        free_pipe(file->fs, pipe);
    }
}

/* Counts the file in, or out. */
static void count(struct file *file, struct fs_pipe *pipe, uint32_t more) REQUIRES(pipe->lock)
{
    if (opened_for(file, FILE_READ_ONLY)) {
        pipe->readers += more;
        pipe->reader_opens += more == 1;
    }
    if (opened_for(file, FILE_WRITE_ONLY)) {
        pipe->writers += more;
        pipe->writer_opens += more == 1;
    }
    file->fs->config.notify(&pipe->event, FILE_READY_ANY);
}

/* A named pipe's ends wait for each other: until somebody has opened the other since. */
static int meet(struct file *file, struct fs_pipe *pipe) REQUIRES(pipe->lock)
{
    bool reads = opened_for(file, FILE_READ_ONLY);
    const uint64_t *opens = reads ? &pipe->writer_opens : &pipe->reader_opens;
    const uint32_t *there = reads ? &pipe->writers : &pipe->readers;
    uint64_t before = *opens;
    int error = 0;
    if (*there == 0 && !waits(file)) {
        return reads ? 0 : -ENXIO;
    }
    while (error == 0 && *there == 0 && *opens == before) {
        error = file->fs->config.wait(&pipe->event, &pipe->lock);
    }
    return error;
}

static int pipe_open(struct file *file)
{
    unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
    if (access == FILE_ACCESS) {
        return -EINVAL;
    }
    struct fs_pipe *pipe = join(file);
    if (!pipe) {
        return -ENOMEM;
    }
    file->own = pipe;
    mutex_acquire(&pipe->lock);
    count(file, pipe, 1);
    int error = access == FILE_READ_WRITE ? 0 : meet(file, pipe);
    if (error) {
        count(file, pipe, UINT32_MAX);
    }
    mutex_release(&pipe->lock);
    if (error) {
        leave(file, pipe);
    }
    return error;
}

static void pipe_release(struct file *file)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    count(file, pipe, UINT32_MAX);
    mutex_release(&pipe->lock);
    leave(file, pipe);
}

const struct file_operations fs_pipe_operations = {
    .open = pipe_open,
    .read = pipe_read,
    .write = pipe_write,
    .ready = pipe_ready,
    .event = pipe_event,
    .release = pipe_release,
    .stream = true,
};

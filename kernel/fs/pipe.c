/*
 * Pipes: 64 KiB between those who write and those who read.
 *
 * The bytes lie in a ring of frames, each of which is there only while it holds some. What is written at
 * once, of up to PIPE_BUF bytes, is read as one piece: it goes in as a whole or not at all. A pipe is there
 * as long as somebody has it open; a named one begins anew when it is opened again.
 */
#include "paged.h"

#define PIPE_FRAMES  (FS_PIPE_BYTES / FRAME_BYTES)
#define PIPE_BYTES   FS_PIPE_BYTES
#define PIPE_AT_ONCE 4096 /* PIPE_BUF */

struct fs_pipe {
    struct mutex lock;               /* guards all but `files` */
    struct fs_event event;           /* something has changed */
    phys_addr_t frames[PIPE_FRAMES]; /* by (position / FRAME_BYTES) % PIPE_FRAMES; none where nothing lies */
    uint64_t head;                   /* position of the next byte to be read */
    uint64_t tail;                   /* position of the next byte to be written */
    uint32_t readers, writers;       /* files open for reading, and for writing */
    uint64_t reader_opens;           /* ever */
    uint64_t writer_opens;           /* ever */
    uint32_t files;                  /* open files; guarded by the tree's `names` */
};

static phys_addr_t *frame_at(struct fs_pipe *pipe, uint64_t position)
{
    return &pipe->frames[position / FRAME_BYTES % PIPE_FRAMES];
}

static char *byte_at(struct file *file, struct fs_pipe *pipe, uint64_t position)
{
    char *frame = frame_pointer(file->fs->config.frames, *frame_at(pipe, position));
    return frame + position % FRAME_BYTES;
}

static uint64_t room(const struct fs_pipe *pipe)
{
    return PIPE_BYTES - (pipe->tail - pipe->head);
}

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
static int wait_for_change(struct file *file, struct fs_pipe *pipe)
{
    return waits(file) ? file->fs->config.wait(&pipe->event, &pipe->lock) : -EAGAIN;
}

/* ---- Reading ---- */

/* Takes out what is there, up to what the buffer wants. */
static int64_t take_out(struct file *file, struct fs_pipe *pipe, struct file_buffer *buffer)
{
    uint64_t wanted = min_u64(pipe->tail - pipe->head, buffer->left);
    uint64_t done = 0;
    while (done < wanted) {
        size_t part = (size_t)min_u64(wanted - done, FRAME_BYTES - pipe->head % FRAME_BYTES);
        size_t copied = buffer->put(buffer, byte_at(file, pipe, pipe->head), part);
        phys_addr_t *frame = frame_at(pipe, pipe->head);
        done += copied;
        pipe->head += copied;
        if (copied < part) {
            break;
        }
        /* A full pipe's newest bytes may lie in the frame of its oldest. */
        if (pipe->head % FRAME_BYTES == 0 && pipe->tail - pipe->head <= PIPE_BYTES - FRAME_BYTES) {
            fs_paged_free(file->fs, *frame);
            *frame = FRAME_NONE;
        }
    }
    return done == 0 ? -EFAULT : (int64_t)done;
}

static int64_t pipe_read(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct fs_pipe *pipe = file->own;
    int64_t result = 0;
    (void)offset;
    if (buffer->left == 0) {
        return 0;
    }
    mutex_acquire(&pipe->lock);
    while (result == 0 && pipe->head == pipe->tail && pipe->writers != 0) {
        result = wait_for_change(file, pipe);
    }
    if (pipe->head != pipe->tail) {
        bool was_full = room(pipe) < PIPE_AT_ONCE;
        result = take_out(file, pipe, buffer);
        file->fs->config.notify(&pipe->event, was_full ? FILE_READY_WRITE : 0);
    }
    mutex_release(&pipe->lock);
    return result;
}

/* ---- Writing ---- */

/* Gets the frames that the next `bytes` bytes go to. */
static int prepare(struct file *file, struct fs_pipe *pipe, uint64_t bytes)
{
    for (uint64_t at = align_down(pipe->tail, FRAME_BYTES); at < pipe->tail + bytes; at += FRAME_BYTES) {
        phys_addr_t *frame = frame_at(pipe, at);
        if (frame->raw == 0 && fs_paged_alloc(file->fs, false, frame) != 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Puts `bytes` bytes in, for which there is room; the readers see them when all are there. */
static int64_t put_in(struct file *file, struct fs_pipe *pipe, struct file_buffer *buffer, uint64_t bytes)
{
    int error = prepare(file, pipe, bytes);
    for (uint64_t done = 0; error == 0 && done < bytes;) {
        uint64_t at = pipe->tail + done;
        size_t part = (size_t)min_u64(bytes - done, FRAME_BYTES - at % FRAME_BYTES);
        error = buffer->take(buffer, byte_at(file, pipe, at), part) < part ? -EFAULT : 0;
        done += part;
    }
    if (error == 0) {
        pipe->tail += bytes;
        file->fs->config.notify(&pipe->event, FILE_READY_READ);
    }
    return error ? error : (int64_t)bytes;
}

/* Waits for room: for all that goes in at once, or for a part. Returns how much goes in next, or an error. */
static int64_t wait_for_room(struct file *file, struct fs_pipe *pipe, uint64_t left, bool at_once)
{
    for (;;) {
        if (pipe->readers == 0) {
            return -EPIPE;
        }
        if (room(pipe) >= (at_once ? left : 1)) {
            return (int64_t)min_u64(min_u64(left, room(pipe)), PIPE_AT_ONCE);
        }
        int error = wait_for_change(file, pipe);
        if (error) {
            return error;
        }
    }
}

static int64_t pipe_write(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct fs_pipe *pipe = file->own;
    uint64_t wanted = buffer->left;
    uint64_t done = 0;
    int64_t result = 0;
    (void)offset;
    mutex_acquire(&pipe->lock);
    while (result >= 0 && done < wanted) {
        result = wait_for_room(file, pipe, wanted - done, wanted <= PIPE_AT_ONCE);
        if (result > 0) {
            result = put_in(file, pipe, buffer, (uint64_t)result);
        }
        done += result > 0 ? (uint64_t)result : 0;
    }
    mutex_release(&pipe->lock);
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
        ready |= room(pipe) >= PIPE_AT_ONCE ? (unsigned)FILE_READY_WRITE : 0u;
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

/* The node's pipe, which is made if need be, with one file more. */
static struct fs_pipe *join(struct file *file)
{
    struct fs_node *node = file->node;
    mutex_acquire(&file->fs->names);
    if (!node->pipe) {
        node->pipe = heap_alloc_zeroed(file->fs->config.heap, sizeof *node->pipe);
        if (node->pipe) {
            mutex_init(&node->pipe->lock, LOCK_FILE_CONTENTS, 0);
        }
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
    for (unsigned i = 0; i < PIPE_FRAMES; i++) {
        if (pipe->frames[i].raw != 0) {
            fs_paged_free(fs, pipe->frames[i]);
        }
    }
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

/* Sizes of pipes, and pieces of them that go elsewhere; see <ashlar/pipe.h>. */
#include <ashlar/string.h>

#include "pipe.h"

bool file_is_pipe(const struct file *file)
{
    return file->operations == &fs_pipe_operations;
}

/* ---- Sizes ---- */

uint64_t pipe_waiting(struct file *file)
{
    struct fs_pipe *pipe = file->own;
    uint64_t bytes = 0;
    mutex_acquire(&pipe->lock);
    for (uint64_t i = pipe->head; i != pipe->tail; i++) {
        bytes += pipe_slot(pipe, i)->bytes;
    }
    mutex_release(&pipe->lock);
    return bytes;
}

uint64_t pipe_size(struct file *file)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    uint64_t bytes = (uint64_t)pipe->limit * FRAME_BYTES;
    mutex_release(&pipe->lock);
    return bytes;
}

/* Its slots become `count` others, unless more are in use; returns those that are to be freed. */
static struct pipe_piece *change_slots(struct fs_pipe *pipe, struct pipe_piece *slots, uint32_t count)
    REQUIRES(pipe->lock)
{
    struct pipe_piece *old = pipe->slots;
    if (pipe->tail - pipe->head + pipe->coming + pipe->taken > count) {
        return slots;
    }
    for (uint64_t i = pipe->head; i != pipe->tail; i++) {
        slots[i & (count - 1)] = *pipe_slot(pipe, i);
    }
    pipe->slots = slots;
    pipe->limit = count;
    return old;
}

int64_t pipe_resize(struct file *file, uint64_t bytes)
{
    struct fs_pipe *pipe = file->own;
    uint32_t count = 1;
    if (bytes > 1UL << 31) {
        return -EINVAL;
    }
    if (bytes > PIPE_BYTES_MAX) {
        return -EPERM;
    }
    while ((uint64_t)count * FRAME_BYTES < bytes) {
        count *= 2;
    }
    struct pipe_piece *slots = heap_alloc_zeroed(file->fs->config.heap, count * sizeof *slots);
    if (!slots) {
        return -ENOMEM;
    }
    mutex_acquire(&pipe->lock);
    bool was_full = pipe_is_full(pipe);
    struct pipe_piece *unused = change_slots(pipe, slots, count);
    pipe_tell_room(file, pipe, was_full);
    mutex_release(&pipe->lock);
    heap_free(file->fs->config.heap, unused);
    return unused == slots ? -EBUSY : (int64_t)((uint64_t)count * FRAME_BYTES);
}

/* ---- Pieces ---- */

char *pipe_piece_bytes(const struct file *file, const struct pipe_piece *piece)
{
    return pipe_bytes(file, piece);
}

int pipe_piece_take(struct file *file, bool may_wait, struct pipe_piece *piece)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    int result = pipe_wait_for_bytes(file, pipe, may_wait);
    if (result > 0) {
        *piece = *pipe_slot(pipe, pipe->head++);
        pipe->taken++;
    }
    mutex_release(&pipe->lock);
    return result;
}

void pipe_piece_return(struct file *file, const struct pipe_piece *rest)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    bool was_full = pipe_is_full(pipe);
    pipe->taken--;
    if (rest->bytes != 0) {
        *pipe_slot(pipe, --pipe->head) = *rest;
    } else if (rest->frame.raw != 0) {
        pipe_put_frame(file, pipe, rest->frame);
    }
    if (pipe->head != pipe->tail || pipe->writers == 0) {
        file->fs->config.notify(&pipe->event, FILE_READY_READ); /* others may wait for it */
    }
    pipe_tell_room(file, pipe, was_full);
    mutex_release(&pipe->lock);
}

int pipe_piece_prepare(struct file *file, bool may_wait)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    int error = pipe_wait_for_slot(file, pipe, may_wait);
    pipe->coming += error == 0;
    mutex_release(&pipe->lock);
    return error;
}

void pipe_piece_add(struct file *file, const struct pipe_piece *piece)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    bool was_full = pipe_is_full(pipe);
    pipe->coming--;
    if (piece->bytes != 0) {
        *pipe_slot(pipe, pipe->tail++) = *piece;
        file->fs->config.notify(&pipe->event, FILE_READY_READ);
    } else if (piece->frame.raw != 0) {
        pipe_put_frame(file, pipe, piece->frame);
    }
    pipe_tell_room(file, pipe, was_full);
    mutex_release(&pipe->lock);
}

int pipe_piece_make(struct file *file, struct pipe_piece *piece)
{
    struct fs_pipe *pipe = file->own;
    *piece = (struct pipe_piece){.given = true};
    mutex_acquire(&pipe->lock);
    int error = pipe_get_frame(file, pipe, &piece->frame);
    mutex_release(&pipe->lock);
    return error;
}

int pipe_piece_copy(struct file *file, uint64_t *slot, size_t bytes, struct pipe_piece *piece)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    uint64_t number = max_u64(*slot, pipe->head);
    bool found = number < pipe->tail;
    if (found) {
        const struct pipe_piece *from = pipe_slot(pipe, number);
        piece->bytes = (uint16_t)min_u64(from->bytes, bytes);
        piece->packet = from->packet;
        memcpy(pipe_bytes(file, piece), pipe_bytes(file, from), piece->bytes);
    }
    *slot = number + found;
    mutex_release(&pipe->lock);
    return found;
}

int pipe_wait(struct file *file, bool may_wait)
{
    struct fs_pipe *pipe = file->own;
    mutex_acquire(&pipe->lock);
    int result = pipe_wait_for_bytes(file, pipe, may_wait);
    mutex_release(&pipe->lock);
    return result;
}

/* Inside pipes: what pipe.c and pipe_pieces.c share. */
#pragma once

#include <ashlar/pipe.h>

#include "paged.h"

struct fs_pipe {
    struct mutex lock;         /* guards all but `files` */
    struct fs_event event;     /* something has changed */
    struct pipe_piece *slots;  /* by number % `limit` */
    uint32_t limit;            /* how many: a power of two */
    uint32_t coming;           /* of these, kept free for pieces that are being brought, */
    uint32_t taken;            /* and for those that may come back */
    uint64_t head;             /* number of the oldest slot with something in it */
    uint64_t tail;             /* of the next one that is filled */
    phys_addr_t spare;         /* for the next slot; or none */
    uint32_t readers, writers; /* files open for reading, and for writing */
    uint64_t reader_opens;     /* ever */
    uint64_t writer_opens;     /* ever */
    uint32_t files;            /* open files; guarded by the tree's `names` */
};

static inline struct pipe_piece *pipe_slot(struct fs_pipe *pipe, uint64_t number)
{
    return &pipe->slots[number & (pipe->limit - 1)];
}

static inline bool pipe_is_full(const struct fs_pipe *pipe)
{
    return pipe->tail - pipe->head + pipe->coming + pipe->taken >= pipe->limit;
}

/* Where the piece's bytes lie. */
static inline char *pipe_bytes(const struct file *file, const struct pipe_piece *piece)
{
    return (char *)frame_pointer(file->fs->config.frames, piece->frame) + piece->offset;
}

/* ---- With the lock held, which a wait lets go ---- */

/* Waits for something to read. Returns 1 when there is; 0: nothing, as nobody writes; -EAGAIN or -EINTR. */
int pipe_wait_for_bytes(struct file *file, struct fs_pipe *pipe, bool may_wait) REQUIRES(pipe->lock);

/* Waits for a free slot. 0, -EAGAIN, -EINTR or -EPIPE: nobody reads. */
int pipe_wait_for_slot(struct file *file, struct fs_pipe *pipe, bool may_wait) REQUIRES(pipe->lock);

/* A frame for a slot: 0, -ENOSPC or -ENOMEM; and back. */
int pipe_get_frame(struct file *file, struct fs_pipe *pipe, phys_addr_t *frame) REQUIRES(pipe->lock);
void pipe_put_frame(struct file *file, struct fs_pipe *pipe, phys_addr_t frame) REQUIRES(pipe->lock);

/* Tells writers if there is room now and was none before. */
static inline void pipe_tell_room(const struct file *file, struct fs_pipe *pipe, bool was_full)
{
    if (was_full && !pipe_is_full(pipe)) {
        file->fs->config.notify(&pipe->event, FILE_READY_WRITE);
    }
}

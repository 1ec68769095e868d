/*
 * Pipes beyond reading and writing: how large they are, what is in them, and pieces of them that go from one
 * to another, or to and from other files, without being copied (splice).
 */
#pragma once

#include <ashlar/file.h>

#define PIPE_BYTES_MAX (1UL << 20) /* that a pipe can have room for */

/* Whether it is an end of a pipe. */
bool file_is_pipe(const struct file *file);

/* Bytes that can be read. */
uint64_t pipe_waiting(struct file *file);

/* Bytes that it has room for. */
uint64_t pipe_size(struct file *file);

/*
 * Gives it room for `bytes` bytes, made a power of two of at least a page. Returns how many these are;
 * -EINVAL (more than can be asked for), -EPERM (more than PIPE_BYTES_MAX), -EBUSY (so much is in it),
 * or -ENOMEM.
 */
int64_t pipe_resize(struct file *file, uint64_t bytes);

/* What lies in one frame of a pipe: up to FRAME_BYTES bytes. */
struct pipe_piece {
    phys_addr_t frame; /* the piece's own */
    uint16_t offset;   /* of its first byte */
    uint16_t bytes;    /* 0: nothing */
    bool packet;       /* one read takes it as a whole */
    bool given;        /* it came by splice: nothing is written behind it */
};

/* The piece's bytes, for the kernel to use. */
char *pipe_piece_bytes(const struct file *file, const struct pipe_piece *piece);

/*
 * Takes the oldest piece out. Returns 1; 0: there is none, and nobody writes; -EAGAIN (may_wait is false),
 * -EINTR. Followed by pipe_piece_return() with what is left of it, which is the oldest again; of 0 bytes its
 * frame goes. frame FRAME_NONE: the piece has found another place.
 */
int pipe_piece_take(struct file *file, bool may_wait, struct pipe_piece *piece);
void pipe_piece_return(struct file *file, const struct pipe_piece *rest);

/*
 * Makes room for one piece. Returns 0, -EAGAIN, -EINTR or -EPIPE: nobody reads. Followed by pipe_piece_add():
 * with a piece, which is the newest then; or with one of 0 bytes, whose frame goes if it has one.
 */
int pipe_piece_prepare(struct file *file, bool may_wait);
void pipe_piece_add(struct file *file, const struct pipe_piece *piece);

/* Makes an empty piece with a frame; -ENOSPC or -ENOMEM. */
int pipe_piece_make(struct file *file, struct pipe_piece *piece);

/*
 * Copies what lies in the first slot from number *slot on, up to `bytes` bytes, into `piece`, which is empty
 * and has a frame; *slot becomes the number behind it. Begins with 0. Returns 1, or 0: there is none any
 * more.
 */
int pipe_piece_copy(struct file *file, uint64_t *slot, size_t bytes, struct pipe_piece *piece);

/* Waits until there is something to read, and takes nothing: as pipe_piece_take(). */
int pipe_wait(struct file *file, bool may_wait);

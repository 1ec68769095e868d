/*
 * splice, tee, vmsplice: bytes go into pipes, out of them and from one to another, a frame at a time
 * (<ashlar/pipe.h>). From pipe to pipe the frame itself goes over. A call waits only until it has moved
 * something.
 */
#include "splice.h"

#include <ashlar/pipe.h>
#include <ashlar/string.h>

#define SPLICE_NO_WAIT 2U
#define SPLICE_FLAGS   15U /* MOVE, MORE and GIFT change nothing that a program could see */

/* ---- What the calls share ---- */

int64_t file_ends_get(struct file_ends *ends, uint64_t from, uint64_t to)
{
    ends->from = file_of(from);
    ends->to = file_of(to);
    return ends->from && ends->to ? 0 : -EBADF;
}

void file_ends_put(const struct file_ends *ends)
{
    if (ends->from) {
        file_put(ends->from);
    }
    if (ends->to) {
        file_put(ends->to);
    }
}

int64_t file_place_get(struct file_place *place, uint64_t at)
{
    *place = (struct file_place){.given = at != 0, .at = at};
    return at == 0 || get_user_64((uint64_t *)&place->offset, user_addr(at)) ? 0 : -EFAULT;
}

int64_t file_place_put(const struct file_place *place)
{
    return !place->given || put_user_64(user_addr(place->at), (uint64_t)place->offset) ? 0 : -EFAULT;
}

int64_t file_use_at(struct file *file, struct file_buffer *buffer, bool writes, struct file_place *place)
{
    int64_t result = file_use(file, buffer, writes, place->given ? &place->offset : NULL);
    place->offset += place->given && result > 0 ? result : 0;
    return result;
}

static bool file_waits(const struct file *file)
{
    return !(atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_WAIT);
}

/* Room in a pipe; who finds that nobody reads is told by a signal, too. */
static int64_t prepare(struct file *pipe, bool may_wait)
{
    int64_t error = pipe_piece_prepare(pipe, may_wait);
    if (error == -EPIPE) {
        signal_self(SIGNAL_PIPE);
    }
    return error;
}

/* ---- Into a pipe ---- */

/* One piece, of what a file has, or a program. */
static int64_t bring_piece(struct file *from, struct file_place *place, struct user_buffer *buffer,
                           struct file *pipe, size_t bytes)
{
    struct pipe_piece piece;
    struct file_memory memory;
    int64_t result = pipe_piece_make(pipe, &piece);
    if (result == 0) {
        char *to = pipe_piece_bytes(pipe, &piece);
        bytes = min_u64(bytes, FRAME_BYTES);
        result = from ? file_use_at(from, file_memory(&memory, to, bytes), false, place)
                      : (int64_t)buffer->buffer.take(&buffer->buffer, to, bytes);
        piece.bytes = result > 0 ? (uint16_t)result : 0;
    }
    pipe_piece_add(pipe, &piece);
    return !from && result == 0 ? -EFAULT : result;
}

static int64_t bring(struct file *from, struct file_place *place, struct user_buffer *buffer,
                     struct file *pipe, uint64_t bytes, bool may_wait)
{
    uint64_t done = 0;
    int64_t result = 1;
    while (result > 0 && done < bytes && !thread_killed()) {
        result = prepare(pipe, may_wait && done == 0);
        result = result ? result : bring_piece(from, place, buffer, pipe, bytes - done);
        done += result > 0 ? (uint64_t)result : 0;
        if (from && (result < (int64_t)FRAME_BYTES || from->operations->stream)) {
            break; /* it may have no more without a wait */
        }
    }
    return done ? (int64_t)done : result;
}

int64_t splice_into_pipe(struct file *from, struct file_place *place, struct file *pipe, uint64_t bytes,
                         bool may_wait)
{
    return bring(from, place, NULL, pipe, min_u64(bytes, READ_LARGEST), may_wait);
}

/* ---- Out of a pipe ---- */

static int64_t take_piece(struct file *pipe, struct file *to, struct file_place *place, uint64_t bytes,
                          bool may_wait)
{
    struct pipe_piece piece;
    struct file_memory memory;
    int64_t result = pipe_piece_take(pipe, may_wait, &piece);
    if (result <= 0) {
        return result;
    }
    size_t part = min_u64(piece.bytes, bytes);
    result = file_use_at(to, file_memory(&memory, pipe_piece_bytes(pipe, &piece), part), true, place);
    if (result > 0) {
        piece.offset += (uint16_t)result;
        piece.bytes -= (uint16_t)result;
    }
    pipe_piece_return(pipe, &piece);
    return result;
}

static int64_t splice_out(struct file *pipe, struct file *to, struct file_place *place, uint64_t bytes,
                          bool may_wait)
{
    uint64_t done = 0;
    int64_t result = 1;
    while (result > 0 && done < bytes && !thread_killed()) {
        result = take_piece(pipe, to, place, bytes - done, may_wait && done == 0);
        done += result > 0 ? (uint64_t)result : 0;
    }
    return done ? (int64_t)done : result;
}

/* ---- From pipe to pipe ---- */

/* The first `bytes` bytes of a piece become one of their own; 0 or an error. */
static int64_t divide(struct file *pipe, struct pipe_piece *piece, size_t bytes, struct pipe_piece *part)
{
    int64_t error = pipe_piece_make(pipe, part);
    if (error == 0) {
        part->packet = piece->packet;
        part->bytes = (uint16_t)bytes;
        memcpy(pipe_piece_bytes(pipe, part), pipe_piece_bytes(pipe, piece), bytes);
        piece->offset += (uint16_t)bytes;
        piece->bytes -= (uint16_t)bytes;
    }
    return error;
}

/* So much of a piece goes to a pipe that has room for it: the piece itself, if that is all. */
static int64_t hand_over(struct file *to, struct pipe_piece *piece, size_t bytes)
{
    struct pipe_piece part = *piece;
    int64_t error = 0;
    if (bytes < piece->bytes) {
        error = divide(to, piece, bytes, &part);
    } else {
        part.given = true;
        *piece = (struct pipe_piece){.frame = FRAME_NONE};
    }
    pipe_piece_add(to, &part);
    return error ? error : (int64_t)bytes;
}

/* One piece: waits for it first, and then for room. */
static int64_t move_piece(struct file *from, struct file *to, uint64_t bytes, bool may_wait)
{
    const struct pipe_piece none = {.frame = FRAME_NONE};
    struct pipe_piece piece;
    for (;;) {
        int64_t result = pipe_wait(from, may_wait);
        if (result <= 0) {
            return result;
        }
        result = prepare(to, may_wait);
        if (result) {
            return result;
        }
        result = pipe_piece_take(from, false, &piece);
        if (result > 0) {
            result = hand_over(to, &piece, min_u64(piece.bytes, bytes));
            pipe_piece_return(from, &piece);
            return result;
        }
        pipe_piece_add(to, &none);
        if (result == 0 || !may_wait) {
            return result; /* else another reader was faster */
        }
    }
}

static int64_t splice_over(struct file *from, struct file *to, uint64_t bytes, bool may_wait)
{
    uint64_t done = 0;
    int64_t result = 1;
    while (result > 0 && done < bytes && !thread_killed()) {
        result = move_piece(from, to, bytes - done, may_wait && done == 0);
        done += result > 0 ? (uint64_t)result : 0;
    }
    return done ? (int64_t)done : result;
}

/* One piece more, copied from slot *slot on; 0: there is none. */
static int64_t copy_piece(struct file *from, struct file *to, uint64_t *slot, uint64_t bytes, bool may_wait)
{
    struct pipe_piece piece;
    int64_t result = prepare(to, may_wait);
    if (result) {
        return result;
    }
    result = pipe_piece_make(to, &piece);
    if (result == 0 && pipe_piece_copy(from, slot, bytes, &piece)) {
        result = piece.bytes;
    }
    pipe_piece_add(to, &piece);
    return result;
}

static int64_t copy_over(struct file *from, struct file *to, uint64_t bytes, bool may_wait)
{
    uint64_t slot = 0;
    uint64_t done = 0;
    int64_t result;
    do {
        result = done ? 1 : pipe_wait(from, may_wait);
        if (result > 0) {
            result = copy_piece(from, to, &slot, bytes - done, may_wait && done == 0);
            done += result > 0 ? (uint64_t)result : 0;
            result = result == 0 && done == 0 ? 1 : result; /* another reader was faster */
        }
    } while (result > 0 && done < bytes && !thread_killed());
    return done ? (int64_t)done : result;
}

/* ---- The calls ---- */

static int64_t check_places(const struct file_ends *ends, const struct file_place *in,
                            const struct file_place *out)
{
    const struct file *to = ends->to;
    bool pipes = file_is_pipe(ends->from) && file_is_pipe(to);
    bool other = !file_is_pipe(ends->from) && !file_is_pipe(to);
    bool appends = atomic_load_explicit(&to->flags, memory_order_relaxed) & FILE_APPEND;
    int64_t error = file_check_access(ends->from, false);
    error = error ? error : file_check_access(to, true);
    if (error) {
        return error;
    }
    if (other || (pipes && ends->from->node == to->node) || (appends && !file_is_pipe(to))) {
        return -EINVAL;
    }
    bool placed = (in->given && ends->from->operations->stream) || (out->given && to->operations->stream);
    return placed || in->offset < 0 || out->offset < 0 ? -EINVAL : 0;
}

static int64_t splice(const struct file_ends *ends, struct file_place *in, struct file_place *out,
                      uint64_t bytes, bool may_wait)
{
    bytes = min_u64(bytes, READ_LARGEST);
    if (!file_is_pipe(ends->from)) {
        return splice_into_pipe(ends->from, in, ends->to, bytes, may_wait && file_waits(ends->to));
    }
    may_wait = may_wait && file_waits(ends->from);
    return file_is_pipe(ends->to) ? splice_over(ends->from, ends->to, bytes, may_wait && file_waits(ends->to))
                                  : splice_out(ends->from, ends->to, out, bytes, may_wait);
}

static int64_t splice_between(const struct file_ends *ends, uint64_t in_at, uint64_t out_at, uint64_t bytes,
                              bool may_wait)
{
    struct file_place in;
    struct file_place out;
    if ((in_at != 0 && file_is_pipe(ends->from)) || (out_at != 0 && file_is_pipe(ends->to))) {
        return -ESPIPE;
    }
    int64_t result = file_place_get(&out, out_at);
    result = result ? result : file_place_get(&in, in_at);
    result = result ? result : check_places(ends, &in, &out);
    result = result ? result : splice(ends, &in, &out, bytes, may_wait);
    if (result >= 0 && (file_place_put(&out) || file_place_put(&in))) {
        return -EFAULT;
    }
    return result;
}

int64_t call_splice(const struct trap_frame *frame)
{
    struct file_ends ends;
    uint32_t flags = (uint32_t)argument_6(frame);
    if (argument_5(frame) == 0) {
        return 0;
    }
    if (flags & ~SPLICE_FLAGS) {
        return -EINVAL;
    }
    int64_t result = file_ends_get(&ends, argument_1(frame), argument_3(frame));
    if (result == 0) {
        result = splice_between(&ends, argument_2(frame), argument_4(frame), argument_5(frame),
                                !(flags & SPLICE_NO_WAIT));
    }
    file_ends_put(&ends);
    return result;
}

static int64_t tee(const struct file_ends *ends, uint64_t bytes, bool may_wait)
{
    int64_t error = file_check_access(ends->from, false);
    error = error ? error : file_check_access(ends->to, true);
    if (error) {
        return error;
    }
    if (!file_is_pipe(ends->from) || !file_is_pipe(ends->to) || ends->from->node == ends->to->node) {
        return -EINVAL;
    }
    may_wait = may_wait && file_waits(ends->from) && file_waits(ends->to);
    return copy_over(ends->from, ends->to, min_u64(bytes, READ_LARGEST), may_wait);
}

int64_t call_tee(const struct trap_frame *frame)
{
    struct file_ends ends;
    uint32_t flags = (uint32_t)argument_4(frame);
    if (flags & ~SPLICE_FLAGS) {
        return -EINVAL;
    }
    if (argument_3(frame) == 0) {
        return 0;
    }
    int64_t result = file_ends_get(&ends, argument_1(frame), argument_2(frame));
    result = result ? result : tee(&ends, argument_3(frame), !(flags & SPLICE_NO_WAIT));
    file_ends_put(&ends);
    return result;
}

/* To a pipe that is open for writing, else from it. */
static int64_t splice_user(struct file *pipe, struct user_buffer *buffer, bool may_wait)
{
    if (buffer->buffer.left == 0) {
        return 0;
    }
    if (!file_is_pipe(pipe)) {
        return -EBADF;
    }
    if (file_check_access(pipe, true) == 0) {
        return bring(NULL, NULL, buffer, pipe, buffer->buffer.left, may_wait);
    }
    int64_t result = pipe_wait(pipe, may_wait);
    return result > 0 ? file_read(pipe, &buffer->buffer) : result;
}

int64_t call_vmsplice(const struct trap_frame *frame)
{
    struct user_buffer buffer;
    uint32_t flags = (uint32_t)argument_4(frame);
    if (flags & ~SPLICE_FLAGS) {
        return -EINVAL;
    }
    struct file *pipe = file_to_use(argument_1(frame));
    if (!pipe) {
        return -EBADF;
    }
    int64_t result = user_buffer_begin_parts(&buffer, argument_2(frame), argument_3(frame));
    if (result == 0) {
        result = splice_user(pipe, &buffer, !(flags & SPLICE_NO_WAIT));
        user_buffer_end(&buffer);
    }
    file_put(pipe);
    return result;
}

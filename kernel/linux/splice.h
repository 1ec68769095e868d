/* Bytes that go from one file to another without passing through a program's memory. */
#pragma once

#include "file_calls.h"

/* The two files of a call, with references. */
struct file_ends {
    struct file *from;
    struct file *to;
};

/* Finds both: 0 or -EBADF. Followed by file_ends_put() in any case. */
int64_t file_ends_get(struct file_ends *ends, uint64_t from, uint64_t to);
void file_ends_put(const struct file_ends *ends);

/* Where a file is used: at a moment of its own, which the program keeps, or at the file's position. */
struct file_place {
    int64_t offset;
    bool given;  /* at `offset`, which moves on */
    uint64_t at; /* where the program keeps it */
};

/* at: 0 for the file's position. -EFAULT. */
int64_t file_place_get(struct file_place *place, uint64_t at);

/* Tells the program where it is now; -EFAULT. */
int64_t file_place_put(const struct file_place *place);

/* One read or write there, which moves on by what was done. */
int64_t file_use_at(struct file *file, struct file_buffer *buffer, bool writes, struct file_place *place);

/* From a file, which is no pipe, into a pipe: as much as it has room for; waits for the first byte of room
 * alone, and only if it may. Returns how many bytes, or an error. */
int64_t splice_into_pipe(struct file *from, struct file_place *place, struct file *pipe, uint64_t bytes,
                         bool may_wait);

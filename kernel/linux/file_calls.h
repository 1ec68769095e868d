/* What the system calls of files share. */
#pragma once

#include "calls.h"
#include "descriptors.h"

#define AT_HERE (-100) /* AT_FDCWD */

/* A name that a program gave, and where it begins. */
struct named {
    struct fs_view view;
    struct file *file;     /* of the descriptor it begins at, with a reference; NULL: none was needed */
    struct path begin;     /* that file's place */
    const struct path *at; /* the same for the functions of fs.h; NULL: the working directory */
    char *name;            /* on the heap */
};

/*
 * Gets the name that stands at `name`; descriptor: AT_HERE, or one of the process. flags with
 * FS_AT_EMPTY_PATH let the name be empty: then it means the descriptor's file. Returns 0, to be followed by
 * named_end(), -EFAULT, -ENAMETOOLONG, -EBADF, -ENOENT or -ENOMEM.
 */
int64_t named_begin(struct named *named, uint64_t descriptor, uint64_t name, unsigned flags);
void named_end(struct named *named);

/* Whether an empty name means an open file that has no place, such as a pipe. */
static inline bool named_is_file_alone(const struct named *named)
{
    return named->name[0] == 0 && named->file && !named->begin.entry;
}

/* The calling process's file of that number, with a reference; NULL: EBADF. */
struct file *file_of(uint64_t descriptor);

/* The same, but NULL for one that is only a place (O_PATH), too. */
struct file *file_to_use(uint64_t descriptor);

/* 0, or -EBADF: the file was not opened for that. */
int64_t file_check_access(const struct file *file, bool writes);

/* One read or write, at *offset, or at the file's position if that is NULL; who is not in front of his
 * terminal, and who writes to a pipe that nobody reads, gets his signal. */
int64_t file_use(struct file *file, struct file_buffer *buffer, bool writes, const int64_t *offset);

/* The number that the file gets in the calling process; gives its reference back where it gets none. */
int64_t file_give(struct file *file, bool close_on_exec);

/* What poll() says of a file that is ready so (enum file_ready, or'ed): POLLIN, POLLRDNORM and so on. */
uint32_t poll_bits(unsigned ready);

/* ---- Buffers in a program's memory ---- */

#define READ_LARGEST 0x7ffff000 /* bytes of one call: MAX_RW_COUNT */
#define PARTS_MAX    1024       /* UIO_MAXIOV */

/* struct iovec */
struct user_part {
    uint64_t base;
    uint64_t bytes;
};

struct user_buffer {
    struct file_buffer buffer;     /* for file_read() and file_write() */
    const struct user_part *parts; /* those that are left, the first maybe in part */
    uint64_t done;                 /* bytes of the first */
    uint64_t count;
    struct user_part one;
    struct user_part *several; /* on the heap; or NULL */
};

/* One range; -EFAULT for one that cannot be a program's. Longer than READ_LARGEST is cut. */
int64_t user_buffer_begin(struct user_buffer *buffer, uint64_t base, uint64_t bytes);

/* Several. -EINVAL, -EFAULT, -ENOMEM. Followed by user_buffer_end(). */
int64_t user_buffer_begin_parts(struct user_buffer *buffer, uint64_t parts, uint64_t count);
void user_buffer_end(struct user_buffer *buffer);

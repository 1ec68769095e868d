/*
 * A program's file: open, executed, and with the pages that spaces show of it. While it is held nobody can
 * write to it (ETXTBSY).
 */
#pragma once

#include <ashlar/file.h>

struct program_file {
    const char *name; /* for people; stays where it is */
    struct file *file;
    struct vm_pager *pager;
    uint64_t bytes;
};

/*
 * Opens the file that `name` leads to from `at` (NULL: from the working directory), as execve() does. flags:
 * FS_AT_NO_FOLLOW. Returns 0 or -ENOENT, -ENOTDIR, -EACCES (no regular file, or not to be executed), -ELOOP,
 * -ENAMETOOLONG, -ETXTBSY or -ENOMEM.
 */
int program_file_open(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
                      struct program_file *program);

/* The same of a file that is open already, even if only as a place. name: for people. */
int program_file_reopen(const struct fs_view *view, const struct file *file, const char *name,
                        struct program_file *program);

void program_file_close(struct program_file *program);

/* Copies [offset, offset + bytes). Returns whether it could. */
bool program_file_read(const struct program_file *program, void *to, uint64_t offset, size_t bytes);

/* Holds a file that is executed, for one more; and lets it go. */
void program_file_hold(struct file *file);
void program_file_let_go(struct file *file);

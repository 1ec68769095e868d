/*
 * Open files: reading, writing, mapping, waiting. <ashlar/fs.h> has their names, and says who may call what.
 *
 * A `struct file` is what open() makes: a node, a position, flags. It is counted, since processes share it,
 * and a file that has lost its last name lives on as long as it is open or mapped.
 *
 * Where bytes come from and go to is a `struct file_buffer`: a program's memory, or the kernel's. Its
 * functions are called with no spinlock held, and maybe with a mutex of the file's, of a rank above those of
 * spaces: they may fault, and wait for memory, but not use files.
 */
#pragma once

#include <ashlar/fs.h>
#include <ashlar/vm_space.h>

/* Flags of open(), Linux's (include/uapi/asm-generic/fcntl.h). */
enum file_flags {
    FILE_READ_ONLY = 0,
    FILE_WRITE_ONLY = 1,
    FILE_READ_WRITE = 2,
    FILE_ACCESS = 3, /* the three above, and 3, which allows neither */
    FILE_CREATE = 0100,
    FILE_EXCLUSIVE = 0200,
    FILE_NO_TERMINAL = 0400,
    FILE_TRUNCATE = 01000,
    FILE_APPEND = 02000,
    FILE_NO_WAIT = 04000, /* O_NONBLOCK */
    FILE_DATA_SYNC = 010000,
    FILE_DIRECT = 040000, /* O_DIRECT: of a pipe, packets; else ignored */
    FILE_LARGE = 0100000,
    FILE_DIRECTORY = 0200000,
    FILE_NO_FOLLOW = 0400000,
    FILE_NO_ACCESS_TIME = 01000000,
    FILE_CLOSE_ON_EXEC = 02000000, /* the descriptor's affair; ignored here */
    FILE_PLACE = 010000000,        /* O_PATH: a place without what is in it */
    FILE_UNNAMED = 020000000,      /* O_TMPFILE without O_DIRECTORY; both: EOPNOTSUPP */
};

/* What may be changed of an open file by fcntl(F_SETFL). */
#define FILE_CHANGEABLE (FILE_APPEND | FILE_NO_WAIT | FILE_NO_ACCESS_TIME)

/* Where bytes come from or go to. */
struct file_buffer {
    /* Copies up to `bytes` bytes between the kernel's memory and the buffer, and goes on by what it copied.
     * Returns how many: fewer where the buffer faults or ends. One of both is used. */
    size_t (*put)(struct file_buffer *buffer, const void *from, size_t bytes);
    size_t (*take)(struct file_buffer *buffer, void *to, size_t bytes);
    size_t left; /* bytes that still fit, or are still there */
    bool broken; /* set by a write that ended, maybe in the middle, as nobody reads the pipe any more */
};

/* A buffer in the kernel's own memory. */
struct file_memory {
    struct file_buffer buffer; /* what reads and writes get */
    char *at;                  /* next byte */
};
struct file_buffer *file_memory(struct file_memory *memory, void *at, size_t bytes);

/* What poll() tells (include/uapi/asm-generic/poll.h). */
enum file_ready {
    FILE_READY_READ = 1,
    FILE_READY_WRITE = 4,
    FILE_READY_ERROR = 8,
    FILE_READY_HANG_UP = 16,
    FILE_READY_ANY = 31,
};

enum file_whence { FILE_FROM_START, FILE_FROM_HERE, FILE_FROM_END, FILE_FROM_DATA, FILE_FROM_HOLE };

/*
 * What files of a kind do. Each may be NULL: then read and write are EINVAL, a file is always ready, and
 * there is nothing to begin or to end.
 */
struct file_operations {
    int (*open)(struct file *file); /* it is complete but for what this sets */
    int64_t (*read)(struct file *file, struct file_buffer *buffer, uint64_t *offset);
    int64_t (*write)(struct file *file, struct file_buffer *buffer, uint64_t *offset);
    unsigned (*ready)(struct file *file); /* enum file_ready, or'ed */
    /* What is notified when ready() may say something else; NULL: never. */
    struct fs_event *(*event)(struct file *file);
    void (*release)(struct file *file); /* the last reference is gone */
    bool stream;                        /* has no positions: seeking is ESPIPE, */
    bool seeks_nowhere;                 /* or does nothing */
};

struct file {
    const struct file_operations *operations;
    struct fs_node *node; /* with a reference */
    struct path path;     /* by which it was opened, or none */
    struct fs *fs;        /* whose file it is */
    _Atomic(uint32_t) references;
    _Atomic(uint32_t) flags; /* enum file_flags */
    struct mutex seeking;    /* guards `position` */
    uint64_t position;       /* of the next byte, or in a directory */
    /* Whoever opened it had not FS_POWER_SET_ID, and maybe was not in the file's group either: set-ID bits go
     * when it is written to. */
    bool unprivileged;
    bool outsider;
    void *own;      /* what its operations keep */
    void *watchers; /* whom `forget` tells of its end; NULL: nobody, and `forget` is not called */
    void (*forget)(struct file *file); /* the last reference is gone, and the release follows */
};

/* ---- Opening, closing ---- */

/*
 * Opens, and maybe makes, the file that `name` leads to. flags: enum file_flags; mode: permissions of a file
 * that is made. On success *file has one reference. Fails as open() does on Linux.
 */
int fs_open(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
            uint32_t mode, struct file **file);

/*
 * Opens, to be read, a regular file that `who` may execute, whether he may read it or not. flags:
 * FS_AT_NO_FOLLOW, FS_AT_EMPTY_PATH. Fails as fs_find() does, or with -EACCES, -ELOOP (a symbolic link that
 * is not followed) or -ENOMEM. The second opens the node of an open file so, even of one that is open as a
 * place only.
 */
int fs_open_to_execute(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
                       struct file **file);
int file_reopen_to_execute(const struct fs_view *view, const struct file *from, struct file **file);

/* Whether the permissions of the file's node let the view's identity read it, however it was opened. */
bool file_may_be_read(const struct fs_view *view, const struct file *file);

/* The two ends of a new pipe: [0] to read, [1] to write. flags: FILE_NO_WAIT, and FILE_DIRECT for what is
 * written. */
int fs_pipe(const struct fs_view *view, unsigned flags, struct file *ends[2]);

/* A regular file without a name (memfd_create). title: what fs_name() shows of it all the same. */
int fs_unnamed(const struct fs_view *view, const char *title, struct file **file);

/* What may never be done to a file any more (F_ADD_SEALS, include/uapi/linux/fcntl.h). */
enum file_seal {
    FILE_SEAL_SEAL = 1,          /* no more seals */
    FILE_SEAL_SHRINK = 2,        /* it does not become shorter, */
    FILE_SEAL_GROW = 4,          /* nor longer */
    FILE_SEAL_WRITE = 8,         /* nobody writes to it, nor has it mapped to write */
    FILE_SEAL_FUTURE_WRITE = 16, /* the same, but who has it mapped already goes on */
    FILE_SEALS = 31,
};

/* Lets a file without a name have seals, and gives it the first of them: enum file_seal, or'ed. */
void file_begin_sealing(struct file *file, unsigned seals);

/*
 * Adds seals: enum file_seal, or'ed. Fails with -EPERM (not open for writing, or sealed against that),
 * -EINVAL (it has no seals, or not such), or -EBUSY: it is mapped shared, so that it cannot be sealed against
 * writing.
 */
int file_add_seals(struct file *file, unsigned seals);

/* Its seals, or -EINVAL. */
int file_seals(struct file *file);

/*
 * A file without a name that is something else than bytes, such as a timer: its operations are all there is
 * to it, `own` is theirs, and the caller's again if this fails. flags: enum file_flags.
 */
int fs_special(const struct fs_view *view, const struct file_operations *operations, unsigned flags,
               void *own, struct file **file);

void file_get(struct file *file);
void file_put(struct file *file);

/* Changes those of FILE_CHANGEABLE to what they are in `flags`. */
void file_set_flags(struct file *file, unsigned flags);

/* ---- Using: each returns bytes, or an error with a minus. A count less than asked for is no error ---- */

int64_t file_read(struct file *file, struct file_buffer *buffer);
int64_t file_write(struct file *file, struct file_buffer *buffer);
int64_t file_read_at(struct file *file, struct file_buffer *buffer, int64_t offset);
int64_t file_write_at(struct file *file, struct file_buffer *buffer, int64_t offset);

/* Moves the position; returns it. whence: enum file_whence. */
int64_t file_seek(struct file *file, int64_t offset, unsigned whence);

int file_truncate(struct file *file, int64_t bytes);
void file_status(struct file *file, struct fs_status *status);

/* How memory is set apart for a part of a file: Linux's FALLOC_FL_ flags (include/uapi/linux/falloc.h). */
enum file_allocation {
    FILE_KEEP_LENGTH = 1, /* the file does not become longer */
    FILE_PUNCH = 2,       /* the other way round: the part becomes zeros and its memory is given back */
};

/*
 * Gives the `bytes` bytes from `offset` on memory of their own, as zeros where there was none, or takes it
 * from them. The file has been opened for writing. Fails with -EINVAL (a range that is none), -EFBIG,
 * -EOPNOTSUPP (other flags, or FILE_PUNCH alone), -ESPIPE, -EISDIR, -ENODEV (no regular file), -EPERM
 * (seals), -ENOSPC or -ENOMEM.
 */
int file_allocate(struct file *file, unsigned flags, int64_t offset, int64_t bytes);

/* Changes what stands in its node, which may have no name; as path_change(). */
int file_change(const struct fs_view *view, struct file *file, const struct fs_change *change);

/* One of a directory's entries, "." and ".." among them. */
struct file_entry {
    const char *name; /* NUL-terminated */
    size_t bytes;     /* without the terminator */
    uint64_t number;  /* of the node */
    uint32_t mode;    /* kind of the node: FS_DIRECTORY, ... */
    uint64_t next;    /* position behind it */
};

/*
 * Calls `emit` for the entries from the file's position on until it returns false, and leaves the position at
 * that entry. An entry that is there all the time is seen once. Fails with -ENOTDIR; with -ENOENT for a
 * directory that was removed. `emit` is called with the mutex of the
 * file's position held: it may ask for status and text of names (fs_status(), fs_readlink()), but use no
 * files.
 */
int file_entries(struct file *file, bool (*emit)(void *context, const struct file_entry *entry),
                 void *context);

/* Whether it can be used without waiting: enum file_ready, or'ed; and what to wait for else, or NULL. */
unsigned file_ready(struct file *file);
struct fs_event *file_event(struct file *file);

/*
 * A regular file is either open for writing or executed (Linux's ETXTBSY). The first begins to execute it,
 * and fails with -ETXTBSY while somebody has it open for writing; until the second, opening it for writing
 * and truncating it fail so.
 */
int file_begin_execution(struct file *file);
void file_end_execution(struct file *file);

/*
 * Who gives the pages of a regular file to spaces, with a reference; NULL for other files. Pages beyond the
 * end it does not give: the fault is a SIGBUS. Private and shared mappings, reads and writes see the same
 * bytes.
 */
struct vm_pager *file_pager(struct file *file);

/*
 * FILE_PUNCH by way of a pager that file_pager() gave: for who has a part of the file mapped. Fails with
 * -EOPNOTSUPP (another pager), -EFBIG, -EPERM (seals), or -ETXTBSY: it is executed.
 */
int file_pager_punch(struct vm_pager *pager, uint64_t offset, uint64_t bytes);
/* Whether it is /dev/zero: to map it is to map memory of no file. */
bool file_is_zeros(const struct file *file);

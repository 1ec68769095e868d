/*
 * Files by name: directories, the path walk, and what is done to names. <ashlar/file.h> has open files;
 * docs/files.md explains how both work inside.
 *
 * A `struct fs` is an instance: one tree of names whose files lie in frames of a pool. A node is a file, of
 * whatever kind; an entry is a name that a directory has for a node. Both are counted. Behaviour is Linux's
 * where a program can see it, and so are all numbers: modes, flags, errors. Functions return 0, or one of
 * <ashlar/error_number.h> with a minus; what fails has changed nothing.
 *
 * Any number of CPUs at once. The caller holds no spinlock and may wait. Names are strings of the kernel's
 * own memory. Who asks, and what the root and the working directory are for him, is a `struct fs_view`.
 */
#pragma once

#include <ashlar/error_number.h>
#include <ashlar/frame.h>
#include <ashlar/heap.h>
#include <ashlar/lock.h>

struct file;
struct file_operations;
struct fs;
struct fs_entry;
struct fs_node;

#define FS_PATH_MAX   4096  /* bytes of a path, with the terminator */
#define FS_NAME_MAX   255   /* bytes of a name in a directory */
#define FS_PIPE_BYTES 65536 /* bytes that a new pipe has room for */
#define FS_LINKS_MAX  40    /* symbolic links that one walk follows */

/* Modes (include/uapi/linux/stat.h): the kind of a file, and what may be done with it. */
enum fs_mode {
    FS_KIND = 0170000,
    FS_SOCKET = 0140000,
    FS_SYMLINK = 0120000,
    FS_REGULAR = 0100000,
    FS_BLOCK = 0060000,
    FS_DIRECTORY = 0040000,
    FS_CHARACTER = 0020000,
    FS_PIPE = 0010000,
    FS_SET_USER = 04000,
    FS_SET_GROUP = 02000,
    FS_STICKY = 01000,
    FS_PERMISSIONS = 07777, /* all bits that chmod() sets */
};

/* What a permission is asked for; also what access() takes. */
enum fs_permission {
    FS_MAY_EXECUTE = 1, /* or search a directory */
    FS_MAY_WRITE = 2,
    FS_MAY_READ = 4,
};

/* Flags of the functions that take names: Linux's AT_ ones. */
enum fs_at {
    FS_AT_NO_FOLLOW = 0x100, /* AT_SYMLINK_NOFOLLOW: a symbolic link that a path ends in is meant itself */
    FS_AT_REMOVE_DIRECTORY = 0x200, /* AT_REMOVEDIR, of fs_unlink() */
    FS_AT_FOLLOW = 0x400,           /* AT_SYMLINK_FOLLOW, of fs_link(), which else does not */
    FS_AT_EMPTY_PATH = 0x1000,      /* AT_EMPTY_PATH: "" means the file that the path starts at */
};

#define FS_RENAME_NO_REPLACE 1U /* RENAME_NOREPLACE */

/* A device number as Linux gives it to programs. */
static inline uint64_t fs_device(uint32_t major, uint32_t minor)
{
    return (uint64_t)(major & ~0xfffU) << 32 | (uint64_t)(minor & ~0xffU) << 12 | (major & 0xfffU) << 8 |
           (minor & 0xffU);
}

/* Somebody may wait for something to happen. Room for what whoever provides the waiting keeps. */
struct fs_event {
    uint64_t room[16]; /* all 0 at the start, and when nobody waits any more */
};

struct fs_config {
    struct frame_pool *frames; /* where contents lie */
    struct heap *heap;         /* where records lie */
    enum frame_owner owner;    /* of the frames */
    uint64_t frames_max;       /* frames of contents; beyond, ENOSPC */
    uint64_t nodes_max;        /* nodes, which are what names cost; beyond, ENOSPC */
    uint64_t seed;             /* secret; decides about the order in which directories are read */
    uint64_t (*now)(void);     /* nanoseconds since 1970 */
    void (*random)(void *to, size_t bytes); /* bytes that nobody can guess */
    /*
     * Lets go of `held`, waits for the next notify() of the event, which is not missed however soon it comes,
     * and takes `held` again. Returns 0, or -EINTR when the waiter shall give up.
     */
    int (*wait)(struct fs_event *event, struct mutex *held);
    /* Wakes all who wait; from any context that may take spinlocks. ready: what file_ready() may say of now
     * that it did not say before, for those who only want to hear of news. */
    void (*notify)(struct fs_event *event, unsigned ready);
    /* What is done with a character device, or NULL for one that does not exist; beyond those of memory. */
    const struct file_operations *(*device)(uint64_t number);
};

/* A place in the tree of names. */
struct path {
    struct fs_entry *entry; /* with a reference, or NULL for none */
};

/* What somebody may do beyond what permissions say: Linux's capabilities, by their bits
 * (include/uapi/linux/capability.h). */
enum fs_power {
    FS_POWER_GIVE = 1 << 0,     /* CAP_CHOWN: owners and groups may be changed */
    FS_POWER_OVERRIDE = 1 << 1, /* CAP_DAC_OVERRIDE: permissions do not count */
    FS_POWER_SEARCH = 1 << 2,   /* CAP_DAC_READ_SEARCH: the same for reading, and searching directories */
    FS_POWER_OWN = 1 << 3,      /* CAP_FOWNER: may what the owner may */
    FS_POWER_SET_ID = 1 << 4,   /* CAP_FSETID: set-ID bits stay */
    FS_POWER_DEVICES = 1 << 27, /* CAP_MKNOD */
};

#define FS_POWERS_ALL UINT64_MAX

/* Who asks. */
struct fs_identity {
    uint32_t user;
    uint32_t group;         /* of what he makes */
    const uint32_t *groups; /* others that he belongs to, in ascending order */
    uint32_t group_count;   /* how many */
    uint64_t powers;        /* enum fs_power, or'ed; other bits mean nothing here */
};

/* How somebody sees the tree: what a process has of it. */
struct fs_view {
    struct fs *fs;          /* the tree */
    struct path root;       /* where "/" leads, and where ".." ends */
    struct path here;       /* where relative paths start */
    struct fs_identity who; /* whose permissions are asked */
    uint32_t mask;          /* umask: permissions that nothing gets that he makes */
};

/* What is known about a file: what stat() gives. */
struct fs_status {
    uint64_t device;   /* of the file system */
    uint64_t number;   /* of the node */
    uint32_t mode;     /* enum fs_mode */
    uint32_t links;    /* names it has */
    uint32_t user;     /* owner */
    uint32_t group;    /* its group */
    uint64_t special;  /* device number, of a device */
    uint64_t bytes;    /* length */
    uint64_t frames;   /* that it takes */
    uint64_t accessed; /* nanoseconds since 1970 */
    uint64_t modified; /* the same: contents */
    uint64_t changed;  /* the same: contents, or what stands here */
};

/* ---- Life ---- */

/*
 * Makes a tree that has its root directory and nothing else: two blocks of the heap. The root belongs to user
 * 0 and has the permissions 0755. Fails with -ENOMEM.
 */
int fs_init(struct fs *fs, const struct fs_config *config);

/* Returns all memory. Nobody has a path, a file or a mapping of it any more. */
void fs_destroy(struct fs *fs);

/* The view of user 0, who has all powers, from the root; give it back with fs_view_put(). */
void fs_view_root(struct fs *fs, struct fs_view *view);
void fs_view_put(struct fs_view *view);

/* ---- Places ---- */

struct path path_get(struct path path); /* another reference to it */
void path_put(struct path path);        /* gives one back; of no place as well */

/*
 * The place that `name` leads to from `at` (NULL: from view->here), with a reference. flags: FS_AT_NO_FOLLOW,
 * FS_AT_EMPTY_PATH. Fails with -ENOENT, -ENOTDIR, -EACCES, -ELOOP or -ENAMETOOLONG.
 */
int fs_find(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
            struct path *found);

/* The same for a directory that somebody wants to work in (chdir, chroot): fails with -ENOTDIR or -EACCES for
 * what is none, or may not be searched. */
int fs_find_directory(const struct fs_view *view, const struct path *at, const char *name,
                      struct path *found);

/*
 * Writes the absolute name of a place, as seen from view->root, with its terminator. Returns its bytes, the
 * terminator counted. A place outside the root gets the prefix "(unreachable)", one that was unlinked the
 * suffix " (deleted)". Fails with -ERANGE when it does not fit.
 */
int64_t fs_name(const struct fs_view *view, struct path path, char *to, size_t bytes);

/* Whether a place has been unlinked. */
bool path_is_gone(struct path path);

/* ---- Names: what each may fail with is what Linux's call of that name does ---- */

int fs_mkdir(const struct fs_view *view, const struct path *at, const char *name, uint32_t mode);

/* A regular file, a pipe, or a device, by the kind in `mode`; no kind means regular. device: its number. */
int fs_mknod(const struct fs_view *view, const struct path *at, const char *name, uint32_t mode,
             uint64_t device);

int fs_symlink(const struct fs_view *view, const char *target, const struct path *at, const char *name);

/* flags: FS_AT_FOLLOW, FS_AT_EMPTY_PATH. */
int fs_link(const struct fs_view *view, const struct path *old_at, const char *old_name,
            const struct path *new_at, const char *new_name, unsigned flags);

/* flags: FS_AT_REMOVE_DIRECTORY, and then it is rmdir(). */
int fs_unlink(const struct fs_view *view, const struct path *at, const char *name, unsigned flags);

/* flags: FS_RENAME_NO_REPLACE. */
int fs_rename(const struct fs_view *view, const struct path *old_at, const char *old_name,
              const struct path *new_at, const char *new_name, unsigned flags);

/* ---- What stands in nodes ---- */

/* flags: FS_AT_NO_FOLLOW, FS_AT_EMPTY_PATH. */
int fs_status(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
              struct fs_status *status);
void path_status(struct path path, struct fs_status *status);

/* Up to `bytes` bytes of what a symbolic link says, without a terminator; returns how many. */
int64_t fs_readlink(const struct fs_view *view, const struct path *at, const char *name, char *to,
                    size_t bytes);

/* wanted: enum fs_permission, or 0 for whether it exists. */
int fs_access(const struct fs_view *view, const struct path *at, const char *name, unsigned wanted,
              unsigned flags);

int fs_truncate(const struct fs_view *view, const struct path *at, const char *name, uint64_t bytes);

/* What is to be changed of a node. */
struct fs_change {
    bool set_mode;     /* permissions, to `mode` */
    bool chown;        /* who it belongs to, as far as the next two say: set-ID bits go in any case */
    bool set_user;     /* owner, to `user` */
    bool set_group;    /* group, to `group` */
    bool set_accessed; /* times: see below */
    bool set_modified;
    bool now; /* the times set are those of now, which whoever may write may ask for */
    uint32_t mode;
    uint32_t user;
    uint32_t group;
    uint64_t accessed; /* nanoseconds since 1970 */
    uint64_t modified;
};

/* chmod, chown and utimensat in one. flags: FS_AT_NO_FOLLOW, FS_AT_EMPTY_PATH. */
int fs_change(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
              const struct fs_change *change);
int path_change(const struct fs_view *view, struct path path, const struct fs_change *change);

/* ---- Seeing inside ---- */

/* What the whole tree takes; for statfs() too. */
struct fs_totals {
    uint64_t nodes; /* nodes, with those that have no name any more and are open */
    uint64_t nodes_max;
    uint64_t frames; /* of contents */
    uint64_t frames_max;
};
void fs_totals(const struct fs *fs, struct fs_totals *totals);

#include <ashlar/fs_types.h>

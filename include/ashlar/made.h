/*
 * Files that are made when somebody asks for them: the names below a directory, and what is read there, are
 * not kept, but found out by whoever mounts them. /proc is such a tree.
 *
 * Nodes and entries of made files live as long as somebody uses them; the next walk makes others. Nothing is
 * made, removed or renamed there by names: EPERM, or ENOENT for a name that is not found.
 */
#pragma once

#include <ashlar/file.h>

/* What a made file or directory is about: its maker's own affair. */
struct made_what {
    uint64_t words[3];
};

/* What a maker found under a name. */
struct made_found {
    struct made_what what;
    uint32_t mode;   /* enum fs_mode: a directory, a regular file or a symbolic link, and its permissions */
    uint64_t number; /* of the node */
    uint32_t user;   /* owner and group */
    uint32_t group;
    char text[32];     /* of a link without a place: what it says */
    struct path leads; /* of a link: where it leads to, with a reference; or none */
};

/* Called with no spinlock held, and maybe with the mutex of a file's position. */
struct made {
    /* What a directory has under `name`, which is not terminated. Returns 0, or -ENOENT, -ENOMEM or another
     * error, with nothing to be given back. */
    int (*find)(const struct made_what *directory, const char *name, size_t bytes, struct made_found *found);
    /*
     * Writes the directory's name at *position or behind it to `name` (FS_NAME_MAX + 1 bytes), fills
     * found->mode and found->number, and moves *position to that name. False: there is none. Positions ascend
     * and are below INT64_MAX - 3; a name keeps its own.
     */
    bool (*next)(const struct made_what *directory, uint64_t *position, char *name, struct made_found *found);
    const struct file_operations *operations; /* of its regular files */
};

/* What the maker of a file wants to know of it; valid for made files. */
const struct made_what *made_what(const struct file *file);

/*
 * Makes `name` a directory of made files, for good: it is created if it is not there. Fails as fs_mkdir()
 * does, or with -ENOTEMPTY.
 */
int made_mount(struct fs *fs, const char *name, const struct made *made, const struct made_what *what);

/*
 * The place of an open file, with a reference. Of a file without a name one is made up, whose name is its
 * title, or "pipe:[5]" and the like. None when there is no memory.
 */
struct path made_place(struct file *file);

/*
 * The file whose pages a pager gives: its node's number, and a place with a reference by which it was opened;
 * or no place, when all its names have gone and nobody has it open. *title: of a file that never had a name
 * its title, as long as there is the pager; else NULL. False: it is no file's pager. The caller has a
 * reference to the pager.
 */
bool made_pager_file(struct vm_pager *pager, uint64_t *number, struct path *place, const char **title);

/* A spinlock of the file's own, for what its operations keep in file->own. */
struct spinlock *made_lock(struct file *file);

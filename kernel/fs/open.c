/* Opening and closing files; order and kind of errors are Linux's (do_open() and may_open() in fs/namei.c).
 */
#include "internal.h"
#include <ashlar/file_lock.h>

#define SPECIAL_MODE 0600 /* and no kind, as Linux has it */

/* ---- Which file ---- */

/* The name the walk ends in is opened, or made: with O_CREAT. */
struct opening {
    const struct fs_view *view;
    unsigned flags;
    uint32_t mode;          /* of a file that is made */
    struct fs_entry *entry; /* what is opened; with a reference */
    bool made;              /* it was not there before */
};

static int make_file(struct opening *opening, struct fs_walk *walk)
{
    fs_names_lock(walk);
    int error = fs_walk_look(walk, &opening->entry);
    if (error == 0 && !opening->entry) { /* still */
        error = fs_create(walk, FS_REGULAR | opening->mode, 0, NULL, &opening->entry);
        opening->made = error == 0;
    }
    fs_names_unlock(walk);
    return error;
}

/* Finds or makes the last name; links that it leads to are followed. */
static int create(struct opening *opening, struct fs_walk *walk)
{
    bool stays = opening->flags & (FILE_EXCLUSIVE | FILE_NO_FOLLOW);
    for (;;) {
        if (walk->last != FS_LAST_NAME) {
            return opening->flags & FILE_EXCLUSIVE ? -EEXIST : -EISDIR;
        }
        if (walk->slash) {
            return -EISDIR;
        }
        int error = fs_walk_look(walk, &opening->entry);
        if (error == 0 && !opening->entry) {
            error = make_file(opening, walk);
        }
        if (error || stays || opening->made || fs_kind(opening->entry->node) != FS_SYMLINK) {
            return error == 0 && !opening->made && (opening->flags & FILE_EXCLUSIVE) ? -EEXIST : error;
        }
        error = fs_walk_follow(walk, opening->entry->node);
        fs_entry_put(opening->entry);
        opening->entry = NULL;
        if (error) {
            return error;
        }
        if (walk->leapt) {
            opening->entry = walk->at;
            fs_entry_get(walk->at);
            return 0;
        }
    }
}

static int find(struct opening *opening, const struct path *at, const char *name)
{
    struct fs_walk walk;
    int error = fs_walk_begin(&walk, opening->view, at, name);
    if (error == 0) {
        error = fs_walk_parent(&walk);
    }
    if (error == 0 && (opening->flags & FILE_CREATE)) {
        error = create(opening, &walk);
    } else if (error == 0) {
        error = fs_walk_last(&walk, !(opening->flags & FILE_NO_FOLLOW));
        if (error == 0) {
            opening->entry = walk.at;
            fs_entry_get(walk.at);
        }
    }
    fs_walk_end(&walk);
    return error;
}

/* ---- Whether it may be opened so ---- */

static unsigned wanted(unsigned flags)
{
    static const unsigned by_access[] = {[FILE_READ_ONLY] = FS_MAY_READ,
                                         [FILE_WRITE_ONLY] = FS_MAY_WRITE,
                                         [FILE_READ_WRITE] = FS_MAY_READ | FS_MAY_WRITE,
                                         [FILE_ACCESS] = FS_MAY_READ | FS_MAY_WRITE};
    return by_access[flags & FILE_ACCESS] | (flags & FILE_TRUNCATE ? (unsigned)FS_MAY_WRITE : 0u);
}

static int check_kind(const struct opening *opening, uint32_t kind)
{
    if (kind == FS_DIRECTORY && (opening->flags & FILE_CREATE) && !opening->made) {
        return -EISDIR;
    }
    if (kind != FS_DIRECTORY && (opening->flags & FILE_DIRECTORY)) {
        return -ENOTDIR;
    }
    if (kind == FS_SYMLINK) {
        return opening->flags & FILE_PLACE ? 0 : -ELOOP;
    }
    return 0;
}

static int check(const struct opening *opening)
{
    struct fs_node *node = opening->entry->node;
    const struct fs_identity *who = &opening->view->who;
    uint32_t kind = fs_kind(node);
    int error = check_kind(opening, kind);
    if (error || opening->made || (opening->flags & FILE_PLACE)) {
        return error;
    }
    if (kind == FS_DIRECTORY && (wanted(opening->flags) & FS_MAY_WRITE)) {
        return -EISDIR;
    }
    error = fs_node_allows(node, who, wanted(opening->flags));
    if (error == 0 && (opening->flags & FILE_NO_ACCESS_TIME) && who->user != 0 && who->user != node->user) {
        error = -EPERM;
    }
    return error;
}

/* ---- The file ---- */

static const struct file_operations place_operations = {.stream = false};

static const struct file_operations *operations_of(const struct fs_node *node, unsigned flags)
{
    if (flags & FILE_PLACE) {
        return &place_operations;
    }
    switch (fs_kind(node)) {
    case FS_REGULAR:
        return node->made ? node->made->operations : &fs_regular_operations;
    case FS_DIRECTORY:
        return &fs_directory_operations;
    case FS_PIPE:
        return &fs_pipe_operations;
    case FS_CHARACTER:
        return fs_device_operations(node->fs, node->special);
    default:
        return NULL; /* sockets, and block devices: nobody is behind them */
    }
}

static struct file *get_record(const struct fs_view *view)
{
    return heap_alloc_zeroed(view->fs->config.heap, sizeof(struct file));
}

/* Makes the record a file; what fails has freed it. */
static int begin(struct file *file, const struct fs_view *view, struct fs_node *node, struct path path,
                 unsigned flags, const struct file_operations *operations)
{
    file->operations = operations;
    file->node = node;
    file->path = path;
    file->fs = view->fs;
    file->unprivileged = view->who.user != 0;
    file->outsider = fs_is_outsider(node, &view->who);
    atomic_init(&file->references, 1);
    atomic_init(&file->flags, flags & ~(unsigned)(FILE_CREATE | FILE_EXCLUSIVE | FILE_TRUNCATE |
                                                  FILE_NO_TERMINAL | FILE_CLOSE_ON_EXEC));
    mutex_init(&file->seeking, LOCK_FILE_SEEKING, 0);
    int error = operations->open ? operations->open(file) : 0;
    if (error) {
        heap_free(view->fs->config.heap, file);
        return error;
    }
    fs_node_get(node);
    path_get(path);
    return 0;
}

static int open_with(const struct fs_view *view, struct fs_node *node, struct path path, unsigned flags,
                     const struct file_operations *operations, struct file **made)
{
    *made = get_record(view);
    return *made ? begin(*made, view, node, path, flags, operations) : -ENOMEM;
}

int fs_file_make(const struct fs_view *view, struct fs_node *node, struct path path, unsigned flags,
                 struct file **made)
{
    const struct file_operations *operations = operations_of(node, flags);
    return operations ? open_with(view, node, path, flags, operations, made) : -ENXIO;
}

/* What of the flags counts. */
static int check_flags(unsigned *flags)
{
    if (*flags & FILE_PLACE) {
        *flags &= FILE_PLACE | FILE_DIRECTORY | FILE_NO_FOLLOW | FILE_CLOSE_ON_EXEC;
    }
    if (*flags & FILE_UNNAMED) {
        return *flags & FILE_DIRECTORY ? -EOPNOTSUPP : -EINVAL;
    }
    return (*flags & FILE_CREATE) && (*flags & FILE_DIRECTORY) ? -EINVAL : 0;
}

/* Opens what was found, or made, with the record; what fails has freed that. */
static int open_found(const struct opening *opening, struct file *record)
{
    struct fs_node *node = opening->entry->node;
    const struct file_operations *operations = operations_of(node, opening->flags);
    int error = check(opening);
    error = error || operations ? error : -ENXIO;
    if (error) {
        heap_free(opening->view->fs->config.heap, record);
        return error;
    }
    error = begin(record, opening->view, node, (struct path){opening->entry}, opening->flags, operations);
    if (error == 0 && fs_has_pages(node)) {
        fs_regular_named(node, opening->entry);
    }
    return error;
}

/* The record is got first, so that no file is made that cannot be opened then. */
int fs_open(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
            uint32_t mode, struct file **file)
{
    int error = check_flags(&flags);
    if (error) {
        return error;
    }
    struct opening opening = {.view = view, .flags = flags, .mode = mode & FS_PERMISSIONS & ~view->mask};
    *file = get_record(view);
    if (!*file) {
        return -ENOMEM;
    }
    error = find(&opening, at, name);
    if (error) {
        heap_free(view->fs->config.heap, *file);
    } else {
        error = open_found(&opening, *file);
    }
    fs_entry_put(opening.entry);
    if (error == 0 && (flags & FILE_TRUNCATE) && !opening.made && fs_has_pages((*file)->node)) {
        error = fs_regular_truncate((*file)->node, 0, (*file)->unprivileged, (*file)->outsider);
        if (error) {
            file_put(*file);
        }
    }
    return error;
}

int fs_unnamed(const struct fs_view *view, struct file **file)
{
    struct fs_node *node;
    int error = fs_node_make(view->fs, &view->who, FS_REGULAR | 0777, 0, NULL, &node);
    if (error == 0) {
        error = fs_file_make(view, node, (struct path){NULL}, FILE_READ_WRITE, file);
        fs_node_put(node);
    }
    return error;
}

int fs_special(const struct fs_view *view, const struct file_operations *operations, unsigned flags,
               void *own, struct file **file)
{
    struct fs_node *node;
    int error = fs_node_make(view->fs, &view->who, SPECIAL_MODE, 0, NULL, &node);
    if (error == 0) {
        error = open_with(view, node, (struct path){NULL}, flags, operations, file);
        fs_node_put(node);
    }
    if (error == 0) {
        (*file)->own = own;
    }
    return error;
}

void file_get(struct file *file)
{
    uint32_t before = atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    ASSERT(before != 0 && before < FS_REFERENCES_MAX);
}

void file_put(struct file *file)
{
    if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (file->watchers) {
        file->forget(file);
    }
    file_locks_end(file, FILE_LOCK_OPEN, (uintptr_t)file);
    file_locks_end(file, FILE_LOCK_WHOLE, (uintptr_t)file);
    if (file->operations->release) {
        file->operations->release(file);
    }
    fs_node_put(file->node);
    path_put(file->path);
    heap_free(file->fs->config.heap, file);
}

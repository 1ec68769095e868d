/* Opening files to execute them; see <ashlar/file.h>. Whether somebody may read them is not asked. */
#include "internal.h"

/* What may not be executed is not opened: opening a pipe would wait. */
static int open_to_execute(const struct fs_view *view, struct fs_node *node, struct path path,
                           struct file **file)
{
    uint32_t kind = fs_kind(node);
    if (kind != FS_REGULAR) {
        return kind == FS_SYMLINK ? -ELOOP : -EACCES;
    }
    int error = fs_node_allows(node, &view->who, FS_MAY_EXECUTE);
    error = error ? error : fs_file_make(view, node, path, FILE_READ_ONLY, file);
    if (error == 0 && path.entry && fs_has_pages(node)) {
        fs_regular_named(node, path.entry);
    }
    return error;
}

int fs_open_to_execute(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
                       struct file **file)
{
    struct path path;
    int error = fs_find(view, at, name, flags, &path);
    if (error == 0) {
        error = open_to_execute(view, path.entry->node, path, file);
        path_put(path);
    }
    return error;
}

bool file_may_be_read(const struct fs_view *view, const struct file *file)
{
    return fs_node_allows(file->node, &view->who, FS_MAY_READ) == 0;
}

int file_reopen_to_execute(const struct fs_view *view, const struct file *from, struct file **file)
{
    return open_to_execute(view, from->node, from->path, file);
}

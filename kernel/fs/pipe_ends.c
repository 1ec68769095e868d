/* Making a pipe without a name, with both its ends open; see <ashlar/file.h>. */
#include "internal.h"

/* The reader is there first, without waiting; then the writer finds it. */
static int open_ends(const struct fs_view *view, struct fs_node *node, unsigned flags, struct file *ends[2])
{
    const struct path none = {NULL};
    int error = fs_file_make(view, node, none, FILE_READ_ONLY | FILE_NO_WAIT, &ends[0]);
    if (error) {
        return error;
    }
    error = fs_file_make(view, node, none, FILE_WRITE_ONLY | FILE_NO_WAIT, &ends[1]);
    if (error) {
        file_put(ends[0]);
        return error;
    }
    file_set_flags(ends[0], flags & FILE_NO_WAIT);
    file_set_flags(ends[1], flags);
    return 0;
}

int fs_pipe(const struct fs_view *view, unsigned flags, struct file *ends[2])
{
    struct fs_node *node;
    int error = fs_node_make(view->fs, &view->who, FS_PIPE | 0600, 0, NULL, &node);
    if (error == 0) {
        node->links = 1;
        error = open_ends(view, node, flags, ends);
        fs_node_put(node);
    }
    return error;
}

/* Life of a tree, places in it, and what stands in its nodes; see <ashlar/fs.h>. */
#include "internal.h"

int fs_init(struct fs *fs, const struct fs_config *config)
{
    const struct fs_identity root = {0};
    struct fs_node *node;
    memset(fs, 0, sizeof *fs);
    fs->config = *config;
    mutex_init(&fs->names, LOCK_FILE_NAMES, 0);
    mutex_init(&fs->locks, LOCK_FILE_LOCKS, 0);
    spinlock_init(&fs->parents, LOCK_FILE_PARENTS, 0);
    atomic_init(&fs->next_number, 1);
    atomic_init(&fs->next_random, config->seed);
    int error = fs_node_make(fs, &root, FS_DIRECTORY | 0755, 0, NULL, &node);
    if (error) {
        return error;
    }
    node->links = 2;
    fs->root = fs_entry_make(NULL, "/", 1, node);
    if (!fs->root) {
        fs_node_put(node);
        return -ENOMEM;
    }
    return 0;
}

/* Takes any entry out of a directory; returns it, or NULL when there is none. */
static struct fs_entry *take_any(struct fs_node *directory)
{
    spinlock_acquire(&directory->lock);
    struct fs_entry *entry = directory->directory.tree;
    if (entry) {
        fs_directory_remove(directory, entry);
    }
    spinlock_release(&directory->lock);
    return entry;
}

void fs_destroy(struct fs *fs)
{
    struct fs_entry *at = fs->root;
    while (at) {
        struct fs_entry *child =
            fs_kind(at->node) == FS_DIRECTORY && !at->node->made ? take_any(at->node) : NULL;
        struct fs_entry *up = at->parent == at ? NULL : at->parent;
        if (!child) {
            fs_entry_put(at);
        }
        at = child ? child : up;
    }
    ASSERT(fs->nodes == 0 && fs->frames == 0);
}

void fs_view_root(struct fs *fs, struct fs_view *view)
{
    *view = (struct fs_view){.fs = fs, .root = {fs->root}, .here = {fs->root}, .who.powers = FS_POWERS_ALL};
    fs_entry_get(fs->root);
    fs_entry_get(fs->root);
}

void fs_view_put(struct fs_view *view)
{
    path_put(view->root);
    path_put(view->here);
}

struct path path_get(struct path path)
{
    if (path.entry) {
        fs_entry_get(path.entry);
    }
    return path;
}

void path_put(struct path path)
{
    fs_entry_put(path.entry);
}

/* ---- Finding ---- */

int fs_find(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
            struct path *found)
{
    struct fs_walk walk;
    if (*name == 0 && (flags & FS_AT_EMPTY_PATH)) {
        *found = path_get(at ? *at : view->here);
        return 0;
    }
    int error = fs_walk_begin(&walk, view, at, name);
    if (error == 0) {
        error = fs_walk_parent(&walk);
    }
    if (error == 0) {
        error = fs_walk_last(&walk, !(flags & FS_AT_NO_FOLLOW));
    }
    if (error == 0) {
        *found = path_get((struct path){walk.at});
    }
    fs_walk_end(&walk);
    return error;
}

int fs_find_directory(const struct fs_view *view, const struct path *at, const char *name, struct path *found)
{
    int error = fs_find(view, at, name, 0, found);
    if (error) {
        return error;
    }
    error = fs_kind(found->entry->node) != FS_DIRECTORY
                ? -ENOTDIR
                : fs_node_allows(found->entry->node, &view->who, FS_MAY_EXECUTE);
    if (error) {
        path_put(*found);
    }
    return error;
}

/* ---- The name of a place: written from its end ---- */

struct backwards {
    char *to;    /* room */
    size_t left; /* bytes of it that are free, all before what has been written */
    bool fits;
};

static void prepend(struct backwards *text, const char *part, size_t bytes)
{
    text->fits = text->fits && bytes <= text->left;
    if (text->fits) {
        text->left -= bytes;
        memcpy(text->to + text->left, part, bytes);
    }
}

static void prepend_path(const struct fs_view *view, const struct fs_entry *entry, struct backwards *text)
{
    const struct fs_entry *root = view->root.entry;
    if (entry != view->fs->root && entry->parent == entry) { /* of a file without a name: made_place() */
        prepend(text, entry->name, entry->name_bytes);
        return;
    }
    if (entry == root || entry->parent == entry) {
        prepend(text, "/", 1);
    }
    for (; entry != root && entry->parent != entry; entry = entry->parent) {
        prepend(text, entry->name, entry->name_bytes);
        prepend(text, "/", 1);
    }
    if (entry != root) {
        prepend(text, "(unreachable)", 13);
    }
}

int64_t fs_name(const struct fs_view *view, struct path path, char *to, size_t bytes)
{
    struct backwards text = {.to = to, .left = bytes, .fits = true};
    mutex_acquire(&view->fs->names);
    prepend(&text, "", 1);
    if (path.entry->gone) {
        prepend(&text, " (deleted)", 10);
    }
    prepend_path(view, path.entry, &text);
    mutex_release(&view->fs->names);
    if (!text.fits) {
        return -ERANGE;
    }
    memmove(to, to + text.left, bytes - text.left);
    return (int64_t)(bytes - text.left);
}

bool path_is_gone(struct path path)
{
    struct fs *fs = path.entry->node->fs;
    mutex_acquire(&fs->names);
    bool gone = path.entry->gone;
    mutex_release(&fs->names);
    return gone;
}

/* ---- What stands in nodes ---- */

void path_status(struct path path, struct fs_status *status)
{
    fs_node_status(path.entry->node, status);
}

int fs_status(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
              struct fs_status *status)
{
    struct path path;
    int error = fs_find(view, at, name, flags, &path);
    if (error == 0) {
        path_status(path, status);
        path_put(path);
    }
    return error;
}

/* What a link says that leads to a place: its name, cut to `bytes`. */
static int64_t name_of_place(const struct fs_view *view, struct path place, char *to, size_t bytes)
{
    struct heap *heap = view->fs->config.heap;
    char *name = heap_alloc(heap, FS_PATH_MAX);
    if (!name) {
        return -ENOMEM;
    }
    int64_t length = fs_name(view, place, name, FS_PATH_MAX);
    if (length > 0) {
        length = (int64_t)min_u64((uint64_t)length - 1, bytes);
        memcpy(to, name, (size_t)length);
    }
    heap_free(heap, name);
    return length == -ERANGE ? -ENAMETOOLONG : length;
}

int64_t fs_readlink(const struct fs_view *view, const struct path *at, const char *name, char *to,
                    size_t bytes)
{
    struct path path;
    if (bytes == 0) {
        return -EINVAL;
    }
    int64_t result = fs_find(view, at, name, FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH, &path);
    if (result != 0) {
        return result;
    }
    struct fs_node *node = path.entry->node;
    result = *name == 0 ? -ENOENT : -EINVAL;
    if (fs_kind(node) == FS_SYMLINK && node->leads.entry) {
        result = name_of_place(view, node->leads, to, bytes);
    } else if (fs_kind(node) == FS_SYMLINK) {
        fs_node_accessed(node);
        result = (int64_t)min_u64(strlen(node->target), bytes);
        memcpy(to, node->target, (size_t)result);
    }
    path_put(path);
    return result;
}

int fs_access(const struct fs_view *view, const struct path *at, const char *name, unsigned wanted,
              unsigned flags)
{
    struct path path;
    if (wanted & ~7u) {
        return -EINVAL;
    }
    int error = fs_find(view, at, name, flags, &path);
    if (error == 0) {
        error = wanted ? fs_node_allows(path.entry->node, &view->who, wanted) : 0;
        path_put(path);
    }
    return error;
}

int fs_truncate(const struct fs_view *view, const struct path *at, const char *name, uint64_t bytes)
{
    struct path path;
    if ((int64_t)bytes < 0) {
        return -EINVAL;
    }
    int error = fs_find(view, at, name, 0, &path);
    if (error) {
        return error;
    }
    struct fs_node *node = path.entry->node;
    if (!fs_has_pages(node)) {
        error = fs_kind(node) == FS_DIRECTORY ? -EISDIR : -EINVAL;
    } else {
        error = fs_node_allows(node, &view->who, FS_MAY_WRITE);
        error = error ? error
                      : fs_regular_truncate(node, bytes, !(view->who.powers & FS_POWER_SET_ID),
                                            fs_is_outsider(node, &view->who));
    }
    path_put(path);
    return error;
}

void fs_totals(const struct fs *fs, struct fs_totals *totals)
{
    *totals = (struct fs_totals){.nodes = fs->nodes,
                                 .nodes_max = fs->config.nodes_max,
                                 .frames = fs->frames,
                                 .frames_max = fs->config.frames_max};
}

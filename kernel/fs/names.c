/*
 * Making and removing names; rename.c has the move. Each change of names is one hold of the tree's mutex,
 * under which everything is looked at again, got, and only then changed.
 */
#include "internal.h"

/* ---- What may be done ---- */

int fs_may_add(const struct fs_view *view, struct fs_node *directory)
{
    if (directory->links == 0) {
        return -ENOENT; /* it was removed */
    }
    return fs_node_allows(directory, &view->who, FS_MAY_WRITE | FS_MAY_EXECUTE);
}

/* In a sticky directory, who owns neither it nor what is named may not remove the name. */
static bool sticks(const struct fs_view *view, const struct fs_node *directory, const struct fs_node *node)
{
    return (directory->mode & FS_STICKY) && !fs_owns(node, &view->who) && view->who.user != directory->user;
}

int fs_may_remove(const struct fs_view *view, struct fs_node *directory, struct fs_entry *entry,
                  bool as_directory)
{
    int error = fs_node_allows(directory, &view->who, FS_MAY_WRITE | FS_MAY_EXECUTE);
    if (error) {
        return error;
    }
    if (sticks(view, directory, entry->node)) {
        return -EPERM;
    }
    bool is_directory = fs_kind(entry->node) == FS_DIRECTORY;
    if (as_directory != is_directory) {
        return as_directory ? -ENOTDIR : -EISDIR;
    }
    return directory->made ? -EPERM : is_directory && entry->node->made ? -EBUSY : 0;
}

/* ---- Making ---- */

/* What a directory with S_ISGID hands on: its group, and to directories the bit. */
static struct fs_identity maker(const struct fs_view *view, const struct fs_node *directory, uint32_t *mode)
{
    struct fs_identity who = view->who;
    if (directory->mode & FS_SET_GROUP) {
        who.group = directory->group;
        if ((*mode & FS_KIND) == FS_DIRECTORY) {
            *mode |= FS_SET_GROUP;
        } else if ((*mode & (FS_SET_GROUP | 010)) == (FS_SET_GROUP | 010) &&
                   fs_is_outsider(directory, &view->who)) {
            *mode &= ~(uint32_t)FS_SET_GROUP;
        }
    }
    return who;
}

static void add(struct fs_node *directory, struct fs_entry *entry)
{
    spinlock_acquire(&directory->lock);
    fs_directory_insert(directory, entry);
    spinlock_release(&directory->lock);
    fs_node_modified(directory);
}

int fs_create(struct fs_walk *walk, uint32_t mode, uint64_t special, const char *target,
              struct fs_entry **made)
{
    struct fs_node *directory = fs_walk_node(walk);
    struct fs_node *node;
    int error = fs_may_add(walk->view, directory);
    if (error) {
        return error;
    }
    const struct fs_identity who = maker(walk->view, directory, &mode);
    error = fs_node_make(walk->view->fs, &who, mode, special, target, &node);
    if (error) {
        return error;
    }
    struct fs_entry *entry = fs_entry_make(walk->at, walk->name, walk->bytes, node);
    if (!entry) {
        fs_node_put(node);
        return -ENOMEM;
    }
    bool is_directory = fs_kind(node) == FS_DIRECTORY;
    node->links = is_directory ? 2 : 1;
    if (is_directory) {
        fs_node_link(directory, 1); /* its ".." */
    }
    fs_entry_get(entry);
    add(directory, entry);
    *made = entry;
    return 0;
}

/* Whether the walk ends in a name that can be given to something new; `names` is held. */
static int check_free(const struct fs_walk *walk, bool directory)
{
    struct fs_entry *there;
    int error = fs_walk_look(walk, &there);
    if (error) {
        return error;
    }
    if (there) {
        fs_entry_put(there);
        return -EEXIST;
    }
    return walk->slash && !directory ? -ENOENT : 0;
}

/* Walks to where a new name shall lie. The caller ends the walk. */
static int walk_to_new(struct fs_walk *walk, const struct fs_view *view, const struct path *at,
                       const char *name)
{
    int error = fs_walk_begin(walk, view, at, name);
    if (error == 0) {
        error = fs_walk_parent(walk);
    }
    return error == 0 && walk->last != FS_LAST_NAME ? -EEXIST : error;
}

static int make(const struct fs_view *view, const struct path *at, const char *name, uint32_t mode,
                uint64_t special, const char *target)
{
    struct fs_walk walk;
    struct fs_entry *made = NULL;
    int error = walk_to_new(&walk, view, at, name);
    if (error == 0) {
        fs_names_lock(&walk);
        error = check_free(&walk, (mode & FS_KIND) == FS_DIRECTORY);
        if (error == 0) {
            error = fs_create(&walk, mode, special, target, &made);
        }
        fs_names_unlock(&walk);
    }
    fs_entry_put(made);
    fs_walk_end(&walk);
    return error;
}

int fs_mkdir(const struct fs_view *view, const struct path *at, const char *name, uint32_t mode)
{
    return make(view, at, name, FS_DIRECTORY | (mode & (0777 | FS_STICKY) & ~view->mask), 0, NULL);
}

int fs_mknod(const struct fs_view *view, const struct path *at, const char *name, uint32_t mode,
             uint64_t device)
{
    uint32_t kind = mode & FS_KIND;
    bool is_device = kind == FS_CHARACTER || kind == FS_BLOCK;
    if (kind == FS_DIRECTORY) {
        return -EPERM;
    }
    if (!is_device && kind != 0 && kind != FS_REGULAR && kind != FS_PIPE && kind != FS_SOCKET) {
        return -EINVAL;
    }
    if (is_device && !(view->who.powers & FS_POWER_DEVICES)) {
        return -EPERM;
    }
    kind = kind == 0 ? (uint32_t)FS_REGULAR : kind;
    return make(view, at, name, kind | (mode & FS_PERMISSIONS & ~view->mask), is_device ? device : 0, NULL);
}

int fs_symlink(const struct fs_view *view, const char *target, const struct path *at, const char *name)
{
    size_t bytes = strnlen(target, FS_PATH_MAX);
    if (bytes == 0) {
        return -ENOENT;
    }
    return bytes > FS_LINK_BYTES_MAX ? -ENAMETOOLONG : make(view, at, name, FS_SYMLINK | 0777, 0, target);
}

/* ---- Another name ---- */

/* Whether a node may get one more name. */
static int check_linked(const struct fs_node *node)
{
    if (fs_kind(node) == FS_DIRECTORY) {
        return -EPERM;
    }
    if (node->links == 0) {
        return -ENOENT;
    }
    return node->links >= FS_NODE_LINKS_MAX ? -EMLINK : 0;
}

/* Gives the node the name that the walk ends in; `names` is held. */
static int add_name(struct fs_walk *walk, struct fs_node *node)
{
    int error = check_free(walk, false);
    if (error == 0) {
        error = fs_may_add(walk->view, fs_walk_node(walk));
    }
    if (error == 0) {
        error = check_linked(node);
    }
    if (error) {
        return error;
    }
    fs_node_get(node);
    struct fs_entry *entry = fs_entry_make(walk->at, walk->name, walk->bytes, node);
    if (!entry) {
        fs_node_put(node);
        return -ENOMEM;
    }
    fs_node_link(node, 1);
    add(fs_walk_node(walk), entry);
    return 0;
}

int fs_link(const struct fs_view *view, const struct path *old_at, const char *old_name,
            const struct path *new_at, const char *new_name, unsigned flags)
{
    struct fs_walk walk;
    struct path old;
    unsigned find = (flags & FS_AT_EMPTY_PATH) | (flags & FS_AT_FOLLOW ? 0u : (unsigned)FS_AT_NO_FOLLOW);
    int error = fs_find(view, old_at, old_name, find, &old);
    if (error) {
        return error;
    }
    error = walk_to_new(&walk, view, new_at, new_name);
    if (error == 0 && !old.entry->node->made != !fs_walk_node(&walk)->made) {
        error = -EXDEV;
    }
    if (error == 0) {
        fs_names_lock(&walk);
        error = add_name(&walk, old.entry->node);
        fs_names_unlock(&walk);
    }
    fs_walk_end(&walk);
    path_put(old);
    return error;
}

/* ---- Removing ---- */

/* What Linux says to a path that does not end in a name. */
static int bad_last(enum fs_last last, bool as_directory)
{
    if (!as_directory) {
        return -EISDIR;
    }
    return last == FS_LAST_DOT ? -EINVAL : last == FS_LAST_DOT_DOT ? -ENOTEMPTY : -EBUSY;
}

/* Takes the name the walk ends in out of its directory; `names` is held. */
static int remove(struct fs_walk *walk, bool as_directory, struct fs_entry **removed)
{
    struct fs_node *directory = fs_walk_node(walk);
    int error = fs_walk_look(walk, removed);
    struct fs_entry *entry = *removed;
    if (error || !entry) {
        return error ? error : -ENOENT;
    }
    struct fs_node *node = entry->node;
    if (!as_directory && walk->slash) {
        return fs_kind(node) == FS_DIRECTORY ? -EISDIR : -ENOTDIR;
    }
    error = fs_may_remove(walk->view, directory, entry, as_directory);
    if (error) {
        return error;
    }
    if (as_directory && node->directory.count != 0) { /* which is none that is made */
        return -ENOTEMPTY;
    }
    spinlock_acquire(&directory->lock);
    fs_directory_remove(directory, entry);
    spinlock_release(&directory->lock);
    entry->gone = true;
    fs_node_link(node, as_directory ? -2 : -1);
    if (as_directory) {
        fs_node_link(directory, -1);
    }
    fs_node_modified(directory);
    fs_entry_put(entry); /* the directory's: not the last */
    return 0;
}

int fs_unlink(const struct fs_view *view, const struct path *at, const char *name, unsigned flags)
{
    struct fs_walk walk;
    struct fs_entry *removed = NULL;
    bool as_directory = flags & FS_AT_REMOVE_DIRECTORY;
    int error = fs_walk_begin(&walk, view, at, name);
    if (error == 0) {
        error = fs_walk_parent(&walk);
    }
    if (error == 0 && walk.last != FS_LAST_NAME) {
        error = bad_last(walk.last, as_directory);
    }
    if (error == 0) {
        fs_names_lock(&walk);
        error = remove(&walk, as_directory, &removed);
        fs_names_unlock(&walk);
    }
    fs_entry_put(removed);
    fs_walk_end(&walk);
    return error;
}

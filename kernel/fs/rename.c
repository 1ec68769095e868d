/*
 * Moving a name: within a directory or to another, maybe over a name that is there.
 *
 * It is one step for everybody: both directories are locked, by their numbers, while the entry moves. Order
 * and kind of errors are Linux's (do_renameat2() in fs/namei.c).
 */
#include "internal.h"

struct move {
    struct fs_walk from;     /* to the directory of the old name */
    struct fs_walk to;       /* to that of the new one */
    struct fs_entry *entry;  /* what moves */
    struct fs_entry *target; /* what it replaces, or NULL */
    char *name;              /* the new name */
};

/* Whether `entry` is `below`, or lies above it; `names` is held. */
static bool is_above(const struct fs_entry *entry, const struct fs_entry *below)
{
    while (below != entry && below->parent != below) {
        below = below->parent;
    }
    return below == entry;
}

/* What is wrong with the two names as such. */
static int check_names(const struct move *move, unsigned flags)
{
    struct fs_entry *from = move->from.at;
    struct fs_entry *to = move->to.at;
    if (move->target && (flags & FS_RENAME_NO_REPLACE)) {
        return -EEXIST;
    }
    if (fs_kind(move->entry->node) != FS_DIRECTORY && (move->from.slash || move->to.slash)) {
        return -ENOTDIR;
    }
    if (from != to && is_above(move->entry, to)) {
        return -EINVAL;
    }
    if (from != to && move->target && is_above(move->target, from)) {
        return -ENOTEMPTY;
    }
    return 0;
}

/* Whether the move is allowed, and what it replaces may go. */
static int check_rights(const struct move *move)
{
    const struct fs_view *view = move->from.view;
    struct fs_node *from = fs_walk_node(&move->from);
    struct fs_node *to = fs_walk_node(&move->to);
    struct fs_node *node = move->entry->node;
    bool is_directory = fs_kind(node) == FS_DIRECTORY;
    int error = fs_may_remove(view, from, move->entry, is_directory);
    if (error == 0) {
        error = move->target ? fs_may_remove(view, to, move->target, is_directory) : fs_may_add(view, to);
    }
    if (error == 0 && is_directory && from != to) {
        error = fs_node_allows(node, &view->who, FS_MAY_WRITE); /* its ".." changes */
    }
    if (error == 0 && is_directory && move->target && move->target->node->directory.count != 0) {
        error = -ENOTEMPTY;
    }
    return error;
}

static void lock_both(struct fs_node *a, struct fs_node *b) NO_LOCK_ANALYSIS
{
    spinlock_acquire(a->number < b->number ? &a->lock : &b->lock);
    if (a != b) {
        spinlock_acquire(a->number < b->number ? &b->lock : &a->lock);
    }
}

static void unlock_both(struct fs_node *a, struct fs_node *b) NO_LOCK_ANALYSIS
{
    spinlock_release(&a->lock);
    if (a != b) {
        spinlock_release(&b->lock);
    }
}

/* The entry changes its place and its name; returns the directory it lay in, with the entry's reference. */
static struct fs_entry *change_place(struct move *move) NO_LOCK_ANALYSIS
{
    struct fs_entry *entry = move->entry;
    struct fs_entry *parent = entry->parent;
    struct fs *fs = entry->node->fs;
    char *name = entry->name;
    lock_both(fs_walk_node(&move->from), fs_walk_node(&move->to));
    fs_directory_remove(fs_walk_node(&move->from), entry);
    if (move->target) {
        fs_directory_remove(fs_walk_node(&move->to), move->target);
    }
    entry->name = move->name;
    entry->name_bytes = move->to.bytes;
    entry->hash = fs_name_hash(fs, move->name, move->to.bytes);
    fs_directory_insert(fs_walk_node(&move->to), entry);
    spinlock_acquire(&fs->parents);
    entry->parent = move->to.at;
    spinlock_release(&fs->parents);
    unlock_both(fs_walk_node(&move->from), fs_walk_node(&move->to));
    move->name = name; /* to be freed */
    return parent;
}

/* Times, and counts of names. */
static void settle(struct move *move)
{
    struct fs_node *from = fs_walk_node(&move->from);
    struct fs_node *to = fs_walk_node(&move->to);
    bool is_directory = fs_kind(move->entry->node) == FS_DIRECTORY;
    if (move->target) {
        move->target->gone = true;
        fs_node_link(move->target->node, is_directory ? -2 : -1);
    }
    if (is_directory) {
        fs_node_link(from, -1);
        fs_node_link(to, move->target ? 0 : 1);
    }
    fs_node_changed(move->entry->node);
    fs_node_modified(from);
    fs_node_modified(to);
}

/* Does it; `names` is held. *parent: a reference to be given back afterwards. */
static int move_entry(struct move *move, unsigned flags, struct fs_entry **parent)
{
    const struct fs_walk *to = &move->to;
    int error = fs_walk_look(&move->from, &move->entry);
    if (error || !move->entry) {
        return error ? error : -ENOENT;
    }
    error = fs_walk_look(to, &move->target);
    if (error == 0) {
        error = check_names(move, flags);
    }
    if (error || (move->target && move->target->node == move->entry->node)) {
        return error; /* two names of one file: nothing happens */
    }
    error = check_rights(move);
    if (error) {
        return error;
    }
    move->name = heap_alloc(to->view->fs->config.heap, to->bytes + 1);
    if (!move->name) {
        return -ENOMEM;
    }
    memcpy(move->name, to->name, to->bytes);
    move->name[to->bytes] = 0;
    fs_entry_get(to->at);
    *parent = change_place(move);
    settle(move);
    if (move->target) {
        fs_entry_put(move->target); /* its directory's reference: not the last */
    }
    return 0;
}

static int walk_both(struct move *move, const struct fs_view *view, const struct path *old_at,
                     const char *old_name, const struct path *new_at, const char *new_name, unsigned flags)
{
    int error = fs_walk_begin(&move->from, view, old_at, old_name);
    int second = fs_walk_begin(&move->to, view, new_at, new_name);
    if (error == 0) {
        error = fs_walk_parent(&move->from);
    }
    if (error == 0) {
        error = second ? second : fs_walk_parent(&move->to);
    }
    if (error == 0 && !fs_walk_node(&move->from)->made != !fs_walk_node(&move->to)->made) {
        error = -EXDEV;
    }
    if (error == 0 && move->from.last != FS_LAST_NAME) {
        error = -EBUSY;
    }
    if (error == 0 && move->to.last != FS_LAST_NAME) {
        error = flags & FS_RENAME_NO_REPLACE ? -EEXIST : -EBUSY;
    }
    return error;
}

int fs_rename(const struct fs_view *view, const struct path *old_at, const char *old_name,
              const struct path *new_at, const char *new_name, unsigned flags)
{
    struct fs *fs = view->fs;
    struct fs_entry *parent = NULL;
    if (flags & ~FS_RENAME_NO_REPLACE) {
        return -EINVAL;
    }
    struct move *move = heap_alloc_zeroed(fs->config.heap, sizeof *move); /* too large for the stack */
    if (!move) {
        return -ENOMEM;
    }
    int error = walk_both(move, view, old_at, old_name, new_at, new_name, flags);
    if (error == 0) {
        fs_names_lock(&move->from); /* both directories are made, or none is */
        error = move_entry(move, flags, &parent);
        fs_names_unlock(&move->from);
    }
    fs_entry_put(parent);
    fs_entry_put(move->entry);
    fs_entry_put(move->target);
    fs_walk_end(&move->from);
    fs_walk_end(&move->to);
    heap_free(fs->config.heap, move->name);
    heap_free(fs->config.heap, move);
    return error;
}

/* chmod, chown and utimensat: who may change what of a node; see <ashlar/fs.h>. */
#include "internal.h"

/* Whether `who` may change the owner and the group as wanted. */
static bool may_give(const struct fs_identity *who, const struct fs_node *node,
                     const struct fs_change *change)
{
    bool owns = who->user == node->user;
    bool user = !change->set_user || (owns && change->user == node->user);
    bool group = !change->set_group ||
                 (owns && (fs_identity_in_group(who, change->group) || change->group == node->group));
    return (who->powers & FS_POWER_GIVE) || (user && group);
}

/* Whether the change takes set-ID bits: then it is one of permissions, too. */
static bool takes_set_ids(const struct fs_identity *who, const struct fs_node *node,
                          const struct fs_change *change)
{
    return change->chown && fs_kind(node) != FS_DIRECTORY &&
           fs_without_set_ids(node->mode, fs_is_outsider(node, who)) != node->mode;
}

/* Times of now may be set by whoever may write; others, and permissions, only by the owner. */
static int check(const struct fs_identity *who, struct fs_node *node, const struct fs_change *change)
{
    bool owns = fs_owns(node, who);
    bool times = change->set_accessed || change->set_modified;
    if (!may_give(who, node, change) || (!owns && (change->set_mode || takes_set_ids(who, node, change)))) {
        return -EPERM;
    }
    if (!times || owns) {
        return 0;
    }
    if (!change->now) {
        return -EPERM;
    }
    return fs_node_allows(node, who, FS_MAY_WRITE);
}

/* What runs as somebody does so no longer when it is given away; and only members set a group. */
static uint32_t new_mode(const struct fs_identity *who, const struct fs_node *node,
                         const struct fs_change *change)
{
    uint32_t mode = node->mode;
    if (change->chown && fs_kind(node) != FS_DIRECTORY) {
        mode = fs_without_set_ids(mode, fs_is_outsider(node, who));
    }
    if (change->set_mode) {
        mode = fs_kind(node) | (change->mode & FS_PERMISSIONS);
        if (fs_is_outsider(node, who)) {
            mode &= ~(uint32_t)FS_SET_GROUP;
        }
    }
    return mode;
}

static int node_change(const struct fs_view *view, struct fs_node *node, const struct fs_change *change)
{
    uint64_t now = node->fs->config.now();
    if (change->set_mode && fs_kind(node) == FS_SYMLINK) {
        return -EOPNOTSUPP;
    }
    if (node->made) {
        return -EPERM;
    }
    mutex_acquire(&node->fs->names); /* owner and permissions change under it: nobody does between */
    int error = check(&view->who, node, change);
    if (error == 0) {
        uint32_t mode = new_mode(&view->who, node, change);
        spinlock_acquire(&node->lock);
        node->mode = mode;
        node->user = change->set_user ? change->user : node->user;
        node->group = change->set_group ? change->group : node->group;
        node->accessed = !change->set_accessed ? node->accessed : change->now ? now : change->accessed;
        node->modified = !change->set_modified ? node->modified : change->now ? now : change->modified;
        node->changed = now;
        spinlock_release(&node->lock);
    }
    mutex_release(&node->fs->names);
    return error;
}

int path_change(const struct fs_view *view, struct path path, const struct fs_change *change)
{
    return node_change(view, path.entry->node, change);
}

int file_change(const struct fs_view *view, struct file *file, const struct fs_change *change)
{
    return node_change(view, file->node, change);
}

int fs_change(const struct fs_view *view, const struct path *at, const char *name, unsigned flags,
              const struct fs_change *change)
{
    struct path path;
    int error = fs_find(view, at, name, flags, &path);
    if (error == 0) {
        error = path_change(view, path, change);
        path_put(path);
    }
    return error;
}

/*
 * The path walk: from a place and a path to a place.
 *
 * It takes no memory: the text of a symbolic link is walked where it lies, in its node, to which the walk
 * keeps a reference. At each name it holds one directory's spinlock, for the lookup. Order and kind of errors
 * are Linux's (fs/namei.c).
 */
#include "internal.h"

static void move_to(struct fs_walk *walk, struct fs_entry *entry)
{
    struct fs_entry *before = walk->at;
    walk->at = entry;
    fs_entry_put(before);
}

static void move_to_root(struct fs_walk *walk)
{
    fs_entry_get(walk->view->root.entry);
    move_to(walk, walk->view->root.entry);
}

int fs_walk_begin(struct fs_walk *walk, const struct fs_view *view, const struct path *at, const char *name)
{
    struct fs_entry *start = *name == '/' ? view->root.entry : at ? at->entry : view->here.entry;
    walk->view = view;
    walk->at = start;
    walk->rest = name;
    walk->pending_count = walk->link_count = 0;
    walk->slash = walk->leapt = false;
    fs_entry_get(start);
    if (strnlen(name, FS_PATH_MAX) == FS_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    if (*name == 0) {
        return -ENOENT;
    }
    return fs_kind(start->node) == FS_DIRECTORY ? 0 : -ENOTDIR;
}

void fs_walk_end(struct fs_walk *walk)
{
    fs_entry_put(walk->at);
    while (walk->link_count > 0) {
        fs_node_put(walk->links[--walk->link_count]);
    }
}

static const char *skip_slashes(const char *text)
{
    while (*text == '/') {
        text++;
    }
    return text;
}

/* Reads the next name; the directory it is looked for in must let itself be searched. */
static int next_name(struct fs_walk *walk)
{
    size_t bytes = 0;
    while (walk->rest[bytes] != 0 && walk->rest[bytes] != '/') {
        bytes++;
    }
    int error = fs_node_allows(fs_walk_node(walk), &walk->view->who, FS_MAY_EXECUTE);
    if (error) {
        return error;
    }
    walk->name = walk->rest;
    walk->bytes = bytes;
    walk->rest += bytes;
    walk->last = FS_LAST_NAME;
    walk->leapt = false;
    if (bytes <= 2 && memcmp(walk->name, "..", bytes) == 0) {
        walk->last = bytes == 1 ? FS_LAST_DOT : FS_LAST_DOT_DOT;
    }
    return 0;
}

int fs_walk_look(const struct fs_walk *walk, struct fs_entry **entry)
{
    if (fs_walk_node(walk)->made) {
        *entry = NULL;
        return walk->bytes <= FS_NAME_MAX ? fs_made_look(walk->at, walk->name, walk->bytes, entry)
                                          : -ENAMETOOLONG;
    }
    *entry =
        walk->bytes <= FS_NAME_MAX ? fs_directory_find(fs_walk_node(walk), walk->name, walk->bytes) : NULL;
    return walk->bytes <= FS_NAME_MAX ? 0 : -ENAMETOOLONG;
}

/* Goes on with the text of a link, then with what is left. */
static int enter_link(struct fs_walk *walk, struct fs_node *link)
{
    if (walk->link_count == FS_LINKS_MAX) {
        return -ELOOP;
    }
    fs_node_get(link);
    walk->links[walk->link_count++] = link;
    fs_node_accessed(link);
    if (link->leads.entry) {
        fs_entry_get(link->leads.entry);
        move_to(walk, link->leads.entry);
        walk->leapt = true;
        return 0;
    }
    if (*walk->rest != 0) {
        walk->pending[walk->pending_count++] = walk->rest;
    }
    walk->rest = link->target;
    if (*walk->rest == '/') {
        move_to_root(walk);
    }
    return 0;
}

static void go_up(struct fs_walk *walk)
{
    if (walk->at != walk->view->root.entry) {
        move_to(walk, fs_entry_parent(walk->at));
    }
}

/* Goes to what the name just read leads to. *link: a symbolic link is not gone to, but returned, if wanted.
 */
static int step(struct fs_walk *walk, bool follow, struct fs_entry **link)
{
    *link = NULL;
    if (walk->last == FS_LAST_DOT_DOT) {
        go_up(walk);
    }
    if (walk->last != FS_LAST_NAME) {
        return 0;
    }
    struct fs_entry *child;
    int error = fs_walk_look(walk, &child);
    if (error || !child) {
        return error ? error : -ENOENT;
    }
    if (follow && fs_kind(child->node) == FS_SYMLINK) {
        *link = child;
    } else {
        move_to(walk, child);
    }
    return 0;
}

/* Goes through a name in the midst of the path. */
static int pass(struct fs_walk *walk)
{
    struct fs_entry *link;
    int error = step(walk, true, &link);
    if (error == 0 && link) {
        error = enter_link(walk, link->node);
        fs_entry_put(link);
        if (error == 0 && walk->leapt && fs_kind(fs_walk_node(walk)) != FS_DIRECTORY) {
            error = -ENOTDIR;
        }
    } else if (error == 0 && fs_kind(fs_walk_node(walk)) != FS_DIRECTORY) {
        error = -ENOTDIR;
    }
    return error;
}

int fs_walk_parent(struct fs_walk *walk)
{
    for (;;) {
        walk->rest = skip_slashes(walk->rest);
        if (*walk->rest == 0 && walk->pending_count == 0) {
            walk->last = FS_LAST_ROOT; /* slashes alone */
            return 0;
        }
        if (*walk->rest == 0) {
            walk->rest = walk->pending[--walk->pending_count];
        }
        int error = next_name(walk);
        if (error) {
            return error;
        }
        bool slash = *walk->rest == '/';
        walk->rest = skip_slashes(walk->rest);
        if (*walk->rest == 0 && walk->pending_count == 0) {
            walk->slash |= slash;
            return 0;
        }
        error = pass(walk);
        if (error) {
            return error;
        }
    }
}

int fs_walk_follow(struct fs_walk *walk, struct fs_node *link)
{
    int error = enter_link(walk, link);
    return error ? error : fs_walk_parent(walk);
}

int fs_walk_last(struct fs_walk *walk, bool follow)
{
    struct fs_entry *link;
    int error = step(walk, follow || walk->slash, &link);
    while (error == 0 && link) {
        error = fs_walk_follow(walk, link->node);
        fs_entry_put(link);
        link = NULL;
        if (error == 0) {
            error = step(walk, follow || walk->slash, &link);
        }
    }
    if (error == 0 && walk->slash && fs_kind(fs_walk_node(walk)) != FS_DIRECTORY) {
        error = -ENOTDIR;
    }
    return error;
}

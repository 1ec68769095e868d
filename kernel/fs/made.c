/* Files that are made when somebody asks for them; see <ashlar/made.h>. */
#include "internal.h"

#define FIRST_NAME 2 /* position of the first name in a directory: behind "." and ".." */

const struct made_what *made_what(const struct file *file)
{
    return &file->node->what;
}

struct spinlock *made_lock(struct file *file)
{
    return &file->node->lock;
}

/* ---- Names ---- */

/* The node of what was found. */
static int make_node(struct fs *fs, const struct made *made, const struct made_found *found,
                     struct fs_node **made_node)
{
    const struct fs_identity owner = {.user = found->user, .group = found->group};
    int error = fs_node_new(fs, &owner, found->mode, made_node);
    if (error) {
        return error == -ENOSPC ? -ENOMEM : error;
    }
    struct fs_node *node = *made_node;
    node->made = made;
    node->number = found->number;
    node->links = fs_kind(node) == FS_DIRECTORY ? 2 : 1;
    if (fs_kind(node) != FS_SYMLINK) {
        node->what = found->what;
    } else if (!found->leads.entry) {
        node->target = heap_duplicate(fs->config.heap, found->text, strlen(found->text) + 1);
        if (!node->target) {
            fs_node_free(node);
            return -ENOMEM;
        }
    }
    return 0;
}

static int make_entry(struct fs_entry *directory, const char *name, size_t bytes,
                      const struct made_found *found, struct fs_entry **entry)
{
    struct fs_node *node;
    int error = make_node(directory->node->fs, directory->node->made, found, &node);
    if (error) {
        return error;
    }
    *entry = fs_entry_make(directory, name, bytes, node);
    if (!*entry) {
        fs_node_put(node);
        return -ENOMEM;
    }
    if (fs_kind(node) == FS_SYMLINK) {
        node->leads = found->leads;
    }
    return 0;
}

int fs_made_look(struct fs_entry *directory, const char *name, size_t bytes, struct fs_entry **entry)
{
    const struct fs_node *node = directory->node;
    struct made_found found = {.leads = {NULL}};
    *entry = NULL;
    int error = node->made->find(&node->what, name, bytes, &found);
    if (error) {
        return error;
    }
    error = make_entry(directory, name, bytes, &found, entry);
    if (error) {
        fs_entry_put(found.leads.entry);
    }
    return error;
}

bool fs_made_next(const struct fs_node *directory, uint64_t position, char *name, struct file_entry *entry)
{
    struct made_found found = {.leads = {NULL}};
    if (!directory->made->next(&directory->what, &position, name, &found)) {
        return false;
    }
    *entry = (struct file_entry){.name = name,
                                 .bytes = strlen(name),
                                 .number = found.number,
                                 .mode = found.mode & FS_KIND,
                                 .next = position + FIRST_NAME + 1};
    return true;
}

/* Made files in the tree, and places for those who make them; see <ashlar/made.h>. */
#include <ashlar/format.h>

#include "paged.h"

/* ---- Mounting ---- */

int made_mount(struct fs *fs, const char *name, const struct made *made, const struct made_what *what)
{
    struct fs_view view;
    struct path path;
    fs_view_root(fs, &view);
    int error = fs_mkdir(&view, NULL, name, 0555);
    error = error && error != -EEXIST ? error : fs_find_directory(&view, NULL, name, &path);
    if (error == 0) {
        struct fs_node *node = path.entry->node;
        mutex_acquire(&fs->names);
        error = node->directory.count != 0 ? -ENOTEMPTY : 0;
        if (error == 0) {
            node->what = *what;
            node->made = made;
        }
        mutex_release(&fs->names);
        path_put(path);
    }
    fs_view_put(&view);
    return error;
}

/* ---- Places of files ---- */

/* A file without a name gets one that lies nowhere. */
static struct path make_up(struct fs_node *node)
{
    char made[40];
    const char *name = fs_has_pages(node) ? node->regular.title : NULL;
    bool has_title = name;
    if (!has_title) {
        format(made, sizeof made, "%s:[%" PRIu64 "]", fs_kind(node) == FS_PIPE ? "pipe" : "anon_inode",
               node->number);
        name = made;
    }
    fs_node_get(node);
    struct fs_entry *entry = fs_entry_make(NULL, name, strlen(name), node);
    if (!entry) {
        fs_node_put(node);
    } else {
        entry->gone = has_title;
    }
    return (struct path){entry};
}

struct path made_place(struct file *file)
{
    return file->path.entry ? path_get(file->path) : make_up(file->node);
}

/* A reference to an entry that may be on its way out. */
static bool try_get(struct fs_entry *entry)
{
    uint32_t references = atomic_load_explicit(&entry->references, memory_order_relaxed);
    while (references != 0) {
        if (atomic_compare_exchange_weak_explicit(&entry->references, &references, references + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static struct path place_of(struct fs_node *node)
{
    struct path place = {NULL};
    spinlock_acquire(&node->lock);
    if (node->regular.name && try_get(node->regular.name)) {
        place.entry = node->regular.name;
    }
    spinlock_release(&node->lock);
    return place;
}

bool made_pager_file(struct vm_pager *pager, uint64_t *number, struct path *place, const char **title)
{
    struct fs_node *node = fs_paged_node(pager);
    if (!node) {
        return false;
    }
    *number = node->number;
    *title = node->regular.title;
    *place = *title ? (struct path){NULL} : place_of(node);
    return true;
}

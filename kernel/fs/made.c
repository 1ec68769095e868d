/* Files that are made when somebody asks for them; see <ashlar/made.h>. */
#include <ashlar/format.h>

#include "paged.h"

#define FIRST_NAME 2 /* position of the first name in a directory: behind "." and ".." */

static const struct fs_identity root = {0};

const struct made_what *made_what(const struct file *file)
{
    return &file->node->what;
}

struct spinlock *made_lock(struct file *file)
{
    return &file->node->lock;
}

/* ---- Names ---- */

/* The node of what was found, whose place it takes over. */
static int make_node(struct fs *fs, const struct made *made, struct made_found *found, struct fs_node **node)
{
    int error = fs_node_new(fs, &root, found->mode, node);
    if (error) {
        path_put(found->leads);
        return error == -ENOSPC ? -ENOMEM : error;
    }
    (*node)->made = made;
    (*node)->number = found->number;
    (*node)->links = fs_kind(*node) == FS_DIRECTORY ? 2 : 1;
    if (fs_kind(*node) != FS_SYMLINK) {
        (*node)->what = found->what;
        return 0;
    }
    (*node)->leads = found->leads;
    (*node)->target =
        found->leads.entry ? NULL : heap_duplicate(fs->config.heap, found->text, strlen(found->text) + 1);
    if (!found->leads.entry && !(*node)->target) {
        fs_node_put(*node);
        return -ENOMEM;
    }
    return 0;
}

int fs_made_look(struct fs_entry *directory, const char *name, size_t bytes, struct fs_entry **entry)
{
    const struct fs_node *parent = directory->node;
    struct made_found found = {.leads = {NULL}};
    struct fs_node *node;
    *entry = NULL;
    int error = parent->made->find(&parent->what, name, bytes, &found);
    error = error ? error : make_node(parent->fs, parent->made, &found, &node);
    if (error) {
        return error;
    }
    *entry = fs_entry_make(directory, name, bytes, node);
    if (!*entry) {
        fs_node_put(node);
        return -ENOMEM;
    }
    return 0;
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
static struct path make_up(struct file *file)
{
    struct fs_node *node = file->node;
    char name[40] = "/memfd:";
    bool regular = fs_kind(node) == FS_REGULAR;
    if (!regular) {
        format(name, sizeof name, "%s:[%" PRIu64 "]", fs_kind(node) == FS_PIPE ? "pipe" : "anon_inode",
               node->number);
    }
    fs_node_get(node);
    struct fs_entry *entry = fs_entry_make(NULL, name, strlen(name), node);
    if (!entry) {
        fs_node_put(node);
    } else {
        entry->gone = regular;
    }
    return (struct path){entry};
}

struct path made_place(struct file *file)
{
    return file->path.entry ? path_get(file->path) : make_up(file);
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

bool made_pager_file(struct vm_pager *pager, uint64_t *number, struct path *place)
{
    struct fs_node *node = fs_paged_node(pager);
    if (!node) {
        return false;
    }
    *number = node->number;
    *place = place_of(node);
    return true;
}

void fs_regular_named(struct fs_node *node, struct fs_entry *entry)
{
    spinlock_acquire(&node->lock);
    node->regular.name = entry;
    spinlock_release(&node->lock);
}

void fs_regular_unnamed(struct fs_node *node, const struct fs_entry *entry)
{
    spinlock_acquire(&node->lock);
    node->regular.name = node->regular.name == entry ? NULL : node->regular.name;
    spinlock_release(&node->lock);
}

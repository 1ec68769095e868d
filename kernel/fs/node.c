/* Nodes: what stands in them, who may use them, and when they go; see internal.h. */
#include "internal.h"

/* What stat() calls the two: of files that are kept, and of those that are made. */
#define KEPT_DEVICE 1
#define MADE_DEVICE 2

#define DAY_NANOSECONDS (UINT64_C(86400) * 1000000000)

/* A new node's group and mode: a directory may hand its own group on (S_ISGID); its maker has seen to that.
 */
static void set_up(struct fs_node *node, struct fs *fs, const struct fs_identity *who, uint32_t mode)
{
    memset(node, 0, sizeof *node);
    node->fs = fs;
    atomic_init(&node->references, 1);
    node->number = atomic_fetch_add_explicit(&fs->next_number, 1, memory_order_relaxed);
    spinlock_init(&node->lock, LOCK_FILE_NODE, node->number);
    node->mode = mode;
    node->user = who->user;
    node->group = who->group;
    node->accessed = node->modified = node->changed = fs->config.now();
}

static int fill(struct fs_node *node, const char *target)
{
    if (fs_kind(node) == FS_SYMLINK) {
        node->target = heap_duplicate(node->fs->config.heap, target, strlen(target) + 1);
        return node->target ? 0 : -ENOMEM;
    }
    if (fs_kind(node) == FS_REGULAR) {
        fs_regular_init(node);
    }
    return 0;
}

int fs_node_new(struct fs *fs, const struct fs_identity *who, uint32_t mode, struct fs_node **made)
{
    if (!fs_count_node(fs)) {
        return -ENOSPC;
    }
    *made = heap_alloc(fs->config.heap, sizeof **made);
    if (!*made) {
        atomic_fetch_sub_explicit(&fs->nodes, 1, memory_order_relaxed);
        return -ENOMEM;
    }
    set_up(*made, fs, who, mode);
    return 0;
}

int fs_node_make(struct fs *fs, const struct fs_identity *who, uint32_t mode, uint64_t special,
                 const char *target, struct fs_node **made)
{
    int error = fs_node_new(fs, who, mode, made);
    if (error) {
        return error;
    }
    (*made)->special = special;
    error = fill(*made, target);
    if (error) {
        fs_node_free(*made);
    }
    return error;
}

void fs_node_get(struct fs_node *node)
{
    uint32_t before = atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
    ASSERT(before != 0 && before < FS_REFERENCES_MAX);
}

void fs_node_put(struct fs_node *node)
{
    if (atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (fs_has_pages(node)) {
        fs_regular_end(node); /* what maps it keeps it */
        return;
    }
    switch (fs_kind(node)) {
    case FS_SYMLINK:
        heap_free(node->fs->config.heap, node->target);
        break;
    case FS_DIRECTORY:
        ASSERT(node->made || !node->directory.tree);
        break;
    default:
        break;
    }
    fs_node_free(node);
}

/* ---- Permissions ---- */

bool fs_identity_in_group(const struct fs_identity *who, uint32_t group)
{
    uint32_t low = 0;
    uint32_t high = who->group_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (who->groups[middle] < group) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return who->group == group || (low < who->group_count && who->groups[low] == group);
}

bool fs_is_outsider(const struct fs_node *node, const struct fs_identity *who)
{
    return !(who->powers & FS_POWER_SET_ID) && !fs_identity_in_group(who, node->group);
}

uint32_t fs_without_set_ids(uint32_t mode, bool outsider)
{
    return mode & ~(uint32_t)(FS_SET_USER | (mode & 010 || outsider ? FS_SET_GROUP : 0));
}

/* Who may all may execute only what is executable for somebody. */
static bool may_anyway(uint64_t powers, uint32_t mode, unsigned wanted)
{
    bool is_directory = (mode & FS_KIND) == FS_DIRECTORY;
    unsigned read = is_directory ? FS_MAY_READ | FS_MAY_EXECUTE : FS_MAY_READ;
    return ((powers & FS_POWER_SEARCH) && !(wanted & ~read)) ||
           ((powers & FS_POWER_OVERRIDE) && (!(wanted & FS_MAY_EXECUTE) || is_directory || (mode & 0111)));
}

int fs_node_allows(struct fs_node *node, const struct fs_identity *who, unsigned wanted)
{
    spinlock_acquire(&node->lock);
    uint32_t mode = node->mode;
    uint32_t user = node->user;
    uint32_t group = node->group;
    spinlock_release(&node->lock);
    unsigned allowed = mode;
    if (who->user == user) {
        allowed = mode >> 6;
    } else if (fs_identity_in_group(who, group)) {
        allowed = mode >> 3;
    }
    return (wanted & ~allowed & 7) == 0 || may_anyway(who->powers, mode, wanted) ? 0 : -EACCES;
}

/* ---- Times ---- */

void fs_node_modified(struct fs_node *node)
{
    uint64_t now = node->fs->config.now();
    spinlock_acquire(&node->lock);
    node->modified = node->changed = now;
    spinlock_release(&node->lock);
}

void fs_node_changed(struct fs_node *node)
{
    fs_node_link(node, 0);
}

void fs_node_accessed(struct fs_node *node)
{
    uint64_t now = node->fs->config.now();
    spinlock_acquire(&node->lock);
    if (node->accessed <= node->modified || node->accessed <= node->changed ||
        now - node->accessed >= DAY_NANOSECONDS) {
        node->accessed = now;
    }
    spinlock_release(&node->lock);
}

void fs_node_link(struct fs_node *node, int more)
{
    uint64_t now = node->fs->config.now();
    spinlock_acquire(&node->lock);
    node->links += (uint32_t)more;
    node->changed = now;
    spinlock_release(&node->lock);
}

/* ---- Telling ---- */

/* Length and frames, which depend on the kind; the node's lock is held. */
static void fill_sizes(struct fs_node *node, struct fs_status *status) REQUIRES(node->lock)
{
    if (node->made) {
        return; /* nobody knows before it is made */
    }
    switch (fs_kind(node)) {
    case FS_REGULAR:
        status->bytes = node->regular.bytes;
        status->frames = node->regular.frames;
        break;
    case FS_DIRECTORY:
        status->bytes = FS_DIRECTORY_BYTES + node->directory.count * FS_ENTRY_BYTES;
        break;
    case FS_SYMLINK:
        status->bytes = strlen(node->target);
        break;
    default:
        break;
    }
}

void fs_node_status(struct fs_node *node, struct fs_status *status)
{
    spinlock_acquire(&node->lock);
    *status = (struct fs_status){
        .device = node->made ? MADE_DEVICE : KEPT_DEVICE,
        .number = node->number,
        .mode = node->mode,
        .links = node->links,
        .user = node->user,
        .group = node->group,
        .special = node->special,
        .accessed = node->accessed,
        .modified = node->modified,
        .changed = node->changed,
    };
    fill_sizes(node, status);
    spinlock_release(&node->lock);
}

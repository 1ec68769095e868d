/*
 * Entries: the names in directories.
 *
 * A directory keeps its names in a treap: a search tree by the hash of the name, in which random priorities
 * see to balance, so that a lookup compares some dozen numbers in a directory of a million names. The hash is
 * keyed by a secret of the tree; and whoever guesses it (a directory is read in its order) still does not
 * know the priorities. It is also the position of who reads the directory: so an entry that stays is seen
 * once, whatever comes and goes meanwhile.
 */
#include "internal.h"

void fs_entry_get(struct fs_entry *entry)
{
    uint32_t before = atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    ASSERT(before != 0 && before < FS_REFERENCES_MAX);
}

/* Gives a reference back; an entry that nobody has any more goes to the others in *ended. */
static void let_go(struct fs_entry *entry, struct fs_entry **ended)
{
    if (entry && atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) == 1) {
        entry->left = *ended;
        *ended = entry;
    }
}

/* Without recursion: a link below /proc may lead to such a link, and so on. */
void fs_entry_put(struct fs_entry *entry)
{
    struct fs_entry *ended = NULL;
    let_go(entry, &ended);
    while (ended) {
        struct fs_entry *gone = ended;
        struct heap *heap = gone->node->fs->config.heap;
        ended = gone->left;
        if (fs_has_pages(gone->node)) {
            fs_regular_unnamed(gone->node, gone);
        } else if (fs_kind(gone->node) == FS_SYMLINK) {
            let_go(gone->node->leads.entry, &ended);
        }
        if (gone->parent != gone) {
            let_go(gone->parent, &ended); /* whose reference it had */
        }
        fs_node_put(gone->node);
        heap_free(heap, gone->name);
        heap_free(heap, gone);
    }
}

/* SplitMix64: priorities need to be unknown, not unguessable. */
static uint32_t random_priority(struct fs *fs)
{
    uint64_t mixed =
        atomic_fetch_add_explicit(&fs->next_random, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(mixed >> 32);
}

struct fs_entry *fs_entry_make(struct fs_entry *parent, const char *name, size_t bytes, struct fs_node *node)
{
    struct heap *heap = node->fs->config.heap;
    struct fs_entry *entry = heap_alloc(heap, sizeof *entry);
    char *copy = heap_alloc(heap, bytes + 1);
    if (!entry || !copy) {
        heap_free(heap, entry);
        heap_free(heap, copy);
        return NULL;
    }
    memcpy(copy, name, bytes);
    copy[bytes] = 0;
    *entry = (struct fs_entry){.node = node,
                               .parent = parent ? parent : entry,
                               .name = copy,
                               .name_bytes = bytes,
                               .hash = fs_name_hash(node->fs, name, bytes),
                               .priority = random_priority(node->fs)};
    atomic_init(&entry->references, 1);
    if (parent) {
        fs_entry_get(parent);
    }
    return entry;
}

struct fs_entry *fs_entry_parent(struct fs_entry *entry)
{
    struct fs *fs = entry->node->fs;
    spinlock_acquire(&fs->parents);
    struct fs_entry *parent = entry->parent;
    fs_entry_get(parent);
    spinlock_release(&fs->parents);
    return parent;
}

/* ---- Hashes: 62 bits, so that they are positive positions and leave room for "." and ".." ---- */

uint64_t fs_name_hash(const struct fs *fs, const char *name, size_t bytes)
{
    uint64_t hash = fs->config.seed ^ bytes * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    hash = (hash ^ fs->config.seed) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (hash ^ hash >> 29) >> 2;
}

/* Where a name stands in comparison with an entry: by hash, then, where these agree, by itself. */
static int compare(uint64_t hash, const char *name, size_t bytes, const struct fs_entry *entry)
{
    if (hash != entry->hash) {
        return hash < entry->hash ? -1 : 1;
    }
    if (bytes != entry->name_bytes) {
        return bytes < entry->name_bytes ? -1 : 1;
    }
    return memcmp(name, entry->name, bytes);
}

/* ---- Directories ---- */

struct fs_entry *fs_directory_find(struct fs_node *directory, const char *name, size_t bytes)
{
    uint64_t hash = fs_name_hash(directory->fs, name, bytes);
    spinlock_acquire(&directory->lock);
    struct fs_entry *entry = directory->directory.tree;
    for (int order; entry && (order = compare(hash, name, bytes, entry)) != 0;) {
        entry = order < 0 ? entry->left : entry->right;
    }
    if (entry) {
        fs_entry_get(entry);
    }
    spinlock_release(&directory->lock);
    return entry;
}

struct fs_entry *fs_directory_from(struct fs_node *directory, uint64_t hash)
{
    struct fs_entry *found = NULL;
    for (struct fs_entry *entry = directory->directory.tree; entry;) {
        if (entry->hash >= hash) {
            found = entry;
            entry = entry->left;
        } else {
            entry = entry->right;
        }
    }
    return found;
}

/* Parts a tree at the place of `entry`: what comes before it to *left, the rest to *right. */
static void split(struct fs_entry *tree, const struct fs_entry *entry, struct fs_entry **left,
                  struct fs_entry **right)
{
    while (tree) {
        bool before = compare(entry->hash, entry->name, entry->name_bytes, tree) > 0;
        struct fs_entry *next = before ? tree->right : tree->left;
        if (before) {
            *left = tree;
            left = &tree->right;
        } else {
            *right = tree;
            right = &tree->left;
        }
        tree = next;
    }
    *left = *right = NULL;
}

void fs_directory_insert(struct fs_node *directory, struct fs_entry *entry)
{
    struct fs_entry **link = &directory->directory.tree;
    while (*link && (*link)->priority >= entry->priority) {
        bool before = compare(entry->hash, entry->name, entry->name_bytes, *link) < 0;
        link = before ? &(*link)->left : &(*link)->right;
    }
    split(*link, entry, &entry->left, &entry->right);
    *link = entry;
    directory->directory.count++;
}

void fs_directory_remove(struct fs_node *directory, struct fs_entry *entry)
{
    struct fs_entry **link = &directory->directory.tree;
    while (*link != entry) {
        bool before = compare(entry->hash, entry->name, entry->name_bytes, *link) < 0;
        link = before ? &(*link)->left : &(*link)->right;
    }
    struct fs_entry *left = entry->left;
    struct fs_entry *right = entry->right;
    while (left && right) { /* join the two: the higher priority goes up */
        if (left->priority >= right->priority) {
            *link = left;
            link = &left->right;
            left = *link;
        } else {
            *link = right;
            link = &right->left;
            right = *link;
        }
    }
    *link = left ? left : right;
    entry->left = entry->right = NULL;
    directory->directory.count--;
}

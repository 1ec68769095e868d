/*
 * Reading directories. A position is the hash of the entry that comes next; 0 and 1 are "." and "..", and the
 * end is behind all hashes, which have 62 bits.
 */
#include "internal.h"

#define FIRST_HASH 2 /* position of the first name */
#define END        INT64_MAX

struct reading {
    bool (*emit)(void *context, const struct file_entry *entry);
    void *context;
};

/* What comes at a position, its name in `name`; false behind the last. Positions are those of hashes + 2. */
static bool look(struct fs_node *directory, uint64_t position, char *name, struct file_entry *entry)
{
    if (directory->made) {
        return fs_made_next(directory, position - FIRST_HASH, name, entry);
    }
    spinlock_acquire(&directory->lock);
    const struct fs_entry *next = fs_directory_from(directory, position - FIRST_HASH);
    if (next) {
        memcpy(name, next->name, next->name_bytes + 1);
        *entry = (struct file_entry){.name = name,
                                     .bytes = next->name_bytes,
                                     .number = next->node->number,
                                     .mode = fs_kind(next->node),
                                     .next = next->hash + FIRST_HASH + 1};
    }
    spinlock_release(&directory->lock);
    return next;
}

/* "." and "..". */
static bool emit_dot(struct file *file, const struct reading *reading)
{
    struct file_entry entry = {
        .name = file->position == 0 ? "." : "..", .bytes = file->position + 1, .mode = FS_DIRECTORY};
    entry.number = file->node->number;
    if (file->position != 0 && file->path.entry) {
        struct fs_entry *parent = fs_entry_parent(file->path.entry);
        entry.number = parent->node->number;
        fs_entry_put(parent);
    }
    entry.next = file->position + 1;
    return reading->emit(reading->context, &entry);
}

static void read_from(struct file *file, const struct reading *reading)
{
    char name[FS_NAME_MAX + 1];
    struct file_entry entry;
    while (file->position < FIRST_HASH) {
        if (!emit_dot(file, reading)) {
            return;
        }
        file->position++;
    }
    while (look(file->node, file->position, name, &entry)) {
        if (!reading->emit(reading->context, &entry)) {
            return;
        }
        file->position = entry.next;
    }
    file->position = END;
}

int file_entries(struct file *file, bool (*emit)(void *context, const struct file_entry *entry),
                 void *context)
{
    const struct reading reading = {.emit = emit, .context = context};
    if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PLACE) {
        return -EBADF;
    }
    if (fs_kind(file->node) != FS_DIRECTORY) {
        return -ENOTDIR;
    }
    spinlock_acquire(&file->node->lock);
    bool removed = file->node->links == 0;
    spinlock_release(&file->node->lock);
    if (removed) {
        return -ENOENT;
    }
    mutex_acquire(&file->seeking);
    if (file->position < END) {
        read_from(file, &reading);
    }
    mutex_release(&file->seeking);
    fs_node_accessed(file->node);
    return 0;
}

const struct file_operations fs_directory_operations = {.stream = false};

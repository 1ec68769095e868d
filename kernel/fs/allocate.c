/*
 * Memory for parts of regular files, before somebody writes there, and holes where it is given back. Both
 * hold the file's mutex `writing` from beginning to end, as writers do.
 */
#include "paged.h"

/* ---- Setting apart ---- */

/* Pages of a file, and which of them are new: a bit each. */
struct allocation {
    struct fs_node *node;
    uint64_t first; /* page */
    uint64_t pages;
    uint8_t *made;
};

/* Gives a page memory if it has none. */
static int allocate_page(struct allocation *allocation, uint64_t i)
{
    struct fs_node *node = allocation->node;
    uint64_t index = allocation->first + i;
    phys_addr_t there = fs_paged_get(node, index);
    phys_addr_t frame = there;
    int error = there.raw != 0 ? 0 : fs_paged_alloc(node->fs, true, &frame);
    if (error) {
        return error;
    }
    if (there.raw == 0) {
        there = frame;
        error = fs_paged_insert(node, index, &there, false);
        if (error || there.raw != frame.raw) { /* a fault was faster */
            fs_paged_free(node->fs, frame);
        } else {
            allocation->made[i / 8] |= (uint8_t)(1U << i % 8);
        }
    }
    if (!error) {
        frame_put(node->fs->config.frames, there);
    }
    return error;
}

static int allocate_pages(struct allocation *allocation)
{
    for (uint64_t i = 0; i < allocation->pages; i++) {
        int error = allocate_page(allocation, i);
        if (error) {
            while (i-- > 0) {
                if (allocation->made[i / 8] >> i % 8 & 1) {
                    fs_paged_take_back(allocation->node, allocation->first + i);
                }
            }
            return error;
        }
    }
    return 0;
}

/* `writing` is held. */
static int allocate(struct fs_node *node, uint64_t from, uint64_t end)
{
    struct allocation allocation = {.node = node, .first = from >> FRAME_SHIFT};
    allocation.pages = ((end - 1) >> FRAME_SHIFT) + 1 - allocation.first;
    if (allocation.pages > node->fs->config.frames_max) {
        return -ENOSPC;
    }
    allocation.made = heap_alloc_zeroed(node->fs->config.heap, (allocation.pages + 7) / 8);
    if (!allocation.made) {
        return -ENOMEM;
    }
    int error = allocate_pages(&allocation);
    heap_free(node->fs->config.heap, allocation.made);
    return error;
}

/* ---- Calls ---- */

static int check_file(const struct file *file, unsigned flags)
{
    if (flags & ~(unsigned)(FILE_KEEP_LENGTH | FILE_PUNCH) || flags == FILE_PUNCH || file->node->made) {
        return -EOPNOTSUPP;
    }
    switch (fs_kind(file->node)) {
    case FS_REGULAR:
        return 0;
    case FS_PIPE:
        return -ESPIPE;
    case FS_DIRECTORY:
        return -EISDIR;
    default:
        return -ENODEV;
    }
}

/* What seals and execution say to it; `writing` is held. A hole is written, and memory beyond the end is a
 * longer file, whatever its length (mm/shmem.c). */
static int check_seals(const struct fs_node *node, unsigned flags, uint64_t end)
{
    if (node->regular.writers < 0) {
        return -ETXTBSY;
    }
    return flags & FILE_PUNCH ? (int)fs_seals_allow_write(node, 0, 0)
                              : fs_seals_allow_length(node, max_u64(end, node->regular.bytes));
}

static int allocate_or_punch(struct fs_node *node, unsigned flags, uint64_t from, uint64_t end)
{
    mutex_acquire(&node->regular.writing);
    int error = check_seals(node, flags, end);
    if (!error && flags & FILE_PUNCH) {
        fs_paged_punch(node, from, end);
    } else if (!error) {
        error = allocate(node, from, end);
    }
    if (!error && !(flags & FILE_KEEP_LENGTH) && end > node->regular.bytes) {
        fs_regular_set_length(node, end);
    }
    if (!error) {
        fs_node_modified(node);
    }
    mutex_release(&node->regular.writing);
    return error;
}

int file_allocate(struct file *file, unsigned flags, int64_t offset, int64_t bytes)
{
    int error = offset < 0 || bytes <= 0 ? -EINVAL : check_file(file, flags);
    if (error) {
        return error;
    }
    if (bytes > (int64_t)FS_BYTES_MAX - offset) {
        return -EFBIG;
    }
    return allocate_or_punch(file->node, flags, (uint64_t)offset, (uint64_t)(offset + bytes));
}

int file_pager_punch(struct vm_pager *pager, uint64_t offset, uint64_t bytes)
{
    struct fs_node *node = fs_paged_node(pager);
    if (!node) {
        return -EOPNOTSUPP;
    }
    if (offset > FS_BYTES_MAX || bytes > FS_BYTES_MAX - offset) {
        return -EFBIG;
    }
    return allocate_or_punch(node, FILE_PUNCH | FILE_KEEP_LENGTH, offset, offset + bytes);
}

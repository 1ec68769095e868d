/*
 * Regular files: their contents, and how these are read and written. paged.c has their pages.
 *
 * A reader takes a reference to each page, and copies with no lock held: so a fault in the program's memory
 * may ask this very file for pages. A writer holds the file's mutex `writing` all the time, which no fault
 * needs.
 */
#include "paged.h"

#define PEEK_BYTES 256

/* Sends what lies at `offset` in one page, of which no reference can be had, to the buffer, or zeros for a
 * hole; returns how much it took. */
static size_t read_without_reference(struct fs_node *node, struct file_buffer *buffer, uint64_t offset,
                                     size_t bytes)
{
    char peeked[PEEK_BYTES];
    size_t done = 0;
    while (done < bytes) {
        size_t part = (size_t)min_u64(bytes - done, sizeof peeked);
        fs_paged_peek(node, offset + done, peeked, part);
        size_t taken = buffer->put(buffer, peeked, part);
        done += taken;
        if (taken < part) {
            break;
        }
    }
    return done;
}

static char *memory_of(const struct fs_node *node, phys_addr_t frame)
{
    return frame_pointer(node->fs->config.frames, frame);
}

/* Copies what lies at `offset` in one page to the buffer. */
static size_t read_part(struct fs_node *node, struct file_buffer *buffer, uint64_t offset, size_t bytes)
{
    phys_addr_t frame = fs_paged_get(node, offset >> FRAME_SHIFT);
    if (frame.raw == 0) {
        return read_without_reference(node, buffer, offset, bytes);
    }
    size_t done = buffer->put(buffer, memory_of(node, frame) + offset % FRAME_BYTES, bytes);
    fs_paged_put(node->fs, frame);
    return done;
}

static uint64_t length(struct fs_node *node)
{
    spinlock_acquire(&node->lock);
    uint64_t bytes = node->regular.bytes;
    spinlock_release(&node->lock);
    return bytes;
}

/* Bytes from `offset` on that lie in one page. */
static size_t part_of_page(uint64_t offset, uint64_t bytes)
{
    return (size_t)min_u64(bytes, FRAME_BYTES - offset % FRAME_BYTES);
}

static int64_t regular_read(struct file *file, struct file_buffer *buffer, uint64_t *position)
{
    struct fs_node *node = file->node;
    uint64_t offset = *position;
    uint64_t end = length(node);
    uint64_t wanted = offset < end ? min_u64(end - offset, buffer->left) : 0;
    uint64_t done = 0;
    while (done < wanted) {
        size_t part = part_of_page(offset + done, wanted - done);
        size_t copied = read_part(node, buffer, offset + done, part);
        done += copied;
        if (copied < part) {
            break;
        }
    }
    if (!(atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_ACCESS_TIME)) {
        fs_node_accessed(node);
    }
    *position = offset + done;
    return done == 0 && wanted != 0 ? -EFAULT : (int64_t)done;
}

/* ---- Writing: `writing` is held ---- */

/* Takes bytes for a page that is there; `frame` has a reference, which goes. */
static int64_t write_over(struct fs_node *node, struct file_buffer *buffer, uint64_t offset, size_t bytes,
                          phys_addr_t frame)
{
    size_t done = buffer->take(buffer, memory_of(node, frame) + offset % FRAME_BYTES, bytes);
    fs_paged_put(node->fs, frame);
    return (int64_t)done;
}

/* Takes bytes for a new page: first they are copied, then anybody sees it. */
static int64_t write_new(struct fs_node *node, struct file_buffer *buffer, uint64_t offset, size_t bytes)
{
    phys_addr_t frame;
    int error = fs_paged_alloc(node->fs, bytes < FRAME_BYTES, &frame);
    if (error) {
        return error;
    }
    char *memory = memory_of(node, frame);
    size_t done = buffer->take(buffer, memory + offset % FRAME_BYTES, bytes);
    if (done == 0) {
        fs_paged_free(node->fs, frame);
        return 0;
    }
    if (bytes == FRAME_BYTES) {
        memset(memory + done, 0, FRAME_BYTES - done);
    }
    phys_addr_t there = frame;
    error = fs_paged_insert(node, offset >> FRAME_SHIFT, &there, false);
    if (error || there.raw != frame.raw) { /* a fault was faster */
        if (error == 0) {
            memcpy(memory_of(node, there) + offset % FRAME_BYTES, memory + offset % FRAME_BYTES, done);
            fs_paged_put(node->fs, there);
        }
        fs_paged_free(node->fs, frame);
        return error ? error : (int64_t)done;
    }
    fs_paged_put(node->fs, there); /* the reference for us: the pages have their own */
    return (int64_t)done;
}

static int64_t write_part(struct fs_node *node, struct file_buffer *buffer, uint64_t offset, size_t bytes)
{
    phys_addr_t frame = fs_paged_get(node, offset >> FRAME_SHIFT);
    return frame.raw != 0 ? write_over(node, buffer, offset, bytes, frame)
                          : write_new(node, buffer, offset, bytes);
}

/* Whether somebody executes it, as a program or as a part of one; `writing` is held. */
static bool is_executed(struct fs_regular *regular) REQUIRES(regular->writing)
{
    return regular->writers < 0 || atomic_load_explicit(&regular->pager.uses, memory_order_relaxed) < 0;
}

/* Whether somebody may write to it: by a file, or by a mapping that has outlived its file. */
static bool is_written(struct fs_regular *regular) REQUIRES(regular->writing)
{
    return regular->writers > 0 || atomic_load_explicit(&regular->pager.uses, memory_order_relaxed) > 0;
}

void fs_regular_set_length(struct fs_node *node, uint64_t bytes)
{
    spinlock_acquire(&node->lock);
    node->regular.bytes = bytes;
    spinlock_release(&node->lock);
}

/* What runs as its owner does so no longer when another has written to it. */
static void drop_set_ids(struct fs_node *node, bool outsider)
{
    spinlock_acquire(&node->lock);
    node->mode = fs_without_set_ids(node->mode, outsider);
    spinlock_release(&node->lock);
}

static int64_t write_all(struct fs_node *node, struct file_buffer *buffer, uint64_t offset, uint64_t bytes)
    REQUIRES(node->regular.writing)
{
    uint64_t done = 0;
    int64_t copied = 0;
    while (done < bytes) {
        size_t part = part_of_page(offset + done, bytes - done);
        copied = write_part(node, buffer, offset + done, part);
        if (copied <= 0) {
            break;
        }
        done += (uint64_t)copied;
        if (offset + done > node->regular.bytes) {
            fs_regular_set_length(node, offset + done);
        }
        if ((size_t)copied < part) {
            break;
        }
    }
    return done != 0 ? (int64_t)done : copied < 0 ? copied : -EFAULT;
}

static int64_t regular_write(struct file *file, struct file_buffer *buffer, uint64_t *position)
{
    struct fs_node *node = file->node;
    uint64_t offset = *position;
    if (buffer->left == 0) {
        return 0;
    }
    mutex_acquire(&node->regular.writing);
    if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_APPEND) {
        offset = node->regular.bytes;
    }
    int64_t result = -EFBIG;
    if (offset < FS_BYTES_MAX) {
        result = fs_seals_allow_write(node, offset, min_u64(buffer->left, FS_BYTES_MAX - offset));
        result = result < 0 ? result : write_all(node, buffer, offset, (uint64_t)result);
    }
    if (result > 0) {
        if (file->unprivileged) {
            drop_set_ids(node, file->outsider);
        }
        *position = offset + (uint64_t)result;
        fs_node_modified(node);
    }
    mutex_release(&node->regular.writing);
    return result;
}

/* ---- Length ---- */

int fs_regular_truncate(struct fs_node *node, uint64_t bytes, bool unprivileged, bool outsider)
{
    mutex_acquire(&node->regular.writing);
    int error = is_executed(&node->regular) ? -ETXTBSY : fs_seals_allow_length(node, bytes);
    if (!error) {
        uint64_t before = node->regular.bytes;
        fs_regular_set_length(node, bytes);
        if (bytes < before) {
            fs_paged_cut(node, bytes);
        }
        if (unprivileged) {
            drop_set_ids(node, outsider);
        }
        fs_node_modified(node);
    }
    mutex_release(&node->regular.writing);
    return error;
}

/* Passes up to VM_HOLD_PAGES pages that are there; returns whether it came to one that is not. */
static bool pass_data(struct fs_node *node, uint64_t *index)
{
    uint64_t end = *index + VM_HOLD_PAGES;
    spinlock_acquire(&node->lock);
    while (*index < end && fs_pages_find(&node->regular.pages, *index).raw != 0) {
        ++*index;
    }
    spinlock_release(&node->lock);
    return *index < end;
}

static uint64_t next_data(struct fs_node *node, uint64_t index, uint64_t end)
{
    spinlock_acquire(&node->lock);
    bool found = fs_pages_next(&node->regular.pages, &index);
    spinlock_release(&node->lock);
    return found ? index << FRAME_SHIFT : end;
}

int64_t fs_regular_seek(struct fs_node *node, uint64_t from, bool data)
{
    uint64_t end = length(node);
    uint64_t index = from >> FRAME_SHIFT;
    uint64_t found;
    if (data) {
        found = next_data(node, index, end);
    } else {
        while (!pass_data(node, &index)) {
        }
        found = min_u64(index << FRAME_SHIFT, end);
    }
    return from >= end || (data && found >= end) ? -ENXIO : (int64_t)max_u64(found, from);
}

/* ---- Opening ---- */

static int regular_open(struct file *file)
{
    struct fs_regular *regular = &file->node->regular;
    unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
    if (access != FILE_WRITE_ONLY && access != FILE_READ_WRITE) {
        return 0;
    }
    mutex_acquire(&regular->writing);
    bool executed = is_executed(regular);
    if (!executed) {
        regular->writers++;
    }
    mutex_release(&regular->writing);
    return executed ? -ETXTBSY : 0;
}

static void regular_release(struct file *file)
{
    struct fs_regular *regular = &file->node->regular;
    unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
    if (access == FILE_WRITE_ONLY || access == FILE_READ_WRITE) {
        mutex_acquire(&regular->writing);
        regular->writers--;
        mutex_release(&regular->writing);
    }
}

int file_begin_execution(struct file *file)
{
    if (!fs_has_pages(file->node)) {
        return -EACCES;
    }
    struct fs_regular *regular = &file->node->regular;
    mutex_acquire(&regular->writing);
    bool written = is_written(regular);
    if (!written) {
        regular->writers--;
    }
    mutex_release(&regular->writing);
    return written ? -ETXTBSY : 0;
}

void file_end_execution(struct file *file)
{
    struct fs_regular *regular = &file->node->regular;
    mutex_acquire(&regular->writing);
    regular->writers++;
    mutex_release(&regular->writing);
}

const struct file_operations fs_regular_operations = {
    .open = regular_open,
    .read = regular_read,
    .write = regular_write,
    .release = regular_release,
};

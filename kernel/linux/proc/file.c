/*
 * Reading a file below /proc.
 *
 * Its text is made a part at a time: whole lines, as many as fit. A part is never changed; the file keeps the
 * last one made, which every reader takes a reference to, and makes the next where it ends. So a line is
 * never cut by what happens between two reads, and what comes next depends on the cursor alone (of maps an
 * address), not on how many lines there were before.
 */
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <stdatomic.h>

#include "proc.h"

#define PART_BYTES    (FRAME_BYTES - 128) /* of text, and the record fits a frame */
#define PART_LARGEST  65536               /* for a line that is longer than that */
#define PART_GROWS_BY 4

struct part {
    _Atomic(uint32_t) references;
    bool last;       /* nothing comes behind it */
    uint64_t offset; /* of its first byte in the file */
    size_t bytes;    /* of its text */
    uint64_t cursor; /* what comes behind it */
    char text[];
};

static void put(struct heap *heap, struct part *part)
{
    if (part && atomic_fetch_sub(&part->references, 1) == 1) {
        heap_free(heap, part);
    }
}

/* The file's part, with a reference, or NULL. */
static struct part *current(struct file *file)
{
    spinlock_acquire(made_lock(file));
    struct part *part = file->own;
    if (part) {
        atomic_fetch_add(&part->references, 1);
    }
    spinlock_release(made_lock(file));
    return part;
}

/* The file keeps it, and gives up the one that it had. */
static void keep(struct file *file, struct part *part)
{
    if (part) {
        atomic_fetch_add(&part->references, 1);
    }
    spinlock_acquire(made_lock(file));
    struct part *before = file->own;
    file->own = part;
    spinlock_release(made_lock(file));
    put(&kernel_heap, before);
}

/* ---- Making ---- */

/* Fills a part with what comes at its cursor; a line that does not fit any more is left for the next one.
 * Returns 0, or -ENOSPC if not even the first line fits, or what a step returned. */
static int fill(const struct proc_what *what, struct part *part, size_t room)
{
    struct proc_text text = {.at = part->text, .bytes = room};
    int result = 1;
    while (result == 1) {
        size_t used = text.used;
        uint64_t cursor = part->cursor;
        result = proc_step_of(what)(what, &text, &cursor);
        if (text.full) {
            part->bytes = used;
            return used != 0 ? 0 : -ENOSPC;
        }
        part->cursor = cursor;
    }
    part->bytes = text.used;
    part->last = result == 0;
    return text.used != 0 ? 0 : result; /* what there is before an error is read first */
}

/* Makes the part that begins at the cursor, with a reference. */
static int make(const struct proc_what *what, uint64_t offset, uint64_t cursor, struct part **made)
{
    for (size_t room = PART_BYTES;; room *= PART_GROWS_BY) {
        struct part *part = room > PART_LARGEST ? NULL : heap_alloc(&kernel_heap, sizeof *part + room);
        if (!part) {
            return -ENOMEM;
        }
        *part = (struct part){.offset = offset, .cursor = cursor};
        atomic_init(&part->references, 1);
        int error = fill(what, part, room);
        if (error == 0) {
            *made = part;
            return 0;
        }
        put(&kernel_heap, part);
        if (error != -ENOSPC) {
            return error;
        }
    }
}

/* The part with the byte at `position`, or the last one, with a reference. Who reads at the start reads what
 * is so now. */
static int find(struct file *file, const struct proc_what *what, uint64_t position, struct part **found)
{
    struct part *part = position != 0 ? current(file) : NULL;
    int error = 0;
    if (part && position < part->offset) {
        put(&kernel_heap, part);
        part = NULL;
    }
    if (!part) {
        error = make(what, 0, 0, &part);
    }
    while (!error && position >= part->offset + part->bytes && !part->last) {
        struct part *next;
        error = make(what, part->offset + part->bytes, part->cursor, &next);
        put(&kernel_heap, part);
        part = error ? NULL : next;
    }
    *found = part;
    return error;
}

/* ---- Reading ---- */

static int64_t proc_read(struct file *file, struct file_buffer *buffer, uint64_t *position)
{
    const struct proc_what what = proc_unpack(made_what(file));
    struct part *part = NULL;
    if (!proc_step_of(&what)) {
        return proc_pagemap_read(&what, buffer, position);
    }
    if (buffer->left == 0) {
        return 0;
    }
    int error = find(file, &what, *position, &part);
    if (error) {
        return error;
    }
    keep(file, part);
    int64_t done = 0;
    uint64_t inside = *position - part->offset;
    if (inside < part->bytes) {
        size_t bytes = (size_t)min_u64(part->bytes - inside, buffer->left);
        done = (int64_t)buffer->put(buffer, part->text + inside, bytes);
        *position += (uint64_t)done;
        done = done == 0 ? -EFAULT : done;
    }
    put(&kernel_heap, part);
    return done;
}

static int proc_open(struct file *file)
{
    const struct proc_what what = proc_unpack(made_what(file));
    return proc_is_guarded(&what) ? proc_may_look(&what) : 0;
}

static void proc_release(struct file *file)
{
    keep(file, NULL);
}

const struct file_operations proc_file_operations = {
    .open = proc_open, .read = proc_read, .release = proc_release};

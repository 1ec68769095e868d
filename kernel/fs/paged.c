/*
 * The pages of regular files, and how they get to spaces: each regular file is a pager. All who share a page
 * have the same frame, of which the file keeps one reference and each page-table entry another.
 */
#include "paged.h"

#define CUT_FRAMES 32 /* taken out in one hold of the node's lock */

/* ---- Frames ---- */

static bool count_frame(struct fs *fs)
{
    uint64_t frames = atomic_load_explicit(&fs->frames, memory_order_relaxed);
    do {
        if (frames >= fs->config.frames_max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&fs->frames, &frames, frames + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

int fs_paged_alloc(struct fs *fs, bool zeroed, phys_addr_t *frame)
{
    struct frame_pool *pool = fs->config.frames;
    if (!count_frame(fs)) {
        return -ENOSPC;
    }
    *frame = zeroed ? frame_alloc_zeroed(pool, fs->config.owner) : frame_alloc(pool, 0, fs->config.owner);
    if (frame->raw == 0) {
        atomic_fetch_sub_explicit(&fs->frames, 1, memory_order_relaxed);
        return -ENOMEM;
    }
    frame_note_clear(frame_descriptor(pool, *frame)); /* it will be the spaces' */
    return 0;
}

void fs_paged_free(struct fs *fs, phys_addr_t frame)
{
    atomic_fetch_sub_explicit(&fs->frames, 1, memory_order_relaxed);
    frame_put(fs->config.frames, frame);
}

/* ---- Places ---- */

/* The page with a reference, the node's lock held; none for a hole, or where it can have no more references.
 * The file's own reference stays meanwhile, as that of a page-table entry would. */
static phys_addr_t get(struct fs_node *node, uint64_t index) REQUIRES(node->lock)
{
    struct frame_pool *frames = node->fs->config.frames;
    phys_addr_t frame = fs_pages_find(&node->regular.pages, index);
    bool got = frame.raw == 0 || frame_share(frame_descriptor(frames, frame)) ||
               frame_try_get(frames, frame) == FRAME_OK;
    return got ? frame : FRAME_NONE;
}

phys_addr_t fs_paged_get(struct fs_node *node, uint64_t index)
{
    spinlock_acquire(&node->lock);
    phys_addr_t frame = get(node, index);
    spinlock_release(&node->lock);
    return frame;
}

void fs_paged_peek(struct fs_node *node, uint64_t offset, void *to, size_t bytes)
{
    spinlock_acquire(&node->lock);
    phys_addr_t frame = fs_pages_find(&node->regular.pages, offset >> FRAME_SHIFT);
    if (frame.raw != 0) {
        const char *memory = frame_pointer(node->fs->config.frames, frame);
        memcpy(to, memory + offset % FRAME_BYTES, bytes);
    } else {
        memset(to, 0, bytes);
    }
    spinlock_release(&node->lock);
}

/* What fs_paged_insert() has, from one try to the next. */
struct insertion {
    void *spares;   /* nodes */
    unsigned count; /* how many */
    unsigned lacks; /* how many the way to the page lacked; 0: it is there */
    bool within;    /* only where the file reaches to */
};

static int try_insert(struct fs_node *node, uint64_t index, phys_addr_t *frame, struct insertion *insertion)
    REQUIRES(node->lock)
{
    struct fs_regular *regular = &node->regular;
    phys_addr_t there = get(node, index);
    if (there.raw != 0) {
        insertion->lacks = 0;
        *frame = there;
        return 0;
    }
    if (fs_pages_find(&regular->pages, index).raw != 0) {
        return -ENOMEM; /* it can have no more references */
    }
    if (insertion->within && index << FRAME_SHIFT >= regular->bytes) {
        return -ENXIO;
    }
    insertion->lacks = fs_pages_insert(&regular->pages, index, *frame, &insertion->spares, insertion->count);
    if (insertion->lacks == 0) {
        regular->frames++;
        if (!frame_share(frame_descriptor(node->fs->config.frames, *frame))) {
            frame_get(node->fs->config.frames, *frame);
        }
    }
    return 0;
}

/* Gets the nodes that are lacking. */
static int get_spares(struct heap *heap, struct insertion *insertion)
{
    for (; insertion->count < insertion->lacks; insertion->count++) {
        void *spare = heap_alloc_zeroed(heap, FS_PAGES_NODE_BYTES);
        if (!spare) {
            return -ENOMEM;
        }
        fs_pages_add_spare(&insertion->spares, spare);
    }
    return 0;
}

int fs_paged_insert(struct fs_node *node, uint64_t index, phys_addr_t *frame, bool within)
{
    struct insertion insertion = {.within = within};
    int error;
    do {
        error = get_spares(node->fs->config.heap, &insertion);
        if (error == 0) {
            spinlock_acquire(&node->lock);
            error = try_insert(node, index, frame, &insertion);
            spinlock_release(&node->lock);
        }
    } while (error == 0 && insertion.lacks > insertion.count);
    fs_pages_free(node->fs, insertion.spares);
    return error;
}

/* ---- Cutting ---- */

/* Writes zeros over [from, end), which lies in one page. */
static void clear_part(struct fs_node *node, uint64_t from, uint64_t end)
{
    if (from >= end) {
        return;
    }
    spinlock_acquire(&node->lock);
    phys_addr_t frame = fs_pages_find(&node->regular.pages, from >> FRAME_SHIFT);
    if (frame.raw != 0) {
        char *memory = frame_pointer(node->fs->config.frames, frame);
        memset(memory + from % FRAME_BYTES, 0, end - from);
    }
    spinlock_release(&node->lock);
}

/* Takes up to CUT_FRAMES pages out, of those from `index` to `last`; returns how many. */
static unsigned take_some(struct fs_node *node, uint64_t index, uint64_t last, phys_addr_t frames[CUT_FRAMES])
{
    struct fs_pages *pages = &node->regular.pages;
    void *emptied = NULL;
    unsigned count = 0;
    spinlock_acquire(&node->lock);
    while (count < CUT_FRAMES && fs_pages_next(pages, &index) && index <= last) {
        frames[count++] = fs_pages_take(pages, &index, &emptied);
    }
    node->regular.frames -= count;
    spinlock_release(&node->lock);
    fs_pages_free(node->fs, emptied);
    return count;
}

void fs_paged_remove(struct fs_node *node, uint64_t first, uint64_t last)
{
    phys_addr_t frames[CUT_FRAMES];
    unsigned count;
    do {
        count = take_some(node, first, last, frames);
        for (unsigned i = 0; i < count; i++) {
            fs_paged_free(node->fs, frames[i]);
        }
    } while (count == CUT_FRAMES);
}

/* Whether nobody but the file has the page, and nothing stands in it; the node's lock is held, so that nobody
 * gets it meanwhile. */
static bool is_unused(struct fs_node *node, phys_addr_t frame)
{
    const struct frame_pool *pool = node->fs->config.frames;
    const uint64_t *words = frame_pointer(pool, frame);
    unsigned i = 0;
    while (i < FRAME_BYTES / sizeof *words && words[i] == 0) {
        i++;
    }
    return i == FRAME_BYTES / sizeof *words && frame_descriptor_users(frame_descriptor(pool, frame)) == 1;
}

void fs_paged_take_back(struct fs_node *node, uint64_t index)
{
    void *emptied = NULL;
    spinlock_acquire(&node->lock);
    phys_addr_t frame = fs_pages_find(&node->regular.pages, index);
    bool goes = frame.raw != 0 && is_unused(node, frame);
    if (goes) {
        fs_pages_take(&node->regular.pages, &index, &emptied);
        node->regular.frames--;
    }
    spinlock_release(&node->lock);
    fs_pages_free(node->fs, emptied);
    if (goes) {
        fs_paged_free(node->fs, frame);
    }
}

void fs_paged_cut(struct fs_node *node, uint64_t bytes)
{
    uint64_t whole = align_up(bytes, FRAME_BYTES);
    clear_part(node, bytes, whole); /* it shows when the file grows again */
    fs_paged_remove(node, whole >> FRAME_SHIFT, UINT64_MAX);
    vm_pager_revoke(&node->regular.pager, whole, UINT64_MAX, true);
}

void fs_paged_punch(struct fs_node *node, uint64_t from, uint64_t end)
{
    uint64_t first = min_u64(align_up(from, FRAME_BYTES), end);
    uint64_t behind = max_u64(align_down(end, FRAME_BYTES), first);
    clear_part(node, from, first);
    clear_part(node, behind, end);
    if (first < behind) {
        fs_paged_remove(node, first >> FRAME_SHIFT, (behind >> FRAME_SHIFT) - 1);
        vm_pager_revoke(&node->regular.pager, first, behind - first, false);
    }
}

/* ---- For spaces ---- */

static struct fs_node *node_of(struct vm_pager *pager)
{
    return (struct fs_node *)(void *)((char *)pager - offsetof(struct fs_node, regular.pager));
}

/* A page of zeros in a hole. */
static phys_addr_t fill_hole(struct fs_node *node, uint64_t index)
{
    phys_addr_t frame;
    if (fs_paged_alloc(node->fs, true, &frame) != 0) {
        return FRAME_NONE;
    }
    phys_addr_t there = frame;
    int error = fs_paged_insert(node, index, &there, true);
    if (error || there.raw != frame.raw) {
        fs_paged_free(node->fs, frame);
    }
    return error ? FRAME_NONE : there;
}

static phys_addr_t give_page(struct vm_pager *pager, uint64_t offset, bool wait)
{
    struct fs_node *node = node_of(pager);
    spinlock_acquire(&node->lock);
    bool inside = offset < node->regular.bytes;
    phys_addr_t frame = inside ? get(node, offset >> FRAME_SHIFT) : FRAME_NONE;
    bool hole =
        inside && frame.raw == 0 && fs_pages_find(&node->regular.pages, offset >> FRAME_SHIFT).raw == 0;
    spinlock_release(&node->lock);
    return hole && wait ? fill_hole(node, offset >> FRAME_SHIFT) : frame;
}

struct fs_node *fs_paged_node(struct vm_pager *pager)
{
    return pager->get == give_page ? node_of(pager) : NULL;
}

static void release(struct vm_pager *pager)
{
    struct fs_node *node = node_of(pager);
    fs_paged_remove(node, 0, UINT64_MAX);
    heap_free(node->fs->config.heap, node->regular.title);
    fs_node_free(node);
}

void fs_regular_init(struct fs_node *node)
{
    mutex_init(&node->regular.writing, LOCK_FILE_CONTENTS, 0);
    node->regular.pager = (struct vm_pager){.get = give_page, .release = release, .exclusive = true};
    atomic_init(&node->regular.pager.references, 1);
}

void fs_regular_end(struct fs_node *node)
{
    vm_pager_put(&node->regular.pager);
}

struct vm_pager *file_pager(struct file *file)
{
    if (!fs_has_pages(file->node)) {
        return NULL;
    }
    vm_pager_get(&file->node->regular.pager);
    return &file->node->regular.pager;
}

/* ---- Names ---- */

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

/* The pages of regular files, as regular.c uses them. A page's frame has one reference of the file's. */
#pragma once

#include "internal.h"

/* The node whose pages the pager gives; NULL: it is not one of ours. */
struct fs_node *fs_paged_node(struct vm_pager *pager);

#define FS_BYTES_MAX ((uint64_t)INT64_MAX) /* longest file */

/* The page, with a reference for the caller; none for a hole, or where it can have no more references. */
phys_addr_t fs_paged_get(struct fs_node *node, uint64_t index);

/* Copies what lies in one page at `offset`, zeros where it is a hole, under the node's lock: for a page that
 * can have no more references. A few hundred bytes at most. */
void fs_paged_peek(struct fs_node *node, uint64_t offset, void *to, size_t bytes);

/* Gives that reference back. */
static inline void fs_paged_put(struct fs *fs, phys_addr_t frame)
{
    struct frame_pool *frames = fs->config.frames;
    if (!frame_unshare(frame_descriptor(frames, frame))) {
        frame_put(frames, frame);
    }
}

/* A frame for contents, counted; zeroed if wanted. Fails with -ENOSPC or -ENOMEM. */
int fs_paged_alloc(struct fs *fs, bool zeroed, phys_addr_t *frame);
/* Gives back one that got no place. */
void fs_paged_free(struct fs *fs, phys_addr_t frame);

/*
 * Makes *frame the page, with a reference for the caller, unless there is one: then that one is *frame, with
 * a reference, and the given frame stays the caller's. within: only where the file reaches to, and else
 * -ENXIO. Fails with -ENOMEM.
 */
int fs_paged_insert(struct fs_node *node, uint64_t index, phys_addr_t *frame, bool within);

/* Takes the pages from `first` to `last` out of the file; spaces that show them go on to. */
void fs_paged_remove(struct fs_node *node, uint64_t first, uint64_t last);

/* The same for one page that holds nothing and that nobody shows; others stay. */
void fs_paged_take_back(struct fs_node *node, uint64_t index);

/* Takes away what lies at and behind `bytes`, from all who have it mapped as well, and the copies that they
 * have of it; `writing` is held, and the length is `bytes` already. */
void fs_paged_cut(struct fs_node *node, uint64_t bytes);

/* Makes zeros of [from, end), holes where whole pages are; copies in private mappings stay. `writing` is
 * held. */
void fs_paged_punch(struct fs_node *node, uint64_t from, uint64_t end);

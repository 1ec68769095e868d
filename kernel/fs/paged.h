/* The pages of regular files, as regular.c uses them. A page's frame has one reference of the file's. */
#pragma once

#include "internal.h"

/* The node whose pages the pager gives; NULL: it is not one of ours. */
struct fs_node *fs_paged_node(struct vm_pager *pager);

#define FS_BYTES_MAX ((uint64_t)INT64_MAX) /* longest file */

/* The page, with a reference for the caller; none for a hole. */
phys_addr_t fs_paged_get(struct fs_node *node, uint64_t index);

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

/* Takes away what lies at and behind `bytes`; `writing` is held, and the length is `bytes` already. */
void fs_paged_cut(struct fs_node *node, uint64_t bytes);

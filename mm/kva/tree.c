/*
 * Ranges by address: a radix tree over the page number of the first byte, 512 ways at each level, whose nodes
 * are frames. It holds the ranges that are taken or held, and answers "which one starts here" in as many
 * steps as it has levels (four for 16 TiB), and "which one starts last before here" in a bounded number.
 *
 * A hash table would answer the first question in fewer steps, but not the second, and must be grown all at
 * once; a balanced tree needs more steps for both. The count of a node's used slots lies in the low bits of
 * the link to it, so that a node fills its frame.
 */
#include "internal.h"

unsigned kva_tree_shift(uint64_t pages)
{
    unsigned shift = 0;
    while (pages > (uint64_t)KVA_TREE_SLOTS << shift) {
        shift += KVA_TREE_BITS;
    }
    return shift;
}

static bool make_node(struct kva_arena *arena, uint64_t *link) REQUIRES(arena->lock)
{
    struct kva_node *node = kva_frame_take(arena);
    if (!node) {
        return false;
    }
    memset(node, 0, sizeof *node);
    *link = (uintptr_t)node;
    arena->memory.node_frames++;
    return true;
}

/*
 * Frees the node of a link if nothing is in it any more. It is unlinked first, since kva_look_stopped() reads
 * the tree without the lock.
 */
static void drop_unused(struct kva_arena *arena, uint64_t *link) REQUIRES(arena->lock)
{
    if ((*link & KVA_TREE_USED) == 0) {
        struct kva_node *node = kva_link_node(*link);
        *link = 0;
        arena->memory.node_frames--;
        kva_frame_give(arena, node);
    }
}

static bool insert(struct kva_arena *arena, uint64_t *link, unsigned shift, uint64_t page, uint64_t range)
    REQUIRES(arena->lock)
{
    if (*link == 0 && !make_node(arena, link)) {
        return false;
    }
    uint64_t *slot = &kva_link_node(*link)->slot[kva_tree_index(page, shift)];
    bool was_used = *slot != 0;
    if (shift == 0) {
        *slot = range;
    } else if (!insert(arena, slot, shift - KVA_TREE_BITS, page, range)) {
        drop_unused(arena, link);
        return false;
    }
    *link += !was_used;
    return true;
}

static void erase(struct kva_arena *arena, uint64_t *link, unsigned shift, uint64_t page)
    REQUIRES(arena->lock)
{
    uint64_t *slot = &kva_link_node(*link)->slot[kva_tree_index(page, shift)];
    if (shift == 0) {
        *slot = 0;
    } else {
        erase(arena, slot, shift - KVA_TREE_BITS, page);
    }
    if (*slot == 0) {
        --*link;
        drop_unused(arena, link);
    }
}

bool kva_tree_insert(struct kva_arena *arena, uint64_t page, struct kva_range *range)
{
    return insert(arena, &arena->tree, arena->tree_shift, page, (uintptr_t)range);
}

void kva_tree_erase(struct kva_arena *arena, uint64_t page)
{
    erase(arena, &arena->tree, arena->tree_shift, page);
}

/* The range below `link` with the highest first page up to `page`, or NULL. UINT64_MAX: the last of all. */
static struct kva_range *find_floor(uint64_t link, unsigned shift, uint64_t page)
{
    const struct kva_node *node = kva_link_node(link);
    if (!node) {
        return NULL;
    }
    unsigned index = kva_tree_index(page, shift);
    for (unsigned i = index + 1; i-- > 0;) {
        uint64_t slot = node->slot[i];
        if (slot != 0 && shift == 0) {
            return (struct kva_range *)(uintptr_t)slot;
        }
        struct kva_range *found = NULL;
        if (slot != 0) {
            found = find_floor(slot, shift - KVA_TREE_BITS, i == index ? page : UINT64_MAX);
        }
        if (found) {
            return found;
        }
    }
    return NULL;
}

struct kva_range *kva_tree_floor(const struct kva_arena *arena, uint64_t page)
{
    return find_floor(arena->tree, arena->tree_shift, page);
}

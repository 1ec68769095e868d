/* How many nodes there are; see internal.h. */
#include "internal.h"

bool fs_count_node(struct fs *fs)
{
    uint64_t nodes = atomic_load_explicit(&fs->nodes, memory_order_relaxed);
    do {
        if (nodes >= fs->config.nodes_max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&fs->nodes, &nodes, nodes + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void fs_node_free(struct fs_node *node)
{
    struct fs *fs = node->fs;
    heap_free(fs->config.heap, node);
    atomic_fetch_sub_explicit(&fs->nodes, 1, memory_order_relaxed);
}

/*
 * The pages of a file: a tree of nodes with 64 places each, by the number of the page. Its height grows with
 * the highest page that is there, so a file of one page needs no node, and the largest possible one nine
 * levels. A node that has become empty goes at once: so who looks for the next page passes no empty ones, and
 * a hold of the lock is bounded by the height.
 */
#include "internal.h"

#define PLACE_BITS 6
#define PLACES     (1U << PLACE_BITS)

struct pages_node {
    void *place[PLACES]; /* nodes; at the lowest level frames */
};
_Static_assert(sizeof(struct pages_node) == FS_PAGES_NODE_BYTES, "what callers provide");

static phys_addr_t frame_of(const void *place)
{
    return phys_addr((uintptr_t)place);
}

/* The place of a page in a node `level` levels above the frames. */
static unsigned place_at(uint64_t index, unsigned level)
{
    return (unsigned)(index >> (level - 1) * PLACE_BITS) % PLACES;
}

/* Whether a tree of that height has a place for the page. */
static bool reaches(unsigned height, uint64_t index)
{
    return height * PLACE_BITS >= 64 || index >> height * PLACE_BITS == 0;
}

phys_addr_t fs_pages_find(const struct fs_pages *pages, uint64_t index)
{
    const void *at = reaches(pages->height, index) ? pages->root : NULL;
    for (unsigned level = pages->height; level > 0 && at; level--) {
        at = ((const struct pages_node *)at)->place[place_at(index, level)];
    }
    return frame_of(at);
}

/* Nodes that are missing on the way to the page. */
static unsigned count_missing(const struct fs_pages *pages, uint64_t index)
{
    unsigned height = pages->height;
    unsigned missing = 0;
    while (!reaches(height, index)) {
        height++;
        missing += pages->root != NULL; /* one above what there is */
    }
    const void *at = height == pages->height ? pages->root : NULL;
    unsigned level = height;
    for (; level > 0 && at; level--) {
        at = ((const struct pages_node *)at)->place[place_at(index, level)];
    }
    if (height != pages->height && pages->root) {
        return missing + level - 1; /* the top is there by then */
    }
    return missing + (at ? 0 : level);
}

void *fs_pages_take_spare(void **spares)
{
    struct pages_node *node = *spares;
    *spares = node->place[0];
    node->place[0] = NULL;
    return node;
}

void fs_pages_add_spare(void **spares, void *node)
{
    ((struct pages_node *)node)->place[0] = *spares;
    *spares = node;
}

static void grow(struct fs_pages *pages, uint64_t index, void **spares)
{
    for (; !reaches(pages->height, index); pages->height++) {
        if (pages->root) {
            struct pages_node *top = fs_pages_take_spare(spares);
            top->place[0] = pages->root;
            pages->root = top;
        }
    }
}

unsigned fs_pages_insert(struct fs_pages *pages, uint64_t index, phys_addr_t frame, void **spares,
                         unsigned spare_count)
{
    unsigned missing = count_missing(pages, index);
    if (missing > spare_count) {
        return missing;
    }
    grow(pages, index, spares);
    void **link = &pages->root;
    for (unsigned level = pages->height; level > 0; level--) {
        if (!*link) {
            *link = fs_pages_take_spare(spares);
        }
        link = &((struct pages_node *)*link)->place[place_at(index, level)];
    }
    *link = (void *)(uintptr_t)frame.raw;
    return 0;
}

/* The first place in use from `first` on; PLACES when there is none. */
static unsigned next_place(const struct pages_node *node, unsigned first)
{
    while (first < PLACES && !node->place[first]) {
        first++;
    }
    return first;
}

/* How the search came to a page. */
struct pages_way {
    struct pages_node *nodes[64 / PLACE_BITS + 2]; /* by level */
    unsigned places[64 / PLACE_BITS + 2];
};

/* Finds the first page at or behind *index. */
static bool find_next(const struct fs_pages *pages, uint64_t *index, struct pages_way *way)
{
    unsigned level = pages->height;
    uint64_t from = *index;
    if (!pages->root || !reaches(level, from) || (level == 0 && from != 0)) {
        return false;
    }
    void *at = pages->root;
    while (level > 0) {
        way->nodes[level] = at;
        unsigned place = next_place(at, place_at(from, level));
        while (place == PLACES) { /* nothing more here: on behind it, from the node above */
            if (++level > pages->height) {
                return false;
            }
            place = next_place(way->nodes[level], way->places[level] + 1);
        }
        way->places[level] = place;
        if (place != place_at(from, level)) {
            uint64_t span = (uint64_t)1 << (level - 1) * PLACE_BITS;
            uint64_t around = level * PLACE_BITS >= 64 ? 0 : from >> level * PLACE_BITS << level * PLACE_BITS;
            from = around + place * span;
        }
        at = way->nodes[level]->place[place];
        level--;
    }
    *index = from;
    return true;
}

bool fs_pages_next(const struct fs_pages *pages, uint64_t *index)
{
    struct pages_way way;
    return find_next(pages, index, &way);
}

phys_addr_t fs_pages_take(struct fs_pages *pages, uint64_t *index, void **emptied)
{
    struct pages_way way;
    if (!find_next(pages, index, &way)) {
        return FRAME_NONE;
    }
    if (pages->height == 0) {
        phys_addr_t frame = frame_of(pages->root);
        pages->root = NULL;
        return frame;
    }
    phys_addr_t frame = frame_of(way.nodes[1]->place[way.places[1]]);
    unsigned level = 1;
    for (; level <= pages->height; level++) {
        struct pages_node *node = way.nodes[level];
        node->place[way.places[level]] = NULL;
        if (next_place(node, way.places[level] + 1) < PLACES || next_place(node, 0) < PLACES) {
            return frame;
        }
        fs_pages_add_spare(emptied, node);
    }
    pages->root = NULL;
    pages->height = 0;
    return frame;
}

void fs_pages_free(struct fs *fs, void *emptied)
{
    while (emptied) {
        heap_free(fs->config.heap, fs_pages_take_spare(&emptied));
    }
}

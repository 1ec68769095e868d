/*
 * The regions of a space: a tree by address for finding, a list through it for walking.
 *
 * The tree is a treap: ordered by address, and by random priority from the root down, which makes it as deep
 * as a tree built in random order, whatever the order of insertion. Splitting and joining trees is all its
 * code. Each node knows the largest gap of its subtree, so that placing finds a gap without visiting regions
 * that have none.
 */
#include "mm/space/valid.h"

struct vm_region *vm_region_above(const struct vm_space *space, uint64_t address)
{
    struct vm_region *found = NULL;
    for (struct vm_region *node = space->tree; node;) {
        if (address >= vm_region_end(node)) {
            node = node->upper;
            continue;
        }
        found = node;
        if (address >= node->base) {
            break;
        }
        node = node->lower;
    }
    return found;
}

const struct vm_region *vm_region_at(const struct vm_space *space, uint64_t address)
{
    const struct vm_region *region = space->moving;
    if (region && address - region->base < region->bytes) {
        return region;
    }
    region = vm_region_above(space, address);
    return region && region->base <= address ? region : NULL;
}

/* ---- The treap ---- */

static uint64_t largest(const struct vm_region *tree)
{
    return tree ? tree->largest_gap : 0;
}

static void update(struct vm_region *node)
{
    node->largest_gap = max_u64(node->gap, max_u64(largest(node->lower), largest(node->upper)));
}

/* Parts a tree into what lies below `base` and the rest. */
static void part(struct vm_region *tree, uint64_t base, struct vm_region **below, struct vm_region **rest)
{
    if (!tree) {
        *below = NULL;
        *rest = NULL;
    } else if (tree->base < base) {
        part(tree->upper, base, &tree->upper, rest);
        update(tree);
        *below = tree;
    } else {
        part(tree->lower, base, below, &tree->lower);
        update(tree);
        *rest = tree;
    }
}

/* One tree of two, of which all of `below` lies below all of `above`. */
static struct vm_region *join(struct vm_region *below, struct vm_region *above)
{
    if (!below || !above) {
        return below ? below : above;
    }
    if (below->priority > above->priority) {
        below->upper = join(below->upper, above);
        update(below);
        return below;
    }
    above->lower = join(below, above->lower);
    update(above);
    return above;
}

/* Where the tree names the region that begins at `base`, or would, if its priority were `priority`. */
static struct vm_region **place_of(struct vm_space *space, uint64_t base, uint64_t priority)
    REQUIRES(space->change, space->lock)
{
    struct vm_region **place = &space->tree;
    while (*place && (*place)->base != base && (*place)->priority > priority) {
        place = base < (*place)->base ? &(*place)->lower : &(*place)->upper;
    }
    return place;
}

/*
 * Computes largest_gap anew on the way down to `base`, from below. Where a region begins there, or did until
 * now, this way goes by it, by the region before it and by the one after it.
 */
static void refresh(struct vm_region *tree, uint64_t base)
{
    if (tree) {
        refresh(base < tree->base ? tree->lower : tree->upper, base);
        update(tree);
    }
}

/* ---- Gaps ---- */

static uint64_t gap_start(const struct vm_space *space, const struct vm_region *region)
{
    return region->previous ? vm_region_end(region->previous) : space->base;
}

static uint64_t gap_below(const struct vm_space *space, const struct vm_region *region)
{
    return region->base - region->guard - gap_start(space, region);
}

static void set_gap(struct vm_space *space, struct vm_region *region) REQUIRES(space->change, space->lock)
{
    if (region) {
        region->gap = gap_below(space, region);
    }
}

void vm_tree_resized(struct vm_space *space, struct vm_region *region)
{
    set_gap(space, region);
    set_gap(space, region->next);
    refresh(space->tree, region->base);
}

static uint64_t next_random(struct vm_space *space) REQUIRES(space->lock)
{
    space->random ^= space->random << 13; /* xorshift: good enough to be unrelated to addresses */
    space->random ^= space->random >> 7;
    space->random ^= space->random << 17;
    return space->random;
}

/* Puts the region into the list, between those that are its neighbours in the tree. */
static void link_neighbours(struct vm_space *space, struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    struct vm_region *next = vm_region_above(space, region->base);
    struct vm_region *previous = next ? next->previous : space->tree;
    while (!next && previous && previous->upper) {
        previous = previous->upper;
    }
    region->next = next;
    region->previous = previous;
    *(previous ? &previous->next : &space->first) = region;
    if (next) {
        next->previous = region;
    }
}

void vm_tree_insert(struct vm_space *space, struct vm_region *region)
{
    link_neighbours(space, region);
    region->priority = next_random(space);
    struct vm_region **place = place_of(space, region->base, region->priority);
    part(*place, region->base, &region->lower, &region->upper);
    *place = region;
    space->region_count++;
    vm_region_count(space, region, region->bytes);
    vm_tree_resized(space, region);
}

void vm_tree_remove(struct vm_space *space, struct vm_region *region)
{
    DEBUG_ASSERT(vm_region_is_valid(space, region));
    struct vm_region *next = region->next;
    struct vm_region **place = place_of(space, region->base, 0);
    ASSERT(*place == region);
    *place = join(region->lower, region->upper);
    *(region->previous ? &region->previous->next : &space->first) = next;
    if (next) {
        next->previous = region->previous;
    }
    set_gap(space, next);
    refresh(space->tree, region->base);
    if (space->recent == region) {
        space->recent = NULL;
    }
    space->region_count--;
    vm_region_count(space, region, 0 - region->bytes);
}

/* ---- Placing ---- */

struct wish {
    uint64_t bytes;     /* length */
    uint64_t guard;     /* free bytes below */
    uint64_t alignment; /* of the first byte */
    uint64_t from;      /* lowest address allowed */
};

/* Where the wish fits between `start` and `end`; 0 if it does not. What is compared first cannot wrap. */
static uint64_t fit(const struct wish *wish, uint64_t start, uint64_t end)
{
    if (wish->guard > end - start) {
        return 0;
    }
    uint64_t lowest = max_u64(start + wish->guard, wish->from);
    uint64_t at = align_up(lowest, wish->alignment);
    return at >= lowest && at <= end && end - at >= wish->bytes ? at : 0;
}

/* The lowest fit in the gaps of a subtree. */
static uint64_t fit_in_tree(const struct vm_space *space, const struct vm_region *tree,
                            const struct wish *wish)
{
    if (largest(tree) < wish->bytes + wish->guard) {
        return 0;
    }
    uint64_t at = wish->from < tree->base ? fit_in_tree(space, tree->lower, wish) : 0;
    if (!at) {
        at = fit(wish, gap_start(space, tree), tree->base - tree->guard);
    }
    return at ? at : fit_in_tree(space, tree->upper, wish);
}

uint64_t vm_tree_place(struct vm_space *space, uint64_t bytes, uint64_t guard, uint64_t alignment,
                       uint64_t from)
{
    struct wish wish = {bytes, guard, alignment, from};
    uint64_t at = fit_in_tree(space, space->tree, &wish);
    if (at) {
        return at;
    }
    const struct vm_region *last = space->tree;
    while (last && last->upper) {
        last = last->upper;
    }
    return fit(&wish, last ? vm_region_end(last) : space->base, space->end);
}

/* ---- Checking ---- */

/* What a walk through the tree has seen. */
struct census {
    struct vm_region *expected; /* the list's next region */
    uint64_t regions;           /* so far */
    uint64_t bytes;             /* their sum */
    uint64_t locked;            /* of those that are locked */
    uint64_t data;              /* of those that are data */
};

static bool check_node(const struct vm_space *space, const struct vm_region *node, struct census *census,
                       struct vm_problem *problem)
{
    uint64_t widest = max_u64(node->gap, max_u64(largest(node->lower), largest(node->upper)));
    if (census->expected != node) {
        return vm_problem_set(problem, "tree and list disagree", node->base,
                              census->expected ? census->expected->base : 0, node->base);
    }
    if (node->bytes == 0 || !is_aligned(node->base | node->bytes | node->guard, FRAME_BYTES) ||
        node->base < gap_start(space, node) + node->guard || vm_region_end(node) > space->end) {
        return vm_problem_set(problem, "a region out of place", node->base, node->bytes, 0);
    }
    if (node->gap != gap_below(space, node)) {
        return vm_problem_set(problem, "gap below a region", node->base, node->gap, gap_below(space, node));
    }
    if (node->largest_gap != widest) {
        return vm_problem_set(problem, "largest gap of a subtree", node->base, node->largest_gap, widest);
    }
    if ((node->lower && node->lower->priority > node->priority) ||
        (node->upper && node->upper->priority > node->priority)) {
        return vm_problem_set(problem, "order of priorities", node->base, node->priority, 0);
    }
    if (node->next && node->next->previous != node) {
        return vm_problem_set(problem, "the list backwards", node->base, 0, 0);
    }
    census->expected = node->next;
    census->regions++;
    census->bytes += node->bytes;
    census->locked += node->marks & VM_LOCKED ? node->bytes : 0;
    census->data += vm_region_is_data(node) ? node->bytes : 0;
    return true;
}

static bool check_tree(const struct vm_space *space, const struct vm_region *tree, struct census *census,
                       struct vm_problem *problem)
{
    return !tree ||
           (check_tree(space, tree->lower, census, problem) && check_node(space, tree, census, problem) &&
            check_tree(space, tree->upper, census, problem));
}

bool vm_tree_check(struct vm_space *space, struct vm_problem *problem)
{
    struct census census = {.expected = space->first};
    if (!check_tree(space, space->tree, &census, problem)) {
        return false;
    }
    if (census.expected) {
        return vm_problem_set(problem, "a region in the list only", census.expected->base, 0, 0);
    }
    if (census.regions != space->region_count) {
        return vm_problem_set(problem, "number of regions", 0, space->region_count, census.regions);
    }
    if (census.locked != space->locked_bytes) {
        return vm_problem_set(problem, "bytes of locked regions", 0, space->locked_bytes, census.locked);
    }
    if (census.data != space->data_bytes) {
        return vm_problem_set(problem, "bytes of data", 0, space->data_bytes, census.data);
    }
    return census.bytes == space->region_bytes ||
           vm_problem_set(problem, "bytes of regions", 0, space->region_bytes, census.bytes);
}

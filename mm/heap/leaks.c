/*
 * Walking over all allocated blocks, and the leak scan.
 *
 * The scan is conservative: any aligned word that could be a pointer into a block keeps it alive. First all
 * magazines are emptied, so that a slab's free bits say exactly what is allocated. Each object gets two bits
 * in a table made for the scan: reached, and searched for more pointers; large blocks have theirs in the
 * descriptors of their frames, virtual blocks in a second table. There is no recursion: rounds over all
 * blocks go on until one finds nothing new to search.
 */
#include <ashlar/slab_guard.h>

#include "internal.h"
#include "valid.h"

/* A block of virtually contiguous pages, as the scan sees it. */
struct virtual_mark {
    struct heap_virtual_block block;
    bool reached;  /* something points into it */
    bool searched; /* for more pointers */
};

struct heap_scan {
    struct heap *heap;             /* being scanned */
    uint64_t *reached;             /* one bit per object */
    uint64_t *searched;            /* one bit per object */
    uint64_t bits;                 /* in each table */
    struct virtual_mark *virtuals; /* virtual blocks by address */
    uint64_t virtual_count;        /* entries of virtuals[] */
    uint64_t virtual_room;         /* entries that there is memory for */
    bool more;                     /* something was reached that is not yet searched */
    bool (*visit)(void *context, const struct heap_block *block);
    void *context; /* of visit */
    int64_t leaks; /* blocks that nothing reaches */
    bool stopped;  /* visit returned false */
};

typedef void object_visit(struct heap_scan *scan, struct slab_cache *cache, struct slab *slab,
                          uint32_t index);

struct walk {
    struct heap_scan *scan;
    object_visit *visit;
};

static bool is_taken(const struct slab *slab, uint32_t index)
{
    return !(slab->free[index / 64] >> index % 64 & 1);
}

static void walk_list(struct walk *walk, struct slab_cache *cache, struct slab_list *list)
{
    for (struct slab *slab = list->first; slab; slab = slab->next) {
        for (uint32_t i = 0; i < cache->per_slab; i++) {
            if (is_taken(slab, i)) {
                walk->visit(walk->scan, cache, slab, i);
            }
        }
    }
}

static bool walk_cache(void *context, struct slab_cache *cache) NO_LOCK_ANALYSIS /* no other CPU uses it */
{
    struct walk *walk = context;
    if (cache != &walk->scan->heap->tracks) { /* the heap's own: they belong to large blocks */
        walk_list(walk, cache, &cache->partial);
        walk_list(walk, cache, &cache->full);
    }
    return true;
}

static void walk_objects(struct heap_scan *scan, object_visit *visit)
{
    struct walk walk = {scan, visit};
    slab_for_each_cache(&scan->heap->slabs, walk_cache, &walk);
}

static void drain_everywhere(struct heap *heap)
{
    for (unsigned cpu = 0; cpu < heap->slabs.config.cpus; cpu++) {
        slab_drain_cpu(&heap->slabs, cpu);
    }
    slab_reap(&heap->slabs);
}

static struct heap_block block_of(struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
    const void *object = slab_object(cache, slab, index);
    struct heap_block block = {
        .pointer = object, .kind = HEAP_OBJECT, .bytes = cache->config.bytes, .cache = cache};
    if (cache->policy) {
        block.bytes = slab_track(cache, object)->bytes;
    }
    if (cache->policy & SLAB_OWNER) {
        block.allocated = &slab_track(cache, object)->allocated;
    }
    return block;
}

static struct heap_block large_block(const struct heap_large *large)
{
    return (struct heap_block){.pointer = large->pointer,
                               .kind = HEAP_LARGE,
                               .bytes = large->frames << FRAME_SHIFT,
                               .allocated = large->allocated};
}

static struct heap_block virtual_block(const struct heap_virtual_block *block)
{
    return (struct heap_block){.pointer = block->pointer, .kind = HEAP_VIRTUAL, .bytes = block->bytes};
}

/* ---- All blocks ---- */

static void visit_object(struct heap_scan *scan, struct slab_cache *cache, struct slab *slab, uint32_t index)
{
    struct heap_block block = block_of(cache, slab, index);
    scan->stopped = scan->stopped || !scan->visit(scan->context, &block);
}

static bool visit_guarded(void *context, const struct slab_guard_slot *slot)
{
    struct heap_scan *scan = context;
    struct heap_block block = {.pointer = slot->object,
                               .kind = HEAP_OBJECT,
                               .bytes = slot->bytes,
                               .cache = slot->cache,
                               .allocated = &slot->allocated};
    scan->stopped = !scan->visit(scan->context, &block);
    return !scan->stopped;
}

static bool visit_large(void *context, const struct heap_large *large)
{
    struct heap_scan *scan = context;
    struct heap_block block = large_block(large);
    scan->stopped = !scan->visit(scan->context, &block);
    return !scan->stopped;
}

static bool visit_virtual(void *to, const struct heap_virtual_block *found)
{
    struct heap_scan *scan = to;
    struct heap_block block = virtual_block(found);
    scan->stopped = !scan->visit(scan->context, &block);
    return !scan->stopped;
}

void heap_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_block *block),
                void *context)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    struct heap_scan scan = {.heap = heap, .visit = visit, .context = context};
    drain_everywhere(heap);
    walk_objects(&scan, visit_object);
    if (!scan.stopped) {
        slab_guard_visit(heap->slabs.guard, visit_guarded, &scan);
    }
    if (!scan.stopped) {
        heap_large_visit(heap, visit_large, &scan);
    }
    if (!scan.stopped && heap->virtually.visit) {
        heap->virtually.visit(heap->virtually.context, visit_virtual, &scan);
    }
}

/* ---- Marks ---- */

static bool get_bit(const uint64_t *table, uint64_t bit)
{
    return table[bit / 64] >> bit % 64 & 1;
}

static void set_bit(uint64_t *table, uint64_t bit)
{
    table[bit / 64] |= 1ULL << bit % 64;
}

static bool number_list(struct heap_scan *scan, struct slab_cache *cache, struct slab_list *list)
{
    for (struct slab *slab = list->first; slab; slab = slab->next) {
        slab->mark_base = (uint32_t)scan->bits;
        scan->bits += cache->per_slab;
    }
    return scan->bits <= UINT32_MAX;
}

static bool number_cache(void *context, struct slab_cache *cache) NO_LOCK_ANALYSIS /* no other CPU uses it */
{
    return number_list(context, cache, &cache->partial) && number_list(context, cache, &cache->full) &&
           number_list(context, cache, &cache->empty);
}

static void reach(struct heap_scan *scan, uint64_t bit)
{
    if (!get_bit(scan->reached, bit)) {
        set_bit(scan->reached, bit);
        scan->more = true;
    }
}

static void reach_object(struct heap_scan *scan, const struct slab *slab, const void *pointer)
{
    const struct slab_cache *cache = slab->cache;
    uint64_t offset = (uint64_t)((const char *)pointer - slab->memory);
    uint32_t index = offset < cache->first ? cache->per_slab : slab_index(cache, offset - cache->first);
    if (index < cache->per_slab && is_taken(slab, index)) {
        reach(scan, slab->mark_base + index);
    }
}

static void reach_large(struct heap_scan *scan, const void *pointer)
{
    struct heap_large large;
    if (heap_large_find(scan->heap, pointer, &large) && !(large.marks & HEAP_LARGE_REACHED)) {
        heap_large_mark(scan->heap, &large, HEAP_LARGE_REACHED);
        scan->more = true;
    }
}

static void reach_virtual(struct heap_scan *scan, const void *pointer)
{
    uint64_t low = 0;
    uint64_t high = scan->virtual_count;
    while (low < high) { /* the first block that ends behind the pointer */
        uint64_t middle = (low + high) / 2;
        const struct heap_virtual_block *block = &scan->virtuals[middle].block;
        bool behind = (const char *)block->pointer + block->bytes > (const char *)pointer;
        low = behind ? low : middle + 1;
        high = behind ? middle : high;
    }
    if (low < scan->virtual_count && pointer >= scan->virtuals[low].block.pointer &&
        !scan->virtuals[low].reached) {
        scan->virtuals[low].reached = true;
        scan->more = true;
    }
}

/* Takes a word for a pointer. */
static void follow(struct heap_scan *scan, uint64_t word)
{
    struct frame_facts facts;
    const void *pointer = (const void *)(uintptr_t)word;
    const struct slab *slab = slab_find(&scan->heap->slabs, pointer, &facts);
    if (slab) {
        reach_object(scan, slab, pointer);
    } else if (facts.managed && facts.owner == OWNER_HEAP) {
        reach_large(scan, pointer);
    } else {
        reach_virtual(scan, pointer);
    }
}

/* Memory may be red zones or stacks in use: it is read as it lies there. */
__attribute__((no_sanitize("address"))) static void search(struct heap_scan *scan, const void *memory,
                                                           uint64_t bytes)
{
    const volatile uint64_t *words = memory;
    for (uint64_t i = 0; i < bytes / sizeof *words; i++) {
        follow(scan, words[i]);
    }
}

/* ---- The scan ---- */

static void search_object(struct heap_scan *scan, struct slab_cache *cache, struct slab *slab, uint32_t index)
{
    uint64_t bit = slab->mark_base + index;
    if (get_bit(scan->reached, bit) && !get_bit(scan->searched, bit)) {
        set_bit(scan->searched, bit);
        search(scan, slab_object(cache, slab, index), cache->config.bytes);
    }
}

static bool search_large(void *context, const struct heap_large *large)
{
    struct heap_scan *scan = context;
    if (large->marks == HEAP_LARGE_REACHED) {
        heap_large_mark(scan->heap, large, HEAP_LARGE_REACHED | HEAP_LARGE_SEARCHED);
        search(scan, large->pointer, large->bytes);
    }
    return true;
}

static void show_leak(struct heap_scan *scan, const struct heap_block *block)
{
    scan->leaks++;
    scan->stopped = scan->stopped || !scan->visit(scan->context, block);
}

static void show_object(struct heap_scan *scan, struct slab_cache *cache, struct slab *slab, uint32_t index)
{
    if (!get_bit(scan->reached, slab->mark_base + index)) {
        struct heap_block block = block_of(cache, slab, index);
        show_leak(scan, &block);
    }
}

/* Shows a large block if nothing reached it, and takes the marks away. */
static bool show_large(void *context, const struct heap_large *large)
{
    struct heap_scan *scan = context;
    if (large->marks == 0) {
        struct heap_block block = large_block(large);
        show_leak(scan, &block);
    }
    heap_large_mark(scan->heap, large, 0);
    return true;
}

/* The few objects in guarded slots count as reached. */
static bool search_guarded(void *context, const struct slab_guard_slot *slot)
{
    uint64_t skip = align_up((uintptr_t)slot->object, 8) - (uintptr_t)slot->object;
    if (skip < slot->bytes) {
        search(context, slot->object + skip, slot->bytes - skip);
    }
    return true;
}

static void search_virtual(struct heap_scan *scan)
{
    for (uint64_t i = 0; i < scan->virtual_count; i++) {
        struct virtual_mark *mark = &scan->virtuals[i];
        if (mark->reached && !mark->searched) {
            mark->searched = true;
            search(scan, mark->block.pointer, mark->block.bytes);
        }
    }
}

static void show_virtual(struct heap_scan *scan)
{
    for (uint64_t i = 0; i < scan->virtual_count; i++) {
        if (!scan->virtuals[i].reached) {
            struct heap_block block = virtual_block(&scan->virtuals[i].block);
            show_leak(scan, &block);
        }
    }
}

void heap_scan_root(struct heap_scan *scan, const void *base, uint64_t bytes)
{
    search(scan, base, bytes);
}

static void run_scan(struct heap_scan *scan, void (*roots)(void *context, struct heap_scan *scan))
{
    roots(scan->context, scan);
    slab_guard_visit(scan->heap->slabs.guard, search_guarded, scan);
    while (scan->more) {
        scan->more = false;
        walk_objects(scan, search_object);
        heap_large_visit(scan->heap, search_large, scan);
        search_virtual(scan);
    }
    walk_objects(scan, show_object);
    heap_large_visit(scan->heap, show_large, scan);
    show_virtual(scan);
}

/* ---- Its tables ---- */

static bool count_virtual(void *to, const struct heap_virtual_block *block)
{
    struct heap_scan *scan = to;
    (void)block;
    scan->virtual_room++;
    return true;
}

static bool add_virtual(void *to, const struct heap_virtual_block *block)
{
    struct heap_scan *scan = to;
    scan->virtuals[scan->virtual_count++] = (struct virtual_mark){.block = *block};
    return scan->virtual_count < scan->virtual_room;
}

static void visit_virtuals(struct heap_scan *scan,
                           bool (*visit)(void *to, const struct heap_virtual_block *block))
{
    const struct heap_virtual *source = &scan->heap->virtually;
    if (source->visit) {
        source->visit(source->context, visit, scan);
    }
}

/* Frames for all tables, zeroed; false when there is no memory, or there are too many objects. */
static bool make_tables(struct heap_scan *scan, struct frame_request *request, phys_addr_t *tables)
{
    slab_for_each_cache(&scan->heap->slabs, number_cache, scan);
    visit_virtuals(scan, count_virtual);
    uint64_t words = scan->bits / 64 + 1;
    uint64_t bytes = words * 16 + scan->virtual_room * sizeof(struct virtual_mark);
    *request = (struct frame_request){
        .frames = (bytes + FRAME_BYTES - 1) >> FRAME_SHIFT, .owner = OWNER_SLABS, .zeroed = true};
    if (scan->bits > UINT32_MAX ||
        frame_alloc_request(scan->heap->slabs.config.frames, request, tables) != FRAME_OK) {
        return false;
    }
    scan->reached = slab_frame_pointer(&scan->heap->slabs, *tables);
    scan->searched = scan->reached + words;
    scan->virtuals = (struct virtual_mark *)(scan->searched + words);
    if (scan->virtual_room > 0) {
        visit_virtuals(scan, add_virtual);
    }
    return true;
}

int64_t heap_leaks(struct heap *heap, void (*roots)(void *context, struct heap_scan *scan),
                   bool (*visit)(void *context, const struct heap_block *block), void *context)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    struct heap_scan scan = {.heap = heap, .visit = visit, .context = context};
    struct frame_request request;
    phys_addr_t tables;
    drain_everywhere(heap);
    if (!make_tables(&scan, &request, &tables)) {
        return -1;
    }
    run_scan(&scan, roots);
    frame_free_run(heap->slabs.config.frames, tables, request.frames);
    return scan.leaks;
}

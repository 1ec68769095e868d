/*
 * The heap: memory of any size.
 *
 * What. Requests up to 8 KiB are served by the slab cache of their size class. Classes lie four to a
 * doubling, so that from 40 bytes on at most a fifth is rounded up, and about a tenth on average; below, they
 * lie 8 bytes apart, because 8 is the alignment promised. Larger requests get runs of whole frames
 * (large.c), and where memory is too broken up for a run, virtually contiguous pages, if the heap was
 * given a source of them.
 *
 * How. The class of a request comes from a table by its size, or from the compiler when the size is constant
 * (alloc.c). A free needs only the pointer: the descriptor of its frame says who takes the block back
 * (free.c).
 *
 * Locks. The slab caches' only: large blocks need none (see large.c).
 *
 * To see inside: heap_statistics(), heap_visit(), heap_leaks(), heap_check(); `heap` in the monitor.
 */
#include <ashlar/format.h>

#include "internal.h"
#include "valid.h"

/* What the objects of a class are aligned to: the largest power of two that divides its size. */
static uint32_t class_alignment(size_t bytes)
{
    return (uint32_t)min_u64(bytes & -bytes, SLAB_ALIGNMENT_MAX);
}

static enum slab_error make_class(struct heap *heap, unsigned index)
{
    char name[SLAB_NAME_BYTES];
    size_t bytes = heap_class_bytes(index);
    format(name, sizeof name, "heap-%zu", bytes);
    struct slab_cache_config config = {
        .name = name, .bytes = (uint32_t)bytes, .alignment = class_alignment(bytes), .plain = true};
    enum slab_error error = slab_cache_init(&heap->slabs, &heap->classes[index], &config);
    ASSERT(error != SLAB_OK ||
           heap->classes[index].number == slab_number(index)); /* fill_table() relies on it */
    return error;
}

static void fill_table(struct heap *heap)
{
    for (size_t i = 0; i < ARRAY_LENGTH(heap->part); i++) {
        heap->part[i] = (uint16_t)(slab_number(heap_class(i * 8)) * SLAB_LINE_BYTES);
    }
}

enum slab_error heap_init(struct heap *heap, const struct heap_config *config)
{
    if (config->slabs.frames && slab_pool_in_use(&heap->slabs, config->slabs.frames)) {
        return SLAB_IN_USE;
    }
    memset(heap, 0, sizeof *heap);
    enum slab_error error = slab_pool_init(&heap->slabs, &config->slabs);
    if (error != SLAB_OK) {
        return error;
    }
    heap->virtually = config->virtually;
    heap->large_policy = slab_rules_policy(&heap->slabs, "large");
    atomic_store_explicit(&heap->large_failing.every, slab_rules_fail_every(&heap->slabs, "large"),
                          memory_order_relaxed);
    fill_table(heap);
    for (unsigned i = 0; i < HEAP_CLASSES; i++) {
        error = make_class(heap, i);
        if (error != SLAB_OK) {
            slab_pool_destroy(&heap->slabs);
            return error;
        }
    }
    heap_large_init(heap);
    const struct slab_cache_config tracks = {.name = "large-owners", .bytes = heap_track_bytes};
    error = slab_cache_init(&heap->slabs, &heap->tracks, &tracks);
    if (error != SLAB_OK) {
        slab_pool_destroy(&heap->slabs);
    }
    return error;
}

static bool free_found(void *context, const struct heap_large *large)
{
    heap_free_for(context, large->pointer, NULL);
    return true;
}

/* Frees all large blocks, and reports that there were some. */
static void destroy_large(struct heap *heap)
{
    struct heap_statistics statistics = {0};
    heap_large_sum(heap, &statistics);
    heap_large_visit(heap, free_found, heap);
    if (statistics.large_blocks > 0) {
        struct slab_report report = {
            .fault = SLAB_LIVE_AT_DESTROY, .pointer = heap, .found = statistics.large_blocks};
        slab_report(&heap->slabs, &report);
    }
}

void heap_destroy(struct heap *heap)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    destroy_large(heap);
    slab_pool_destroy(&heap->slabs);
}

/*
 * The heap: memory of any size.
 *
 * What. Requests up to 8 KiB are served by the slab cache of their size class. Classes lie four to a
 * doubling, so that what is rounded up is at most a fifth and about a tenth on average; below 32 bytes they
 * lie 8 bytes apart, because 8 is the alignment promised. Larger requests get runs of whole frames
 * (kmalloc_large.c), and where memory is too broken up for a run, virtually contiguous pages, if the heap was
 * given a source of them.
 *
 * How. The class of a request comes from a table by its size, or from the compiler when the size is constant.
 * A free needs only the pointer: the frame's descriptor names the cache in one byte, and tells large
 * blocks apart.
 *
 * Locks. The slab caches' only: large blocks need none (see kmalloc_large.c).
 *
 * To see inside: heap_statistics(), heap_visit(), heap_leaks(), heap_check(); `heap` in the monitor.
 */
#include "kmalloc_internal.h"

#include <ashlar/format.h>

/* ---- Life ---- */

/* What the objects of a class are aligned to: the largest power of two that divides its size. */
static uint32_t class_alignment(size_t bytes)
{
    return (uint32_t)min_u64(bytes & -bytes, SLAB_ALIGNMENT_MAX);
}

static enum slab_error make_class(struct heap *heap, unsigned index)
{
    char name[SLAB_NAME_BYTES];
    size_t bytes = heap_class_bytes(index);
    format(name, sizeof name, "kmalloc-%zu", bytes);
    struct slab_cache_config config = {
        .name = name, .bytes = (uint32_t)bytes, .alignment = class_alignment(bytes), .plain = true};
    enum slab_error error = slab_cache_init(&heap->slabs, &heap->classes[index], &config);
    if (error == SLAB_OK && heap->classes[index].number != slab_number(index)) {
        panic("heap: class %u got number %u", index, heap->classes[index].number);
    }
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
    memset(heap, 0, sizeof *heap);
    enum slab_error error = slab_pool_init(&heap->slabs, &config->slabs);
    if (error != SLAB_OK) {
        return error;
    }
    heap->virtually = config->virtually;
    heap->large_policy = slab_rules_policy(&heap->slabs, "large");
    fill_table(heap);
    for (unsigned i = 0; i < HEAP_CLASSES; i++) {
        error = make_class(heap, i);
        if (error != SLAB_OK) {
            slab_pool_destroy(&heap->slabs);
            return error;
        }
    }
    heap_large_init(heap);
    const struct slab_cache_config tracks = {.name = "heap-tracks", .bytes = heap_track_bytes};
    error = slab_cache_init(&heap->slabs, &heap->tracks, &tracks);
    if (error != SLAB_OK) {
        slab_pool_destroy(&heap->slabs);
    }
    return error;
}

void heap_destroy(struct heap *heap)
{
    heap_large_destroy(heap);
    slab_pool_destroy(&heap->slabs);
}

/* ---- Allocating ---- */

void *heap_alloc_slow(struct heap *heap, size_t bytes)
{
    uint32_t asked = (uint32_t)max_u64(bytes, 1);
    return slab_alloc_for(&heap->classes[heap_class(bytes)], asked, __builtin_return_address(0));
}

void *heap_alloc_zeroed(struct heap *heap, size_t bytes)
{
    void *pointer = heap_alloc(heap, bytes);
    if (pointer) {
        memset(pointer, 0, bytes);
    }
    return pointer;
}

void *heap_alloc_array(struct heap *heap, size_t count, size_t bytes)
{
    size_t product;
    if (__builtin_mul_overflow(count, bytes, &product)) {
        struct slab_report report = {.fault = SLAB_SIZE_OVERFLOW,
                                     .expected = count,
                                     .found = bytes,
                                     .caller = __builtin_return_address(0)};
        slab_report(&heap->slabs, &report);
        return NULL;
    }
    return heap_alloc_zeroed(heap, product);
}

void *heap_alloc_aligned(struct heap *heap, size_t bytes, size_t alignment)
{
    if (!is_power_of_two(alignment) || alignment > GIB(1)) {
        return NULL;
    }
    unsigned index = bytes <= HEAP_CLASS_MAX ? heap_class(bytes) : HEAP_CLASSES;
    while (index < HEAP_CLASSES && heap->classes[index].config.alignment < alignment) {
        index++;
    }
    if (index == HEAP_CLASSES) {
        return heap_large_alloc(heap, bytes, max_u64(alignment, FRAME_BYTES), __builtin_return_address(0));
    }
    /* The class is asked for by its size; under a debug policy the red zone then starts behind all of it. */
    return heap_alloc(heap, heap_class_bytes(index));
}

void *heap_duplicate(struct heap *heap, const void *source, size_t bytes)
{
    void *pointer = heap_alloc(heap, bytes);
    if (pointer) {
        memcpy(pointer, source, bytes);
    }
    return pointer;
}

/* ---- Freeing and resizing ---- */

void heap_free_other(struct heap *heap, void *pointer, const void *caller)
{
    if (!pointer) {
        return;
    }
    bool outside = (uintptr_t)pointer - heap->slabs.base >= heap->slabs.limit;
    if (outside && heap->virtually.free && heap->virtually.free(heap->virtually.context, pointer)) {
        return;
    }
    slab_free_checked(&heap->slabs, NULL, pointer, caller);
}

size_t heap_usable_size(struct heap *heap, const void *pointer)
{
    struct slab_facts facts;
    if (!pointer) {
        return 0;
    }
    slab_look(&heap->slabs, pointer, &facts);
    if (facts.place == SLAB_LIVE && facts.offset == 0) {
        return facts.bytes;
    }
    struct heap_large large;
    if (heap_large_find(heap, pointer, &large)) {
        return large.pointer == pointer ? large.frames << FRAME_SHIFT : 0;
    }
    return heap->virtually.bytes ? heap->virtually.bytes(heap->virtually.context, pointer) : 0;
}

/* Usable length of an allocated block without the full look: it decides nothing about mistakes. */
static size_t quick_usable_size(struct heap *heap, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address < heap->slabs.limit) {
        const void *encoded = heap->slabs.descriptors[address >> FRAME_SHIFT].object;
        if (frame_word_kind((uintptr_t)encoded) == FRAME_WORD_SLAB) {
            const struct slab_cache *cache = ((struct slab *)slab_decode(encoded))->cache;
            bool simple =
                cache->config.plain && !cache->policy &&
                ((address & ((FRAME_BYTES << cache->order) - 1)) * cache->inverse) < cache->inverse &&
                !slab_is_marked_free(cache, pointer);
            if (simple) {
                return cache->config.bytes;
            }
        }
    }
    return heap_usable_size(heap, pointer);
}

void *heap_resize(struct heap *heap, void *pointer, size_t bytes)
{
    if (!pointer) {
        return heap_alloc(heap, bytes);
    }
    size_t usable = quick_usable_size(heap, pointer);
    if (usable == 0) { /* not a block: freeing it names the mistake */
        heap_free_slow(heap, pointer);
        return NULL;
    }
    /* It stays where it is unless more than half would be unused. */
    if (bytes <= usable && (bytes > usable / 2 || usable <= HEAP_BYTES_MIN)) {
        return pointer;
    }
    void *moved = heap_alloc(heap, bytes);
    if (moved) {
        memcpy(moved, pointer, min_u64(usable, bytes));
        heap_free(heap, pointer);
    }
    return moved;
}

/* ---- Seeing inside ---- */

void heap_statistics(struct heap *heap, struct heap_statistics *statistics)
{
    memset(statistics, 0, sizeof *statistics);
    for (unsigned i = 0; i < HEAP_CLASSES; i++) {
        struct slab_statistics class;
        slab_cache_statistics(&heap->classes[i], &class);
        statistics->class_bytes += class.slab_bytes;
        statistics->class_live += class.live * heap->classes[i].config.bytes;
    }
    heap_large_sum(heap, statistics);
    struct slab_pool *slabs = &heap->slabs;
    spinlock_acquire(&slabs->records_lock);
    statistics->record_bytes = (slabs->slabs.pages + slabs->magazines.pages) * FRAME_BYTES +
                               (uint64_t)slabs->config.cpus * SLAB_PARTS_BYTES;
    spinlock_release(&slabs->records_lock);
}

bool heap_check(struct heap *heap, struct slab_problem *problem)
{
    return slab_check(&heap->slabs, problem) && heap_large_check(heap, problem);
}

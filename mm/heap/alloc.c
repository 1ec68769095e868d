/*
 * The heap: memory of any size.
 *
 * What. Requests up to 8 KiB are served by the slab cache of their size class. Classes lie four to a
 * doubling, so that from 40 bytes on at most a fifth is rounded up, and about a tenth on average; below, they
 * lie 8 bytes apart, because 8 is the alignment promised. Larger requests get runs of whole frames
 * (large.c), and where memory is too broken up for a run, virtually contiguous pages, if the heap was
 * given a source of them.
 *
 * How. The class of a request comes from a table by its size, or from the compiler when the size is constant.
 * A free needs only the pointer: the frame's descriptor names the cache in one byte, and tells large
 * blocks apart.
 *
 * Locks. The slab caches' only: large blocks need none (see large.c).
 *
 * To see inside: heap_statistics(), heap_visit(), heap_leaks(), heap_check(); `heap` in the monitor.
 */
#include <ashlar/format.h>
#include <ashlar/slab_guard.h>

#include "internal.h"

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

/* heap_alloc() for the functions below: `caller` is the return address in the code that asked. */
static inline void *alloc_for(struct heap *heap, size_t bytes, const void *caller)
{
    void *object;
    if (bytes > HEAP_CLASS_MAX) {
        return heap_large_alloc(heap, bytes, FRAME_BYTES, caller);
    }
    if (heap_pop(heap, bytes, &object)) {
        return object;
    }
    return slab_alloc_for(&heap->classes[heap_class(bytes)], (uint32_t)max_u64(bytes, 1), caller);
}

void *heap_alloc_slow(struct heap *heap, size_t bytes)
{
    uint32_t asked = (uint32_t)max_u64(bytes, 1);
    return slab_alloc_for(&heap->classes[heap_class(bytes)], asked, __builtin_return_address(0));
}

static void *zeroed(void *pointer, size_t bytes)
{
    return pointer ? memset(pointer, 0, bytes) : NULL;
}

void *heap_alloc_zeroed(struct heap *heap, size_t bytes)
{
    return zeroed(alloc_for(heap, bytes, __builtin_return_address(0)), bytes);
}

void *heap_alloc_array(struct heap *heap, size_t count, size_t bytes)
{
    const void *caller = __builtin_return_address(0);
    size_t product;
    if (__builtin_mul_overflow(count, bytes, &product)) {
        struct slab_report report = {
            .fault = SLAB_SIZE_OVERFLOW, .expected = count, .found = bytes, .caller = caller};
        slab_report(&heap->slabs, &report);
        return NULL;
    }
    return zeroed(alloc_for(heap, product, caller), product);
}

static void *alloc_aligned(struct heap *heap, size_t bytes, size_t alignment, const void *caller)
{
    if (!is_power_of_two(alignment) || alignment > GIB(1)) {
        return NULL;
    }
    unsigned index = bytes <= HEAP_CLASS_MAX ? heap_class(bytes) : HEAP_CLASSES;
    while (index < HEAP_CLASSES && heap->classes[index].config.alignment < alignment) {
        index++;
    }
    if (index == HEAP_CLASSES) {
        return heap_large_alloc(heap, bytes, max_u64(alignment, FRAME_BYTES), caller);
    }
    /* The class is asked for by its size; under a debug policy the red zone then starts behind all of it. */
    return alloc_for(heap, heap_class_bytes(index), caller);
}

void *heap_alloc_aligned(struct heap *heap, size_t bytes, size_t alignment)
{
    return alloc_aligned(heap, bytes, alignment, __builtin_return_address(0));
}

void *heap_alloc_aligned_zeroed(struct heap *heap, size_t bytes, size_t alignment)
{
    return zeroed(alloc_aligned(heap, bytes, alignment, __builtin_return_address(0)), bytes);
}

void *heap_duplicate(struct heap *heap, const void *source, size_t bytes)
{
    void *pointer = alloc_for(heap, bytes, __builtin_return_address(0));
    return pointer ? memcpy(pointer, source, bytes) : NULL;
}

/* ---- Freeing ---- */

/* Whether the frame at `pointer` is a slab's, or the page a guard's: then the slab caches know more. */
static bool is_slabs(const struct heap *heap, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit) {
        return slab_guard_owns(heap->slabs.guard, pointer);
    }
    return frame_word_kind((uintptr_t)heap->slabs.descriptors[address >> FRAME_SHIFT].object) ==
           FRAME_WORD_SLAB;
}

/* Whether a pointer leads into a large or virtual block: it is reported. Freed is what starts there. */
static bool is_interior(struct heap *heap, const void *pointer, const void *caller)
{
    struct heap_facts facts;
    heap_look(heap, pointer, &facts);
    if (facts.kind != HEAP_LARGE && facts.kind != HEAP_VIRTUAL) {
        return false;
    }
    struct slab_report report = {.fault = SLAB_INTERIOR_POINTER,
                                 .pointer = pointer,
                                 .object = facts.block,
                                 .offset = (int64_t)facts.offset,
                                 .allocated = facts.allocated,
                                 .caller = caller};
    slab_report(&heap->slabs, &report);
    return true;
}

void heap_free_other(struct heap *heap, void *pointer, const void *caller)
{
    if (!pointer) {
        return;
    }
    if (!is_slabs(heap, pointer)) {
        bool outside = (uintptr_t)pointer - heap->slabs.base >= heap->slabs.limit;
        if (outside && heap->virtually.free && heap->virtually.free(heap->virtually.context, pointer)) {
            return;
        }
        if (is_interior(heap, pointer, caller)) {
            return;
        }
    }
    slab_free_checked(&heap->slabs, NULL, pointer, caller);
}

/* ---- Resizing ---- */

/* The class of a block, if it is one without debug policy; NULL for all else. It decides nothing about
 * mistakes. */
static const struct slab_cache *simple_class(struct heap *heap, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit || !is_slabs(heap, pointer)) {
        return NULL;
    }
    const struct slab *slab = slab_decode(heap->slabs.descriptors[address >> FRAME_SHIFT].object);
    const struct slab_cache *cache = slab->cache;
    bool simple = cache->config.plain && !cache->policy &&
                  ((address & ((FRAME_BYTES << cache->order) - 1)) * cache->inverse) < cache->inverse &&
                  !slab_is_marked_free(cache, pointer);
    return simple ? cache : NULL;
}

static size_t usable_bytes(const struct heap *heap, const struct heap_facts *facts)
{
    switch (facts->kind) {
    case HEAP_OBJECT:
        return facts->object.place == SLAB_LIVE && facts->object.offset == 0 ? facts->object.bytes : 0;
    case HEAP_LARGE:
        return facts->offset != 0 ? 0 : heap->large_policy & SLAB_REDZONE ? facts->bytes : facts->room;
    case HEAP_VIRTUAL:
        return facts->offset == 0 ? facts->room : 0;
    case HEAP_NOTHING:
        break;
    }
    return 0;
}

size_t heap_usable_size(struct heap *heap, const void *pointer)
{
    struct heap_facts facts;
    heap_look(heap, pointer, &facts);
    return usable_bytes(heap, &facts);
}

/* Whether a block of which `usable` bytes can be used may stay where it is: not if more than half would be
 * unused. */
static bool may_stay(size_t usable, size_t bytes)
{
    return bytes <= usable && (bytes > usable / 2 || usable <= HEAP_BYTES_MIN);
}

/* Notes the new length of a block that may stay; false when it must move after all. */
static bool note_length(struct heap *heap, const struct heap_facts *facts, size_t bytes, const void *caller)
{
    void *object = facts->object.object;
    uint32_t asked = (uint32_t)max_u64(bytes, 1);
    if (facts->kind == HEAP_LARGE) {
        return heap_large_resize(heap, facts->block, max_u64(bytes, 1), caller);
    }
    if (facts->kind == HEAP_OBJECT && slab_guard_owns(heap->slabs.guard, object)) {
        slab_guard_resize(heap->slabs.guard, object, asked, caller);
    } else if (facts->kind == HEAP_OBJECT && facts->object.cache->policy) {
        slab_debug_resize(facts->object.cache, object, asked, caller);
    }
    return true;
}

static void *move(struct heap *heap, void *pointer, size_t usable, size_t bytes, const void *caller)
{
    void *moved = alloc_for(heap, bytes, caller);
    if (!moved) {
        return bytes <= usable ? pointer : NULL;
    }
    memcpy(moved, pointer, min_u64(usable, bytes));
    if (!heap_push(heap, pointer)) {
        heap_free_for(heap, pointer, caller);
    }
    return moved;
}

void *heap_resize(struct heap *heap, void *pointer, size_t bytes)
{
    const void *caller = __builtin_return_address(0);
    if (!pointer) {
        return alloc_for(heap, bytes, caller);
    }
    const struct slab_cache *simple = simple_class(heap, pointer);
    if (simple) {
        size_t usable = simple->config.bytes;
        return may_stay(usable, bytes) ? pointer : move(heap, pointer, usable, bytes, caller);
    }
    struct heap_facts facts;
    heap_look(heap, pointer, &facts);
    size_t usable = usable_bytes(heap, &facts);
    if (usable == 0) { /* not a block: freeing it names the mistake */
        heap_free_for(heap, pointer, caller);
        return NULL;
    }
    bool stays = may_stay(usable, bytes) && note_length(heap, &facts, bytes, caller);
    return stays ? pointer : move(heap, pointer, usable, bytes, caller);
}

/* ---- Seeing inside ---- */

static bool look_at_virtual(struct heap *heap, const void *pointer, struct heap_facts *facts)
{
    struct heap_virtual_block block;
    if (!heap->virtually.find || !heap->virtually.find(heap->virtually.context, pointer, &block)) {
        return false;
    }
    facts->kind = HEAP_VIRTUAL;
    facts->block = block.pointer;
    facts->bytes = block.bytes;
    facts->room = block.bytes;
    return true;
}

static bool look_at_large(struct heap *heap, const void *pointer, struct heap_facts *facts)
{
    struct heap_large large;
    if (!heap_large_find(heap, pointer, &large)) {
        return false;
    }
    facts->kind = HEAP_LARGE;
    facts->block = large.pointer;
    facts->bytes = large.bytes;
    facts->room = large.frames << FRAME_SHIFT;
    facts->allocated = large.allocated;
    return true;
}

void heap_look(struct heap *heap, const void *pointer, struct heap_facts *facts)
{
    *facts = (struct heap_facts){.kind = HEAP_NOTHING};
    slab_look(&heap->slabs, pointer, &facts->object);
    if (facts->object.place != SLAB_NOWHERE) {
        facts->kind = HEAP_OBJECT;
    } else if (look_at_large(heap, pointer, facts) || look_at_virtual(heap, pointer, facts)) {
        facts->offset = (uint64_t)((const char *)pointer - (const char *)facts->block);
    }
}

static bool add_cache(void *context, struct slab_cache *cache)
{
    struct heap_statistics *sum = context;
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    sum->slab_bytes += statistics.slab_bytes;
    sum->waste_bytes += statistics.waste_bytes;
    sum->resting_bytes += cache->quarantine ? FRAME_BYTES : 0;
    if (cache->config.plain) {
        sum->class_bytes += statistics.slab_bytes;
        sum->class_live += (statistics.live + statistics.guarded) * cache->config.bytes;
    }
    return true;
}

static bool add_virtual(void *to, const struct heap_virtual_block *block)
{
    struct heap_statistics *sum = to;
    sum->virtual_blocks++;
    sum->virtual_bytes += block->bytes;
    return true;
}

void heap_statistics(struct heap *heap, struct heap_statistics *statistics)
{
    struct slab_pool *slabs = &heap->slabs;
    *statistics = (struct heap_statistics){.class_bytes = 0};
    slab_for_each_cache(slabs, add_cache, statistics);
    heap_large_sum(heap, statistics);
    if (heap->virtually.visit) {
        heap->virtually.visit(heap->virtually.context, add_virtual, statistics);
    }
    statistics->part_bytes = slabs->config.cpus * SLAB_PARTS_BYTES;
    statistics->guard_bytes = slabs->guard ? slab_guard_shown_bytes(slabs->guard) : 0;
    spinlock_acquire(&slabs->records_lock);
    statistics->slab_records = slabs->slabs.pages * FRAME_BYTES;
    statistics->magazine_bytes = slabs->magazines.pages * FRAME_BYTES;
    spinlock_release(&slabs->records_lock);
    statistics->record_bytes = statistics->magazine_bytes + statistics->slab_records +
                               statistics->part_bytes + statistics->resting_bytes + statistics->guard_bytes;
}

bool heap_check(struct heap *heap, struct slab_problem *problem)
{
    return slab_check(&heap->slabs, problem) && heap_large_check(heap, problem);
}

/* Allocating: which class, or which source of whole frames, serves a request. See life.c for the whole. */
#include "internal.h"
#include "valid.h"

void *heap_alloc_slow(struct heap *heap, size_t bytes)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    uint32_t asked = (uint32_t)max_u64(bytes, 1);
    return slab_alloc_for(&heap->classes[heap_class(bytes)], asked, __builtin_return_address(0));
}

static void *zeroed(void *pointer, size_t bytes)
{
    return pointer ? memset(pointer, 0, bytes) : NULL;
}

void *heap_alloc_zeroed(struct heap *heap, size_t bytes)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    return zeroed(heap_alloc_for(heap, bytes, __builtin_return_address(0)), bytes);
}

void *heap_alloc_array(struct heap *heap, size_t count, size_t bytes)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    const void *caller = __builtin_return_address(0);
    size_t product;
    if (__builtin_mul_overflow(count, bytes, &product)) {
        struct slab_report report = {
            .fault = SLAB_SIZE_OVERFLOW, .expected = count, .found = bytes, .caller = caller};
        slab_report(&heap->slabs, &report);
        return NULL;
    }
    return zeroed(heap_alloc_for(heap, product, caller), product);
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
    return heap_alloc_for(heap, heap_class_bytes(index), caller);
}

void *heap_alloc_aligned(struct heap *heap, size_t bytes, size_t alignment)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    return alloc_aligned(heap, bytes, alignment, __builtin_return_address(0));
}

void *heap_alloc_aligned_zeroed(struct heap *heap, size_t bytes, size_t alignment)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    return zeroed(alloc_aligned(heap, bytes, alignment, __builtin_return_address(0)), bytes);
}

void *heap_duplicate(struct heap *heap, const void *source, size_t bytes)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    void *pointer = heap_alloc_for(heap, bytes, __builtin_return_address(0));
    return pointer ? memcpy(pointer, source, bytes) : NULL;
}

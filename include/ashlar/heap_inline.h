/*
 * The fast paths of <ashlar/heap.h>, which includes this: an object of a size class out of, or into, a
 * magazine of this CPU, with preemption off and no lock.
 */
#pragma once

#include <ashlar/heap.h>

void *heap_alloc_slow(struct heap *heap, size_t bytes);
void *heap_alloc_large(struct heap *heap, size_t bytes);
void heap_free_slow(struct heap *heap, void *pointer);

static inline unsigned heap_class(size_t bytes)
{
    if (bytes <= 64) { /* 16, 24, 32, 40, 48, 56, 64 */
        return bytes <= 16 ? 0 : (unsigned)((bytes + 7) / 8 - 2);
    }
    unsigned doubling =
        63 - (unsigned)__builtin_clzll(bytes - 1); /* bytes is in (2^doubling, 2^(doubling+1)] */
    return (doubling - 6) * 4 + 6 + (unsigned)((bytes - 1) >> (doubling - 2)) - 3;
}

static inline size_t heap_class_bytes(unsigned index)
{
    if (index <= 6) {
        return (index + 2) * (size_t)8;
    }
    unsigned step = (index - 7) % 4 + 1;
    unsigned doubling = (index - 7) / 4 + 6;
    return ((size_t)4 + step) << (doubling - 2);
}

/* The offset of a class's part in a CPU's: a constant if the size is one. */
static inline uint32_t heap_part(const struct heap *heap, size_t bytes)
{
    if (__builtin_constant_p(bytes)) {
        return slab_number(heap_class(bytes)) * SLAB_LINE_BYTES;
    }
    return heap->part[(bytes + 7) / 8];
}

/*
 * Takes an object of a class from this CPU's loaded magazine, up to HEAP_CLASS_MAX; false when that is empty.
 */
SLAB_INLINE bool heap_pop(struct heap *heap, size_t bytes, void **object)
{
    LOCK_CHECK_ALLOCATE();
    uint32_t part = heap_part(heap, bytes);
    preempt_disable();
    struct slab_cpu *cpu = (struct slab_cpu *)((char *)cpu_part(heap->slabs.parts) + part);
    _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
    if (__builtin_expect(top != cpu->bottom, 1)) {
        *object = atomic_load_explicit(&top[-1], memory_order_relaxed);
        atomic_store_explicit(&cpu->top, top - 1, memory_order_relaxed);
        *slab_mark(*object) = SLAB_MARK_LIVE;
        preempt_enable();
        return true;
    }
    preempt_enable();
    return false;
}

/*
 * Puts an object of a class into this CPU's loaded magazine. False when that is full, or the pointer does not
 * pass for the start of an allocated object of a class.
 */
SLAB_INLINE bool heap_push(struct heap *heap, void *pointer)
{
    LOCK_CHECK_ALLOCATE();
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (__builtin_expect(address < heap->slabs.limit, 1)) {
        /* A cache's number, if the frame is a slab's; else it leads to a line where `bound` is 0. */
        uint8_t number = heap->slabs.descriptors[address >> FRAME_SHIFT].note.number;
        preempt_disable();
        struct slab_cpu *cpu = cpu_part((char *)heap->slabs.parts + (uint64_t)number * SLAB_LINE_BYTES);
        _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
        if (__builtin_expect((address & cpu->mask) * cpu->inverse < cpu->bound &&
                                 *slab_mark(pointer) != SLAB_MARK_FREE && top < cpu->end,
                             1)) {
            *slab_mark(pointer) = SLAB_MARK_FREE;
            atomic_store_explicit(top, pointer, memory_order_relaxed);
            atomic_store_explicit(&cpu->top, top + 1, memory_order_relaxed);
            preempt_enable();
            return true;
        }
        preempt_enable();
    }
    return false;
}

SLAB_INLINE void *heap_alloc(struct heap *heap, size_t bytes)
{
    if (FAILING_NOW()) {
        return NULL;
    }
    if (__builtin_expect(bytes > HEAP_CLASS_MAX, 0)) {
        return heap_alloc_large(heap, bytes);
    }
    void *object;
    return heap_pop(heap, bytes, &object) ? object : heap_alloc_slow(heap, bytes);
}

SLAB_INLINE void heap_free(struct heap *heap, void *pointer)
{
    if (!heap_push(heap, pointer)) {
        heap_free_slow(heap, pointer);
    }
}

/*
 * Freeing: the one place that decides who takes a block back.
 *
 * A free needs the pointer alone. What the fast path does not put into a magazine comes here, and the
 * descriptor of the pointer's frame says whose it is:
 *   a slab's                            the slab caches (mm/slab/free.c)
 *   the first frame of a large block    large.c
 *   no RAM, but a guarded slot's page   the guard (mm/slab/guard.c)
 *   no RAM                              whoever the heap has its virtual blocks from
 *   none of these                       nobody: the mistake gets a name, and is reported
 * None of them comes back here.
 */
#include "large.h"
#include "valid.h"

/*
 * No block starts here. A pointer into a large or virtual block is told from memory that is not the heap's.
 * Not inlined, nor is free_outside(): both need room on the stack, which all other frees would pay for.
 */
static __attribute__((noinline)) void refuse(struct heap *heap, const void *pointer, const void *caller)
{
    struct heap_facts facts;
    heap_look(heap, pointer, &facts);
    if (facts.kind != HEAP_LARGE && facts.kind != HEAP_VIRTUAL) {
        slab_refuse(&heap->slabs, NULL, pointer, caller);
        return;
    }
    struct slab_report report = {.fault = SLAB_INTERIOR_POINTER,
                                 .pointer = pointer,
                                 .object = facts.block,
                                 .offset = (int64_t)facts.offset,
                                 .allocated = facts.allocated,
                                 .caller = caller};
    slab_report(&heap->slabs, &report);
}

/* Frees what does not lie in RAM. */
static __attribute__((noinline)) void free_outside(struct heap *heap, void *pointer, const void *caller)
{
    const struct heap_virtual *source = &heap->virtually;
    if (!pointer) {
        return;
    }
    if (slab_guard_owns(heap->slabs.guard, pointer)) {
        slab_guard_free(heap->slabs.guard, NULL, pointer, caller);
    } else if (!source->free || !source->free(source->context, pointer)) {
        refuse(heap, pointer, caller);
    }
}

static inline __attribute__((always_inline)) void free_any(struct heap *heap, void *pointer,
                                                           const void *caller)
{
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit) {
        free_outside(heap, pointer, caller);
        return;
    }
    struct frame_descriptor *descriptor = &heap->slabs.config.frames->descriptors[address >> FRAME_SHIFT];
    union frame_note note = descriptor->note;
    bool starts = is_aligned(address, FRAME_BYTES) && heap_large_starts(descriptor);
    uint64_t bytes = starts ? heap_note_bytes(heap, note) : 0;
    if (bytes != 0 && !heap_note_is_roomy(note) && heap_large_free_cached(heap, descriptor, bytes)) {
        return;
    }
    if (bytes != 0) {
        heap_large_free(heap, descriptor, caller);
    } else if (frame_note_kind(note) == FRAME_NOTE_SLAB) {
        slab_free_checked(&heap->slabs, NULL, pointer, caller);
    } else {
        refuse(heap, pointer, caller);
    }
}

void heap_free_for(struct heap *heap, void *pointer, const void *caller)
{
    VALIDATE_AT_RANDOM(slab, heap_check, heap);
    free_any(heap, pointer, caller);
}

void heap_free_slow(struct heap *heap, void *pointer)
{
    DEBUG_ASSERT(heap_is_valid(heap));
    free_any(heap, pointer, __builtin_return_address(0));
}

/*
 * Debug policies of blocks with frames of their own. What the last frame has left over is a red zone (a block
 * that leaves less than SLAB_REDZONE_MIN gets a frame more), fresh memory is poisoned, and what is freed,
 * too, so that a late reader sees it until the frame has a new owner. A frame in front belongs to somebody
 * else, and freed frames go back at once: no red zone lies there, and nothing rests.
 */
#include "internal.h"

static uint64_t room(const struct heap_large *large)
{
    return large->frames << FRAME_SHIFT;
}

void heap_large_fill(struct heap *heap, void *pointer, uint64_t bytes, uint64_t frames)
{
    if (heap->large_policy & SLAB_POISON) {
        memset(pointer, SLAB_BYTE_FRESH, bytes);
    }
    if (heap->large_policy & SLAB_REDZONE) {
        memset((char *)pointer + bytes, SLAB_BYTE_REDZONE, (frames << FRAME_SHIFT) - bytes);
    }
}

bool heap_large_examine(struct heap *heap, const struct heap_large *large, struct slab_report *report)
{
    *report = (struct slab_report){.fault = SLAB_OVERRUN,
                                   .pointer = large->pointer,
                                   .object = large->pointer,
                                   .allocated = large->allocated};
    return !(heap->large_policy & SLAB_REDZONE) ||
           slab_is_filled(large->pointer, (int64_t)large->bytes, (int64_t)room(large), SLAB_BYTE_REDZONE,
                          report);
}

/* Examines a block; damage is reported. */
static bool examine_and_report(struct heap *heap, const struct heap_large *large, const void *caller)
{
    struct slab_report report;
    if (heap_large_examine(heap, large, &report)) {
        return true;
    }
    report.caller = caller;
    slab_report(&heap->slabs, &report);
    return false;
}

bool heap_large_leave(struct heap *heap, const struct heap_large *large, const void *caller)
{
    return examine_and_report(heap, large, caller);
}

void heap_large_spoil(struct heap *heap, const struct heap_large *large)
{
    if (heap->large_policy & SLAB_POISON) {
        memset(large->pointer, SLAB_BYTE_FREE, room(large));
    }
}

bool heap_large_stretch(struct heap *heap, const struct heap_large *large, uint64_t bytes, const void *caller)
{
    if (!(heap->large_policy & SLAB_REDZONE)) {
        return true;
    }
    if (!examine_and_report(heap, large, caller)) { /* what is written now would cover the damage */
        return false;
    }
    if (bytes < room(large)) {
        memset((char *)large->pointer + bytes, SLAB_BYTE_REDZONE, room(large) - bytes);
    }
    return true;
}

/* Seeing inside an arena: one address, a walk over all ranges, statistics. */
#include "internal.h"

/* The range, free or not, that the byte at `offset` from the arena's base lies in. */
static const struct kva_range *range_at(const struct kva_arena *arena, uint64_t offset)
{
    const struct kva_range *range = kva_tree_floor(arena, offset >> FRAME_SHIFT);
    if (!range) {
        range = arena->lowest;
    }
    /* Behind it there may be a free range, and then the lower guard pages of the next one. */
    for (unsigned i = 0; i < 2 && range && offset >= kva_end(arena, range); i++) {
        range = range->higher;
    }
    return range;
}

static enum kva_place place_in(const struct kva_range *range, virt_addr_t address)
{
    if (address.raw < range->base.raw) {
        return KVA_GUARD_BELOW;
    }
    return address.raw - range->base.raw < range->bytes ? KVA_INSIDE : KVA_GUARD_ABOVE;
}

bool kva_look_stopped(const struct kva_arena *arena, virt_addr_t address, struct kva_facts *facts)
{
    uint64_t offset = address.raw - arena->base.raw;
    const struct kva_range *range = offset < arena->bytes ? range_at(arena, offset) : NULL;
    if (!range) {
        return false;
    }
    *facts = (struct kva_facts){.state = (enum kva_state)range->state,
                                .place = place_in(range, address),
                                .base = range->base,
                                .bytes = range->bytes,
                                .guard_bytes = (uint64_t)range->guard_pages << FRAME_SHIFT};
    if (facts->state == KVA_TAKEN) {
        facts->purpose = range->purpose;
        facts->object = __atomic_load_n(&range->object, __ATOMIC_ACQUIRE);
    }
    return true;
}

bool kva_look(struct kva_arena *arena, virt_addr_t address, struct kva_facts *facts)
{
    spinlock_acquire(&arena->lock);
    bool found = kva_look_stopped(arena, address, facts);
    spinlock_release(&arena->lock);
    return found;
}

bool kva_next(struct kva_arena *arena, virt_addr_t *at, struct kva_facts *facts)
{
    virt_addr_t address = at->raw == 0 ? arena->base : *at;
    if (!kva_look(arena, address, facts)) {
        return false;
    }
    *at = virt_add(facts->base, facts->bytes + facts->guard_bytes);
    return true;
}

#define LOOKED_AT 64 /* ranges of a class: all others are at most a sixteenth longer */

/* The largest free range lies in the last list that is not empty: the largest of its first few. */
static uint64_t largest_free(const struct kva_arena *arena)
{
    uint64_t largest = 0;
    unsigned looked_at = 0;
    if (arena->doublings == 0) {
        return 0;
    }
    unsigned doubling = 63 - (unsigned)__builtin_clzll(arena->doublings);
    unsigned subclass = 31 - (unsigned)__builtin_clz(arena->subclasses[doubling]);
    const struct kva_range *range = arena->lists[doubling][subclass];
    for (; range && looked_at < LOOKED_AT; range = range->next, looked_at++) {
        largest = max_u64(largest, range->bytes);
    }
    return largest;
}

void kva_statistics(struct kva_arena *arena, struct kva_statistics *statistics)
{
    spinlock_acquire(&arena->lock);
    *statistics = (struct kva_statistics){
        .bytes = arena->bytes,
        .taken_ranges = arena->taken_ranges,
        .taken_bytes = arena->taken_pages << FRAME_SHIFT,
        .guard_bytes = arena->guard_pages << FRAME_SHIFT,
        .free_ranges = arena->free_ranges,
        .free_bytes = arena->bytes - ((arena->taken_pages + arena->guard_pages) << FRAME_SHIFT),
        .largest_free_bytes = largest_free(arena),
        .memory_bytes = (arena->memory.record_frames + arena->memory.node_frames) << FRAME_SHIFT,
        .slow_operations = arena->slow_operations,
    };
    for (unsigned kind = 0; kind < KVA_KINDS; kind++) { /* held ranges were counted as taken: correct that */
        uint64_t count = arena->quick[kind].count;
        uint64_t bytes = count * (kind / 2 + 1) << FRAME_SHIFT;
        uint64_t guard_bytes = count * (kind % 2) << (FRAME_SHIFT + 1);
        statistics->taken_ranges -= count;
        statistics->taken_bytes -= bytes;
        statistics->guard_bytes -= guard_bytes;
        statistics->held_ranges += count;
        statistics->held_bytes += bytes + guard_bytes;
    }
    spinlock_release(&arena->lock);
}

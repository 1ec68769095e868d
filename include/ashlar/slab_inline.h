/*
 * The fast paths of <ashlar/slab.h>, which includes this: an object out of, or into, a magazine of this CPU,
 * with preemption off and no lock.
 */
#pragma once

#include <ashlar/slab.h>

/*
 * Inline functions without line numbers of their own: their instructions count as the caller's line, so that
 * backtraces and reports name the line that allocates or frees, not one of these headers. They are inlined
 * always, because the slow paths report the function that called them.
 */
#define SLAB_INLINE __attribute__((nodebug, always_inline)) static inline

/* Words in memory of any type, and, where the caller is mistaken, at any address. */
typedef uint64_t __attribute__((may_alias, aligned(1))) slab_header_t;
typedef uint32_t __attribute__((may_alias, aligned(1))) slab_mark_t;

/*
 * Where an object without a header bears its mark: in the second half of its first word. At the free the mark
 * is compared, soon after the object was written to. A processor answers that load from the store before it
 * if the store covers all four bytes (a pointer, a counter) or none of them (a character or an integer at the
 * start). A store that covers a part would have to reach the cache first, and the free would wait for it.
 */
SLAB_INLINE slab_mark_t *slab_mark(const void *object)
{
    return (slab_mark_t *)((uintptr_t)object + SLAB_MARK_OFFSET);
}

/* The slow paths behind them; not to be called otherwise. */
void *slab_alloc_slow(struct slab_cache *cache, uint32_t bytes) EXCLUDES(cache->lock);
void slab_free_slow(struct slab_cache *cache, void *object) EXCLUDES(cache->lock);

SLAB_INLINE void *slab_cache_alloc(struct slab_cache *cache)
{
    LOCK_CHECK_ALLOCATE();
    if (FAILING_NOW()) {
        return NULL;
    }
    preempt_disable();
    struct slab_cpu *cpu = cpu_part(cache->parts);
    _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
    if (__builtin_expect(top != cpu->bottom, 1)) {
        void *object = atomic_load_explicit(&top[-1], memory_order_relaxed);
        atomic_store_explicit(&cpu->top, top - 1, memory_order_relaxed);
        ((slab_header_t *)object)[-1] = cpu->live;
        preempt_enable();
        return object;
    }
    preempt_enable();
    return slab_alloc_slow(cache, cache->config.bytes);
}

SLAB_INLINE void slab_cache_free(struct slab_cache *cache, void *object)
{
    LOCK_CHECK_ALLOCATE();
    /* The header is compared with the cache's secret: one comparison for all that can be wrong. */
    if (__builtin_expect((uintptr_t)object - cache->base < cache->limit, 1)) {
        preempt_disable();
        struct slab_cpu *cpu = cpu_part(cache->parts);
        slab_header_t *header = (slab_header_t *)object - 1;
        _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
        if (__builtin_expect(*header == cpu->live && top < cpu->end, 1)) {
            *header = SLAB_HEADER_FREE;
            atomic_store_explicit(top, object, memory_order_relaxed);
            atomic_store_explicit(&cpu->top, top + 1, memory_order_relaxed);
            preempt_enable();
            return;
        }
        preempt_enable();
    }
    slab_free_slow(cache, object);
}

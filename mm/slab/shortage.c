/*
 * What other CPUs have in their magazines, when memory has run out. A CPU that is asked empties a cache's
 * magazines at its next slow operation on that cache (magazine.c). One that rests has none: it does so in its
 * idle loop, and who stops it may do it for it.
 */
#include "internal.h"
#include "valid.h"

static bool drain_if_asked(void *context, struct slab_cache *cache)
{
    struct slab_cpu *cpu = cpu_part(cache->parts);
    bool *any = context;
    if (atomic_load_explicit(&cpu->drain, memory_order_relaxed)) {
        slab_drain_part(cache, cpu);
        slab_shrink(cache, true);
        *any = true;
    }
    return !*any;
}

bool slab_idle(struct slab_pool *pool)
{
    bool any = false;
    preempt_disable();
    _Atomic(uint32_t) *here = slab_asked(pool, cpu_number());
    if (atomic_load_explicit(here, memory_order_relaxed) &&
        atomic_exchange_explicit(here, 0, memory_order_acquire)) {
        slab_for_each_cache(pool, drain_if_asked, &any);
        atomic_fetch_or_explicit(here, any, memory_order_relaxed); /* there may be another one */
    }
    preempt_enable();
    return any;
}

static bool has_magazine(const struct slab_pool *pool, unsigned cpu, unsigned number)
{
    const struct slab_cpu *part =
        (void *)((char *)slab_part_of(pool->parts, cpu) + (uint64_t)number * SLAB_LINE_BYTES);
    return atomic_load_explicit(&part->loaded, memory_order_relaxed) ||
           atomic_load_explicit(&part->previous, memory_order_relaxed);
}

bool slab_others_hold(const struct slab_pool *pool)
{
    bool any = false;
    preempt_disable(); /* it is the same CPU that is left out for all of them */
    for (unsigned cpu = 0; !any && pool->parts && cpu < pool->config.cpus; cpu++) {
        for (unsigned i = 0; !any && cpu != cpu_number() && i < SLAB_CACHES_MAX; i++) {
            any = has_magazine(pool, cpu, slab_number(i));
        }
    }
    preempt_enable();
    return any;
}

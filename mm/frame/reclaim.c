/*
 * When memory runs out: what is tried before an allocation fails. First this CPU's magazines are emptied and
 * free frames merged; then those of the other CPUs are emptied; then the reclaimers are called, one after the
 * other, until the allocation succeeds.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include "valid.h"

#define MERGES_AT_ONCE 64
#define COLLECTIONS    8 /* without a single frame to be had for sure */

static bool is_same(const struct frame_reclaimer *one, const struct frame_reclaimer *other)
{
    return one->reclaim == other->reclaim && one->context == other->context;
}

/* The first place that holds this reclaimer; NULL if none does. */
static struct frame_reclaimer_slot *find_slot(struct frame_pool *pool,
                                              const struct frame_reclaimer *reclaimer) REQUIRES(pool->lock)
{
    for (unsigned i = 0; i < FRAME_RECLAIMERS_MAX; i++) {
        if (is_same(&pool->reclaimers[i].reclaimer, reclaimer)) {
            return &pool->reclaimers[i];
        }
    }
    return NULL;
}

enum frame_error frame_pool_add_reclaimer(struct frame_pool *pool, const struct frame_reclaimer *reclaimer)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    if (!reclaimer->reclaim) {
        return FRAME_BAD_CONFIG;
    }
    spinlock_acquire(&pool->lock);
    enum frame_error error = find_slot(pool, reclaimer) ? FRAME_BUSY : FRAME_NO_ROOM;
    for (unsigned i = 0; error == FRAME_NO_ROOM && i < FRAME_RECLAIMERS_MAX; i++) {
        struct frame_reclaimer_slot *slot = &pool->reclaimers[i];
        if (!slot->reclaimer.reclaim && slot->running == 0) {
            slot->reclaimer = *reclaimer;
            error = FRAME_OK;
        }
    }
    spinlock_release(&pool->lock);
    return error;
}

bool frame_pool_has_reclaimer(struct frame_pool *pool, const struct frame_reclaimer *reclaimer)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    spinlock_acquire(&pool->lock);
    bool has = reclaimer->reclaim && find_slot(pool, reclaimer);
    spinlock_release(&pool->lock);
    return has;
}

static bool is_running(struct frame_pool *pool, const struct frame_reclaimer_slot *slot)
{
    spinlock_acquire(&pool->lock);
    bool running = slot->running != 0;
    spinlock_release(&pool->lock);
    return running;
}

enum frame_error frame_pool_remove_reclaimer(struct frame_pool *pool, const struct frame_reclaimer *reclaimer)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    spinlock_acquire(&pool->lock);
    struct frame_reclaimer_slot *slot = reclaimer->reclaim ? find_slot(pool, reclaimer) : NULL;
    if (slot) {
        slot->reclaimer = (struct frame_reclaimer){NULL, NULL};
    }
    spinlock_release(&pool->lock);
    if (!slot) {
        return FRAME_BAD_CONFIG;
    }
    while (is_running(pool, slot)) {
        cpu_relax();
    }
    return FRAME_OK;
}

/* Calls the reclaimer in place `index`, if there is one; whether it gave anything. */
static bool call_reclaimer(struct frame_pool *pool, unsigned index, uint64_t frames)
{
    struct frame_reclaimer_slot *slot = &pool->reclaimers[index];
    spinlock_acquire(&pool->lock);
    struct frame_reclaimer reclaimer = slot->reclaimer;
    slot->running += reclaimer.reclaim ? 1 : 0;
    spinlock_release(&pool->lock);
    if (!reclaimer.reclaim) {
        return false;
    }
    bool any = reclaimer.reclaim(reclaimer.context, frames) > 0;
    spinlock_acquire(&pool->lock);
    slot->running--;
    spinlock_release(&pool->lock);
    return any;
}

/* Calls reclaimers from place `next` on, until one gave something; whether one did. */
static bool call_next(struct frame_pool *pool, struct frame_shortage *shortage)
{
    bool any = false;
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    if (!cpu->reclaiming) {
        cpu->reclaiming = true;
        while (!any && shortage->next < FRAME_RECLAIMERS_MAX) {
            any = call_reclaimer(pool, shortage->next++, shortage->frames);
        }
        cpu->reclaiming = false;
    }
    preempt_enable();
    return any;
}

static void begin(struct frame_pool *pool, struct frame_shortage *shortage)
{
    shortage->begun = true;
    preempt_disable();
    frame_count_event(&frame_cpu_here(pool)->shortages);
    preempt_enable();
    frame_magazines_ask(pool);
}

/*
 * Merges some free frames before the next attempt: that may make the block that is needed. The sum of all
 * calls is limited, so that it ends even if other CPUs go on freeing.
 */
static bool merge_some(struct frame_pool *pool, struct frame_shortage *shortage)
{
    uint64_t first = shortage->merges;
    uint64_t most = min_u64(first + MERGES_AT_ONCE, frame_store_merges_max(pool));
    while (shortage->merges < most && frame_store_merge(pool)) {
        shortage->merges++;
    }
    return shortage->merges > first;
}

static uint64_t store_frames(struct frame_pool *pool) EXCLUDES(pool->lock)
{
    spinlock_acquire(&pool->lock);
    uint64_t frames = pool->free_frames;
    spinlock_release(&pool->lock);
    return frames;
}

/*
 * Whether as many frames are free in the store and in this CPU's magazines as are wanted. If not, neither
 * emptying the magazines nor merging can help.
 */
static bool could_suffice(struct frame_pool *pool, uint64_t wanted)
{
    preempt_disable();
    const struct frame_cpu *cpu = frame_cpu_here(pool);
    uint64_t frames = 0;
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        frames += frame_magazine_count(&cpu->magazine[i]) << frame_magazine_order(i);
    }
    frames += store_frames(pool);
    preempt_enable();
    return frames >= wanted;
}

/*
 * Empties the magazines of the other CPUs; whether to try again. A single frame that was there may have been
 * taken by somebody else meanwhile, while others were freed into the magazines: then it is done again, for as
 * long as they hold one. It may also have gone back to the store by itself, after the attempt that found
 * nothing there. A block may never come of what was collected, nor a frame of what cannot be backed: that is
 * tried only so often.
 */
static bool collect(struct frame_pool *pool, struct frame_shortage *shortage)
{
    bool any = frame_magazines_collect(pool);
    if (any && shortage->order == 0) {
        return true;
    }
    return (any || (pool->config.collect && shortage->order == 0 && store_frames(pool) > 0)) &&
           shortage->rounds++ < COLLECTIONS;
}

bool frame_reclaim(struct frame_pool *pool, struct frame_shortage *shortage)
{
    if (!shortage->begun) {
        begin(pool, shortage);
    }
    if (shortage->order == 0 || could_suffice(pool, shortage->frames)) {
        if (frame_magazines_give(pool, shortage->order)) {
            shortage->merges = 0;
            return true;
        }
        if (merge_some(pool, shortage)) {
            return true;
        }
    }
    shortage->merges = 0;
    if (collect(pool, shortage)) {
        return true;
    }
    return call_next(pool, shortage); /* what it frees goes to magazines, and has to be merged again */
}

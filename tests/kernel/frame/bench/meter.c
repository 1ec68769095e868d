#include "meter.h"

#include <ashlar/string.h>
#include <x86/interrupt.h>

#define LOG_SUBSYSTEM "bench"
#include <ashlar/log.h>

/* The worst call of a kind since start. */
struct worst {
    uint64_t ticks;
    uint64_t pieces;        /* `ticks` are of one of so many */
    uint64_t number;        /* which call it was */
    struct frame_work work; /* what it did under the lock */
    unsigned order;         /* of what it was called for */
    bool reported;
};

static struct worst worst[CALL_KINDS];
static uint64_t calls;

/* Frames of the reserve that were ever taken: every one was cleared. */
static uint64_t pages_cleared(const struct frame_pool *pool)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(pool->reserve); i++) {
        left += pool->reserve[i].end - pool->reserve[i].next;
    }
    return (uint64_t)atomic_load(&pool->cpu[0].owned[OWNER_DESCRIPTORS]) - left;
}

static struct frame_work work_since(const struct frame_work *before, const struct frame_work *now)
{
    return (struct frame_work){now->refills - before->refills,   now->drains - before->drains,
                               now->searches - before->searches, now->given - before->given,
                               now->changes - before->changes,   now->pages - before->pages};
}

void frame_sample_begin(const struct frame_meter *meter, struct frame_sample *sample)
{
    sample->before = meter->pool->work;
    sample->cleared = pages_cleared(meter->pool);
    sample->shortages = atomic_load(&meter->pool->cpu[0].shortages);
    interrupts_disable();
    sample->start = cpu_ticks();
}

void frame_sample_end(const struct frame_meter *meter, const struct frame_sample *sample,
                      enum frame_call kind, unsigned order, uint64_t zeroed, uint64_t pieces)
{
    uint64_t ticks = cpu_ticks() - sample->start;
    interrupts_enable();
    zeroed += pages_cleared(meter->pool) - sample->cleared;
    ticks -= min_u64(ticks, meter->overhead + zeroed * meter->zeroing);
    calls++;
    if (atomic_load(&meter->pool->cpu[0].shortages) != sample->shortages) {
        bool had = kind != CALL_AT && order == 0 && pieces > 0;
        kind = had ? CALL_SHORTAGE : CALL_EXHAUSTED;
        pieces = had ? pieces : 0;
    }
    ticks /= pieces > 0 ? pieces : 1;
    if (ticks > worst[kind].ticks) {
        struct frame_work work = work_since(&sample->before, &meter->pool->work);
        worst[kind] = (struct worst){ticks, pieces, calls, work, order, false};
    }
}

void frame_meter_init(struct frame_meter *meter, struct frame_pool *pool, phys_addr_t page)
{
    void *contents = frame_pointer(pool, page);
    interrupts_disable();
    uint64_t start = cpu_ticks();
    uint64_t middle = cpu_ticks();
    memset(contents, 0, FRAME_BYTES);
    uint64_t end = cpu_ticks();
    interrupts_enable();
    *meter = (struct frame_meter){pool, middle - start, end - middle - (middle - start)};
}

uint64_t frame_sample_given(const struct frame_meter *meter, const struct frame_sample *sample)
{
    return meter->pool->work.given - sample->before.given;
}

uint64_t frame_calls(void)
{
    return calls;
}

uint64_t frame_worst_ticks(enum frame_call kind)
{
    return worst[kind].ticks;
}

void frame_worst_report(enum frame_call kind, const char *name)
{
    struct worst *most = &worst[kind];
    if (most->reported) {
        return;
    }
    most->reported = true;
    log_debug("%s of %" PRIu64 " calls: %" PRIu64 " ticks, order %u, %" PRIu64 " pieces, call %" PRIu64
              ": %" PRIu64 " refills, %" PRIu64 " drains, "
              "%" PRIu64 " searches, %" PRIu64 " blocks given, %" PRIu64
              " index entries changed by that, %" PRIu64 " pages backed",
              name, calls, most->ticks, most->order, most->pieces, most->number, most->work.refills,
              most->work.drains, most->work.searches, most->work.given, most->work.changes, most->work.pages);
}

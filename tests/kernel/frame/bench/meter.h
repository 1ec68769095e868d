/*
 * Measuring single calls of a frame pool, and remembering the worst of each kind. Under -icount shift=0 a
 * tick is an instruction.
 */
#pragma once

#include <ashlar/frame.h>

enum frame_call {
    CALL_ALLOC,
    CALL_FREE,
    CALL_SHORTAGE,
    CALL_EXHAUSTED,
    CALL_RUN,
    CALL_AT,
    CALL_TRY,
    CALL_BATCH,
    CALL_REFERENCE,
    CALL_IDLE,
    CALL_KINDS
};

/* How calls are measured. */
struct frame_meter {
    struct frame_pool *pool;
    uint64_t overhead; /* ticks of measuring nothing */
    uint64_t zeroing;  /* ticks of clearing a page */
};

/* One call that is measured. */
struct frame_sample {
    struct frame_work before;
    uint64_t cleared;   /* pages, before */
    uint64_t shortages; /* before */
    uint64_t start;     /* tick */
};

/* Prepares to measure calls of `pool`; the contents of `page`, a frame that is in use, are lost. */
void frame_meter_init(struct frame_meter *meter, struct frame_pool *pool, phys_addr_t page);

/* Turns interrupts off and starts the clock. */
void frame_sample_begin(const struct frame_meter *meter, struct frame_sample *sample);

/* Blocks that were given back to the store since. */
uint64_t frame_sample_given(const struct frame_meter *meter, const struct frame_sample *sample);

/*
 * Ends a call of block order `order` that took `zeroed` pages of its own to clear and came in `pieces`, none
 * when it failed. A call in whose course memory ran short is one of CALL_SHORTAGE or CALL_EXHAUSTED instead
 * of `kind`.
 */
void frame_sample_end(const struct frame_meter *meter, const struct frame_sample *sample,
                      enum frame_call kind, unsigned order, uint64_t zeroed, uint64_t pieces);

/* Calls measured since start. */
uint64_t frame_calls(void);

/* Ticks of the worst call of a kind since start, or of the worst piece. */
uint64_t frame_worst_ticks(enum frame_call kind);

/* Says in the log, once, what that call did under the pool's lock. */
void frame_worst_report(enum frame_call kind, const char *name);

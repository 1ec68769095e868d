/*
 * The reference model of a frame pool: one byte per frame, and a list of what was handed out. It speaks one
 * language of operations, frame_model_step(), that long random runs, exhaustive small cases and the fuzzer
 * share. Every step is done by the pool and by the model, and the two must agree: on the answer, on what is
 * free, on who owns what.
 *
 * Where descriptors are backed as they are used, the model watches what the pool takes for them, and lets an
 * allocation fail that would leave nothing for it.
 */
#pragma once

#include "fixture.h"
#include "tests/host/support/model_check.h"

enum frame_model_frame { MODEL_OUTSIDE, MODEL_FREE, MODEL_USED };

/* One thing handed out. */
struct frame_model_block {
    uint64_t frame;
    uint64_t frames;
    uint32_t references;
    enum frame_owner owner;
};

#define MODEL_BLOCKS_MAX 16384

struct frame_model {
    struct frame_pool *pool;
    unsigned cpus;
    uint8_t *frames; /* enum frame_model_frame by frame number */
    uint64_t first;  /* frame numbers that can be free lie in [first, end) */
    uint64_t end;
    uint64_t free; /* frames marked MODEL_FREE */
    uint64_t owned[OWNER_COUNT];
    struct frame_model_block blocks[MODEL_BLOCKS_MAX];
    uint32_t block_count;
    uint64_t steps;
    uint64_t failures;             /* allocations that found no memory */
    const uint8_t *orders;         /* 16 of them: of what is allocated */
    const struct machine *machine; /* where descriptors are backed as they are used; else NULL */
    uint64_t pages_seen;           /* of its pages_mapped */
};

extern const uint8_t frame_model_large_orders[16];

enum frame_model_operation {
    MODEL_ALLOC,
    MODEL_FREE_BLOCK,
    MODEL_REQUEST,
    MODEL_ALLOC_AT,
    MODEL_BATCH,
    MODEL_MISTAKE,
    MODEL_SHARE,
    MODEL_ZEROED,
    MODEL_DRAIN,
    MODEL_OPERATION_COUNT
};

/* Starts a model of a pool whose descriptors are all backed; what is in use already stays so for good. */
void frame_model_init(struct frame_model *model, struct frame_pool *pool);

/* From now on descriptors are backed as they are used. */
void frame_model_watch(struct frame_model *model, const struct machine *machine);
void frame_model_alloc(struct frame_model *model, unsigned order, enum frame_owner owner);
void frame_model_free_block(struct frame_model *model, uint32_t index);
void frame_model_request(struct frame_model *model, uint32_t a, uint32_t b, enum frame_owner owner);
void frame_model_alloc_at(struct frame_model *model, uint64_t frame, unsigned order, enum frame_owner owner);

/* Frees what must not be freed; the pool names the mistake and changes nothing. */
void frame_model_mistake(struct frame_model *model, uint64_t frame, unsigned order, uint32_t index);

/* Everything the pool says about itself agrees with the model. */
void frame_model_verify(struct frame_model *model);

/* One operation with its two arguments, any numbers. */
void frame_model_step(struct frame_model *model, enum frame_model_operation operation, uint32_t a,
                      uint32_t b);

/* Frees everything and checks that everything has merged again. */
void frame_model_finish(struct frame_model *model);

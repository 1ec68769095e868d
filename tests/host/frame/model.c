#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#include <ashlar/string.h>

static const uint8_t frame_model_small_orders[16] = {0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 7, 9, 10};
const uint8_t frame_model_large_orders[16] = {0, 0, 0, 1, 2, 3, 6, 8, 9, 10, 11, 12, 13, 14, 15, 18};

void frame_model_init(struct frame_model *model, struct frame_pool *pool)
{
    model->pool = pool;
    model->cpus = pool->config.cpus;
    model->frames = calloc(pool->frame_limit, 1);
    model->first = pool->frame_limit;
    model->end = 0;
    model->free = 0;
    model->block_count = 0;
    model->steps = 0;
    model->failures = 0;
    model->orders = frame_model_small_orders;
    model->machine = NULL;
    memset(model->owned, 0, sizeof model->owned);
    for (uint32_t i = 0; i < pool->config.map_count; i++) {
        const struct memory_range *range = &pool->config.map[i];
        uint64_t end = (range->base.raw + range->bytes) >> FRAME_SHIFT;
        for (uint64_t frame = range->base.raw >> FRAME_SHIFT, next; frame < end; frame = next) {
            struct frame_facts facts;
            frame_pool_look(pool, phys_addr(frame << FRAME_SHIFT), &facts);
            next = frame + 1;
            if (!facts.managed) {
                continue;
            }
            bool free = facts.state == FRAME_FREED;
            if (free) { /* a whole block: one look tells of all its frames in the range */
                next = min_u64(end, (facts.block.raw >> FRAME_SHIFT) + (1ULL << facts.order));
            }
            memset(&model->frames[frame], free ? MODEL_FREE : MODEL_USED, next - frame);
            model->free += free ? next - frame : 0;
            model->owned[facts.owner] += !free;
            model->first = min_u64(model->first, frame);
            model->end = next;
        }
    }
}

static bool frame_model_all_free(const struct frame_model *model, uint64_t first, uint64_t frames)
{
    if (first + frames > model->end) {
        return false;
    }
    for (uint64_t i = 0; i < frames; i++) {
        if (model->frames[first + i] != MODEL_FREE) {
            return false;
        }
    }
    return true;
}

/* Whether a block of `order` is free whose first `used` frames end below `limit`. */
static bool frame_model_has_block(const struct frame_model *model, unsigned order, uint64_t used,
                                  uint64_t limit)
{
    uint64_t size = 1ULL << order;
    for (uint64_t first = model->first & ~(size - 1); first < model->end; first += size) {
        if (first + used <= limit && frame_model_all_free(model, first, size)) {
            return true;
        }
    }
    return false;
}

static void frame_model_mark(struct frame_model *model, uint64_t first, uint64_t frames,
                             enum frame_model_frame what)
{
    for (uint64_t i = 0; i < frames; i++) {
        MODEL_CHECK(first + i < model->end && model->frames[first + i] == (MODEL_FREE + MODEL_USED - what));
        model->frames[first + i] = (uint8_t)what;
    }
    model->free += what == MODEL_FREE ? frames : -frames;
}

void frame_model_watch(struct frame_model *model, const struct machine *machine)
{
    model->machine = machine;
    model->pages_seen = machine->pages_mapped;
}

/* Marks the block that a frame for descriptors lies in, unless another frame of it was seen before. */
static void frame_model_see_block(struct frame_model *model, uint64_t frame)
{
    struct frame_facts facts;
    frame_pool_look(model->pool, phys_addr(frame << FRAME_SHIFT), &facts);
    MODEL_CHECK(facts.owner == OWNER_DESCRIPTORS && facts.state == FRAME_ALLOCATED);
    if (model->frames[facts.block.raw >> FRAME_SHIFT] == MODEL_FREE) {
        frame_model_mark(model, facts.block.raw >> FRAME_SHIFT, 1ULL << facts.order, MODEL_USED);
    }
}

/* Marks what the pool has taken for descriptors since it was last looked at: in use now, or set apart. */
static void frame_model_see_descriptors(struct frame_model *model)
{
    while (model->machine && model->pages_seen < model->machine->pages_mapped) {
        MODEL_CHECK(model->machine->pages_mapped - model->pages_seen <= MACHINE_PAGES_MAX);
        frame_model_see_block(model, model->machine->pages[model->pages_seen++ % MACHINE_PAGES_MAX]);
    }
    for (unsigned i = 0; model->machine && i < ARRAY_LENGTH(model->pool->reserve); i++) {
        const struct frame_reserve *reserve = &model->pool->reserve[i];
        if (reserve->next < reserve->end) {
            frame_model_see_block(model, reserve->next);
        }
    }
}

/*
 * Whether an allocation that failed should not have; where descriptors need memory, that must be left, too.
 */
static bool frame_model_should_have(struct frame_model *model, unsigned order, uint64_t used, uint64_t limit)
{
    frame_model_see_descriptors(model);
    if (model->machine) {
        order = (order > 3 ? order : 3) + 1;
    }
    return order <= FRAME_ORDER_MAX && frame_model_has_block(model, order, used, limit);
}

static void frame_model_took(struct frame_model *model, phys_addr_t address, uint64_t frames,
                             enum frame_owner owner)
{
    frame_model_see_descriptors(model);
    frame_model_mark(model, address.raw >> FRAME_SHIFT, frames, MODEL_USED);
    model->owned[owner] += frames;
    MODEL_CHECK(model->block_count < MODEL_BLOCKS_MAX);
    model->blocks[model->block_count++] =
        (struct frame_model_block){address.raw >> FRAME_SHIFT, frames, 1, owner};
}

static void frame_model_drain_all(struct frame_model *model)
{
    for (unsigned cpu = 0; cpu < model->cpus; cpu++) {
        frame_pool_drain_cpu(model->pool, cpu);
    }
}

static bool frame_model_full(const struct frame_model *model)
{
    return model->block_count + FRAME_BATCH * 3 > MODEL_BLOCKS_MAX;
}

void frame_model_alloc(struct frame_model *model, unsigned order, enum frame_owner owner)
{
    phys_addr_t block = frame_alloc(model->pool, order, owner);
    if (block.raw == 0 && model->cpus > 1) {
        frame_model_drain_all(model);
        block = frame_alloc(model->pool, order, owner);
    }
    if (block.raw == 0) {
        model->failures++;
        MODEL_CHECK(!frame_model_should_have(model, order, 1ULL << order, FRAME_RUN_MAX << 16));
        return;
    }
    MODEL_CHECK(is_aligned(block.raw, FRAME_BYTES << order));
    frame_model_took(model, block, 1ULL << order, owner);
}

void frame_model_free_block(struct frame_model *model, uint32_t index)
{
    struct frame_model_block *block = &model->blocks[index];
    phys_addr_t address = phys_addr(block->frame << FRAME_SHIFT);
    while (block->references > 1) {
        MODEL_CHECK(!frame_put(model->pool, address));
        block->references--;
    }
    if (index % 4 == 0) {
        MODEL_CHECK(frame_put(model->pool, address));
    } else if (is_power_of_two(block->frames)) {
        frame_free(model->pool, address, (unsigned)__builtin_ctzll(block->frames));
    } else {
        frame_free_run(model->pool, address, block->frames);
    }
    frame_model_mark(model, block->frame, block->frames, MODEL_FREE);
    model->owned[block->owner] -= block->frames;
    *block = model->blocks[--model->block_count];
}

void frame_model_request(struct frame_model *model, uint32_t a, uint32_t b, enum frame_owner owner)
{
    struct frame_request request = {.frames = 1 + a % 40, .owner = owner};
    request.alignment = b & 1 ? FRAME_BYTES << (b >> 8) % 8 : 0;
    request.limit = b & 2 ? (model->first + (b >> 16) % (model->end - model->first)) << FRAME_SHIFT : 0;
    request.zeroed = b % 64 == 5;
    uint64_t limit = request.limit ? request.limit >> FRAME_SHIFT : FRAME_RUN_MAX << 16;
    unsigned order = 0;
    while ((1ULL << order) < request.frames || (FRAME_BYTES << order) < request.alignment) {
        order++;
    }
    phys_addr_t address = FRAME_NONE;
    enum frame_error error = frame_alloc_request(model->pool, &request, &address);
    if (error != FRAME_OK && model->cpus > 1) {
        frame_model_drain_all(model);
        error = frame_alloc_request(model->pool, &request, &address);
    }
    if (error != FRAME_OK) {
        model->failures++;
        MODEL_CHECK(error == FRAME_NO_MEMORY && address.raw == 0);
        MODEL_CHECK(!frame_model_should_have(model, order, request.frames, limit));
        return;
    }
    MODEL_CHECK((address.raw >> FRAME_SHIFT) + request.frames <= limit);
    MODEL_CHECK(request.alignment == 0 || is_aligned(address.raw, request.alignment));
    frame_model_took(model, address, request.frames, owner);
}

void frame_model_alloc_at(struct frame_model *model, uint64_t frame, unsigned order, enum frame_owner owner)
{
    phys_addr_t address = phys_addr(frame << FRAME_SHIFT);
    enum frame_error error = frame_alloc_at(model->pool, address, order, owner);
    if (error == FRAME_BUSY && model->cpus > 1) {
        frame_model_drain_all(model);
        error = frame_alloc_at(model->pool, address, order, owner);
    }
    if ((frame & ((1ULL << order) - 1)) != 0) {
        MODEL_CHECK(error == FRAME_BAD_ALIGNMENT);
    } else if (frame >= model->end || model->frames[frame] == MODEL_OUTSIDE) {
        MODEL_CHECK(error == FRAME_NOT_MANAGED || error == FRAME_RESERVED);
    } else if (frame_model_all_free(model, frame, 1ULL << order)) {
        if (error == FRAME_NO_MEMORY && model->machine) {
            MODEL_CHECK(!frame_model_should_have(model, 0, 1, FRAME_RUN_MAX << 16));
            return;
        }
        MODEL_CHECK(error == FRAME_OK);
        frame_model_took(model, address, 1ULL << order, owner);
    } else {
        MODEL_CHECK(error == FRAME_BUSY);
    }
}

static void frame_model_batch(struct frame_model *model, uint64_t count, enum frame_owner owner)
{
    phys_addr_t frames[FRAME_BATCH * 2];
    uint64_t free = model->free;
    if (model->cpus > 1) {
        frame_model_drain_all(model);
    }
    uint64_t got = frame_alloc_batch(model->pool, count, frames, owner);
    for (uint64_t i = 0; i < got; i++) {
        frame_model_took(model, frames[i], 1, owner);
    }
    MODEL_CHECK(got == min_u64(count, free) ||
                (model->machine && !frame_model_should_have(model, 0, 1, FRAME_RUN_MAX << 16)));
}

void frame_model_mistake(struct frame_model *model, uint64_t frame, unsigned order, uint32_t index)
{
    phys_addr_t address = phys_addr(frame << FRAME_SHIFT);
    if (frame >= model->end || model->frames[frame] == MODEL_OUTSIDE) {
        enum frame_error error = frame_try_free(model->pool, address, order);
        MODEL_CHECK(error == FRAME_NOT_MANAGED || error == FRAME_RESERVED);
    } else if (model->frames[frame] == MODEL_FREE) {
        enum frame_error error = frame_try_free(model->pool, address, order);
        MODEL_CHECK(error == FRAME_NOT_ALLOCATED || error == FRAME_DOUBLE_FREE);
    }
    if (model->block_count == 0) {
        return;
    }
    const struct frame_model_block *block = &model->blocks[index % model->block_count];
    address = phys_addr(block->frame << FRAME_SHIFT);
    if (block->frames != 1ULL << order) {
        enum frame_error error = frame_try_free(model->pool, address, order);
        MODEL_CHECK(error == (is_power_of_two(block->frames) ? FRAME_WRONG_ORDER : FRAME_WRONG_LENGTH));
        MODEL_CHECK(frame_try_free_run(model->pool, address, 1ULL << order) != FRAME_OK);
    } else if (block->references > 1) {
        MODEL_CHECK(frame_try_free(model->pool, address, order) == FRAME_SHARED);
    }
    if (block->frames > 1) {
        uint64_t inside = 1 + frame % (block->frames - 1);
        MODEL_CHECK(frame_try_free(model->pool, phys_add(address, inside << FRAME_SHIFT), 0) ==
                    FRAME_PART_OF_BLOCK);
        MODEL_CHECK(frame_try_free_run(model->pool, address, block->frames - 1) == FRAME_WRONG_LENGTH ||
                    block->references > 1);
        enum frame_error longer = block->frames < FRAME_RUN_MAX ? FRAME_WRONG_LENGTH : FRAME_BAD_ORDER;
        MODEL_CHECK(frame_try_free_run(model->pool, address, block->frames + 1) == longer ||
                    block->references > 1);
    }
}

void frame_model_verify(struct frame_model *model)
{
    struct frame_problem problem;
    if (!frame_pool_check(model->pool, &problem)) {
        fprintf(stderr,
                "frame_pool_check: %s, frame %#" PRIx64 ", found %#" PRIx64 ", expected %#" PRIx64 "\n",
                problem.what, problem.frame, problem.found, problem.expected);
        MODEL_CHECK(!"frame_pool_check");
    }
    struct frame_ledger ledger;
    frame_pool_ledger(model->pool, &ledger);
    MODEL_CHECK(ledger.difference == 0);
    for (unsigned owner = OWNER_SLABS; owner < OWNER_KEPT; owner++) {
        MODEL_CHECK(ledger.owner_bytes[owner] == model->owned[owner] << FRAME_SHIFT);
    }
    for (uint32_t i = 0; i < model->block_count; i++) {
        struct frame_facts facts;
        const struct frame_model_block *block = &model->blocks[i];
        frame_pool_look(model->pool, phys_addr(block->frame << FRAME_SHIFT), &facts);
        MODEL_CHECK(facts.managed && facts.owner == block->owner && facts.references == block->references &&
                    facts.block.raw == block->frame << FRAME_SHIFT);
    }
}

void frame_model_step(struct frame_model *model, enum frame_model_operation operation, uint32_t a, uint32_t b)
{
    const uint8_t *orders = model->orders;
    enum frame_owner owner = OWNER_SLABS + b % (OWNER_KEPT - OWNER_SLABS);
    uint64_t frame = model->first + (uint64_t)a % (model->end - model->first + 3);
    model->steps++;
    host_cpu = (a >> 24) % model->cpus;
    bool takes = operation == MODEL_ALLOC || operation == MODEL_REQUEST || operation == MODEL_ALLOC_AT ||
                 operation == MODEL_BATCH || operation == MODEL_ZEROED;
    if (takes && frame_model_full(model)) {
        operation = MODEL_FREE_BLOCK;
    }
    switch (operation) {
    case MODEL_ALLOC:
        frame_model_alloc(model, orders[a % 16], owner);
        break;
    case MODEL_FREE_BLOCK:
        if (model->block_count > 0) {
            frame_model_free_block(model, a % model->block_count);
        }
        break;
    case MODEL_REQUEST:
        frame_model_request(model, a, b, owner);
        break;
    case MODEL_ALLOC_AT:
        frame_model_alloc_at(model, b % 3 ? frame & ~((1ULL << orders[b % 16]) - 1) : frame, orders[b % 16],
                             owner);
        break;
    case MODEL_BATCH:
        frame_model_batch(model, a % (FRAME_BATCH * 2), owner);
        break;
    case MODEL_MISTAKE:
        frame_model_mistake(model, frame, orders[b % 16], a);
        break;
    case MODEL_SHARE:
        if (model->block_count > 0) {
            struct frame_model_block *block = &model->blocks[a % model->block_count];
            frame_get(model->pool, phys_addr(block->frame << FRAME_SHIFT));
            block->references++;
        }
        break;
    case MODEL_ZEROED: {
        frame_pool_idle(model->pool);
        phys_addr_t zeroed = frame_alloc_zeroed(model->pool, owner);
        if (zeroed.raw != 0) {
            uint64_t *words = frame_pointer(model->pool, zeroed);
            MODEL_CHECK(words[0] == 0 && words[a % 512] == 0);
            words[a % 512] = ~0ULL;
            frame_model_took(model, zeroed, 1, owner);
        }
        break;
    }
    case MODEL_DRAIN:
    case MODEL_OPERATION_COUNT:
        frame_pool_drain(model->pool);
        break;
    }
    frame_model_see_descriptors(model);
    MODEL_CHECK(host_preempt_depth == 0);
    MODEL_CHECK(frame_pool_free(model->pool) == model->free);
}

void frame_model_finish(struct frame_model *model)
{
    while (model->block_count > 0) {
        frame_model_free_block(model, model->block_count - 1);
    }
    frame_model_drain_all(model);
    frame_model_verify(model);
    free(model->frames);
}

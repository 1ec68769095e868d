/*
 * vmalloc against a model: a table of blocks, each page of which holds a mark that is verified through the
 * model MMU before the block goes. One language of operations, three bytes each, for the fuzzer and for long
 * seeded runs. A lost mark, a stale translation that could be used, a mistake that is not named, a failure
 * though there is memory, or anything that does not validate is a bug.
 */
#pragma once

#include "vmalloc_fixture.h"

#define MODEL_SLOTS 32

struct model_block {
    uint8_t *block; /* or NULL */
    uint64_t pages;
    uint64_t mark; /* word n of page n is mark + n */
};

static struct vmalloc_fixture model_fixture;
static struct model_block model_blocks[MODEL_SLOTS];
static uint64_t model_marks;
static bool model_starved;

static inline void model_fill(struct model_block *slot, bool zeroed)
{
    slot->mark = model_marks += 1ULL << 32;
    for (uint64_t page = 0; page < slot->pages; page++) {
        uint64_t *word = vmalloc_word(&model_fixture, slot->block + page * FRAME_BYTES, MMU_WRITE);
        if (zeroed && (word[0] | word[page % 512] | word[511]) != 0) {
            panic("page %" PRIu64 " is not zero", page);
        }
        word[0] = slot->mark + page;
        word[511] = ~word[0];
    }
}

static inline void model_verify(const struct model_block *slot)
{
    for (uint64_t page = 0; page < slot->pages; page++) {
        uint64_t *word = vmalloc_word(&model_fixture, slot->block + page * FRAME_BYTES, MMU_READ);
        if (word[0] != slot->mark + page || word[511] != ~word[0]) {
            panic("page %" PRIu64 " of %" PRIu64 " changed", page, slot->pages);
        }
    }
}

static inline void model_release(struct model_block *slot)
{
    uint64_t target;
    if (!slot->block) {
        return;
    }
    model_verify(slot);
    mmu_model_fill();
    if (vmalloc_bytes(&model_fixture.vmalloc, slot->block) != slot->pages * FRAME_BYTES) {
        panic("wrong length");
    }
    vmalloc_free(&model_fixture.vmalloc, slot->block);
    if (mmu_model_walk(&model_fixture.table, (uintptr_t)slot->block).result == MMU_OK &&
        mmu_model_access(&model_fixture.table, (uintptr_t)slot->block, MMU_READ, false, &target) == MMU_OK) {
        panic("a freed block is still mapped");
    }
    slot->block = NULL;
}

static inline void model_allocate(struct model_block *slot, uint64_t pages, bool zeroed, bool small)
{
    model_release(slot);
    struct vmalloc_request request = {.bytes = pages * FRAME_BYTES - pages % 3,
                                      .owner = OWNER_VMALLOC,
                                      .zeroed = zeroed,
                                      .small_pages = small};
    slot->block = vmalloc_request(&model_fixture.vmalloc, &request);
    slot->pages = pages;
    if (slot->block) {
        model_fill(slot, zeroed);
    } else if (!model_starved) {
        panic("no memory for %" PRIu64 " pages", pages);
    }
}

static inline void model_expect(enum kva_error error, enum kva_error a, enum kva_error b)
{
    if (error != a && error != b) {
        panic("a mistake was answered with: %s", kva_error_name(error));
    }
}

/* Mistakes on purpose: each is named, and changes nothing. */
static inline void model_mistake(const struct model_block *slot)
{
    struct vmalloc *vmalloc = &model_fixture.vmalloc;
    if (slot->block) {
        model_expect(vmalloc_try_free(vmalloc, slot->block + 8, NULL), KVA_INTERIOR, KVA_INTERIOR);
        model_expect(vmalloc_try_free(vmalloc, slot->block - FRAME_BYTES, NULL), KVA_INTERIOR, KVA_INTERIOR);
        if (vmalloc_bytes(vmalloc, slot->block + 8) != 0) {
            panic("an inner address has a length");
        }
    } else {
        void *beyond = (void *)(VMALLOC_ARENA + GIB(4));
        model_expect(vmalloc_try_free(vmalloc, beyond, NULL), KVA_FOREIGN, KVA_FOREIGN);
    }
}

static inline void model_free_twice(struct model_block *slot)
{
    void *block = slot->block;
    if (block) {
        model_release(slot);
        model_expect(vmalloc_try_free(&model_fixture.vmalloc, block, NULL), KVA_WRONG_PURPOSE,
                     KVA_NOT_ALLOCATED);
    }
}

static inline void model_operate(uint8_t operation, uint8_t a, uint8_t b)
{
    struct model_block *slot = &model_blocks[a % MODEL_SLOTS];
    switch (operation % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        model_allocate(slot, 1 + b % 20, operation & 16, false);
        break;
    case 5:
        model_allocate(slot, 1 + b, operation & 16, operation & 32);
        break;
    case 6:
        if (a < 64) {
            model_allocate(slot, 500 + b, operation & 16, operation & 32);
        }
        break;
    case 7:
        model_mistake(slot);
        break;
    case 8:
        model_free_twice(slot);
        break;
    case 9:
        if (b < 32) {
            vmalloc_flush(&model_fixture.vmalloc);
            mmu_model_check();
            vmalloc_fixture_check(&model_fixture);
        } else if (b < 48) { /* memory comes and goes */
            model_starved = b < 40;
            vmalloc_starve(&model_fixture, model_starved ? a * 2 : VMALLOC_FRAMES_MAX);
        }
        break;
    case 10:
        mmu_model_fill();
        break;
    default:
        model_release(slot);
    }
}

static inline void model_start(void)
{
    memset(model_blocks, 0, sizeof model_blocks);
    model_starved = false;
    vmalloc_fixture_start(&model_fixture, MIB(48), GIB(4), 1, true);
}

static inline void model_stop(void)
{
    vmalloc_fixture_check(&model_fixture);
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        model_release(&model_blocks[i]);
    }
    vmalloc_fixture_stop(&model_fixture);
}

#include "vmalloc_model.h"

#include <string.h>

#define MODEL_SLOTS     32
#define MODEL_BYTES     MIB(16)
#define MODEL_PAGES_MAX 3000 /* that may live at once and must be had; of some 3,800 */

struct vmalloc_model_block {
    uint8_t *block; /* or NULL */
    uint64_t pages;
    uint64_t mark; /* word n of page n is mark + n */
};

static struct vmalloc_fixture vmalloc_model_fixture;
static struct vmalloc_model_block vmalloc_model_blocks[MODEL_SLOTS];
static uint64_t vmalloc_model_marks;
static uint64_t vmalloc_model_pages; /* of all blocks */
static bool vmalloc_model_starved;

static void vmalloc_model_fill(struct vmalloc_model_block *slot, bool zeroed)
{
    slot->mark = vmalloc_model_marks += 1ULL << 32;
    for (uint64_t page = 0; page < slot->pages; page++) {
        uint64_t *word = vmalloc_word(&vmalloc_model_fixture, slot->block + page * FRAME_BYTES, MMU_WRITE);
        if (zeroed && (word[0] | word[page % 512] | word[511]) != 0) {
            panic("page %" PRIu64 " is not zero", page);
        }
        word[0] = slot->mark + page;
        word[511] = ~word[0];
    }
}

static void vmalloc_model_verify(const struct vmalloc_model_block *slot)
{
    for (uint64_t page = 0; page < slot->pages; page++) {
        uint64_t *word = vmalloc_word(&vmalloc_model_fixture, slot->block + page * FRAME_BYTES, MMU_READ);
        if (word[0] != slot->mark + page || word[511] != ~word[0]) {
            panic("page %" PRIu64 " of %" PRIu64 " changed", page, slot->pages);
        }
    }
}

static void vmalloc_model_release(struct vmalloc_model_block *slot)
{
    uint64_t target;
    if (!slot->block) {
        return;
    }
    vmalloc_model_verify(slot);
    mmu_model_fill();
    if (vmalloc_bytes(&vmalloc_model_fixture.vmalloc, slot->block) != slot->pages * FRAME_BYTES) {
        panic("wrong length");
    }
    vmalloc_free(&vmalloc_model_fixture.vmalloc, slot->block);
    if (mmu_model_walk(&vmalloc_model_fixture.table, (uintptr_t)slot->block).result == MMU_OK &&
        mmu_model_access(&vmalloc_model_fixture.table, (uintptr_t)slot->block, MMU_READ, false, &target) ==
            MMU_OK) {
        panic("a freed block is still mapped");
    }
    slot->block = NULL;
    vmalloc_model_pages -= slot->pages;
}

static void vmalloc_model_allocate(struct vmalloc_model_block *slot, uint64_t pages, bool zeroed, bool small)
{
    vmalloc_model_release(slot);
    struct vmalloc_request request = {.bytes = pages * FRAME_BYTES - pages % 3,
                                      .owner = OWNER_VMALLOC,
                                      .zeroed = zeroed,
                                      .small_pages = small};
    slot->block = vmalloc_request(&vmalloc_model_fixture.vmalloc, &request);
    slot->pages = pages;
    if (slot->block) {
        vmalloc_model_pages += pages;
        vmalloc_model_fill(slot, zeroed);
    } else if (!vmalloc_model_starved && vmalloc_model_pages + pages <= MODEL_PAGES_MAX) {
        panic("no memory for %" PRIu64 " pages", pages);
    }
}

static void vmalloc_model_expect(enum kva_error error, enum kva_error a, enum kva_error b)
{
    if (error != a && error != b) {
        panic("a mistake was answered with: %s", kva_error_name(error));
    }
}

/* Mistakes on purpose: each is named, and changes nothing. */
static void vmalloc_model_mistake(const struct vmalloc_model_block *slot)
{
    struct vmalloc *vmalloc = &vmalloc_model_fixture.vmalloc;
    if (slot->block) {
        vmalloc_model_expect(vmalloc_try_free(vmalloc, slot->block + 8, NULL), KVA_INTERIOR, KVA_INTERIOR);
        vmalloc_model_expect(vmalloc_try_free(vmalloc, slot->block - FRAME_BYTES, NULL), KVA_INTERIOR,
                             KVA_INTERIOR);
        if (vmalloc_bytes(vmalloc, slot->block + 8) != 0) {
            panic("an inner address has a length");
        }
    } else {
        void *beyond = (void *)(VMALLOC_ARENA + GIB(4));
        vmalloc_model_expect(vmalloc_try_free(vmalloc, beyond, NULL), KVA_FOREIGN, KVA_FOREIGN);
    }
}

static void vmalloc_model_free_twice(struct vmalloc_model_block *slot)
{
    void *block = slot->block;
    if (block) {
        vmalloc_model_release(slot);
        vmalloc_model_expect(vmalloc_try_free(&vmalloc_model_fixture.vmalloc, block, NULL), KVA_WRONG_PURPOSE,
                             KVA_NOT_ALLOCATED);
    }
}

void vmalloc_model_operate(uint8_t operation, uint8_t a, uint8_t b)
{
    struct vmalloc_model_block *slot = &vmalloc_model_blocks[a % MODEL_SLOTS];
    switch (operation % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        vmalloc_model_allocate(slot, 1 + b % 20, operation & 16, false);
        break;
    case 5:
        vmalloc_model_allocate(slot, 1 + b, operation & 16, operation & 32);
        break;
    case 6:
        if (a < 64) {
            vmalloc_model_allocate(slot, 500 + b, operation & 16, operation & 32);
        }
        break;
    case 7:
        vmalloc_model_mistake(slot);
        break;
    case 8:
        vmalloc_model_free_twice(slot);
        break;
    case 9:
        if (b < 32) {
            vmalloc_flush(&vmalloc_model_fixture.vmalloc);
            mmu_model_check();
            vmalloc_fixture_check(&vmalloc_model_fixture);
        } else if (b < 48) { /* memory comes and goes */
            vmalloc_model_starved = b < 40;
            vmalloc_starve(&vmalloc_model_fixture, vmalloc_model_starved ? a * 2 : VMALLOC_FRAMES_MAX);
        }
        break;
    case 10:
        mmu_model_fill();
        break;
    default:
        vmalloc_model_release(slot);
    }
}

void vmalloc_model_start(void)
{
    memset(vmalloc_model_blocks, 0, sizeof vmalloc_model_blocks);
    vmalloc_model_pages = 0;
    vmalloc_model_starved = false;
    vmalloc_fixture_start(&vmalloc_model_fixture, MODEL_BYTES, GIB(4), 1, true);
}

void vmalloc_model_stop(void)
{
    vmalloc_fixture_check(&vmalloc_model_fixture);
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        vmalloc_model_release(&vmalloc_model_blocks[i]);
    }
    vmalloc_fixture_stop(&vmalloc_model_fixture);
}

#include "model.h"

#include <string.h>

#define MODEL_SLOTS   64
#define VIRTUAL_ASKED (MIB(9) + 100) /* more than the machine: no run can serve it */

enum kind { NONE, BLOCK, TYPED };

struct slot {
    uint8_t *pointer; /* first byte */
    size_t bytes;     /* as asked for */
    enum kind kind;   /* how it was allocated */
    uint8_t pattern;  /* byte i holds pattern + i */
};

static struct heap_fixture fixture;
static struct guard_fixture guard;
static struct virtual_source virtuals;
static struct slab_cache cache;
static struct slot slots[MODEL_SLOTS];

#define TYPED_BYTES 72

static size_t heap_model_size_of(uint8_t a, uint8_t b)
{
    static const uint32_t units[] = {1, 8, 40, 300};
    return (size_t)b * units[a & 3] + (a >> 4);
}

/* ---- Slots ---- */

static void heap_model_fill(struct slot *slot)
{
    for (size_t i = 0; i < slot->bytes; i++) {
        slot->pointer[i] = (uint8_t)(slot->pattern + i);
    }
}

static void heap_model_verify(const struct slot *slot, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (slot->pointer[i] != (uint8_t)(slot->pattern + i)) {
            panic("byte %zu of a block of %zu changed", i, slot->bytes);
        }
    }
}

static void heap_model_release(struct slot *slot)
{
    if (slot->kind == NONE) {
        return;
    }
    heap_model_verify(slot, slot->bytes);
    if (slot->kind == TYPED) {
        slab_cache_free(&cache, slot->pointer);
    } else {
        heap_free(&fixture.heap, slot->pointer);
    }
    slot->kind = NONE;
}

static void heap_model_take(struct slot *slot, enum kind kind, void *pointer, size_t bytes, uint8_t pattern)
{
    if (!pointer) {
        return;
    }
    size_t usable = kind == BLOCK ? heap_usable_size(&fixture.heap, pointer) : bytes;
    if (usable < bytes || (uintptr_t)pointer % 8 != 0) {
        panic("%p, of which %zu bytes can be used, for %zu bytes", pointer, usable, bytes);
    }
    *slot = (struct slot){pointer, bytes, kind, pattern};
    heap_model_fill(slot);
}

static void heap_model_expect_zeros(const uint8_t *pointer, size_t bytes)
{
    for (size_t i = 0; pointer && i < bytes; i++) {
        if (pointer[i] != 0) {
            panic("byte %zu of a block of %zu is not zero", i, bytes);
        }
    }
}

/* Allocates in one of all the ways that there are. */
static void heap_model_alloc(struct slot *slot, uint8_t a, uint8_t b)
{
    static const uint8_t source[1024] = {1, 2, 3};
    size_t bytes = heap_model_size_of(a, b);
    size_t count = 1 + b % 7;
    void *pointer = NULL;
    switch (b >> 1 & 7) {
    case 0:
        pointer = heap_alloc_zeroed(&fixture.heap, bytes);
        heap_model_expect_zeros(pointer, bytes);
        break;
    case 1:
        bytes -= bytes % count;
        pointer = heap_alloc_array(&fixture.heap, bytes / count, count);
        heap_model_expect_zeros(pointer, bytes);
        break;
    case 2:
        bytes = min_u64(bytes, sizeof source);
        pointer = heap_duplicate(&fixture.heap, source, bytes);
        if (pointer && memcmp(pointer, source, bytes) != 0) {
            panic("a copy of %zu bytes differs", bytes);
        }
        break;
    case 3:
        bytes = VIRTUAL_BYTES;
        pointer = heap_alloc(&fixture.heap, VIRTUAL_ASKED);
        break;
    default:
        pointer = heap_alloc(&fixture.heap, bytes);
    }
    heap_model_take(slot, BLOCK, pointer, bytes, b);
}

static void heap_model_alloc_aligned(struct slot *slot, uint8_t a, uint8_t b)
{
    uint64_t alignment = 1ULL << a / 16;
    uint8_t *pointer = b & 1 ? heap_alloc_aligned(&fixture.heap, b, alignment)
                             : heap_alloc_aligned_zeroed(&fixture.heap, b, alignment);
    if (pointer && ((uintptr_t)pointer - fixture.heap.slabs.base) % alignment != 0 &&
        (uintptr_t)pointer % alignment != 0) {
        panic("%p is not aligned to %" PRIu64, (void *)pointer, alignment);
    }
    if (!(b & 1)) {
        heap_model_expect_zeros(pointer, b);
    }
    heap_model_take(slot, BLOCK, pointer, b, a);
}

static void heap_model_resize(struct slot *slot, size_t bytes)
{
    void *moved = heap_resize(&fixture.heap, slot->kind == BLOCK ? slot->pointer : NULL, bytes);
    if (!moved) {
        return;
    }
    if (slot->kind == BLOCK) {
        slot->pointer = moved;
        heap_model_verify(slot, slot->bytes < bytes ? slot->bytes : bytes);
    }
    heap_model_take(slot, BLOCK, moved, bytes, (uint8_t)bytes);
}

/* A mistake on purpose: it must be named, and change nothing. */
static void heap_model_mistake(struct slot *slot, uint8_t how)
{
    unsigned before = fixture.reports;
    if (slot->kind == NONE || slot->bytes < 16) {
        return;
    }
    if (how & 1) {
        heap_free(&fixture.heap, slot->pointer + 8);
    } else if (slot->kind == TYPED) {
        heap_free(&fixture.heap, slot->pointer);
    } else {
        slab_cache_free(&cache, slot->pointer);
    }
    if (fixture.reports != before + 1) {
        panic("a mistake was not noticed");
    }
    fixture.reports = before;
}

void heap_model_operate(uint8_t operation, uint8_t a, uint8_t b)
{
    struct slot *slot = &slots[operation % MODEL_SLOTS];
    host_cpu = b & 1;
    switch (a >> 1 & 7) {
    case 0:
    case 1:
        heap_model_release(slot);
        heap_model_alloc(slot, a, b);
        break;
    case 2:
        heap_model_release(slot);
        heap_model_take(slot, TYPED, slab_cache_alloc(&cache), TYPED_BYTES, b);
        break;
    case 3:
        if (slot->kind != TYPED) {
            heap_model_resize(slot, heap_model_size_of(a, b));
        }
        break;
    case 4:
        heap_model_release(slot);
        heap_model_alloc_aligned(slot, a, b);
        break;
    case 5:
        heap_model_mistake(slot, b >> 1);
        break;
    case 6:
        if (b % 16 == 0) {
            slab_reap(&fixture.heap.slabs);
        } else if (b % 16 == 1) {
            /* Mostly off: else the fast paths would hardly be taken. */
            slab_fail_every(&fixture.heap.slabs, a >> 4 > 13 ? a >> 4 : 0);
        } else if (b % 16 == 2) {
            fixture_check(&fixture);
        }
        break;
    default:
        heap_model_release(slot);
    }
}

void heap_model_start(const char *rules)
{
    host_cpu = 0;
    if (fixture_start(&fixture, MIB(8), 2, rules) != SLAB_OK) {
        panic("no heap");
    }
    struct slab_cache_config config = {.name = "typed", .bytes = TYPED_BYTES};
    if (slab_cache_init(&fixture.heap.slabs, &cache, &config) != SLAB_OK) {
        panic("no cache");
    }
    virtual_start(&fixture.heap, &virtuals, VIRTUALS_MAX, VIRTUAL_ASKED);
    if (guard_start(&guard, &fixture.heap.slabs, 16, 8) != SLAB_OK) {
        panic("no guarded slots");
    }
}

void heap_model_stop(void)
{
    slab_fail_every(&fixture.heap.slabs, 0);
    fixture_check(&fixture);
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        heap_model_release(&slots[i]);
    }
    fixture_check(&fixture);
    if (fixture.reports != 0) {
        char text[SLAB_REPORT_BYTES];
        panic("%s", slab_report_text(&fixture.report, NULL, text));
    }
    slab_cache_destroy(&cache);
    guard_stop(&guard);
    fixture_stop(&fixture);
}

void heap_model_run(const char *rules, unsigned operations, unsigned validate_every, uint64_t seed)
{
    heap_model_start(rules);
    for (unsigned i = 0; i < operations; i++) {
        uint64_t random = random_next(&seed);
        /* Mostly small blocks: filling and verifying them is what takes the time. */
        uint8_t a = (uint8_t)(random & (random >> 32 & 63 ? 0xfe : 0xff));
        heap_model_operate((uint8_t)(random >> 8), a, (uint8_t)(random >> 16));
        if (i % validate_every == 0) {
            fixture_check(&fixture);
        }
    }
    heap_model_stop();
}

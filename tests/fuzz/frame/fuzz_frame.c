/*
 * Fuzz target: a memory map and a sequence of operations from the input, done by a frame pool and by its
 * reference model. Input: 4 bytes of options, then 5 ranges of 3 bytes, then operations of 6 bytes.
 * Options: where the map starts; policy and CPUs; bit 0 reclaims boot memory, bit 1 leaves descriptors to be
 * backed as they are used; and a number that makes one map in 16 a large one, with large blocks.
 */
#include "tests/host/frame/model.h"

#include <string.h>
#include <sys/mman.h>

#define RANGES 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct machine machine;
static struct frame_model model;

static bool is_large(const uint8_t *data)
{
    return data[3] % 16 == 7;
}

/* Ranges of up to 256 frames of any type with gaps, the first at an address that the options choose. */
static void build_map(const uint8_t *data)
{
    static const uint64_t starts[] = {0, MIB(1), MIB(15), GIB(1) - MIB(3)};
    uint64_t address = starts[data[0] % ARRAY_LENGTH(starts)];
    machine.map_count = 0;
    for (unsigned i = 0; i < RANGES; i++) {
        const uint8_t *range = data + 4 + (size_t)3 * i;
        uint64_t frames = 1 + (uint64_t)range[0];
        enum memory_type type = range[1] & 0x80 ? MEMORY_USABLE : (range[1] >> 2) % MEMORY_TYPE_COUNT;
        address += (uint64_t)range[2] << (range[1] & 0x40 ? FRAME_SHIFT : 0) & ~(FRAME_BYTES - 1);
        machine_range(&machine, address, frames << FRAME_SHIFT, type);
        address += frames << FRAME_SHIFT;
    }
    machine_range(&machine, address, is_large(data) ? MIB(160) : MIB(1), MEMORY_USABLE);
}

static void forget(void)
{
    host_cpu = 0;
    machine.last_table = 0;
    uint64_t first = machine.map[0].base.raw;
    const struct memory_range *last = &machine.map[machine.map_count - 1];
    uint64_t end = last->base.raw + last->bytes;
    madvise((char *)machine.memory + first, end - first, MADV_DONTNEED);
    memset(&machine.descriptors[first >> FRAME_SHIFT & ~255ULL], 0,
           ((end - first) / FRAME_BYTES + 512) * sizeof(struct frame_descriptor));
}

static void operate(const uint8_t *data, size_t size, bool lazy)
{
    frame_model_init(&model, &machine.pool);
    if (lazy) {
        frame_model_watch(&model, &machine);
    }
    if (is_large(data)) {
        model.orders = frame_model_large_orders;
    }
    for (size_t i = 4 + 3 * RANGES; i + 6 <= size; i += 6) {
        uint32_t a = data[i + 1] | (uint32_t)data[i + 2] << 8 | (uint32_t)data[i + 5] << 24;
        uint32_t b = data[i + 3] | (uint32_t)data[i + 4] << 8 | (uint32_t)data[i + 5] << 16;
        frame_model_step(&model, data[i] % MODEL_OPERATION_COUNT, a, b);
    }
    frame_model_verify(&model);
    frame_model_finish(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 + 3 * RANGES) {
        return 0;
    }
    if (!machine.memory) {
        machine_make(&machine, GIB(2));
    }
    build_map(data);
    const struct frame_policy *policy = data[1] & 1 ? &frame_policy_bitmap : &frame_policy_buddy;
    if (machine_start(&machine, 1 + data[1] / 2 % 3, policy) == FRAME_OK) {
        bool lazy = data[2] & 2;
        if (data[2] & 1) {
            frame_pool_reclaim(&machine.pool, MEMORY_BOOT_RECLAIMABLE);
        }
        if (lazy || frame_pool_back(&machine.pool, phys_addr(0), machine.bytes) == FRAME_OK) {
            operate(data, size, lazy);
        }
    }
    forget();
    return 0;
}

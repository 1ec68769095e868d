#include "memory_map_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_EDGE        64
#define MODEL_CELLS       (2 * MODEL_EDGE + 1)
#define MODEL_DESCRIPTORS 24
#define MODEL_CLAIMS      4
#define MODEL_UNTYPED     MEMORY_TYPE_COUNT
#define MODEL_RAW_BYTES   ((size_t)MODEL_DESCRIPTORS * 72)

struct map_model_bytes {
    const uint8_t *at;
    size_t left;
};

struct map_model_case {
    struct map_model_descriptor descriptors[MODEL_DESCRIPTORS];
    size_t descriptor_count;
    uint64_t descriptor_size;
    struct memory_claim claims[MODEL_CLAIMS];
    size_t claim_count;
};

static unsigned map_model_byte(struct map_model_bytes *bytes)
{
    if (bytes->left == 0) {
        return 0;
    }
    bytes->left--;
    return *bytes->at++;
}

static uint32_t map_model_type(unsigned byte)
{
    static const uint32_t odd[] = {0x70000000, 0x80000000, 0xffffffff, 0x87654321};
    return byte % 20 < 16 ? byte % 20 : odd[byte % 4];
}

static uint64_t map_model_attribute(unsigned byte)
{
    uint64_t attribute = byte & 1 ? 0x7 : 0xf; /* now and then without write-back */
    if ((byte & 0x0e) == 0x0e) {
        attribute |= (uint64_t)1 << 63;
    }
    if ((byte & 0x30) == 0x30) {
        attribute |= (uint64_t)1 << 15;
    }
    if ((byte & 0xc0) == 0xc0) {
        attribute |= (uint64_t)1 << 18;
    }
    return byte < 160 ? 0xf : attribute;
}

static struct map_model_descriptor map_model_descriptor(struct map_model_bytes *bytes)
{
    struct map_model_descriptor descriptor = {.type = map_model_type(map_model_byte(bytes)),
                                              .attribute = map_model_attribute(map_model_byte(bytes))};
    unsigned kind = map_model_byte(bytes);
    uint64_t frame = map_model_byte(bytes) % MODEL_EDGE;
    uint64_t pages = map_model_byte(bytes) % 24;
    uint64_t inside_page = kind & 0x10 ? (map_model_byte(bytes) << 4) : 0;
    switch (kind % 8) {
    case 0: /* so long that it wraps or passes the end */
        descriptor.start = frame * FRAME_BYTES + inside_page;
        descriptor.pages = map_model_byte(bytes) & 1 ? UINT64_MAX - pages : (uint64_t)1 << 40;
        break;
    case 1: /* near the end of the address space, perhaps across it */
        descriptor.start = PHYSICAL_END - (MODEL_EDGE - frame) * FRAME_BYTES + inside_page;
        descriptor.pages = pages;
        break;
    case 2: /* beyond it */
        descriptor.start = PHYSICAL_END + frame * FRAME_BYTES + inside_page;
        descriptor.pages = pages;
        break;
    default: /* among the lowest frames */
        descriptor.start = frame * FRAME_BYTES + inside_page;
        descriptor.pages = frame + pages < MODEL_EDGE ? pages : MODEL_EDGE - 1 - frame;
        break;
    }
    return descriptor;
}

static struct map_model_case map_model_case(const uint8_t *data, size_t length)
{
    static const uint64_t sizes[] = {48, 40, 56, 64, 49, 72};
    struct map_model_bytes bytes = {data, length};
    struct map_model_case result = {.descriptor_size = sizes[map_model_byte(&bytes) % 6]};
    result.claim_count = map_model_byte(&bytes) % (MODEL_CLAIMS + 1);
    for (size_t i = 0; i < result.claim_count; i++) {
        uint64_t base = map_model_byte(&bytes) % MODEL_EDGE;
        uint64_t frames = min_u64(map_model_byte(&bytes) % 8, MODEL_EDGE - base);
        result.claims[i] = (struct memory_claim){phys_addr(base * FRAME_BYTES), frames * FRAME_BYTES,
                                                 map_model_byte(&bytes) % MEMORY_TYPE_COUNT};
    }
    do {
        result.descriptors[result.descriptor_count++] = map_model_descriptor(&bytes);
    } while (bytes.left > 0 && result.descriptor_count < MODEL_DESCRIPTORS);
    return result;
}

/* The type of a descriptor, from a table instead of the code under test. */
static enum memory_type map_model_type_of(const struct map_model_descriptor *descriptor)
{
    static const enum memory_type table[16] = {MEMORY_RESERVED,
                                               MEMORY_BOOT_RECLAIMABLE,
                                               MEMORY_BOOT_RECLAIMABLE,
                                               MEMORY_BOOT_RECLAIMABLE,
                                               MEMORY_BOOT_RECLAIMABLE,
                                               MEMORY_RUNTIME,
                                               MEMORY_RUNTIME,
                                               MEMORY_USABLE,
                                               MEMORY_UNUSABLE,
                                               MEMORY_ACPI_RECLAIMABLE,
                                               MEMORY_ACPI_NVS,
                                               MEMORY_MMIO,
                                               MEMORY_MMIO,
                                               MEMORY_RESERVED,
                                               MEMORY_PERSISTENT,
                                               MEMORY_RESERVED};
    enum memory_type type = descriptor->type < 16 ? table[descriptor->type] : MEMORY_RESERVED;
    bool ram = type == MEMORY_USABLE || type == MEMORY_BOOT_RECLAIMABLE;
    if (ram && (!(descriptor->attribute & 8) || (descriptor->attribute >> 18 & 1))) {
        type = MEMORY_RESERVED;
    } else if (ram && (descriptor->attribute >> 15 & 1)) {
        type = MEMORY_PERSISTENT;
    }
    return descriptor->attribute >> 63 && type < MEMORY_RUNTIME ? MEMORY_RUNTIME : type;
}

/* The first and the last-plus-one byte of a cell. */
static uint64_t map_model_cell_base(size_t cell)
{
    return cell <= MODEL_EDGE ? cell * FRAME_BYTES : PHYSICAL_END - (MODEL_CELLS - cell) * FRAME_BYTES;
}

static uint64_t map_model_cell_end(size_t cell)
{
    return map_model_cell_base(cell + 1);
}

/* What a cell is when only the entries seen so far count; `partial` notes a piece of RAM smaller than the
 * cell. */
struct map_model_cell {
    int type; /* -1: none yet */
    bool partial;
};

static void map_model_cover(struct map_model_cell *cell, size_t index, __uint128_t base, __uint128_t end,
                            int type)
{
    bool touched = base < map_model_cell_end(index) && end > map_model_cell_base(index);
    bool whole = base <= map_model_cell_base(index) && end >= map_model_cell_end(index);
    bool ram = type == MEMORY_USABLE || type == MEMORY_BOOT_RECLAIMABLE;
    if (touched && (whole || !ram) && type > cell->type) {
        cell->type = type;
    } else if (touched && !whole && ram) {
        cell->partial = true;
    }
}

static unsigned map_model_cell_type(const struct map_model_case *input, size_t index)
{
    struct map_model_cell cell = {-1, false};
    bool released = false;
    for (size_t i = 0; i < input->descriptor_count; i++) {
        const struct map_model_descriptor *descriptor = &input->descriptors[i];
        __uint128_t end = descriptor->start + (__uint128_t)descriptor->pages * FRAME_BYTES;
        int type = map_model_type_of(descriptor);
        if (end > PHYSICAL_END && type < MEMORY_RESERVED) {
            type = MEMORY_RESERVED;
        }
        if (descriptor->pages > 0) {
            map_model_cover(&cell, index, descriptor->start, end, type);
        }
    }
    for (size_t i = 0; i < input->claim_count; i++) {
        const struct memory_claim *claim = &input->claims[i];
        uint64_t end = claim->base.raw + claim->bytes;
        map_model_cover(&cell, index, claim->base.raw, end, (int)claim->type);
        released |= claim->type == MEMORY_USABLE && claim->base.raw <= map_model_cell_base(index) &&
                    end >= map_model_cell_end(index);
    }
    if (released && cell.type == MEMORY_BOOT_RECLAIMABLE) {
        cell.type = MEMORY_USABLE;
    }
    if (cell.type < 0) {
        return cell.partial ? MEMORY_RESERVED : MODEL_UNTYPED;
    }
    return index == 0 && cell.type <= MEMORY_BOOT_RECLAIMABLE ? MEMORY_RESERVED : (unsigned)cell.type;
}

/* Lays the descriptors out as the firmware would; what the format leaves open is filled with rubbish. */
static void map_model_raw(const struct map_model_case *input, uint8_t raw[MODEL_RAW_BYTES])
{
    memset(raw, 0xa5, MODEL_RAW_BYTES);
    for (size_t i = 0; i < input->descriptor_count; i++) {
        const struct map_model_descriptor *descriptor = &input->descriptors[i];
        uint8_t *at = raw + i * input->descriptor_size;
        memcpy(at, &descriptor->type, 4);
        memcpy(at + 8, &descriptor->start, 8);
        memcpy(at + 24, &descriptor->pages, 8);
        memcpy(at + 32, &descriptor->attribute, 8);
    }
}

/* Compares a normalised map with the model. Returns NULL, or what differs. */
static const char *map_model_compare(const struct map_model_case *input, const struct memory_range *ranges,
                                     size_t count)
{
    static char difference[160];
    const char *fault = memory_ranges_check(ranges, count, NULL);
    if (fault) {
        snprintf(difference, sizeof difference, "a range %s", fault);
        return difference;
    }
    for (size_t cell = 0; cell < MODEL_CELLS; cell++) {
        uint64_t probes[] = {map_model_cell_base(cell), map_model_cell_end(cell) - 1};
        for (size_t i = 0; i < 2; i++) {
            const struct memory_range *range = memory_ranges_find(ranges, count, phys_addr(probes[i]));
            unsigned actual = range ? range->type : MODEL_UNTYPED;
            unsigned expected = map_model_cell_type(input, cell);
            if (actual != expected) {
                snprintf(difference, sizeof difference, "address 0x%" PRIx64 " is %s, not %s", probes[i],
                         memory_type_name(actual), memory_type_name(expected));
                return difference;
            }
        }
    }
    return NULL;
}

const char *map_model_check(const uint8_t *data, size_t length)
{
    static struct loader_error error;
    struct map_model_case input = map_model_case(data, length);
    size_t raw_bytes = input.descriptor_count * input.descriptor_size;
    uint8_t laid_out[MODEL_RAW_BYTES];
    map_model_raw(&input, laid_out);
    uint8_t *raw = malloc(raw_bytes);
    memcpy(raw, laid_out, raw_bytes);
    size_t workspace_bytes = memory_map_workspace_bytes(input.descriptor_count, input.claim_count);
    size_t capacity = memory_map_range_limit(input.descriptor_count, input.claim_count);
    void *workspace = malloc(workspace_bytes);
    struct memory_range *ranges = malloc(capacity * sizeof *ranges);
    struct memory_map_input map = {raw, raw_bytes, input.descriptor_size, input.claims, input.claim_count};
    size_t count = 0;
    bool done = memory_map_normalise(&map, workspace, workspace_bytes, ranges, capacity, &count, &error);
    const char *difference = done ? map_model_compare(&input, ranges, count) : error.text;
    free(ranges);
    free(workspace);
    free(raw);
    return difference;
}

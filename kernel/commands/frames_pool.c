/* `frames`: the pool of physical frames as a whole. */
#include <ashlar/frame_survey.h>
#include <ashlar/number.h>

#include "frames.h"

/* A magazine by CPU and number, as the pool has it now. */
struct stock {
    uint64_t blocks;
    uint64_t capacity;
};

static struct stock stock_of(const struct frame_pool *pool, unsigned cpu, unsigned index)
{
    const struct frame_magazine *magazine = &pool->cpu[cpu].magazine[index];
    uint32_t top = atomic_load_explicit(&magazine->top, memory_order_relaxed);
    return (struct stock){top - magazine->bottom, magazine->end - magazine->bottom};
}

uint64_t frames_in_magazines(const struct frame_pool *pool, unsigned cpu, uint64_t *capacity)
{
    uint64_t frames = 0;
    *capacity = 0;
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        struct stock stock = stock_of(pool, cpu, i);
        unsigned order = i == FRAME_MAGAZINE_ZERO ? 0 : i;
        frames += stock.blocks << order;
        *capacity += stock.capacity << order;
    }
    return frames;
}

/* Whether all of an arena is free. */
static bool is_whole(const struct frame_arena *arena)
{
    return arena->free_blocks[FRAME_ORDER_MAX] != 0;
}

/* ---- JSON ---- */

static void orders_json(struct json *json, const struct frame_statistics *statistics)
{
    json_array_begin(json, "orders");
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        json_object_begin(json, NULL);
        json_number(json, "order", order);
        json_number(json, "block_bytes", FRAME_BYTES << order);
        json_number(json, "free_blocks", statistics->free_blocks[order]);
        json_number(json, "magazine_blocks", statistics->magazine_blocks[order]);
        json_number(json, "unusable_permille", frame_fragmentation(statistics->free_blocks, order));
        json_object_end(json);
    }
    json_array_end(json);
}

static void magazines_json(struct json *json, const struct frame_pool *pool)
{
    json_array_begin(json, "magazines");
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
            struct stock stock = stock_of(pool, cpu, i);
            json_object_begin(json, NULL);
            json_number(json, "cpu", cpu);
            json_number(json, "order", i == FRAME_MAGAZINE_ZERO ? 0 : i);
            json_bool(json, "zeroed", i == FRAME_MAGAZINE_ZERO);
            json_number(json, "blocks", stock.blocks);
            json_number(json, "capacity", stock.capacity);
            json_object_end(json);
        }
    }
    json_array_end(json);
}

/* Arenas that are wholly free are only counted. */
static void arenas_json(struct json *json, struct frame_pool *pool)
{
    struct frame_arena arena;
    uint64_t whole = 0;
    json_array_begin(json, "arenas");
    for (uint64_t gib = 0; frame_pool_arena(pool, gib, &arena) && !monitor_interrupted(); gib++) {
        whole += is_whole(&arena);
        if (arena.managed_frames > 0 && !is_whole(&arena)) {
            json_object_begin(json, NULL);
            json_hex(json, "base", GIB(gib));
            json_number(json, "managed_bytes", arena.managed_frames << FRAME_SHIFT);
            json_number(json, "free_bytes", arena.free_frames << FRAME_SHIFT);
            json_signed(json, "largest_order", arena.largest_order);
            json_object_end(json);
        }
    }
    json_array_end(json);
    json_number(json, "arenas_all_free", whole);
}

static void pool_json(struct frame_pool *pool, const struct frame_statistics *statistics)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_string(&json, "policy", statistics->policy);
    json_number(&json, "managed_bytes", statistics->managed_frames << FRAME_SHIFT);
    json_number(&json, "free_bytes", statistics->free_frames << FRAME_SHIFT);
    json_number(&json, "magazine_bytes", statistics->magazine_frames << FRAME_SHIFT);
    json_number(&json, "state_bytes", statistics->state_bytes);
    json_number(&json, "descriptor_bytes", statistics->descriptor_bytes);
    json_number(&json, "slow_operations", statistics->slow_operations);
    json_number(&json, "shortages", statistics->shortages);
    json_signed(&json, "largest_order", statistics->largest_order);
    orders_json(&json, statistics);
    magazines_json(&json, pool);
    arenas_json(&json, pool);
    json_object_end(&json);
    json_end(&json);
}

/* ---- For people ---- */

static void print_orders(const struct frame_statistics *statistics)
{
    char size[NUMBER_SIZE_BYTES];
    monitor_print("order     block          free  in magazines  unusable for it\n");
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        unsigned unusable = frame_fragmentation(statistics->free_blocks, order);
        monitor_print("%5u %9s %'13" PRIu64 " %'13" PRIu64 " %11u.%u %%\n", order,
                      number_format_size(size, FRAME_BYTES << order), statistics->free_blocks[order],
                      statistics->magazine_blocks[order], unusable / 10, unusable % 10);
    }
}

static void print_magazines(const struct frame_pool *pool)
{
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        monitor_print("CPU %-3u blocks in magazines, by order:", cpu);
        for (unsigned i = 0; i < FRAME_MAGAZINE_ZERO; i++) {
            struct stock stock = stock_of(pool, cpu, i);
            monitor_print(" %" PRIu64 "/%" PRIu64, stock.blocks, stock.capacity);
        }
        struct stock zeroed = stock_of(pool, cpu, FRAME_MAGAZINE_ZERO);
        monitor_print("; zeroed %" PRIu64 "/%" PRIu64 "\n", zeroed.blocks, zeroed.capacity);
    }
}

/* One line for GiB first to last, of which all are like `arena`. */
static void print_arenas_line(uint64_t first, uint64_t last, const struct frame_arena *arena)
{
    char managed[NUMBER_SIZE_BYTES];
    char free[NUMBER_SIZE_BYTES];
    char largest[NUMBER_SIZE_BYTES];
    if (arena->managed_frames == 0) {
        return;
    }
    monitor_print(
        "%5" PRIu64 " .. %-5" PRIu64 " %11s %11s %11s\n", first, last,
        number_format_size(managed, (last - first + 1) * arena->managed_frames << FRAME_SHIFT),
        number_format_size(free, (last - first + 1) * arena->free_frames << FRAME_SHIFT),
        arena->largest_order < 0 ? "-" : number_format_size(largest, FRAME_BYTES << arena->largest_order));
}

/* Neighbours that are wholly free, or wholly in use, share a line. */
static bool share_line(const struct frame_arena *one, const struct frame_arena *other)
{
    return one->managed_frames == other->managed_frames && one->free_frames == other->free_frames &&
           (one->free_frames == 0 || is_whole(one));
}

static void print_arenas(struct frame_pool *pool)
{
    struct frame_arena first;
    struct frame_arena arena;
    uint64_t start = 0;
    uint64_t gib = 1;
    monitor_print("  GiB             managed        free  largest free block\n");
    frame_pool_arena(pool, 0, &first);
    for (; frame_pool_arena(pool, gib, &arena) && !monitor_interrupted(); gib++) {
        if (!share_line(&first, &arena)) {
            print_arenas_line(start, gib - 1, &first);
            first = arena;
            start = gib;
        }
    }
    print_arenas_line(start, gib - 1, &first);
}

static void print_pool(const struct frame_statistics *statistics)
{
    char managed[NUMBER_SIZE_BYTES];
    char free[NUMBER_SIZE_BYTES];
    char cached[NUMBER_SIZE_BYTES];
    char size[NUMBER_SIZE_BYTES];
    monitor_print("policy %s: %s managed, %s free, and %s in magazines\n", statistics->policy,
                  number_format_size(managed, statistics->managed_frames << FRAME_SHIFT),
                  number_format_size(free, statistics->free_frames << FRAME_SHIFT),
                  number_format_size(cached, statistics->magazine_frames << FRAME_SHIFT));
    if (statistics->largest_order >= 0) {
        monitor_print("largest free block: order %d, %s\n", statistics->largest_order,
                      number_format_size(size, FRAME_BYTES << statistics->largest_order));
    } else {
        monitor_print("no free block\n");
    }
    monitor_print("allocator's state %s, ", number_format_size(size, statistics->state_bytes));
    monitor_print("descriptors %s; ", number_format_size(size, statistics->descriptor_bytes));
    monitor_print("%'" PRIu64 " operations took the lock, %'" PRIu64 " found no memory at first\n",
                  statistics->slow_operations, statistics->shortages);
}

void frames_show_pool(struct monitor_call *call)
{
    struct frame_pool *pool = kernel_frames();
    struct frame_statistics statistics;
    frame_pool_statistics(pool, &statistics);
    if (call->json) {
        pool_json(pool, &statistics);
        return;
    }
    print_pool(&statistics);
    print_orders(&statistics);
    print_magazines(pool);
    print_arenas(pool);
}

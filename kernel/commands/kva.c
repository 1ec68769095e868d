/* Monitor command that shows the kernel's addresses: kva. */
#include <ashlar/kva.h>
#include <ashlar/memory.h>
#include <ashlar/monitor.h>
#include <ashlar/world.h>

static const char *state_name(const struct kva_facts *facts)
{
    static const char *const names[] = {
        [KVA_FREE] = "free", [KVA_TAKEN] = "taken", [KVA_HELD] = "kept for the next"};
    return facts->state == KVA_TAKEN ? facts->purpose->name : names[facts->state];
}

static const char *place_name(const struct kva_facts *facts)
{
    if (facts->place == KVA_INSIDE || facts->state != KVA_TAKEN) {
        return state_name(facts);
    }
    return facts->place == KVA_GUARD_BELOW ? facts->purpose->below : facts->purpose->above;
}

static uint64_t kib(uint64_t bytes)
{
    return bytes >> 10;
}

/* ---- All ranges ---- */

static void print_range(const struct kva_facts *facts)
{
    monitor_print("%#" PRIx64 " %14" PRIu64 " KiB %6" PRIu64 "  %s\n", facts->base.raw, kib(facts->bytes),
                  facts->guard_bytes >> FRAME_SHIFT, state_name(facts));
}

static void print_statistics(struct kva_arena *arena)
{
    struct kva_statistics statistics;
    struct kva_problem problem;
    kva_statistics(arena, &statistics);
    monitor_print("taken    %" PRIu64 " ranges, %" PRIu64 " KiB and %" PRIu64 " KiB of guard pages\n",
                  statistics.taken_ranges, kib(statistics.taken_bytes), kib(statistics.guard_bytes));
    monitor_print("kept     %" PRIu64 " ranges, %" PRIu64 " KiB\n", statistics.held_ranges,
                  kib(statistics.held_bytes));
    monitor_print("free     %" PRIu64 " KiB in %" PRIu64 " stretches, the largest %" PRIu64 " KiB\n",
                  kib(statistics.free_bytes), statistics.free_ranges, kib(statistics.largest_free_bytes));
    monitor_print("records  %" PRIu64 " KiB; %" PRIu64 " slow operations\n", kib(statistics.memory_bytes),
                  statistics.slow_operations);
    if (WORLD_STOPPED(kva_check(arena, &problem))) {
        monitor_print("check    sound\n");
    } else {
        monitor_print("check    %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64 "\n", problem.what,
                      problem.where.raw, problem.found, problem.expected);
    }
}

static void show_all(struct kva_arena *arena)
{
    struct kva_facts facts;
    virt_addr_t at = virt_addr(0);
    monitor_print("%-18s %18s %6s  %s\n", "address", "bytes", "guards", "what");
    while (!monitor_interrupted() && kva_next(arena, &at, &facts)) {
        print_range(&facts);
    }
    print_statistics(arena);
}

static void range_json(struct json *json, const struct kva_facts *facts)
{
    json_object_begin(json, NULL);
    json_hex(json, "base", facts->base.raw);
    json_number(json, "bytes", facts->bytes);
    json_number(json, "guard_bytes", facts->guard_bytes);
    json_string(json, "what", state_name(facts));
    json_bool(json, "taken", facts->state == KVA_TAKEN);
    json_object_end(json);
}

static void all_json(struct kva_arena *arena)
{
    struct json json;
    struct kva_facts facts;
    struct kva_statistics statistics;
    virt_addr_t at = virt_addr(0);
    kva_statistics(arena, &statistics);
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "ranges");
    while (kva_next(arena, &at, &facts)) {
        range_json(&json, &facts);
    }
    json_array_end(&json);
    json_number(&json, "bytes", statistics.bytes);
    json_number(&json, "taken_ranges", statistics.taken_ranges);
    json_number(&json, "taken_bytes", statistics.taken_bytes);
    json_number(&json, "guard_bytes", statistics.guard_bytes);
    json_number(&json, "held_ranges", statistics.held_ranges);
    json_number(&json, "held_bytes", statistics.held_bytes);
    json_number(&json, "free_ranges", statistics.free_ranges);
    json_number(&json, "free_bytes", statistics.free_bytes);
    json_number(&json, "largest_free_bytes", statistics.largest_free_bytes);
    json_number(&json, "memory_bytes", statistics.memory_bytes);
    json_object_end(&json);
    json_end(&json);
}

/* ---- One address ---- */

static void one_json(const struct kva_facts *facts)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_hex(&json, "base", facts->base.raw);
    json_number(&json, "bytes", facts->bytes);
    json_number(&json, "guard_bytes", facts->guard_bytes);
    json_string(&json, "what", place_name(facts));
    json_bool(&json, "taken", facts->state == KVA_TAKEN);
    json_bool(&json, "guard", facts->place != KVA_INSIDE);
    json_object_end(&json);
    json_end(&json);
}

static void show_one(struct monitor_call *call, struct kva_arena *arena, uint64_t address)
{
    struct kva_facts facts;
    if (!kva_look(arena, virt_addr(address), &facts)) {
        monitor_error(call, "%#" PRIx64 " is outside the arena, which is %#" PRIx64 " to %#" PRIx64, address,
                      arena->base.raw, (arena->base.raw + arena->bytes - 1));
    } else if (call->json) {
        one_json(&facts);
    } else {
        monitor_print(
            "%#" PRIx64 ": %s\nrange  %#" PRIx64 ", %" PRIu64 " KiB, %" PRIu64 " guard pages on each side\n",
            address, place_name(&facts), facts.base.raw, kib(facts.bytes), facts.guard_bytes >> FRAME_SHIFT);
    }
}

static void kva_run(struct monitor_call *call)
{
    uint64_t address;
    if (!call->arguments[0]) {
        if (call->json) {
            all_json(kernel_kva());
        } else {
            show_all(kernel_kva());
        }
    } else if (monitor_address(call, call->arguments[0], &address)) {
        show_one(call, kernel_kva(), address);
    }
}

MONITOR_COMMAND(
    kva, kva_run, "[ADDRESS]", "who has which kernel virtual addresses",
    "Shows every range of the kernel's address arena: first byte, length, guard pages on each side,\n"
    "and what it is for; then sums, the largest free stretch, and whether all is sound.\n"
    "Examples:\n"
    "  kva                  all ranges\n"
    "  kva 0xffffd00040001000  the range an address lies in, or which guard page it is\n"
    "  kva -j               {\"ranges\":[{\"base\":...},...],\"free_bytes\":N,...}\n",
    .flags = MONITOR_JSON | MONITOR_SYMBOLS, .arguments_max = 1);

/* Monitor command that shows the kernel's heap: heap. */
#include <ashlar/heap.h>
#include <ashlar/slab_guard.h>
#include <ashlar/string.h>
#include <ashlar/world.h>

#include "heap.h"

static uint64_t kib(uint64_t bytes)
{
    return bytes >> 10;
}

/* ---- Caches ---- */

/* Share of slow operations that were served by magazines and depot, without touching slabs, in percent. */
static uint64_t depot_share(const struct slab_statistics *statistics)
{
    uint64_t served = statistics->swaps + statistics->exchanges;
    uint64_t all = served + statistics->refills + statistics->drains + statistics->direct;
    return all == 0 ? 100 : served * 100 / all;
}

static bool print_cache(void *context, struct slab_cache *cache)
{
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    if (statistics.grown > 0 || *(const bool *)context) {
        monitor_print("%-23s %6u %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " KiB %7" PRIu64
                      " B %5" PRIu64 " %%\n",
                      cache->name, cache->config.bytes, statistics.live, statistics.cached, statistics.slabs,
                      statistics.slab_bytes >> 10, statistics.waste_bytes, depot_share(&statistics));
    }
    return !monitor_interrupted();
}

static void show_caches(bool all)
{
    struct heap_statistics statistics;
    monitor_print("%-23s %6s %9s %7s %7s %11s %9s %7s\n", "cache", "bytes", "live", "cached", "slabs",
                  "memory", "waste", "depot");
    slab_for_each_cache(&kernel_heap.slabs, print_cache, &all);
    heap_statistics(&kernel_heap, &statistics);
    monitor_print("large blocks: %" PRIu64 ", %" PRIu64 " KiB for %" PRIu64
                  " B asked; virtual blocks: %" PRIu64 ", %" PRIu64 " KiB\n",
                  statistics.large_blocks, kib(statistics.large_bytes), statistics.large_asked,
                  statistics.virtual_blocks, kib(statistics.virtual_bytes));
    monitor_print("slabs: %" PRIu64 " KiB, %" PRIu64 " KiB of them waste; magazines %" PRIu64
                  " KiB, records %" PRIu64 " KiB, "
                  "CPUs' parts %" PRIu64 " KiB, quarantine %" PRIu64 " KiB, guarded slots %" PRIu64 " KiB\n",
                  kib(statistics.slab_bytes), kib(statistics.waste_bytes), kib(statistics.magazine_bytes),
                  kib(statistics.slab_records), kib(statistics.part_bytes), kib(statistics.resting_bytes),
                  kib(statistics.guard_bytes));
    const struct slab_guard *guard = kernel_heap.slabs.guard;
    if (guard) {
        monitor_print("guarded slots: %u of %u free, %" PRIu64 " objects sampled, %" PRIu64
                      " without a slot\n",
                      guard->count, guard->config.slots, guard->sampled, guard->missed);
    }
}

/* The members that a cache has in every answer. */
static void cache_members(struct json *json, struct slab_cache *cache)
{
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    json_string(json, "name", cache->name);
    json_number(json, "bytes", cache->config.bytes);
    json_number(json, "live", statistics.live);
    json_number(json, "guarded", statistics.guarded);
    json_number(json, "cached", statistics.cached);
    json_number(json, "resting", statistics.resting);
    json_number(json, "slabs", statistics.slabs);
    json_number(json, "slab_bytes", statistics.slab_bytes);
    json_number(json, "waste_bytes", statistics.waste_bytes);
    json_number(json, "depot_percent", depot_share(&statistics));
    json_number(json, "failed", statistics.failed);
}

static bool cache_json(void *context, struct slab_cache *cache)
{
    struct json *json = context;
    json_object_begin(json, NULL);
    cache_members(json, cache);
    json_object_end(json);
    return true;
}

static void caches_json(void)
{
    struct json json;
    struct heap_statistics statistics;
    heap_statistics(&kernel_heap, &statistics);
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "caches");
    slab_for_each_cache(&kernel_heap.slabs, cache_json, &json);
    json_array_end(&json);
    json_number(&json, "large_blocks", statistics.large_blocks);
    json_number(&json, "large_bytes", statistics.large_bytes);
    json_number(&json, "large_asked", statistics.large_asked);
    json_number(&json, "virtual_blocks", statistics.virtual_blocks);
    json_number(&json, "virtual_bytes", statistics.virtual_bytes);
    json_number(&json, "slab_bytes", statistics.slab_bytes);
    json_number(&json, "waste_bytes", statistics.waste_bytes);
    json_number(&json, "record_bytes", statistics.record_bytes);
    json_number(&json, "magazine_bytes", statistics.magazine_bytes);
    json_number(&json, "slab_record_bytes", statistics.slab_records);
    json_number(&json, "part_bytes", statistics.part_bytes);
    json_number(&json, "quarantine_bytes", statistics.resting_bytes);
    json_number(&json, "guard_bytes", statistics.guard_bytes);
    json_number(&json, "guarded_sampled", kernel_heap.slabs.guard ? kernel_heap.slabs.guard->sampled : 0);
    json_object_end(&json);
    json_end(&json);
}

/* ---- One cache ---- */

struct search {
    const char *name;         /* looked for */
    struct slab_cache *found; /* or NULL */
};

static bool compare_name(void *context, struct slab_cache *cache)
{
    struct search *search = context;
    if (strcmp(cache->name, search->name) == 0) {
        search->found = cache;
    }
    return !search->found;
}

static struct slab_cache *find_cache(const char *name)
{
    struct search search = {name, NULL};
    slab_for_each_cache(&kernel_heap.slabs, compare_name, &search);
    return search.found;
}

static void print_cache_details(const struct slab_cache *cache, const struct slab_statistics *statistics)
{
    monitor_print("%s: objects of %u bytes, aligned to %u, %u bytes apart; %u in a slab of %u frames\n",
                  cache->name, cache->config.bytes, cache->config.alignment, cache->stride, cache->per_slab,
                  1U << cache->order);
    monitor_print("objects   %" PRIu64 " live, %" PRIu64 " in guarded slots, %" PRIu64
                  " in magazines of %u, %" PRIu64 " resting, room for "
                  "%" PRIu64 "\n",
                  statistics->live, statistics->guarded, statistics->cached, cache->capacity,
                  statistics->resting, statistics->objects);
    monitor_print("slabs     %" PRIu64 ", %" PRIu64 " of them empty; %" PRIu64 " made, %" PRIu64
                  " returned\n",
                  statistics->slabs, statistics->empty_slabs, statistics->grown, statistics->returned);
    monitor_print("magazines %" PRIu64 " swaps, %" PRIu64 " exchanges, %" PRIu64 " refills, %" PRIu64
                  " drains, %" PRIu64 " in the depot of at "
                  "most %" PRIu64 "\n",
                  statistics->swaps, statistics->exchanges, statistics->refills, statistics->drains,
                  statistics->depot_magazines, cache->depot_limit);
    monitor_print("policy   %s%s%s%s%s\n", cache->policy ? "" : " none",
                  cache->policy & SLAB_REDZONE ? " redzone" : "",
                  cache->policy & SLAB_POISON ? " poison" : "", cache->policy & SLAB_OWNER ? " owner" : "",
                  cache->policy & SLAB_QUARANTINE ? " quarantine" : "");
    monitor_print("failures  %" PRIu64 " on purpose\n", statistics->failed);
}

static void show_cache(struct slab_cache *cache)
{
    struct slab_statistics statistics;
    struct slab_problem problem;
    slab_cache_statistics(cache, &statistics);
    print_cache_details(cache, &statistics);
    if (WORLD_STOPPED(slab_cache_check(cache, &problem))) {
        monitor_print("check     sound\n");
    } else {
        monitor_print("check     %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64 "\n", problem.what,
                      (uintptr_t)problem.where, problem.found, problem.expected);
    }
}

static void one_cache_json(struct slab_cache *cache)
{
    struct json json;
    struct slab_statistics statistics;
    struct slab_problem problem;
    slab_cache_statistics(cache, &statistics);
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    cache_members(&json, cache);
    json_number(&json, "alignment", cache->config.alignment);
    json_number(&json, "stride", cache->stride);
    json_number(&json, "per_slab", cache->per_slab);
    json_number(&json, "grown", statistics.grown);
    json_number(&json, "returned", statistics.returned);
    json_number(&json, "swaps", statistics.swaps);
    json_number(&json, "exchanges", statistics.exchanges);
    json_number(&json, "refills", statistics.refills);
    json_number(&json, "drains", statistics.drains);
    json_number(&json, "policy", cache->policy);
    json_bool(&json, "sound", WORLD_STOPPED(slab_cache_check(cache, &problem)));
    json_object_end(&json);
    json_end(&json);
}

/* ---- Failures on purpose ---- */

static void answer_fail(struct monitor_call *call, const char *whose, uint64_t every, uint64_t failed)
{
    struct json json;
    if (call->json) {
        monitor_json_begin(&json);
        json_object_begin(&json, NULL);
        json_string(&json, "cache", whose);
        json_number(&json, "every", every);
        json_number(&json, "failed", failed);
        json_object_end(&json);
        json_end(&json);
    } else if (every == 0) {
        monitor_print("%s: no allocation fails on purpose from now on; %" PRIu64 " did so far\n", whose,
                      failed);
    } else {
        monitor_print("%s: one in %" PRIu64 " allocations fails from now on; %" PRIu64 " did so far\n", whose,
                      every, failed);
    }
}

/* `heap fail N [CACHE]`: one cache's allocations, or those of all. */
static void fail(struct monitor_call *call)
{
    const char *name = call->arguments[2];
    struct slab_cache *cache = name ? find_cache(name) : NULL;
    uint64_t every;
    if (!call->arguments[1]) {
        monitor_error(call, "fail needs a number: one in how many allocations fails, 0 for none");
        return;
    }
    if (!monitor_number(call, call->arguments[1], &every)) {
        return;
    }
    if (name && !cache) {
        monitor_error(call, "no cache is called '%s'", name);
        return;
    }
    const struct slab_failing *failing = cache ? &cache->failing : &kernel_heap.slabs.failing;
    uint64_t failed = atomic_load_explicit(&failing->failed, memory_order_relaxed);
    if (cache) {
        slab_cache_fail_every(cache, every);
    } else {
        slab_fail_every(&kernel_heap.slabs, every);
    }
    answer_fail(call, cache ? cache->name : "all caches", every, failed);
}

/* ---- The command ---- */

/* What `heap` shows with one argument. */
static void show_one(struct monitor_call *call, const char *what)
{
    struct slab_cache *cache = find_cache(what);
    uint64_t address;
    if (strcmp(what, "leaks") == 0) {
        heap_show_leaks(call);
    } else if (strcmp(what, "who") == 0) {
        heap_show_sites(call);
    } else if (cache && call->json) {
        one_cache_json(cache);
    } else if (cache) {
        show_cache(cache);
    } else if (monitor_address(call, what, &address)) {
        heap_show_pointer(call, address);
    }
}

static void heap_run(struct monitor_call *call)
{
    const char *what = call->arguments[0];
    if (what && strcmp(what, "fail") == 0) {
        fail(call);
    } else if (call->argument_count > 1) {
        monitor_error(call, "'%s' is too many: only fail takes more than one argument", call->arguments[1]);
    } else if (what) {
        show_one(call, what);
    } else if (call->json) {
        caches_json();
    } else {
        show_caches(monitor_option(call, "-a") != NULL);
    }
}

MONITOR_COMMAND(
    heap, heap_run, "[CACHE|ADDRESS|leaks|who|fail N [CACHE]]",
    "caches of the kernel's heap, and what is in them",
    "Shows every cache that has slabs: object size, live and cached objects, slabs, their memory,\n"
    "what of it no object can use, and how many slow operations magazines and depot served.\n"
    "Examples:\n"
    "  heap               caches in use; -a for all\n"
    "  heap heap-64       one cache, and whether it is sound\n"
    "  heap 0xffff8...    what a pointer is: object or block, cache, state, who allocated\n"
    "  heap leaks         blocks that nothing points to\n"
    "  heap who           bytes by who allocated them (boot with debug=slab:*:owner)\n"
    "  heap fail 10 heap-64  every 10th allocation of a cache (of all, without one) fails; 0 ends it\n"
    "  heap -j            {\"caches\":[{\"name\":...},...],\"large_blocks\":N,...}\n",
    .options = MONITOR_OPTIONS({"-a", NULL, "also caches without slabs"}),
    .words = MONITOR_WORDS("leaks", "who", "fail"), .flags = MONITOR_JSON | MONITOR_SYMBOLS,
    .arguments_max = 3);

/* Monitor command that shows the kernel's heap: heap. */
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/monitor.h>
#include <ashlar/slab_guard.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <ashlar/trap.h>

extern uint64_t data_start[]; /* kernel.ld: what is neither code nor constant */
extern uint64_t data_end[];

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
        monitor_print(
            "%-23s %6u %9llu %7llu %7llu %7llu KiB %7llu B %5llu %%\n", cache->name, cache->config.bytes,
            (unsigned long long)statistics.live, (unsigned long long)statistics.cached,
            (unsigned long long)statistics.slabs, (unsigned long long)statistics.slab_bytes >> 10,
            (unsigned long long)statistics.waste_bytes, (unsigned long long)depot_share(&statistics));
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
    monitor_print(
        "large blocks: %llu, %llu KiB for %llu B asked; records: %llu KiB\n",
        (unsigned long long)statistics.large_blocks, (unsigned long long)statistics.large_bytes >> 10,
        (unsigned long long)statistics.large_asked, (unsigned long long)statistics.record_bytes >> 10);
    const struct slab_guard *guard = kernel_heap.slabs.guard;
    if (guard) {
        monitor_print("guarded slots: %u of %u free, %llu objects sampled, %llu without a slot\n",
                      guard->count, guard->config.slots, (unsigned long long)guard->sampled,
                      (unsigned long long)guard->missed);
    }
}

static bool cache_json(void *context, struct slab_cache *cache)
{
    struct json *json = context;
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    json_object_begin(json, NULL);
    json_string(json, "name", cache->name);
    json_number(json, "bytes", cache->config.bytes);
    json_number(json, "live", statistics.live);
    json_number(json, "cached", statistics.cached);
    json_number(json, "slabs", statistics.slabs);
    json_number(json, "slab_bytes", statistics.slab_bytes);
    json_number(json, "waste_bytes", statistics.waste_bytes);
    json_number(json, "depot_percent", depot_share(&statistics));
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
    json_number(&json, "record_bytes", statistics.record_bytes);
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

static void show_cache(struct slab_cache *cache)
{
    struct slab_statistics statistics;
    struct slab_problem problem;
    slab_cache_statistics(cache, &statistics);
    monitor_print("%s: objects of %u bytes, aligned to %u, %u bytes apart; %u in a slab of %u frames\n",
                  cache->name, cache->config.bytes, cache->config.alignment, cache->stride, cache->per_slab,
                  1U << cache->order);
    monitor_print("objects   %llu live, %llu in magazines of %u, %llu resting, room for %llu\n",
                  (unsigned long long)statistics.live, (unsigned long long)statistics.cached, cache->capacity,
                  (unsigned long long)statistics.resting, (unsigned long long)statistics.objects);
    monitor_print("slabs     %llu, %llu of them empty; %llu made, %llu returned\n",
                  (unsigned long long)statistics.slabs, (unsigned long long)statistics.empty_slabs,
                  (unsigned long long)statistics.grown, (unsigned long long)statistics.returned);
    monitor_print("magazines %llu swaps, %llu exchanges, %llu refills, %llu drains, %llu in the depot of at "
                  "most %llu\n",
                  (unsigned long long)statistics.swaps, (unsigned long long)statistics.exchanges,
                  (unsigned long long)statistics.refills, (unsigned long long)statistics.drains,
                  (unsigned long long)statistics.depot_magazines, (unsigned long long)cache->depot_limit);
    monitor_print("policy   %s%s%s%s%s\n", cache->policy ? "" : " none",
                  cache->policy & SLAB_REDZONE ? " redzone" : "",
                  cache->policy & SLAB_POISON ? " poison" : "", cache->policy & SLAB_OWNER ? " owner" : "",
                  cache->policy & SLAB_QUARANTINE ? " quarantine" : "");
    if (slab_cache_check(cache, &problem)) {
        monitor_print("check     sound\n");
    } else {
        monitor_print("check     %s at %#llx: %#llx, not %#llx\n", problem.what,
                      (unsigned long long)(uintptr_t)problem.where, (unsigned long long)problem.found,
                      (unsigned long long)problem.expected);
    }
}

/* ---- One pointer ---- */

static void show_who(const char *what, const struct slab_who *who)
{
    char text[SYMBOL_TEXT_BYTES];
    if (!who || who->ticks == 0) {
        return;
    }
    monitor_print("%s at tick %llu on CPU %u by\n", what, (unsigned long long)who->ticks, who->cpu);
    for (unsigned i = 0; i < SLAB_STACK_DEPTH && who->stack[i]; i++) {
        monitor_print("    %s\n", symbol_text(virt_of(who->stack[i]), true, text));
    }
}

static void show_pointer(uint64_t address)
{
    static const char *const places[] = {[SLAB_NOWHERE] = "not in a slab",
                                         [SLAB_BETWEEN] = "in a slab, in no object",
                                         [SLAB_LIVE] = "allocated",
                                         [SLAB_FREE] = "free, in its slab",
                                         [SLAB_CACHED] = "free, in a magazine",
                                         [SLAB_RESTING] = "free, in quarantine or a guarded slot"};
    struct slab_facts facts;
    const void *pointer = virt_pointer(virt_addr(address));
    slab_look(&kernel_heap.slabs, pointer, &facts);
    if (facts.place == SLAB_NOWHERE) {
        size_t bytes = heap_usable_size(&kernel_heap, pointer);
        if (bytes > 0) {
            monitor_print("%#llx: a large block of %zu bytes\n", (unsigned long long)address, bytes);
            return;
        }
    }
    monitor_print("%#llx: %s\n", (unsigned long long)address, places[facts.place]);
    if (facts.cache) {
        monitor_print("cache  %s\n", facts.cache->name);
    }
    if (facts.object) {
        monitor_print("object %#llx + %llu, %llu bytes\n", (unsigned long long)(uintptr_t)facts.object,
                      (unsigned long long)facts.offset, (unsigned long long)facts.bytes);
    }
    show_who("allocated", facts.allocated);
    show_who("freed", facts.freed);
}

/* ---- Leaks, and who has what ---- */

static bool show_leak(void *context, const struct heap_block *block)
{
    (void)context;
    monitor_print("%#llx: %llu bytes of %s\n", (unsigned long long)(uintptr_t)block->pointer,
                  (unsigned long long)block->bytes, block->cache ? block->cache->name : "a large block");
    show_who("allocated", block->allocated);
    return !monitor_interrupted();
}

#define ROOTS_MAX 32

/* The kernel's data in as many pieces as guard pages cut it into; returns how many. */
static unsigned data_roots(struct heap_root roots[ROOTS_MAX])
{
    unsigned count = 0;
    bool readable = false;
    for (char *page = (char *)data_start; page < (char *)data_end; page += FRAME_BYTES) {
        uint64_t word;
        bool before = readable;
        readable = memory_try_read(&word, virt_of(page), sizeof word);
        if (readable && !before && count < ROOTS_MAX) {
            roots[count++] = (struct heap_root){page, 0};
        }
        if (readable) {
            roots[count - 1].bytes += FRAME_BYTES;
        }
    }
    return count;
}

static void show_leaks(struct monitor_call *call)
{
    struct heap_root roots[ROOTS_MAX + 1];
    const struct boot_kernel *kernel = &boot_info()->kernel;
    unsigned count = data_roots(roots);
    roots[count++] = (struct heap_root){virt_pointer(kernel->stack_bottom), kernel->stack_bytes};
    int64_t leaks = heap_leaks(&kernel_heap, roots, count, show_leak, NULL);
    if (leaks < 0) {
        monitor_error(call, "no memory for the marks");
        return;
    }
    monitor_print("%lld unreachable blocks\n", (long long)leaks);
}

#define SITES_MAX 64

struct site {
    const void *caller; /* who allocated; NULL where that is not kept */
    uint64_t blocks;
    uint64_t bytes;
};

struct sites {
    struct site site[SITES_MAX]; /* in the order they were met; the last one takes what does not fit */
    unsigned count;              /* used entries */
};

/* The function that asked is the first caller outside the allocator itself: those are skipped by name. */
static const void *caller_of(const struct slab_who *who)
{
    for (unsigned i = 0; who && i < SLAB_STACK_DEPTH && who->stack[i]; i++) {
        struct symbol symbol;
        bool named = symbol_find(virt_of(who->stack[i]), &symbol);
        if (!named || (strncmp(symbol.name, "slab_", 5) != 0 && strncmp(symbol.name, "heap_", 5) != 0 &&
                       strcmp(symbol.name, "note_callers") != 0)) {
            return who->stack[i];
        }
    }
    return NULL;
}

static bool count_site(void *context, const struct heap_block *block)
{
    struct sites *sites = context;
    const void *caller = caller_of(block->allocated);
    unsigned i = 0;
    while (i < sites->count && sites->site[i].caller != caller) {
        i++;
    }
    if (i == SITES_MAX) {
        i = SITES_MAX - 1;
    } else if (i == sites->count) {
        sites->site[sites->count++] = (struct site){.caller = caller};
    }
    sites->site[i].blocks++;
    sites->site[i].bytes += block->bytes;
    return true;
}

static void show_sites(void)
{
    static struct sites sites;
    char text[SYMBOL_TEXT_BYTES];
    memset(&sites, 0, sizeof sites);
    heap_visit(&kernel_heap, count_site, &sites);
    for (unsigned i = 0; i < sites.count && !monitor_interrupted(); i++) {
        const struct site *site = &sites.site[i];
        monitor_print("%12llu B in %8llu blocks  %s\n", (unsigned long long)site->bytes,
                      (unsigned long long)site->blocks,
                      site->caller ? symbol_text(virt_of(site->caller), true, text)
                                   : "not kept: boot with debug=slab:*:owner");
    }
}

static void heap_run(struct monitor_call *call)
{
    const char *what = call->arguments[0];
    uint64_t address;
    if (!what) {
        if (call->json) {
            caches_json();
        } else {
            show_caches(monitor_option(call, "-a") != NULL);
        }
    } else if (strcmp(what, "leaks") == 0) {
        show_leaks(call);
    } else if (strcmp(what, "who") == 0) {
        show_sites();
    } else if (find_cache(what)) {
        show_cache(find_cache(what));
    } else if (monitor_address(call, what, &address)) {
        show_pointer(address);
    }
}

MONITOR_COMMAND(
    heap, heap_run, "[CACHE|ADDRESS|leaks|who]", "caches of the kernel's heap, and what is in them",
    "Shows every cache that has slabs: object size, live and cached objects, slabs, their memory,\n"
    "what of it no object can use, and how many slow operations magazines and depot served.\n"
    "Examples:\n"
    "  heap               caches in use; -a for all\n"
    "  heap kmalloc-64    one cache, and whether it is sound\n"
    "  heap 0xffff8...    what a pointer is: object, cache, state, who allocated\n"
    "  heap leaks         blocks that nothing points to\n"
    "  heap who           bytes by who allocated them (boot with debug=slab:*:owner)\n"
    "  heap -j            {\"caches\":[{\"name\":...},...],\"large_blocks\":N,...}\n",
    .options = MONITOR_OPTIONS({"-a", NULL, "also caches without slabs"}),
    .words = MONITOR_WORDS("leaks", "who"), .flags = MONITOR_JSON | MONITOR_SYMBOLS, .arguments_max = 1);

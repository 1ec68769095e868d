/* The monitor's `heap` for single blocks: what a pointer is, leaks, and who has what. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <ashlar/world.h>

#include "heap.h"
#include "kernel/kernel.h"

/* ---- Who ---- */

static void print_who(const char *what, const struct slab_who *who)
{
    char text[SYMBOL_TEXT_BYTES];
    if (!who || who->ticks == 0) {
        return;
    }
    monitor_print("%s at tick %" PRIu64 " on CPU %u by\n", what, who->ticks, who->cpu);
    for (unsigned i = 0; i < SLAB_STACK_DEPTH && who->stack[i]; i++) {
        monitor_print("    %s\n", symbol_text(virt_of(who->stack[i]), true, text));
    }
}

static void who_json(struct json *json, const char *name, const struct slab_who *who)
{
    char text[SYMBOL_TEXT_BYTES];
    if (!who || who->ticks == 0) {
        return;
    }
    json_array_begin(json, name);
    for (unsigned i = 0; i < SLAB_STACK_DEPTH && who->stack[i]; i++) {
        json_string(json, NULL, symbol_text(virt_of(who->stack[i]), true, text));
    }
    json_array_end(json);
}

/* ---- One pointer ---- */

/* What a pointer is, for the output as text and as JSON. */
struct finding {
    const char *what;                 /* in words */
    const struct slab_cache *cache;   /* or NULL */
    const void *block;                /* first byte of the object or block, or NULL */
    uint64_t offset;                  /* of the pointer in it */
    uint64_t bytes;                   /* its length */
    uint64_t room;                    /* bytes of its frames; 0 for objects */
    const struct slab_who *allocated; /* or NULL */
    const struct slab_who *freed;     /* or NULL */
};

static void find_object(const struct slab_facts *facts, struct finding *finding)
{
    static const char *const places[] = {[SLAB_NONE] = "not the heap's",
                                         [SLAB_BETWEEN] = "in a slab, in no object",
                                         [SLAB_LIVE] = "allocated",
                                         [SLAB_FREE] = "free, in its slab",
                                         [SLAB_CACHED] = "free, in a magazine",
                                         [SLAB_RESTING] = "free, in quarantine or a guarded slot"};
    *finding = (struct finding){.what = places[facts->place],
                                .cache = facts->cache,
                                .block = facts->object,
                                .offset = facts->offset,
                                .bytes = facts->bytes,
                                .allocated = facts->allocated,
                                .freed = facts->freed};
}

static void find(uint64_t address, struct finding *finding)
{
    struct heap_facts facts;
    heap_look(&kernel_heap, virt_pointer(virt_addr(address)), &facts);
    if (facts.kind != HEAP_LARGE && facts.kind != HEAP_VIRTUAL) {
        find_object(&facts.object, finding);
        return;
    }
    *finding = (struct finding){.what = facts.kind == HEAP_LARGE ? "in a large block" : "in a virtual block",
                                .block = facts.block,
                                .offset = facts.offset,
                                .bytes = facts.bytes,
                                .room = facts.room,
                                .allocated = facts.allocated};
}

static void print_finding(uint64_t address, const struct finding *finding)
{
    monitor_print("%#" PRIx64 ": %s\n", address, finding->what);
    if (finding->cache) {
        monitor_print("cache  %s\n", finding->cache->name);
    }
    if (finding->block) {
        monitor_print("%s %#" PRIx64 " + %" PRIu64 ", %" PRIu64 " bytes\n",
                      finding->room ? "block " : "object", (uintptr_t)finding->block, finding->offset,
                      finding->bytes);
    }
    if (finding->room) {
        monitor_print("memory %" PRIu64 " bytes\n", finding->room);
    }
    print_who("allocated", finding->allocated);
    print_who("freed", finding->freed);
}

static void finding_json(uint64_t address, const struct finding *finding)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_hex(&json, "address", address);
    json_string(&json, "what", finding->what);
    if (finding->cache) {
        json_string(&json, "cache", finding->cache->name);
    }
    if (finding->block) {
        json_hex(&json, "block", (uintptr_t)finding->block);
        json_number(&json, "offset", finding->offset);
        json_number(&json, "bytes", finding->bytes);
    }
    if (finding->room) {
        json_number(&json, "room", finding->room);
    }
    who_json(&json, "allocated", finding->allocated);
    who_json(&json, "freed", finding->freed);
    json_object_end(&json);
    json_end(&json);
}

void heap_show_pointer(struct monitor_call *call, uint64_t address)
{
    struct finding finding;
    find(address, &finding);
    if (call->json) {
        finding_json(address, &finding);
    } else {
        print_finding(address, &finding);
    }
}

/* ---- Leaks ---- */

struct leaks {
    struct json *json; /* where they go; NULL: to the terminal */
    bool begun;        /* the answer's first part is written */
};

static void begin_leaks(struct leaks *leaks)
{
    if (leaks->json && !leaks->begun) {
        monitor_json_begin(leaks->json);
        json_object_begin(leaks->json, NULL);
        json_array_begin(leaks->json, "blocks");
    }
    leaks->begun = true;
}

static const char *block_name(const struct heap_block *block)
{
    static const char *const names[] = {[HEAP_NONE] = "",
                                        [HEAP_OBJECT] = "",
                                        [HEAP_LARGE] = "a large block",
                                        [HEAP_VIRTUAL] = "a virtual block"};
    return block->cache ? block->cache->name : names[block->kind];
}

static void leak_json(struct json *json, const struct heap_block *block)
{
    json_object_begin(json, NULL);
    json_hex(json, "block", (uintptr_t)block->pointer);
    json_number(json, "bytes", block->bytes);
    json_string(json, "of", block_name(block));
    who_json(json, "allocated", block->allocated);
    json_object_end(json);
}

static bool show_leak(void *context, const struct heap_block *block)
{
    struct leaks *leaks = context;
    begin_leaks(leaks);
    if (leaks->json) {
        leak_json(leaks->json, block);
        return true;
    }
    monitor_print("%s: %#" PRIx64 ", %" PRIu64 " bytes of %s\n", slab_fault_name(SLAB_LEAK),
                  (uintptr_t)block->pointer, block->bytes, block_name(block));
    print_who("allocated", block->allocated);
    return !monitor_interrupted();
}

void heap_show_leaks(struct monitor_call *call)
{
    struct json json;
    struct leaks leaks = {.json = call->json ? &json : NULL};
    monitor_page_no_more();
    world_stop();
    int64_t count = heap_leaks(&kernel_heap, heap_roots, show_leak, &leaks);
    world_resume();
    if (count < 0) {
        monitor_error(call, "no memory for the marks");
        return;
    }
    begin_leaks(&leaks);
    if (call->json) {
        json_array_end(&json);
        json_signed(&json, "leaks", count);
        json_object_end(&json);
        json_end(&json);
    } else {
        monitor_print("%" PRId64 " unreachable blocks\n", count);
    }
}

/* ---- Who has what ---- */

#define SITES_MAX 64

struct site {
    const void *caller; /* who allocated; NULL where that is not kept */
    uint64_t blocks;
    uint64_t bytes;
};

struct sites {
    struct site site[SITES_MAX]; /* the first so many that were met */
    unsigned count;              /* used entries */
    struct site others;          /* all that did not fit; its caller says nothing */
};

static bool count_site(void *context, const struct heap_block *block)
{
    struct sites *sites = context;
    const void *caller = block->allocated ? block->allocated->stack[0] : NULL;
    unsigned i = 0;
    while (i < sites->count && sites->site[i].caller != caller) {
        i++;
    }
    if (i == sites->count && i < SITES_MAX) {
        sites->site[sites->count++] = (struct site){.caller = caller};
    }
    struct site *site = i < SITES_MAX ? &sites->site[i] : &sites->others;
    site->blocks++;
    site->bytes += block->bytes;
    return true;
}

/* Most bytes first. */
static void sort_sites(struct sites *sites)
{
    for (unsigned i = 1; i < sites->count; i++) {
        struct site moved = sites->site[i];
        unsigned to = i;
        for (; to > 0 && sites->site[to - 1].bytes < moved.bytes; to--) {
            sites->site[to] = sites->site[to - 1];
        }
        sites->site[to] = moved;
    }
}

static void print_site(const struct site *site, const char *name)
{
    monitor_print("%12" PRIu64 " B in %8" PRIu64 " blocks  %s\n", site->bytes, site->blocks, name);
}

static void site_json(struct json *json, const struct site *site, const char *name)
{
    json_object_begin(json, NULL);
    json_string(json, "caller", name);
    json_number(json, "blocks", site->blocks);
    json_number(json, "bytes", site->bytes);
    json_object_end(json);
}

static void show_site(struct json *json, const struct site *site, const char *name)
{
    if (json) {
        site_json(json, site, name);
    } else {
        print_site(site, name);
    }
}

static void show_all_sites(struct json *json, const struct sites *sites)
{
    char text[SYMBOL_TEXT_BYTES];
    for (unsigned i = 0; i < sites->count && (json || !monitor_interrupted()); i++) {
        const void *caller = sites->site[i].caller;
        show_site(json, &sites->site[i],
                  caller ? symbol_text(virt_of(caller), true, text)
                         : "not kept: boot with debug=slab:*:owner");
    }
    if (sites->others.blocks > 0) {
        show_site(json, &sites->others, "others");
    }
}

void heap_show_sites(struct monitor_call *call)
{
    static struct sites sites;
    struct json json;
    memset(&sites, 0, sizeof sites);
    heap_visit(&kernel_heap, count_site, &sites);
    sort_sites(&sites);
    if (!call->json) {
        show_all_sites(NULL, &sites);
        return;
    }
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "sites");
    show_all_sites(&json, &sites);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* Monitor command that shows the kernel's page tables: pt. */
#include <ashlar/memory.h>
#include <ashlar/monitor.h>
#include <ashlar/page_audit.h>
#include <ashlar/page_table_view.h>
#include <ashlar/string.h>
#include <ashlar/trap.h>

static const char *const level_names[] = {"", "PT", "PD", "PDPT", "PML4", "PML5"};
static const char *const size_names[] = {"", "4 KiB", "2 MiB", "1 GiB"};

static const char *cache_name(enum page_cache cache)
{
    switch (cache) {
    case CACHE_WRITE_BACK:
        return "write-back";
    case CACHE_WRITE_COMBINING:
        return "write-combining";
    case CACHE_UNCACHED_WEAK:
        return "uncached-";
    case CACHE_UNCACHED:
        return "uncached";
    case CACHE_WRITE_PROTECTED:
        return "write-protected";
    case CACHE_WRITE_THROUGH:
        return "write-through";
    }
    return "unknown";
}

/* "rw-" and the like: read, write, execute, user, global. */
#define ACCESS_TEXT_BYTES 6
static const char *access_text(unsigned access, char text[ACCESS_TEXT_BYTES])
{
    text[0] = 'r';
    text[1] = access & PAGE_WRITE ? 'w' : '-';
    text[2] = access & PAGE_EXECUTE ? 'x' : '-';
    text[3] = access & PAGE_USER ? 'u' : '-';
    text[4] = access & PAGE_GLOBAL ? 'g' : '-';
    text[5] = '\0';
    return text;
}

static const char *region_name(virt_addr_t address)
{
    struct memory_region region;
    return region_find(address, &region) ? region.name : "nobody's";
}

/* ---- pt walk ---- */

static bool path_parse(const char *name, enum page_table_path *path)
{
    for (unsigned i = 0; i < PAGE_TABLE_PATH_COUNT; i++) {
        if (strcmp(name, page_table_path_name((enum page_table_path)i)) == 0) {
            *path = (enum page_table_path)i;
            return true;
        }
    }
    return false;
}

static void walk_json(virt_addr_t address, enum page_table_path path, const struct page_table_step *steps,
                      unsigned count)
{
    struct page_translation found = page_table_translate(kernel_page_table(), address);
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_hex(&json, "address", address.raw);
    json_string(&json, "via", page_table_path_name(path));
    json_array_begin(&json, "steps");
    for (unsigned i = 0; i < count; i++) {
        json_object_begin(&json, NULL);
        json_number(&json, "level", steps[i].level);
        json_number(&json, "index", steps[i].index);
        json_hex(&json, "table", steps[i].table.raw);
        json_hex(&json, "entry", steps[i].entry.raw);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_bool(&json, "mapped", found.mapped);
    if (found.mapped) {
        char text[ACCESS_TEXT_BYTES];
        json_hex(&json, "physical", found.target.raw);
        json_number(&json, "page_bytes", page_level_bytes(found.level));
        json_string(&json, "access", access_text(found.access, text));
        json_string(&json, "cache", cache_name(found.cache));
    }
    json_object_end(&json);
    json_end(&json);
}

static void walk_print(virt_addr_t address, enum page_table_path path, const struct page_table_step *steps,
                       unsigned count)
{
    struct page_translation found = page_table_translate(kernel_page_table(), address);
    char text[ACCESS_TEXT_BYTES];
    monitor_print("%#llx (%s), via %s\n", (unsigned long long)address.raw, region_name(address),
                  page_table_path_name(path));
    for (unsigned i = 0; i < count; i++) {
        bool present = page_entry_present(steps[i].entry);
        monitor_print("  %-4s[%3u] at %#12llx: %#018llx  %s\n", level_names[steps[i].level], steps[i].index,
                      (unsigned long long)steps[i].table.raw, (unsigned long long)steps[i].entry.raw,
                      present ? access_text(page_entry_access(steps[i].entry), text) : "not present");
    }
    if (found.mapped) {
        monitor_print("  physical %#llx in a %s page, %s, %s\n", (unsigned long long)found.target.raw,
                      size_names[found.level], access_text(found.access, text), cache_name(found.cache));
    }
}

static void walk_run(struct monitor_call *call)
{
    enum page_table_path path = PAGE_TABLE_PHYSMAP;
    const char *via = monitor_option(call, "--via");
    uint64_t number;
    if (call->argument_count != 2) {
        monitor_error(call, "walk takes one address");
        return;
    }
    if (via && !path_parse(via, &path)) {
        monitor_error(
            call, "'%.20s' is no way to page tables: physmap, identity, offset, temporary, recursive", via);
        return;
    }
    if (!monitor_address(call, call->arguments[1], &number)) {
        return;
    }
    struct page_table_view view;
    struct page_table_step steps[PAGE_WALK_STEPS_MAX];
    enum page_table_error error = page_table_view_open(&view, path);
    if (error != PAGE_TABLE_OK) {
        monitor_error(call, "no tables via %s: %s", page_table_path_name(path), page_table_error_name(error));
        return;
    }
    unsigned count = page_table_walk(kernel_page_table(), view.access, virt_addr(number), steps);
    page_table_view_close(&view);
    if (count == 0) {
        monitor_error(call, "%#llx is not canonical", (unsigned long long)number);
    } else if (call->json) {
        walk_json(virt_addr(number), path, steps, count);
    } else {
        walk_print(virt_addr(number), path, steps, count);
    }
}

/* ---- pt dump ---- */

/* Mappings one after the other, alike in everything but their addresses. */
struct run {
    uint64_t base;         /* first byte */
    uint64_t bytes;        /* length; 0 while there is none */
    uint64_t target;       /* first byte in physical memory */
    unsigned access;       /* enum page_access */
    enum page_cache cache; /* how it is cached */
    enum page_level level; /* page size */
};

#define RUNS_MAX 64

/* A page of the dump: printing may wait for a key, and the tables' lock is held while they are looked at. */
struct dump {
    struct run runs[RUNS_MAX];
    unsigned count;
    uint64_t from; /* leaves below are done already */
    bool full;     /* there was no room for all */
};

static void dump_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct dump *dump = context;
    struct run *last = &dump->runs[dump->count == 0 ? 0 : dump->count - 1];
    struct run run = {base.raw,
                      page_level_bytes(level),
                      page_entry_leaf_address(entry, level).raw,
                      page_entry_access(entry),
                      page_entry_cache(entry, level),
                      level};
    if (dump->full || base.raw < dump->from) {
        return;
    }
    if (dump->count != 0 && last->base + last->bytes == run.base &&
        last->target + last->bytes == run.target && last->access == run.access && last->cache == run.cache &&
        last->level == run.level) {
        last->bytes += run.bytes;
    } else if (dump->count < RUNS_MAX) {
        dump->runs[dump->count++] = run;
    } else {
        dump->full = true;
    }
}

static void run_json(struct json *json, const struct run *run)
{
    char text[ACCESS_TEXT_BYTES];
    json_object_begin(json, NULL);
    json_hex(json, "base", run->base);
    json_number(json, "bytes", run->bytes);
    json_hex(json, "physical", run->target);
    json_number(json, "page_bytes", page_level_bytes(run->level));
    json_string(json, "access", access_text(run->access, text));
    json_string(json, "cache", cache_name(run->cache));
    json_object_end(json);
}

static void run_print(const struct run *run)
{
    char text[ACCESS_TEXT_BYTES];
    monitor_print("%016llx  %12llu KiB  -> %012llx  %s  %s  %-15s  %s\n", (unsigned long long)run->base,
                  (unsigned long long)run->bytes >> 10, (unsigned long long)run->target,
                  access_text(run->access, text), size_names[run->level], cache_name(run->cache),
                  region_name(virt_addr(run->base)));
}

/* One half of the address space at most, as ranges of page tables go. */
static void dump_half(uint64_t first, uint64_t last, struct json *json)
{
    static struct dump dump; /* the monitor runs one command at a time */
    dump = (struct dump){.from = first};
    do {
        dump.count = 0;
        dump.full = false;
        uint64_t base = align_down(first, FRAME_BYTES);
        page_table_each(kernel_page_table(), virt_addr(base),
                        align_down(last - base, FRAME_BYTES) + FRAME_BYTES, dump_leaf, &dump);
        for (unsigned i = 0; i < dump.count && !monitor_interrupted(); i++) {
            if (json) {
                run_json(json, &dump.runs[i]);
            } else {
                run_print(&dump.runs[i]);
            }
        }
        if (dump.count != 0) {
            dump.from = dump.runs[dump.count - 1].base + dump.runs[dump.count - 1].bytes;
        }
    } while (dump.full && !monitor_interrupted());
}

static void dump_run(struct monitor_call *call)
{
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    uint64_t half = 1ULL << (page_level_shift(kernel_page_table()->levels + 1) - 1);
    if ((call->argument_count > 1 && !monitor_address(call, call->arguments[1], &first)) ||
        (call->argument_count > 2 && !monitor_address(call, call->arguments[2], &last))) {
        return;
    }
    if (last < first) {
        monitor_error(call, "%#llx lies before %#llx", (unsigned long long)last, (unsigned long long)first);
        return;
    }
    struct json json;
    if (call->json) {
        monitor_json_begin(&json);
        json_array_begin(&json, NULL);
    }
    if (first < half) {
        dump_half(first, min_u64(last, half - 1), call->json ? &json : NULL);
    }
    if (last >= 0 - half) {
        dump_half(max_u64(first, 0 - half), last, call->json ? &json : NULL);
    }
    if (call->json) {
        json_array_end(&json);
        json_end(&json);
    }
}

/* ---- pt audit ---- */

static void audit_json(const struct page_audit *audit, const struct page_table_problem *problem)
{
    struct json json;
    const char *what = audit->what ? audit->what : problem->what;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_bool(&json, "sound", what == NULL);
    json_number(&json, "mappings", audit->leaves);
    json_number(&json, "bytes", audit->bytes);
    json_number(&json, "tables", kernel_page_table()->table_frames);
    json_number(&json, "problems", audit->problems + (problem->what != NULL));
    if (what) {
        json_string(&json, "problem", what);
        json_hex(&json, "address", audit->what ? audit->address.raw : problem->address.raw);
        json_hex(&json, "entry", audit->what ? audit->entry.raw : problem->found);
    }
    json_object_end(&json);
    json_end(&json);
}

static void audit_run(struct monitor_call *call)
{
    static struct page_audit audit; /* the monitor runs one command at a time */
    struct page_table_problem problem = {0};
    page_table_check(kernel_page_table(), &problem);
    page_audit(&audit);
    if (call->json) {
        audit_json(&audit, &problem);
        return;
    }
    monitor_print("%llu mappings of %llu MiB in %llu tables\n", (unsigned long long)audit.leaves,
                  (unsigned long long)audit.bytes >> 20,
                  (unsigned long long)kernel_page_table()->table_frames);
    if (problem.what) {
        monitor_error(call, "%s at %#llx: %#llx, expected %#llx", problem.what,
                      (unsigned long long)problem.address.raw, (unsigned long long)problem.found,
                      (unsigned long long)problem.expected);
    } else if (audit.what) {
        monitor_error(call, "%s: %#llx -> %#llx (%s), and %llu more", audit.what,
                      (unsigned long long)audit.address.raw, (unsigned long long)audit.target.raw,
                      region_name(audit.address), (unsigned long long)(audit.problems - 1));
    } else {
        monitor_print("all have a reason; none is writable and executable by any alias\n");
    }
}

static void pt_run(struct monitor_call *call)
{
    if (strcmp(call->arguments[0], "walk") == 0) {
        walk_run(call);
    } else if (strcmp(call->arguments[0], "dump") == 0) {
        dump_run(call);
    } else if (strcmp(call->arguments[0], "audit") == 0) {
        audit_run(call);
    } else {
        monitor_error(call, "'%.20s' is none of walk, dump, audit", call->arguments[0]);
    }
}

MONITOR_COMMAND(pt, pt_run, "walk ADDRESS | dump [FROM [TO]] | audit", "the kernel's page tables",
                "walk shows every table entry on the way to ADDRESS; --via says how the tables are reached.\n"
                "dump shows what is mapped, neighbours that are alike as one line.\n"
                "audit checks every table and every mapping.\n"
                "Examples:\n"
                "  pt walk kernel_main\n"
                "  pt walk 0xffffffff80000000 --via recursive\n"
                "  pt dump 0xffffd00000000000 0xffffdfffffffffff\n",
                .options = MONITOR_OPTIONS({"--via", "PATH",
                                            "physmap, identity, offset, temporary or recursive"}),
                .words = MONITOR_WORDS("walk", "dump", "audit"), .arguments_min = 1, .arguments_max = 3,
                .flags = MONITOR_JSON | MONITOR_SYMBOLS);

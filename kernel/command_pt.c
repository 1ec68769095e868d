/* Monitor command that shows the kernel's page tables: pt. */
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/monitor.h>
#include <ashlar/page_audit.h>
#include <ashlar/page_table_view.h>
#include <ashlar/string.h>
#include <ashlar/trap.h>

static const char *const level_names[] = {"", "PT", "PD", "PDPT", "PML4", "PML5"};
static const char *const size_names[] = {"", "4 KiB", "2 MiB", "1 GiB"};

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
        json_string(&json, "cache", page_cache_name(found.cache));
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
                      size_names[found.level], access_text(found.access, text), page_cache_name(found.cache));
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

static void run_json(struct json *json, const struct page_run *run)
{
    char text[ACCESS_TEXT_BYTES];
    json_object_begin(json, NULL);
    json_hex(json, "base", run->base.raw);
    json_number(json, "bytes", run->bytes);
    json_hex(json, "physical", run->target.raw);
    json_number(json, "page_bytes", page_level_bytes(run->level));
    json_string(json, "access", access_text(run->access, text));
    json_string(json, "cache", page_cache_name(run->cache));
    json_object_end(json);
}

static void run_print(const struct page_run *run)
{
    char text[ACCESS_TEXT_BYTES];
    monitor_print("%016llx  %12llu KiB  -> %012llx  %s  %s  %-15s  %s\n", (unsigned long long)run->base.raw,
                  (unsigned long long)run->bytes >> 10, (unsigned long long)run->target.raw,
                  access_text(run->access, text), size_names[run->level], page_cache_name(run->cache),
                  region_name(run->base));
}

static void dump_run(struct monitor_call *call)
{
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    if ((call->argument_count > 1 && !monitor_address(call, call->arguments[1], &first)) ||
        (call->argument_count > 2 && !monitor_address(call, call->arguments[2], &last))) {
        return;
    }
    if (last < first) {
        monitor_error(call, "%#llx lies before %#llx", (unsigned long long)last, (unsigned long long)first);
        return;
    }
    struct page_runs walk;
    struct page_run run;
    struct json json;
    page_runs_start(&walk, kernel_page_table(), virt_addr(first), virt_addr(last));
    if (!call->json) {
        while (!monitor_interrupted() && page_runs_next(&walk, &run)) {
            run_print(&run);
        }
        return;
    }
    monitor_json_begin(&json);
    json_array_begin(&json, NULL);
    while (page_runs_next(&walk, &run)) {
        run_json(&json, &run);
    }
    json_array_end(&json);
    json_end(&json);
}

/* ---- pt audit ---- */

static void audit_json(const struct page_audit *audit)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_bool(&json, "sound", audit->problems == 0);
    json_number(&json, "sets", audit->sets);
    json_number(&json, "mappings", audit->mappings);
    json_number(&json, "bytes", audit->bytes);
    json_number(&json, "tables", audit->tables);
    json_number(&json, "problems", audit->problems);
    if (audit->problems != 0) {
        json_string(&json, "problem", audit->what);
        json_string(&json, "whose", audit->whose);
        json_hex(&json, "address", audit->run.base.raw);
        json_hex(&json, "physical", audit->run.target.raw);
        json_number(&json, "run_bytes", audit->run.bytes);
    }
    json_object_end(&json);
    json_end(&json);
}

static void audit_run(struct monitor_call *call)
{
    static struct page_audit audit; /* the monitor runs one command at a time */
    char text[ACCESS_TEXT_BYTES];
    page_audit(&audit);
    if (call->json) {
        audit_json(&audit);
        return;
    }
    monitor_print("%llu mappings of %llu MiB, %llu sets of page tables, %llu tables in all\n",
                  (unsigned long long)audit.mappings, (unsigned long long)audit.bytes >> 20,
                  (unsigned long long)audit.sets, (unsigned long long)audit.tables);
    if (audit.problems == 0) {
        monitor_print("all have a reason; none is writable and executable by any alias\n");
        return;
    }
    if (audit.unsound.what) {
        monitor_print("a table itself: %s at %#llx: %#llx, expected %#llx\n", audit.unsound.what,
                      (unsigned long long)audit.unsound.address.raw, (unsigned long long)audit.unsound.found,
                      (unsigned long long)audit.unsound.expected);
    }
    monitor_error(call, "%s: %#llx, %llu KiB -> %#llx, %s (%s, tables: %s), and %llu more", audit.what,
                  (unsigned long long)audit.run.base.raw, (unsigned long long)audit.run.bytes >> 10,
                  (unsigned long long)audit.run.target.raw, access_text(audit.run.access, text),
                  region_name(audit.run.base), audit.whose, (unsigned long long)(audit.problems - 1));
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

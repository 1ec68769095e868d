/* Monitor command that shows page tables: pt. */
#include <ashlar/format.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/monitor.h>
#include <ashlar/page_audit.h>
#include <ashlar/page_table_view.h>
#include <ashlar/string.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/world.h>

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

/* What an entry allows, or what it is instead of being present. */
#define ENTRY_TEXT_BYTES 32
static const char *entry_text(const struct page_walk_step *step, char text[ENTRY_TEXT_BYTES])
{
    enum page_entry_kind kind = page_entry_kind(step->entry, step->level);
    switch (kind) {
    case ENTRY_TABLE:
    case ENTRY_LEAF:
        return access_text(page_entry_access(step->entry), text);
    case ENTRY_SWAPPED:
        format(text, ENTRY_TEXT_BYTES, "swapped, slot %u", page_entry_slot(step->entry));
        return text;
    case ENTRY_ABSENT:
    case ENTRY_INACCESSIBLE:
    case ENTRY_HELD:
        break;
    }
    return page_entry_kind_name(kind);
}

static const char *region_name(virt_addr_t address)
{
    struct memory_region region;
    return region_find(address, &region) ? region.name : "nobody's";
}

/* The tables that --space names, the kernel's without; NULL, with an error, when there are none. *owner
 * becomes the space they belong to, with a reference, or NULL. */
static struct page_table *tables_of(struct monitor_call *call, struct vm_space **owner)
{
    const char *space = monitor_option(call, "--space");
    uint64_t number;
    *owner = NULL;
    if (!space) {
        return kernel_page_table();
    }
    if (strcmp(space, "uefi") == 0) {
        if (!address_space_runtime()) {
            monitor_error(call, "there are no tables for UEFI runtime calls");
        }
        return address_space_runtime();
    }
    if (!monitor_number(call, space, &number)) {
        return NULL;
    }
    *owner = number < VM_SPACES_MAX ? vm_space_get(kernel_vm_manager(), (uint32_t)number) : NULL;
    if (!*owner) {
        monitor_error(call, "there is no space %.20s; 'vm' lists them", space);
        return NULL;
    }
    return (*owner)->table;
}

/* ---- pt walk ---- */

/* A finished walk. */
struct walk {
    struct page_table *table;                         /* the tables */
    const char *space;                                /* their name as typed; NULL for the kernel's */
    enum page_table_path path;                        /* how they were read */
    virt_addr_t address;                              /* the address that was looked up */
    unsigned count;                                   /* entries of `steps` */
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX]; /* from the root down */
};

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

static void walk_json(const struct walk *walk)
{
    struct page_translation found = page_table_translate(walk->table, walk->address);
    const struct page_walk_step *steps = walk->steps;
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_hex(&json, "address", walk->address.raw);
    json_string(&json, "space", walk->space ? walk->space : "kernel");
    json_string(&json, "via", page_table_path_name(walk->path));
    json_array_begin(&json, "steps");
    for (unsigned i = 0; i < walk->count; i++) {
        json_object_begin(&json, NULL);
        json_number(&json, "level", steps[i].level);
        json_number(&json, "index", steps[i].index);
        json_hex(&json, "table", steps[i].table.raw);
        json_hex(&json, "entry", steps[i].entry.raw);
        json_string(&json, "kind", page_entry_kind_name(page_entry_kind(steps[i].entry, steps[i].level)));
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

static void walk_print(const struct walk *walk)
{
    struct page_translation found = page_table_translate(walk->table, walk->address);
    const struct page_walk_step *steps = walk->steps;
    char text[ENTRY_TEXT_BYTES];
    monitor_print("%#" PRIx64 " (%s), %s%s, via %s\n", walk->address.raw, region_name(walk->address),
                  walk->space ? "space " : "kernel's tables", walk->space ? walk->space : "",
                  page_table_path_name(walk->path));
    for (unsigned i = 0; i < walk->count; i++) {
        monitor_print("  %-4s[%3u] at %#12" PRIx64 ": %#018" PRIx64 "  %s\n", level_names[steps[i].level],
                      steps[i].index, steps[i].table.raw, steps[i].entry.raw, entry_text(&steps[i], text));
    }
    if (found.mapped) {
        monitor_print("  physical %#" PRIx64 " in a %s page, %s, %s\n", found.target.raw,
                      size_names[found.level], access_text(found.access, text), page_cache_name(found.cache));
    }
}

/* Does the walk; false, with an error, when the tables cannot be reached that way. */
static bool do_walk(struct monitor_call *call, struct walk *walk)
{
    struct page_table_view view;
    enum page_table_error error = page_table_view_open(&view, walk->path);
    if (error != PAGE_TABLE_OK) {
        monitor_error(call, "no tables via %s: %s", page_table_path_name(walk->path),
                      page_table_error_name(error));
        return false;
    }
    walk->count = page_table_walk(walk->table, view.access, walk->address, walk->steps);
    page_table_view_close(&view);
    return true;
}

static void walk_run(struct monitor_call *call, struct page_table *table)
{
    struct walk done = {.table = table, .space = monitor_option(call, "--space"), .path = PAGE_TABLE_PHYSMAP};
    const char *via = monitor_option(call, "--via");
    if (call->argument_count != 2) {
        monitor_error(call, "walk takes one address");
    } else if (via && !path_parse(via, &done.path)) {
        monitor_error(
            call, "'%.20s' is no way to page tables: physmap, identity, offset, temporary, recursive", via);
    } else if (!monitor_address(call, call->arguments[1], &done.address.raw) || !do_walk(call, &done)) {
        return;
    } else if (done.count == 0) {
        monitor_error(call, "%#" PRIx64 " is not canonical", done.address.raw);
    } else if (call->json) {
        walk_json(&done);
    } else {
        walk_print(&done);
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
    monitor_print("%016" PRIx64 "  %12" PRIu64 " KiB  -> %012" PRIx64 "  %s  %s  %-15s  %s\n", run->base.raw,
                  run->bytes >> 10, run->target.raw, access_text(run->access, text), size_names[run->level],
                  page_cache_name(run->cache), region_name(run->base));
}

static void dump_run(struct monitor_call *call, struct page_table *table)
{
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    if ((call->argument_count > 1 && !monitor_address(call, call->arguments[1], &first)) ||
        (call->argument_count > 2 && !monitor_address(call, call->arguments[2], &last))) {
        return;
    }
    if (last < first) {
        monitor_error(call, "%#" PRIx64 " lies before %#" PRIx64, last, first);
        return;
    }
    struct page_runs walk;
    struct page_run run;
    struct json json;
    page_runs_start(&walk, table, virt_addr(first), virt_addr(last));
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
    world_stop();
    page_audit(&audit);
    world_resume();
    if (call->json) {
        audit_json(&audit);
        return;
    }
    monitor_print("%" PRIu64 " mappings of %" PRIu64 " MiB, %" PRIu64 " sets of page tables, %" PRIu64
                  " tables in all\n",
                  audit.mappings, audit.bytes >> 20, audit.sets, audit.tables);
    if (audit.problems == 0) {
        monitor_print("all have a reason; none is writable and executable by any alias\n");
        return;
    }
    if (audit.unsound.what) {
        monitor_print("a table itself: %s at %#" PRIx64 ": %#" PRIx64 ", expected %#" PRIx64 "\n",
                      audit.unsound.what, audit.unsound.address.raw, audit.unsound.found,
                      audit.unsound.expected);
    }
    monitor_error(
        call, "%s: %#" PRIx64 ", %" PRIu64 " KiB -> %#" PRIx64 ", %s (%s, tables: %s), and %" PRIu64 " more",
        audit.what, audit.run.base.raw, audit.run.bytes >> 10, audit.run.target.raw,
        access_text(audit.run.access, text), region_name(audit.run.base), audit.whose, audit.problems - 1);
}

/* Whether the word takes the options that were given; if not, answers with an error. */
static bool takes_options(struct monitor_call *call)
{
    const char *what = call->arguments[0];
    bool audit = strcmp(what, "audit") == 0;
    bool via = monitor_option(call, "--via") != NULL;
    if (audit && call->argument_count > 1) {
        monitor_error(call, "audit takes no argument, not '%.40s'", call->arguments[1]);
    } else if (via && strcmp(what, "walk") != 0) {
        monitor_error(call, "%s takes no --via: only walk does", what);
    } else if (monitor_option(call, "--space") && (via || audit)) {
        monitor_error(call, via ? "--via is for the kernel's own tables" : "audit looks at all spaces");
    } else {
        return true;
    }
    return false;
}

static void pt_run(struct monitor_call *call)
{
    const char *what = call->arguments[0];
    bool is_walk = strcmp(what, "walk") == 0;
    bool is_audit = strcmp(what, "audit") == 0;
    if (!is_walk && !is_audit && strcmp(what, "dump") != 0) {
        monitor_error(call, "'%.20s' is none of walk, dump, audit", what);
        return;
    }
    struct vm_space *owner = NULL;
    struct page_table *table = takes_options(call) ? tables_of(call, &owner) : NULL;
    if (!table) {
        return;
    }
    if (owner) {
        monitor_page_no_more(); /* a program that ends waits for our reference */
    }
    if (is_audit) {
        audit_run(call);
    } else if (is_walk) {
        walk_run(call, table);
    } else {
        dump_run(call, table);
    }
    if (owner) {
        vm_space_put(owner);
    }
}

MONITOR_COMMAND(pt, pt_run, "walk ADDRESS | dump [FROM [TO]] | audit", "page tables",
                "walk shows every table entry on the way to ADDRESS; --via says how the tables are reached.\n"
                "dump shows what is mapped, neighbours that are alike as one line.\n"
                "audit checks every table and every mapping.\n"
                "Examples:\n"
                "  pt walk kernel_main\n"
                "  pt walk 0xffffffff80000000 --via recursive\n"
                "  pt dump 0xffffd00000000000 0xffffdfffffffffff\n"
                "  pt dump --space uefi 0 0x7fffffffffff\n",
                .options = MONITOR_OPTIONS(
                    {"--via", "PATH", "physmap, identity, offset, temporary or recursive"},
                    {"--space", "SPACE", "tables of a space, by its number ('vm' lists them), or 'uefi'"}),
                .words = MONITOR_WORDS("walk", "dump", "audit"), .arguments_min = 1, .arguments_max = 3,
                .flags = MONITOR_JSON | MONITOR_SYMBOLS);

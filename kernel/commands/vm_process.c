/* `vm PID`: what a process has of memory. */
#include "kernel/linux/proc/regions.h"
#include "vm.h"

/* The process as it is now, with its space; false, and it is said why, where there is none. */
static bool look(struct monitor_call *call, uint32_t number, struct proc_facts *facts)
{
    struct proc_what what;
    if (!proc_find(number, &what) || proc_look(&what, facts) != 0) {
        monitor_error(call, "there is no process %u", number);
        return false;
    }
    if (!facts->space) {
        monitor_error(call, "process %u has ended, and has no memory any more", number);
        proc_let_go(facts);
        return false;
    }
    return true;
}

static void access_text(unsigned access, bool shared, char text[5])
{
    text[0] = access & VM_READ ? 'r' : '-';
    text[1] = access & VM_WRITE ? 'w' : '-';
    text[2] = access & VM_EXECUTE ? 'x' : '-';
    text[3] = shared ? 's' : 'p';
    text[4] = 0;
}

static void add(struct vm_counts *sum, const struct vm_counts *counts)
{
    sum->resident += counts->resident;
    sum->shared += counts->shared;
    sum->swapped += counts->swapped;
    sum->large += counts->large;
}

static void print_counts(const struct vm_counts *counts)
{
    monitor_print(" %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64, counts->resident, counts->shared,
                  counts->swapped, counts->large);
}

static void counts_json(struct json *json, const struct vm_counts *counts)
{
    json_number(json, "resident", counts->resident);
    json_number(json, "shared", counts->shared);
    json_number(json, "swapped", counts->swapped);
    json_number(json, "large", counts->large);
}

static void region_json(struct json *json, const struct proc_region *region, const struct vm_counts *counts)
{
    char access[5];
    access_text(region->facts.access, region->facts.shared, access);
    json_object_begin(json, NULL);
    json_hex(json, "base", region->base);
    json_number(json, "bytes", region->end - region->base);
    json_string(json, "access", access);
    json_string(json, "source", vm_source_name(region->facts.source));
    counts_json(json, counts);
    json_string(json, "name", region->name);
    json_object_end(json);
}

static void print_region(const struct proc_region *region, const struct vm_counts *counts)
{
    char access[5];
    access_text(region->facts.access, region->facts.shared, access);
    monitor_print("%016" PRIx64 " - %016" PRIx64 " %s %-8s", region->base, region->end - 1, access,
                  vm_source_name(region->facts.source));
    print_counts(counts);
    monitor_print("  %s\n", region->name);
}

/* Shows all regions, as text or, with json, as an array; *sum: of all. */
static void show_regions(const struct proc_facts *facts, struct json *json, struct vm_counts *sum)
{
    struct proc_region region;
    struct vm_counts counts;
    uint64_t at = 0;
    bool found = true;
    while (found && !monitor_interrupted()) {
        found = proc_region_begin(facts, at, &region) == 1;
        if (found) {
            vm_space_count(facts->space, virt_addr(region.base), region.end - region.base, &counts);
            if (json) {
                region_json(json, &region, &counts);
            } else {
                print_region(&region, &counts);
            }
            add(sum, &counts);
            at = region.end;
        }
        proc_region_end(&region);
    }
}

static void show_json(const struct proc_facts *facts)
{
    struct vm_counts sum = {.resident = 0};
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "process", facts->number);
    json_string(&json, "name", facts->name);
    json_number(&json, "space", facts->space->number);
    json_array_begin(&json, "regions");
    show_regions(facts, &json, &sum);
    json_array_end(&json);
    counts_json(&json, &sum);
    json_number(&json, "peak", facts->peak);
    json_number(&json, "tables", facts->tables);
    json_number(&json, "region_bytes", facts->bytes);
    json_number(&json, "faults", facts->faults);
    json_object_end(&json);
    json_end(&json);
}

static void show_text(const struct proc_facts *facts)
{
    struct vm_counts sum = {.resident = 0};
    monitor_print("%-38s %-13s %9s %9s %9s %9s  pages of 4 KiB\n", "from               to", "", "resident",
                  "shared", "swapped", "large");
    show_regions(facts, NULL, &sum);
    monitor_print("%-52s", "all");
    print_counts(&sum);
    monitor_print("\nprocess %u \"%s\", space %u: %" PRIu64 " KiB promised, at most %" PRIu64
                  " pages resident, %" PRIu64 " tables, %" PRIu64 " faults\n",
                  facts->number, facts->name, facts->space->number, facts->bytes >> 10, facts->peak,
                  facts->tables, facts->faults);
}

void command_vm_process(struct monitor_call *call, uint32_t number)
{
    struct proc_facts facts;
    if (!look(call, number, &facts)) {
        return;
    }
    monitor_page_no_more(); /* a process that ends waits for our reference */
    if (call->json) {
        show_json(&facts);
    } else {
        show_text(&facts);
    }
    proc_let_go(&facts);
}

void command_vm_process_address(struct monitor_call *call, uint32_t number, uint64_t address)
{
    struct proc_facts facts;
    struct json json;
    if (!look(call, number, &facts)) {
        return;
    }
    monitor_page_no_more();
    if (address < facts.space->base || address >= facts.space->end) {
        monitor_error(call, "%#" PRIx64 " is no address of a program", address);
    } else if (call->json) {
        monitor_json_begin(&json);
        command_vm_look(facts.space, address, &json);
        json_end(&json);
    } else {
        command_vm_look(facts.space, address, NULL);
    }
    proc_let_go(&facts);
}

/* Monitor command that shows address spaces: vm. */
#include <ashlar/memory.h>
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/string.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/world.h>

#include "kernel/linux/tree.h"
#include "vm.h"

/* Calls `show` for every space until it returns false. */
static void each_space(bool (*show)(struct vm_space *space, void *context), void *context)
{
    struct vm_manager *manager = kernel_vm_manager();
    struct vm_space *space;
    bool more = true;
    monitor_page_no_more(); /* a program that ends waits for our reference */
    for (uint32_t number = 0; more && (space = vm_space_get_next(manager, &number));) {
        more = show(space, context);
        vm_space_put(space);
    }
}

/* ---- Spaces and regions ---- */

static void count_all(struct vm_space *space, struct vm_counts *counts)
{
    vm_space_count(space, virt_addr(space->base), space->end - space->base, counts);
}

static void show_region(struct vm_space *space, const struct vm_region_facts *region)
{
    struct vm_counts counts;
    char access[4];
    vm_space_count(space, region->base, region->bytes, &counts);
    monitor_print("  %016" PRIx64 " - %016" PRIx64 " %s %-8s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "  %s%s\n",
                  region->base.raw, (region->base.raw + region->bytes - 1), command_vm_access(region, access),
                  vm_source_name(region->source), counts.resident, counts.shared,
                  (counts.zero + counts.device), region->name[0] ? region->name : "-",
                  region->large ? " (2 MiB pages)" : "");
}

static void show_faults(const struct vm_space *space)
{
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        if (space->faults[i] != 0) {
            monitor_print("  %10" PRIu64 " faults: %s\n", space->faults[i], vm_fault_name((enum vm_fault)i));
        }
    }
}

static bool show_space(struct vm_space *space, void *context)
{
    struct vm_counts counts;
    struct vm_region_facts region;
    (void)context;
    count_all(space, &counts);
    monitor_print("space %u \"%s\": %" PRIu64 " regions, %" PRIu64 " KiB promised, %" PRIu64
                  " pages resident, %" PRIu64 " of them "
                  "shared, %" PRIu64 " tables\n",
                  space->number, space->name, space->region_count, space->region_bytes >> 10, counts.resident,
                  counts.shared, vm_space_tables(space));
    if (space->region_count != 0) {
        monitor_print("  %-16s   %-16s %-3s %-8s %8s %8s %8s  %s\n", "from", "to", "", "source", "resident",
                      "shared", "no frame", "name");
    }
    for (uint64_t at = 0; vm_space_next(space, virt_addr(at), &region) && !monitor_interrupted();) {
        show_region(space, &region);
        at = region.base.raw + region.bytes;
    }
    show_faults(space);
    return !monitor_interrupted();
}

static void counts_json(struct json *json, const struct vm_counts *counts)
{
    json_number(json, "resident", counts->resident);
    json_number(json, "shared", counts->shared);
    json_number(json, "large", counts->large);
    json_number(json, "zero", counts->zero);
    json_number(json, "device", counts->device);
}

static void region_json(struct json *json, struct vm_space *space, const struct vm_region_facts *region)
{
    struct vm_counts counts;
    char access[4];
    vm_space_count(space, region->base, region->bytes, &counts);
    json_object_begin(json, NULL);
    json_hex(json, "base", region->base.raw);
    json_number(json, "bytes", region->bytes);
    json_number(json, "guard", region->guard);
    json_string(json, "access", command_vm_access(region, access));
    json_string(json, "source", vm_source_name(region->source));
    json_string(json, "name", region->name);
    counts_json(json, &counts);
    json_object_end(json);
}

static bool space_json(struct vm_space *space, void *context)
{
    struct json *json = context;
    struct vm_counts counts;
    struct vm_region_facts region;
    count_all(space, &counts);
    json_object_begin(json, NULL);
    json_number(json, "number", space->number);
    json_string(json, "name", space->name);
    json_bool(json, "user", space->user);
    json_number(json, "bytes", space->region_bytes);
    json_number(json, "tables", vm_space_tables(space));
    counts_json(json, &counts);
    json_array_begin(json, "regions");
    for (uint64_t at = 0; vm_space_next(space, virt_addr(at), &region); at = region.base.raw + region.bytes) {
        region_json(json, space, &region);
    }
    json_array_end(json);
    json_object_begin(json, "faults");
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        json_number(json, vm_fault_name((enum vm_fault)i), space->faults[i]);
    }
    json_object_end(json);
    json_object_end(json);
    return true;
}

static void show_spaces(const struct monitor_call *call)
{
    struct json json;
    if (!call->json) {
        each_space(show_space, NULL);
        return;
    }
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "spaces");
    each_space(space_json, &json);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* ---- One address ---- */

struct question {
    uint64_t address;  /* asked for */
    struct json *json; /* with -j */
    bool known;        /* some space has the address in its range */
};

static bool look_in_space(struct vm_space *space, void *context)
{
    struct question *question = context;
    if (question->address < space->base || question->address >= space->end) {
        return true;
    }
    question->known = true;
    command_vm_look(space, question->address, question->json);
    return !monitor_interrupted();
}

static void show_address(struct monitor_call *call, uint64_t address)
{
    struct json json;
    struct question question = {.address = address, .json = call->json ? &json : NULL};
    if (call->json) {
        monitor_json_begin(&json);
        json_array_begin(&json, NULL);
    }
    each_space(look_in_space, &question);
    if (call->json) {
        json_array_end(&json);
        json_end(&json);
    } else if (!question.known) {
        monitor_print("%#" PRIx64 ": in the range of no space\n", address);
    }
}

/* ---- The demonstration ---- */

#define DEADBEEF UINT64_C(0xdeadbeef000)

/* What the demonstration has seen. */
struct demonstration {
    phys_addr_t frame;      /* any frame */
    uint32_t number;        /* of the space */
    uint64_t through_space; /* written at DEADBEEF, read through the physmap */
    uint64_t through_frame; /* written through the physmap, read at DEADBEEF */
};

static void write_and_read(struct vm_space *space, struct demonstration *seen)
{
    volatile uint64_t *mapped = virt_pointer(virt_addr(DEADBEEF));
    volatile uint64_t *physmap = frame_pointer(kernel_frames(), seen->frame);
    struct vm_space *before = space_load(space);
    user_access_begin();
    mapped[0] = 0xdeadbeef;
    physmap[1] = 0xc0ffee;
    seen->through_frame = mapped[1];
    user_access_end();
    space_load(before);
    seen->through_space = physmap[0];
}

/* keep: the space stays, to be looked at, until the next demonstration. */
static enum vm_error demonstrate(struct demonstration *seen, bool keep)
{
    static struct vm_space space;
    static bool kept;
    virt_addr_t address;
    struct vm_request request = {.name = "demonstration",
                                 .source = VM_FRAMES,
                                 .bytes = FRAME_BYTES,
                                 .access = VM_READ | VM_WRITE,
                                 .fixed = true,
                                 .address = virt_addr(DEADBEEF),
                                 .frames = &seen->frame};
    if (kept) {
        vm_space_destroy(&space);
    }
    enum vm_error error = user_space_create(&space, "demonstration");
    kept = error == VM_OK;
    if (!kept) {
        return error;
    }
    error = vm_space_map(&space, &request, &address);
    if (error == VM_OK) {
        write_and_read(&space, seen);
    }
    kept = error == VM_OK && keep;
    seen->number = space.number;
    if (!kept) {
        vm_space_destroy(&space);
    }
    return error;
}

static void show_demonstration(const struct monitor_call *call, const struct demonstration *seen)
{
    struct json json;
    if (call->json) {
        monitor_json_begin(&json);
        json_object_begin(&json, NULL);
        json_number(&json, "space", seen->number);
        json_hex(&json, "virtual", DEADBEEF);
        json_hex(&json, "frame", seen->frame.raw);
        json_hex(&json, "written_virtual_read_physical", seen->through_space);
        json_hex(&json, "written_physical_read_virtual", seen->through_frame);
        json_object_end(&json);
        json_end(&json);
        return;
    }
    monitor_print("mapped virtual %#" PRIx64 " onto frame %#" PRIx64 " in space %u, made for that\n",
                  DEADBEEF, seen->frame.raw, seen->number);
    monitor_print("  written at %#" PRIx64 ": 0xdeadbeef; read through the physmap: %#" PRIx64 "\n", DEADBEEF,
                  seen->through_space);
    monitor_print("  written through the physmap: 0xc0ffee; read at %#" PRIx64 ": %#" PRIx64 "\n",
                  DEADBEEF + 8, seen->through_frame);
}

static void run_demonstration(struct monitor_call *call)
{
    const char *keep = call->arguments[1];
    if (keep && strcmp(keep, "keep") != 0) {
        monitor_error(call, "'demo' takes 'keep', not '%.40s'", keep);
        return;
    }
    struct demonstration seen = {.frame = frame_alloc_zeroed(kernel_frames(), OWNER_OTHER)};
    enum vm_error error = VM_NO_MEMORY;
    if (seen.frame.raw != 0) {
        frame_note_clear(frame_descriptor(kernel_frames(), seen.frame));
        error = demonstrate(&seen, keep);
        frame_put(kernel_frames(), seen.frame);
    }
    if (error != VM_OK) {
        monitor_error(call, "%s", vm_error_name(error));
        return;
    }
    show_demonstration(call, &seen);
}

/* ---- All of them ---- */

static void check_spaces(struct monitor_call *call)
{
    struct vm_problem problem;
    if (!WORLD_STOPPED(vm_manager_check(kernel_vm_manager(), &problem))) {
        monitor_error(call, "%s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64, problem.what,
                      problem.address.raw, problem.found, problem.expected);
        return;
    }
    if (call->json) {
        struct json json;
        monitor_json_begin(&json);
        json_object_begin(&json, NULL);
        json_bool(&json, "sound", true);
        json_object_end(&json);
        json_end(&json);
    } else {
        monitor_print("regions, tables, references, reverse map and ledger agree\n");
    }
}

/* A small decimal number is a process: nothing lies at such an address. */
static bool is_process(const char *what, uint64_t *number)
{
    return strncmp(what, "0x", 2) != 0 && number_parse(what, number) == NUMBER_OK && *number < NUMBERS_END;
}

static void show_process(struct monitor_call *call, uint32_t number)
{
    uint64_t address;
    if (!call->arguments[1]) {
        command_vm_process(call, number);
    } else if (monitor_address(call, call->arguments[1], &address)) {
        command_vm_process_address(call, number, address);
    }
}

static void vm_run(struct monitor_call *call)
{
    const char *what = call->arguments[0];
    uint64_t address;
    uint64_t number;
    if (!what) {
        show_spaces(call);
    } else if (strcmp(what, "frame") == 0) {
        if (!call->arguments[1]) {
            monitor_error(call, "which frame? 'vm frame ADDRESS', a physical address");
        } else if (monitor_number(call, call->arguments[1], &address)) {
            command_vm_frame(call, address);
        }
    } else if (strcmp(what, "demo") == 0) {
        run_demonstration(call);
    } else if (is_process(what, &number)) {
        show_process(call, (uint32_t)number);
    } else if (call->arguments[1]) {
        monitor_error(call, "only 'frame', 'demo' and a process take a second argument, not '%s'", what);
    } else if (strcmp(what, "check") == 0) {
        check_spaces(call);
    } else if (monitor_address(call, what, &address)) {
        show_address(call, address);
    }
}

MONITOR_COMMAND(
    vm, vm_run, "[ADDRESS|PID [ADDRESS]|frame ADDRESS|demo [keep]|check]",
    "address spaces: regions, and what was delivered of them",
    "Shows every address space with its regions: what may be done there, what fills them, pages\n"
    "that have a frame, pages whose frame somebody else has too, pages that cost no frame (the zero\n"
    "page, given memory); and what became of page faults.\n"
    "Examples:\n"
    "  vm                     all spaces\n"
    "  vm 0xffffe00000000000  what lies at a virtual address\n"
    "  vm 3                   the regions of process 3 (see ps): pages that have a frame, that share it\n"
    "                         with others, that lie on disk, that belong to 2 MiB pages\n"
    "  vm 3 0x401000          what lies at an address in process 3\n"
    "  vm frame 0x1234000     which pages show a frame, in spaces and elsewhere\n"
    "  vm demo                maps virtual 0xdeadbeef000 onto any frame and shows that both are one\n"
    "  vm demo keep           the same, and keeps the space to be looked at until the next 'vm demo'\n"
    "  vm check               holds regions, tables, references and ledger against each other\n"
    "  vm -j                  "
    "{\"spaces\":[{\"number\":N,\"name\":...,\"regions\":[...],\"faults\":{...}},...]}\n",
    .words = MONITOR_WORDS("frame", "demo", "check"), .flags = MONITOR_JSON | MONITOR_SYMBOLS,
    .arguments_max = 2);

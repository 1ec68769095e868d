/*
 * Monitor command that shows where a frame is seen: vm frame.
 *
 * Which pages of spaces show the frame is known from the reverse map. Other mappings of it are found by a
 * walk through the kernel's tables and those for UEFI runtime calls.
 */
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>

#include "frame_marks.h"
#include "vm.h"

#define PLACES_MAX 32 /* of one frame that are listed */

/* json: NULL for output as text. */
static void show_place(struct json *json, const struct vm_place *place)
{
    if (!json) {
        monitor_print("  space %u \"%s\" at %#" PRIx64 "%s\n", place->number, place->name, place->address.raw,
                      place->device ? " (as given memory)" : "");
        return;
    }
    json_object_begin(json, NULL);
    json_number(json, "space", place->number);
    json_string(json, "name", place->name);
    json_hex(json, "address", place->address.raw);
    json_bool(json, "device", place->device);
    json_object_end(json);
}

static void show_alias(struct json *json, const char *tables, virt_addr_t address)
{
    struct memory_region region;
    const char *what = region_find(address, &region) ? region.name : "nobody's";
    if (!json) {
        monitor_print("  %s tables at %#" PRIx64 ": %s\n", tables, address.raw, what);
        return;
    }
    json_object_begin(json, NULL);
    json_string(json, "tables", tables);
    json_hex(json, "address", address.raw);
    json_string(json, "what", what);
    json_object_end(json);
}

/*
 * Shows where the tables map the frame, up to the address `last`. Leaves out the lazy range: it is a space.
 */
static void show_aliases(struct json *json, phys_addr_t frame, const char *tables, struct page_table *table,
                         virt_addr_t last)
{
    struct page_runs walk;
    struct page_run run;
    page_runs_start(&walk, table, virt_addr(0), last);
    while (page_runs_next(&walk, &run)) {
        uint64_t inside = frame.raw - run.target.raw;
        virt_addr_t at = virt_add(run.base, inside);
        if (inside < run.bytes && at.raw - LAZY_BASE >= LAZY_END - LAZY_BASE) {
            show_alias(json, tables, at);
        }
    }
}

static void show_all_aliases(struct json *json, phys_addr_t frame)
{
    show_aliases(json, frame, "kernel", kernel_page_table(), virt_addr(UINT64_MAX));
    if (address_space_runtime()) {
        show_aliases(json, frame, "UEFI runtime", address_space_runtime(),
                     page_table_lower_end(kernel_page_table()));
    }
}

/* References and marks of the block that a frame lies in, if somebody has it. */
static void show_block(struct json *json, phys_addr_t frame)
{
    struct frame_facts facts;
    char marks[FRAME_MARKS_BYTES];
    frame_pool_look(kernel_frames(), frame, &facts);
    if (!facts.managed || facts.state < FRAME_ALLOCATED) {
        return;
    }
    if (json) {
        frame_marks_json(json, &facts);
    } else {
        monitor_print("  its block: owner %s, references %u, marks: %s\n", frame_owner_name(facts.owner),
                      facts.references, frame_marks_text(&facts, marks));
    }
}

static void show_json(phys_addr_t frame, const struct vm_place *places, uint64_t count)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "count", count);
    show_block(&json, frame);
    json_array_begin(&json, "places");
    for (uint64_t i = 0; i < min_u64(count, PLACES_MAX); i++) {
        show_place(&json, &places[i]);
    }
    json_array_end(&json);
    json_array_begin(&json, "aliases");
    show_all_aliases(&json, frame);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

void command_vm_frame(struct monitor_call *call, uint64_t address)
{
    struct vm_place places[PLACES_MAX];
    unsigned bits = kernel_vm_manager()->config.physical_bits;
    if (address >> bits != 0) {
        monitor_error(call, "%#" PRIx64 " is no physical address: the CPU's have %u bits", address, bits);
        return;
    }
    phys_addr_t frame = phys_addr(align_down(address, FRAME_BYTES));
    uint64_t count = vm_frame_places(kernel_vm_manager(), frame, places, PLACES_MAX);
    if (call->json) {
        show_json(frame, places, count);
        return;
    }
    monitor_print("frame %#" PRIx64 ": shown by %" PRIu64 " pages of spaces\n", frame.raw, count);
    show_block(NULL, frame);
    for (uint64_t i = 0; i < min_u64(count, PLACES_MAX); i++) {
        show_place(NULL, &places[i]);
    }
    show_all_aliases(NULL, frame);
}

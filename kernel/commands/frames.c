/* Monitor command that shows physical memory frame by frame: frames ADDRESS, frames who, frames check. */
#include <ashlar/boot.h>
#include <ashlar/memory_type.h>
#include <ashlar/number.h>
#include <ashlar/string.h>
#include <ashlar/world.h>

#include "frame_marks.h"
#include "frames.h"

/* ---- One frame ---- */

static bool is_in_use(const struct frame_facts *facts)
{
    return facts->state >= FRAME_ALLOCATED;
}

static void frame_json(uint64_t address, const struct frame_facts *facts)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_hex(&json, "address", address);
    json_number(&json, "frame", address >> FRAME_SHIFT);
    json_string(&json, "type", facts->type == MEMORY_TYPE_COUNT ? "none" : memory_type_name(facts->type));
    json_bool(&json, "managed", facts->managed);
    if (facts->managed) {
        json_string(&json, "state", frame_state_name(facts->state));
        json_hex(&json, "block", facts->block.raw);
        json_number(&json, "order", facts->order);
        json_number(&json, "bytes", FRAME_BYTES << facts->order);
        frame_marks_json(&json, facts);
        json_bool(&json, "descriptor_backed", facts->descriptor_backed);
        json_hex(&json, "descriptor", (uintptr_t)frame_descriptor(kernel_frames(), phys_addr(address)));
        json_hex(&json, "note", facts->note.raw);
    }
    if (facts->type != MEMORY_TYPE_COUNT && (!facts->managed || is_in_use(facts))) {
        json_string(&json, "owner", frame_owner_name(facts->owner));
    }
    json_object_end(&json);
    json_end(&json);
}

static void print_managed(uint64_t address, const struct frame_facts *facts)
{
    char size[NUMBER_SIZE_BYTES];
    char marks[FRAME_MARKS_BYTES];
    monitor_print("state       %s\n", frame_state_name(facts->state));
    monitor_print("block       %#" PRIx64 ", order %u, %s\n", facts->block.raw, facts->order,
                  number_format_size(size, FRAME_BYTES << facts->order));
    if (is_in_use(facts)) {
        monitor_print("owner       %s\n", frame_owner_name(facts->owner));
        monitor_print("references  %u\n", facts->references);
        monitor_print("marks       %s\n", frame_marks_text(facts, marks));
        monitor_print("note        %#" PRIx64 "\n", facts->note.raw);
    }
    monitor_print("descriptor  %#" PRIx64 "%s\n",
                  (uintptr_t)frame_descriptor(kernel_frames(), phys_addr(address)),
                  facts->descriptor_backed ? "" : ", not backed yet");
}

static void show_frame(struct monitor_call *call, uint64_t address)
{
    struct frame_facts facts;
    if (address >= PHYSICAL_END) {
        monitor_error(call, "%#" PRIx64 " is no physical address: those have 52 bits", address);
        return;
    }
    frame_pool_look(kernel_frames(), phys_addr(address), &facts);
    if (call->json) {
        frame_json(address, &facts);
        return;
    }
    monitor_print("%#" PRIx64 ": frame %" PRIu64 ", %s\n", address, address >> FRAME_SHIFT,
                  facts.type == MEMORY_TYPE_COUNT ? "not in the firmware's map"
                                                  : memory_type_name(facts.type));
    if (facts.managed) {
        print_managed(address, &facts);
    } else if (facts.type != MEMORY_TYPE_COUNT) {
        monitor_print("owner       %s; not the pool's to give\n", frame_owner_name(facts.owner));
    }
}

/* ---- Who has what ---- */

/* Owners that have anything, the largest first: returns how many. */
static unsigned sort_owners(const struct frame_ledger *ledger, unsigned sorted[OWNER_COUNT])
{
    unsigned count = 0;
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        unsigned at = count;
        if (ledger->owner_bytes[owner] == 0) {
            continue;
        }
        for (; at > 0 && ledger->owner_bytes[sorted[at - 1]] < ledger->owner_bytes[owner]; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = owner;
        count++;
    }
    return count;
}

static void who_json(const struct frame_ledger *ledger, const unsigned *sorted, unsigned count)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "owners");
    for (unsigned i = 0; i < count; i++) {
        json_object_begin(&json, NULL);
        json_string(&json, "name", frame_owner_name(sorted[i]));
        json_number(&json, "frames", ledger->owner_bytes[sorted[i]] >> FRAME_SHIFT);
        json_number(&json, "bytes", ledger->owner_bytes[sorted[i]]);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_number(&json, "free_bytes", ledger->free_bytes + ledger->magazine_bytes);
    json_signed(&json, "difference", ledger->difference);
    json_object_end(&json);
    json_end(&json);
}

static void who_line(const struct frame_ledger *ledger, const char *name, uint64_t bytes)
{
    char size[NUMBER_SIZE_BYTES];
    uint64_t permille = bytes / (ledger->firmware_bytes / 1000 + 1);
    monitor_print("%-18s %12" PRIu64 " frames %12s %4" PRIu64 ".%" PRIu64 " %%\n", name,
                  (bytes >> FRAME_SHIFT), number_format_size(size, bytes), permille / 10, permille % 10);
}

static void show_who(struct monitor_call *call)
{
    struct frame_ledger ledger;
    unsigned sorted[OWNER_COUNT];
    memory_ledger(&ledger);
    unsigned count = sort_owners(&ledger, sorted);
    if (call->json) {
        who_json(&ledger, sorted, count);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        who_line(&ledger, frame_owner_name(sorted[i]), ledger.owner_bytes[sorted[i]]);
    }
    who_line(&ledger, "free", ledger.free_bytes);
    who_line(&ledger, "free, in magazines", ledger.magazine_bytes);
    monitor_print("difference to the memory map: %" PRId64 " bytes\n", ledger.difference);
}

/* ---- The check ---- */

static void show_check(struct monitor_call *call)
{
    struct frame_problem problem;
    bool sound = WORLD_STOPPED(frame_pool_check(kernel_frames(), &problem));
    if (call->json) {
        struct json json;
        monitor_json_begin(&json);
        json_object_begin(&json, NULL);
        json_bool(&json, "sound", sound);
        if (!sound) {
            json_string(&json, "problem", problem.what);
            json_number(&json, "frame", problem.frame);
            json_number(&json, "found", problem.found);
            json_number(&json, "expected", problem.expected);
        }
        json_object_end(&json);
        json_end(&json);
    } else if (sound) {
        monitor_print("sound: bitmaps, indexes, descriptors, magazines, accounts and ledger agree\n");
    } else {
        monitor_error(call, "damaged: %s: frame %" PRIu64 ", found %#" PRIx64 ", expected %#" PRIx64,
                      problem.what, problem.frame, problem.found, problem.expected);
    }
}

static void frames_run(struct monitor_call *call)
{
    const char *what = call->arguments[0];
    const char *more = call->arguments[1];
    bool map = what && strcmp(what, "map") == 0;
    uint64_t address;
    if (more && !(map && strcmp(more, "owners") == 0)) {
        monitor_error(call, "'%.40s' is too much after '%.40s'; only 'map owners' is two words", more, what);
    } else if (!what) {
        frames_show_pool(call);
    } else if (map) {
        frames_show_map(call, more != NULL);
    } else if (strcmp(what, "who") == 0) {
        show_who(call);
    } else if (strcmp(what, "check") == 0) {
        show_check(call);
    } else if (monitor_address(call, what, &address)) {
        show_frame(call, address);
    }
}

MONITOR_COMMAND(
    frames, frames_run, "[ADDRESS|map [owners]|who|check]", "physical memory, frame by frame",
    "Shows the pool of physical frames: free blocks by order, how much of the free memory each order\n"
    "cannot use because it lies in smaller blocks, the magazines of each CPU, and each GiB.\n"
    "Examples:\n"
    "  frames             the pool\n"
    "  frames 0x1234000   the frame at a physical address: block, state, owner, references, marks\n"
    "  frames map         a picture of memory: '.' free, '1' to '9' tenths in use, '#' in use\n"
    "  frames map owners  the same by owner: small letters where most of the cell is free\n"
    "  frames who         bytes by owner, the largest first\n"
    "  frames check       verifies the whole pool; takes longer the more memory is in use\n"
    "  frames -j          {\"policy\":...,\"managed_bytes\":N,\"free_bytes\":N,...,\"orders\":[...],...}\n",
    .words = MONITOR_WORDS("map", "who", "check"), .flags = MONITOR_JSON, .arguments_max = 2);

/* Monitor commands about the code that runs: sym and bt. */
#include <ashlar/monitor.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <ashlar/trap.h>
#include <x86/unwind.h>

#define FRAMES_MAX 64

static void symbol_json(struct json *json, virt_addr_t address)
{
    struct symbol symbol;
    struct source_line line;
    struct memory_region region;
    json_hex(json, "address", address.raw);
    if (symbol_find(address, &symbol)) {
        json_string(json, "symbol", symbol.name);
        json_number(json, "offset", address.raw - symbol.start.raw);
        json_number(json, "bytes", symbol.bytes);
    }
    if (symbol_find_line(address, &line)) {
        json_string(json, "file", line.file);
        json_number(json, "line", line.line);
    }
    if (region_find(address, &region)) {
        json_string(json, "region", region.name);
    }
}

static void sym_json(virt_addr_t address)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    symbol_json(&json, address);
    json_object_end(&json);
    json_end(&json);
}

static void sym_run(struct monitor_call *call)
{
    uint64_t value;
    char text[SYMBOL_TEXT_BYTES];
    struct memory_region region;
    if (!monitor_address(call, call->arguments[0], &value)) {
        return;
    }
    virt_addr_t address = virt_addr(value);
    if (call->json) {
        sym_json(address);
        return;
    }
    monitor_print("0x%016" PRIx64 "  %s", value, symbol_text(address, false, text));
    if (region_find(address, &region)) {
        monitor_print(", in %s", region.name);
    }
    monitor_print("\n");
}

MONITOR_COMMAND(
    sym, sym_run, "ADDRESS", "what an address is, or where a symbol is",
    "Shows the address, the function or object it lies in, its source line, and whose memory it is.\n"
    "Examples:\n"
    "  sym kernel_main            where a function is\n"
    "  sym 0xffffffff80001234     what lies there\n"
    "  sym -j kernel_main+4       {\"address\":\"0x...\",\"symbol\":...,\"offset\":4,\"bytes\":N,\n"
    "                              \"file\":...,\"line\":N,\"region\":...}\n",
    .arguments_min = 1, .arguments_max = 1, .flags = MONITOR_JSON | MONITOR_SYMBOLS);

static void bt_json(struct unwind at)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "frames");
    for (unsigned frames = 0; frames < FRAMES_MAX; frames++) {
        json_object_begin(&json, NULL);
        symbol_json(&json, virt_addr(at.address.raw - at.is_return)); /* the call, not what follows it */
        json_object_end(&json);
        if (!unwind_next(&at)) {
            break;
        }
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void bt_text(struct unwind at)
{
    char text[SYMBOL_TEXT_BYTES];
    for (unsigned frames = 0; frames < FRAMES_MAX; frames++) {
        monitor_print("%3u  0x%016" PRIx64 "  %s%s\n", frames, at.address.raw,
                      symbol_text(at.address, at.is_return, text), at.scanned ? " (perhaps)" : "");
        if (!unwind_next(&at)) {
            return;
        }
    }
    monitor_print("... more than %u frames\n", FRAMES_MAX);
}

/* Not inlined: the backtrace begins at the caller. */
__attribute__((noinline)) static void bt_run(struct monitor_call *call)
{
    struct unwind at = unwind_caller();
    if (call->json) {
        bt_json(at);
    } else {
        bt_text(at);
    }
}

MONITOR_COMMAND(
    bt, bt_run, "", "backtrace of the monitor itself",
    "Shows the chain of calls from the command back to the kernel's entry: number, return address,\n"
    "function and source line of the call. '(perhaps)' marks what was found by searching the stack.\n"
    "Examples:\n"
    "  bt\n"
    "  bt -j    {\"frames\":[{\"address\":...,\"symbol\":...,\"offset\":N,...},...]}\n",
    .flags = MONITOR_JSON);

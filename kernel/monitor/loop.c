/*
 * The monitor: reads a line, runs the command it names, for ever.
 *
 *     console_read() -> input.c -> line editor -> monitor_split() -> monitor_parse_call() -> run()
 *
 * The line editor and the parser are portable and tested on the host (kernel/lib/input, kernel/lib/monitor);
 * here they are connected to the console. Output goes through the pager (output.c). The commands are in
 * kernel/commands; the linker collects them (MONITOR_COMMAND in <ashlar/monitor.h>).
 *
 * Only one thread of control reads the terminal, so the monitor's state has no lock; commands take the locks
 * of the subsystems they look into. `help` lists them.
 */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/console.h>
#include <ashlar/console_input.h>
#include <ashlar/heap.h>
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>

#include "commands.h"
#include "output.h"

#define PROMPT "ashlar> "

extern const struct monitor_command ashlar_commands_start[];
extern const struct monitor_command ashlar_commands_end[];

struct monitor_table monitor_commands(void)
{
    return (struct monitor_table){ashlar_commands_start,
                                  (size_t)(ashlar_commands_end - ashlar_commands_start)};
}

static bool find_symbol(const char *name, size_t bytes, uint64_t *value)
{
    virt_addr_t address;
    if (!symbol_find_name(name, bytes, &address)) {
        return false;
    }
    *value = address.raw;
    return true;
}

static void add_symbol(void *completion, const char *name)
{
    line_completion_add(completion, name);
}

static void add_symbols(struct line_completion *completion)
{
    symbol_visit_prefix(completion->prefix, completion->prefix_bytes, add_symbol, completion);
}

bool monitor_number(struct monitor_call *call, const char *text, uint64_t *number)
{
    switch (number_parse(text, number)) {
    case NUMBER_OK:
        return true;
    case NUMBER_TOO_LARGE:
        monitor_error(call, "'%.40s' is more than 64 bits", text);
        return false;
    case NUMBER_MALFORMED:
    default:
        monitor_error(call, "'%.40s' is not a number", text);
        return false;
    }
}

bool monitor_address(struct monitor_call *call, const char *text, uint64_t *address)
{
    char error[MONITOR_ERROR_BYTES];
    if (!monitor_evaluate(text, find_symbol, address, error)) {
        monitor_error(call, "%s", error);
        return false;
    }
    return true;
}

bool monitor_execute(char *line)
{
    struct monitor_table table = monitor_commands();
    struct monitor_words words;
    struct monitor_call call = {0};
    char error[MONITOR_ERROR_BYTES];
    monitor_input_begin();
    monitor_output_begin();
    if (!monitor_split(line, &words, error)) {
        monitor_error(&call, "%s", error);
        return false;
    }
    if (words.count == 0) {
        return true;
    }
    if (!monitor_parse_call(&table, &words, &call, error)) {
        monitor_error(&call, "%s", error);
        return false;
    }
    call.command->run(&call);
    if (monitor_was_cut_off() && !call.json) {
        console_print("^C\n");
    }
    return !call.failed;
}

static void editor_write(void *context, const char *text, size_t bytes)
{
    (void)context;
    console_write(text, bytes);
}

static void editor_complete(void *context, const char *line, size_t cursor,
                            struct line_completion *completion)
{
    (void)context;
    struct monitor_table table = monitor_commands();
    monitor_complete(&table, line, cursor, add_symbols, completion);
}

static void set_pager(void)
{
    char mode[8];
    const char *line = boot_command_line();
    if (command_line_get(line, "pager", mode, sizeof mode)) {
        pager_set(strcmp(mode, "off") == 0 ? PAGER_OFF : strcmp(mode, "on") == 0 ? PAGER_ON : PAGER_AUTO, 0);
    }
}

/* Reads one line and runs it. interlude: the key that ends that is looked for; false: it was pressed. */
static bool serve_line(struct line_editor *editor, bool interlude)
{
    enum line_event event;
    line_editor_set_columns(editor, pager_columns());
    line_editor_start(editor, PROMPT);
    do {
        int byte = monitor_take_byte();
        if (byte < 0) {
            line_editor_show(editor);
            byte = monitor_wait_byte();
        }
        if (interlude && byte == CONSOLE_SWITCH_KEY) {
            return false;
        }
        event = line_editor_feed(editor, (uint8_t)byte);
    } while (event == LINE_EDITING);
    if (event == LINE_ENTERED) {
        monitor_execute(editor->text);
    } else if (event == LINE_TOO_LONG) {
        console_print("line too long: %zu bytes, at most %u\n", editor->typed_bytes, LINE_BYTES - 1);
    }
    return true;
}

static const struct line_editor_hooks hooks = {.write = editor_write, .complete = editor_complete};

/* The line that is being carried out lies in the monitor's own editor, so this has another one. */
void monitor_interlude(void)
{
    struct line_editor *editor = heap_alloc(&kernel_heap, sizeof *editor);
    if (!editor) {
        console_print("\nThere is no memory for the monitor.\n");
        return;
    }
    line_editor_init(editor, &hooks);
    console_print("\nThe monitor; the program goes on. ctrl-] leads back to it.\n");
    while (serve_line(editor, true)) {
    }
    console_print("\n");
    heap_free(&kernel_heap, editor);
    monitor_input_begin();
    monitor_output_begin();
}

_Noreturn void monitor_run(void)
{
    static struct line_editor editor;
    line_editor_init(&editor, &hooks);
    set_pager();
    console_print("Type 'help' for the commands; Tab completes.\n");
    for (;;) {
        serve_line(&editor, false);
    }
}

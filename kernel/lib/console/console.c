/*
 * What is printed, and what a person types; see <ashlar/console.h>. Whoever has held the console shows the
 * lines of the log that came meanwhile.
 */
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>

static struct console_input *inputs[CONSOLE_INPUTS_MAX]; /* the single reader's */
static unsigned input_count;

void console_write(const char *text, size_t bytes)
{
    console_hold();
    console_write_held(text, bytes);
    console_drop();
    log_show_pending();
}

void console_flush(void)
{
    console_hold();
    console_flush_held();
    console_drop();
    log_show_pending();
}

void console_print_list(const char *format, va_list arguments)
{
    char text[CONSOLE_LINE_BYTES];
    size_t length = format_list(text, sizeof text, format, arguments);
    console_write(text, min_u64(length, sizeof text - 1));
}

void console_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_print_list(format, arguments);
    va_end(arguments);
}

int console_read(void)
{
    for (unsigned i = 0; i < input_count; i++) {
        uint8_t byte;
        if (inputs[i]->read(inputs[i], &byte)) {
            return byte;
        }
    }
    return -1;
}

void console_add_input(struct console_input *input)
{
    if (input_count == CONSOLE_INPUTS_MAX) {
        panic("console: no room for the input \"%s\": there are %d already", input->name, CONSOLE_INPUTS_MAX);
    }
    inputs[input_count++] = input;
}

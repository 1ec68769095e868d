/* What the loader says; see message.h. */
#include "message.h"

#include <ashlar/format.h>
#include <ashlar/string.h>

#include "cpu.h"
#include "efi_compat.h"

enum uart {
    UART_BASE = 0x3f8,
    UART_DATA = 0,
    UART_LINE_CONTROL = 3,
    UART_LINE_STATUS = 5,
    UART_SCRATCH = 7,
    UART_TRANSMITTER_EMPTY = 1 << 5,
    UART_WAIT_LIMIT = 100000, /* reads of the line status; a byte takes about 87 us at 115200 baud */
    DEBUG_CONSOLE = 0xe9,
    LINE_BYTES = 512,
    CONSOLE_PATHS_BYTES = 1024,
};

static EFI_SYSTEM_TABLE *firmware; /* NULL once boot services are gone */
static bool serial_present;
static bool debug_console_present;
static bool
    firmware_uses_serial; /* the firmware's console shows on the serial port: a line must not come twice */

static bool serial_probe(void)
{
    /* A port that is not there reads 0xff or 0x00 for ever; a real one remembers its scratch register. */
    static const uint8_t patterns[] = {0x5a, 0xa5};
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        port_write(UART_BASE + UART_SCRATCH, patterns[i]);
        if (port_read(UART_BASE + UART_SCRATCH) != patterns[i]) {
            return false;
        }
    }
    /* Its speed is the firmware's business, but the frame must be 8N1 with the divisor latch closed. */
    port_write(UART_BASE + UART_LINE_CONTROL, 0x03);
    return true;
}

/* Whether the variable ConOut (UEFI 2.10, 3.3), a list of device paths, names a UART (10.3.4.15). */
static bool console_has_uart(EFI_SYSTEM_TABLE *system)
{
    static uint8_t paths[CONSOLE_PATHS_BYTES];
    EFI_GUID global = GLOBAL_VARIABLE_GUID;
    UINTN bytes = sizeof paths;
    if (EFI_ERROR(system->RuntimeServices->GetVariable((CHAR16 *)L"ConOut", &global, NULL, &bytes, paths))) {
        return false;
    }
    for (UINTN at = 0; at + 4 <= bytes;) {
        UINTN length = paths[at + 2] | (UINTN)paths[at + 3] << 8;
        if (paths[at] == MESSAGING_DEVICE_PATH && paths[at + 1] == MSG_UART_DP) {
            return true;
        }
        at += length < 4 ? 4 : length;
    }
    return false;
}

void message_init(EFI_SYSTEM_TABLE *system)
{
    firmware = system;
    firmware_uses_serial = console_has_uart(system);
    serial_present = serial_probe();
    debug_console_present = port_read(DEBUG_CONSOLE) == DEBUG_CONSOLE;
}

void message_leave_firmware(void)
{
    firmware = NULL;
}

static void serial_write(const char *text, size_t bytes)
{
    for (size_t i = 0; serial_present && i < bytes; i++) {
        unsigned waited = 0;
        while (!(port_read(UART_BASE + UART_LINE_STATUS) & UART_TRANSMITTER_EMPTY)) {
            if (++waited == UART_WAIT_LIMIT) {
                serial_present = false;
                return;
            }
        }
        port_write(UART_BASE + UART_DATA, (uint8_t)text[i]);
    }
}

static void debug_console_write(const char *text, size_t bytes)
{
    for (size_t i = 0; debug_console_present && i < bytes; i++) {
        port_write(DEBUG_CONSOLE, (uint8_t)text[i]);
    }
}

static void firmware_write(const char *text, size_t bytes)
{
    CHAR16 wide[LINE_BYTES + 8];
    size_t length = 0;
    for (size_t i = 0; i < bytes && length < LINE_BYTES; i++) {
        if (text[i] == '\n') {
            wide[length++] = '\r';
        }
        wide[length++] = (unsigned char)text[i];
    }
    wide[length] = 0;
    if (firmware && firmware->ConOut) {
        firmware->ConOut->OutputString(firmware->ConOut, wide);
    }
}

static size_t line_length(const char *line, size_t wanted)
{
    return wanted < LINE_BYTES ? wanted : strlen(line);
}

static void say(const char *kind, const char *text, va_list arguments)
{
    char line[LINE_BYTES];
    size_t used = format(line, sizeof line, "ashlar loader: %s: ", kind);
    format_list(line + used, sizeof line - used - 1, text, arguments);
    size_t length = strlen(line);
    line[length++] = '\n';
    firmware_write(line, length);
    if (!firmware || !firmware_uses_serial) {
        serial_write(line, length - 1);
        serial_write("\r\n", 2);
    }
    debug_console_write(line, length);
}

void message_error(const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    say("error", text, arguments);
    va_end(arguments);
}

void message_warning(const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    say("warning", text, arguments);
    va_end(arguments);
}

void message_raw(const char *text, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, text);
    size_t length = line_length(line, format_list(line, sizeof line, text, arguments));
    va_end(arguments);
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\n') {
            serial_write("\r", 1);
        }
        serial_write(line + i, 1);
    }
    debug_console_write(line, length);
}

void message_debug_console(const char *text, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, text);
    size_t length = line_length(line, format_list(line, sizeof line, text, arguments));
    va_end(arguments);
    debug_console_write(line, length);
    debug_console_write("\n", 1);
}

/*
 * The monitor's output: printing with a pager, errors, and lines of JSON.
 *
 * The pager stops after a screenful. In mode "auto" it does so only if somebody is there to go on: when
 * nothing has been typed ahead, and when the terminal answers the question for its type (ESC [ c; every
 * terminal since the VT100 does). A pipe, a log file or a test does not answer; it gets its output without
 * stops and is not asked again. If the terminal also tells its size (ESC [ 18 t), a page is as high as that.
 */
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/text.h>

#include "output.h"

/* A terminal answers within milliseconds, one at the far end of a slow network within a second. */
#define ANSWER_NANOSECONDS 1000000000ULL

static struct {
    enum pager_mode mode; /* as set by the user */
    unsigned fixed_rows;  /* height set by the user; 0 for the terminal's own */
    unsigned rows;        /* height of the terminal */
    unsigned columns;     /* width of the terminal */
    bool asked;           /* the terminal was asked what it is */
    bool answered;        /* and answered */
    bool attended;        /* it answered during this command */
    bool free;            /* this command's output is not paged any more */
    unsigned used;        /* rows of the page that are written */
} pager = {.rows = 24, .columns = LINE_COLUMNS};

const char *pager_mode_name(enum pager_mode mode)
{
    static const char *const names[PAGER_MODE_COUNT] = {"auto", "on", "off"};
    return names[mode];
}

void pager_set(enum pager_mode mode, unsigned rows)
{
    pager.mode = mode;
    pager.fixed_rows = rows;
    pager.asked = false;
    pager.answered = false;
}

enum pager_mode pager_mode(void)
{
    return pager.mode;
}

unsigned pager_rows(void)
{
    return pager.fixed_rows > 0 ? pager.fixed_rows : pager.rows;
}

unsigned pager_columns(void)
{
    return pager.columns;
}

void monitor_output_begin(void)
{
    pager.used = 0;
    pager.free = false;
    pager.attended = false;
}

void monitor_page_no_more(void)
{
    pager.free = true;
}

static void write_text(const char *text)
{
    console_write(text, strlen(text));
}

/* Waits for one key. What the bytes were is kept in bytes[0..*count), as far as they fit. */
static enum key wait_key(struct key_decoder *decoder, uint64_t nanoseconds, uint8_t *bytes, size_t room,
                         size_t *count)
{
    for (;;) {
        enum key key = key_decoder_next(decoder);
        if (key != KEY_NONE) {
            return key;
        }
        int byte = monitor_wait_byte_for(nanoseconds);
        if (byte < 0) {
            return KEY_NONE;
        }
        if (*count < room) {
            bytes[(*count)++] = (uint8_t)byte;
        }
        key_decoder_feed(decoder, (uint8_t)byte);
    }
}

/*
 * Asks the terminal for its size and its type. Every terminal answers the second question, after the first.
 */
static bool ask_terminal(void)
{
    struct key_decoder decoder;
    uint8_t bytes[32];
    size_t count = 0;
    key_decoder_init(&decoder);
    write_text("\x1b[18t\x1b[c");
    for (;;) {
        enum key key = wait_key(&decoder, ANSWER_NANOSECONDS, bytes, sizeof bytes, &count);
        if (key == KEY_WINDOW_SIZE && decoder.parameters[1] > 0 && decoder.parameters[2] > 0) {
            pager.rows = decoder.parameters[1];
            pager.columns = decoder.parameters[2];
            count = 0;
        } else if (key == KEY_IDENTITY) {
            return true;
        } else {
            monitor_unread(bytes, count); /* silence, or somebody typing */
            return false;
        }
    }
}

/* Whether to stop now that the page is full. */
static bool should_stop(void)
{
    if (pager.free || pager.mode == PAGER_OFF) {
        return false;
    }
    if (pager.mode == PAGER_ON || pager.attended) {
        return true;
    }
    if (monitor_input_waits() || (pager.asked && !pager.answered)) {
        return false;
    }
    pager.asked = true;
    pager.answered = ask_terminal();
    pager.attended = pager.answered;
    pager.free = !pager.answered;
    return pager.attended && pager.used + 1 >= pager_rows();
}

/* Waits at the end of a page for a key and does what it means. */
static void stop_page(void)
{
    struct key_decoder decoder;
    key_decoder_init(&decoder);
    write_text("\x1b[7m-- more: space, enter, q --\x1b[m");
    for (;;) {
        key_decoder_feed(&decoder, monitor_wait_byte());
        enum key key = key_decoder_next(&decoder);
        bool quit = key == KEY_TEXT && (decoder.text[0] == 'q' || decoder.text[0] == 'Q');
        if (quit || key == KEY_INTERRUPT) {
            monitor_quit();
            break;
        }
        if (key == KEY_TEXT && decoder.text[0] == ' ') {
            pager.used = 0;
            break;
        }
        if (key == KEY_ENTER || key == KEY_DOWN) {
            pager.used--;
            break;
        }
    }
    write_text("\r\x1b[K");
}

/* Rows that text[0..bytes) takes on the terminal: its characters without colours, cut at the last column. */
static unsigned rows_of(const char *text, size_t bytes)
{
    unsigned characters = 0;
    bool escape = false;
    for (size_t at = 0; at < bytes; at++) {
        if (text[at] == '\x1b') {
            escape = true;
        } else if (escape) {
            escape = text[at] != 'm';
        } else {
            characters += text[at] != '\n' && !text_is_continuation((uint8_t)text[at]);
        }
    }
    unsigned rows = 1;
    for (; characters > pager.columns && pager.columns > 0; characters -= pager.columns) {
        rows++;
    }
    return rows;
}

/* Writes one line, or a part of one that ends without '\n'. */
static void print_line(const char *text, size_t bytes)
{
    bool whole = text[bytes - 1] == '\n';
    if (whole && pager.used + 1 >= pager_rows() && should_stop()) {
        stop_page();
    }
    if (monitor_interrupted()) {
        return;
    }
    console_write(text, bytes);
    pager.used += whole ? rows_of(text, bytes) : 0;
}

void monitor_print(const char *text_format, ...)
{
    char text[CONSOLE_LINE_BYTES];
    va_list arguments;
    va_start(arguments, text_format);
    size_t bytes = format_list(text, sizeof text, text_format, arguments);
    va_end(arguments);
    bytes = bytes < sizeof text ? bytes : sizeof text - 1;
    for (size_t at = 0; at < bytes && !monitor_interrupted();) {
        const char *end = strchr(text + at, '\n');
        size_t length = end ? (size_t)(end - text) + 1 - at : bytes - at;
        print_line(text + at, length);
        at += length;
    }
}

static void write_json(void *context, const char *text, size_t bytes)
{
    (void)context;
    console_write(text, bytes);
}

void monitor_json_begin(struct json *json)
{
    json_begin(json, write_json, NULL);
}

void monitor_error(struct monitor_call *call, const char *text_format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, text_format);
    format_list(text, sizeof text, text_format, arguments);
    va_end(arguments);
    call->failed = true;
    if (call->json) {
        struct json json;
        monitor_json_begin(&json);
        json_object_begin(&json, NULL);
        json_string(&json, "error", text);
        json_object_end(&json);
        json_end(&json);
    } else if (call->command) {
        console_print("%s: %s\n", call->command->name, text);
    } else {
        console_print("%s\n", text);
    }
}

#include "line_terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct screen screen;
struct line_editor editor;

void append(char *text, size_t room, const char *more)
{
    size_t length = strlen(text);
    assert_true(length + strlen(more) < room);
    memcpy(text + length, more, strlen(more) + 1);
}

static void erase_from(size_t column)
{
    for (; column < ROW_COLUMNS; column++) {
        screen.cells[column][0] = '\0';
    }
}

void read_row(char *text)
{
    *text = '\0';
    for (size_t i = 0; i < ROW_COLUMNS && screen.cells[i][0]; i++) {
        append(text, ROW_BYTES, screen.cells[i]);
    }
}

static void escape_byte(char byte)
{
    screen.escape[screen.escape_bytes++] = byte;
    screen.escape[screen.escape_bytes] = '\0';
    assert_true(screen.escape_bytes < 15);
    if (screen.escape_bytes < 3 || byte < '@') {
        return;
    }
    if (byte == 'K') {
        erase_from(screen.cursor);
    } else if (byte == 'C') {
        unsigned long columns = strtoul(screen.escape + 2, NULL, 10);
        assert_true(columns > 0); /* a terminal takes 0 for 1 */
        screen.cursor += columns;
    } else if (byte == 'J') {
        erase_from(0);
    } else {
        assert_int_equal(byte, 'H');
        screen.cursor = 0;
    }
    screen.escape_bytes = 0;
}

static void line_feed(void)
{
    char row[ROW_BYTES];
    read_row(row);
    append(screen.last, sizeof screen.last, row);
    append(screen.last, sizeof screen.last, "\n");
    screen.lines++;
    screen.cursor = 0;
    erase_from(0);
}

static void screen_byte(char byte)
{
    if (screen.escape_bytes > 0 || byte == '\x1b') {
        escape_byte(byte);
    } else if (byte == '\r') {
        screen.cursor = 0;
    } else if (byte == '\n') {
        line_feed();
    } else if (byte == '\a') {
        screen.bells++;
    } else if (((unsigned char)byte & 0xc0) == 0x80) {
        strncat(screen.cells[screen.cursor - 1], &byte, 1);
    } else {
        assert_true((unsigned char)byte >= ' ' && byte != 0x7f);
        memset(screen.cells[screen.cursor], 0, 5);
        screen.cells[screen.cursor++][0] = byte;
        screen.most = screen.cursor > screen.most ? screen.cursor : screen.most;
    }
}

static void screen_write(void *context, const char *text, size_t bytes)
{
    assert_ptr_equal(context, &screen);
    for (size_t i = 0; i < bytes; i++) {
        screen_byte(text[i]);
    }
}

void start_with(void (*complete)(void *, const char *, size_t, struct line_completion *))
{
    const struct line_editor_hooks hooks = {screen_write, complete, &screen};
    memset(&screen, 0, sizeof screen);
    line_editor_init(&editor, &hooks);
    line_editor_start(&editor, "> ");
}

enum line_event type_bytes(const char *keys, size_t bytes)
{
    enum line_event event = LINE_EDITING;
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(event, LINE_EDITING);
        event = line_editor_feed(&editor, (uint8_t)keys[i]);
        line_editor_show(&editor);
    }
    return event;
}

enum line_event type(const char *keys)
{
    return type_bytes(keys, strlen(keys));
}

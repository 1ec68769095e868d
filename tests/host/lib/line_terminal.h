/* What the line editor's tests share: a model of a terminal of one row, and typing at an editor in front of
 * it. */
#pragma once

#include <ashlar/line_editor.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROW_COLUMNS 2048 /* characters that a row can hold */
#define ROW_BYTES   8192 /* room for the text of a row */

/* A terminal of one row that scrolls: what is on the row, and where the cursor is. */
struct screen {
    char cells[ROW_COLUMNS][5]; /* a character each, "" where nothing was written */
    size_t cursor;              /* column */
    size_t most;                /* highest column ever written */
    unsigned bells;
    unsigned lines;  /* line feeds */
    char escape[16]; /* sequence under way */
    size_t escape_bytes;
    char last[16384]; /* all text of the rows that have scrolled away */
};

extern struct screen screen;
extern struct line_editor editor;

/* Adds `more` to a text that has room for it. */
void append(char *text, size_t room, const char *more);
void read_row(char *text);

/* Starts an editor with completion by `complete`, or without when it is NULL. */
void start_with(void (*complete)(void *, const char *, size_t, struct line_completion *));

/* Types `keys`; every byte but the last must leave the line being edited. */
enum line_event type_bytes(const char *keys, size_t bytes);
enum line_event type(const char *keys);

/*
 * A terminal without a display: it takes text and keeps rows of cells. <ashlar/screen.h> shows them.
 *
 * Understands UTF-8, CR, LF (which also returns the carriage), BS, TAB, and of ECMA-48 what colours and a
 * line editor need: SGR (m), cursor up/down/right/left (A B C D), column (G), position (H f), erase line (K)
 * and display (J). Any other escape sequence is swallowed whole. As on a VT100 a character in the last column
 * leaves the cursor there, and only the next one goes to the next line.
 *
 * Rows are a ring: scrolling by a line moves its start and clears one row. No locks: the owner has one.
 */
#pragma once

#include <ashlar/psf.h>
#include <ashlar/types.h>
#include <ashlar/utf8.h>

#define TERMINAL_ROWS_MAX       256
#define TERMINAL_PARAMETERS_MAX 16

/* What one character position shows. Colours are numbers of the usual 256-colour palette. */
struct terminal_cell {
    uint16_t glyph;     /* of the font */
    uint8_t foreground; /* colour of the character */
    uint8_t background; /* colour behind it */
};

_Static_assert(sizeof(struct terminal_cell) == 4, "a cell is compared as one word");

enum terminal_state {
    TERMINAL_GROUND,     /* text */
    TERMINAL_ESCAPE,     /* after ESC */
    TERMINAL_DESIGNATE,  /* after ESC and an intermediate byte, as in ESC ( B */
    TERMINAL_CONTROL,    /* inside a control sequence, after ESC [ */
    TERMINAL_STRING,     /* inside a device or system string, as in ESC ] ... BEL */
    TERMINAL_STRING_END, /* after ESC inside a string */
};

struct terminal {
    const struct psf_font *font; /* turns code points into glyphs */
    struct terminal_cell *cells; /* columns * rows of them, row after row, a ring of rows */
    uint32_t columns;            /* cells in a row */
    uint32_t rows;               /* rows */
    uint32_t top;                /* row of `cells` that is the first one shown */
    uint32_t column;             /* cursor */
    uint32_t row;                /* cursor, counted from the first row shown */
    bool wrap_pending;           /* the last column is written: the next character starts a new line */
    bool bold;                   /* SGR 1: the first eight colours become bright */
    bool reverse;                /* SGR 7 */
    uint8_t foreground;          /* as set by SGR */
    uint8_t background;          /* as set by SGR */
    struct terminal_cell blank;  /* a space in the colours in force */
    enum terminal_state state;   /* of the escape sequence under way */
    bool unknown;                /* it has bytes we do not understand */
    uint32_t parameter_count;    /* used entries of `parameters` */
    uint16_t parameters[TERMINAL_PARAMETERS_MAX]; /* of the control sequence under way */
    struct utf8_decoder decoder;                  /* of the character under way */
    bool changed[TERMINAL_ROWS_MAX]; /* per row shown: may differ from what it was when the owner cleared this
                                      */
};

/*
 * Starts an empty terminal on `cells`, room for columns * rows of them. columns: 1 or more;
 * rows: 1 .. TERMINAL_ROWS_MAX. The font and the cells must outlive the terminal.
 */
void terminal_init(struct terminal *terminal, const struct psf_font *font, struct terminal_cell *cells,
                   uint32_t columns, uint32_t rows);

/* Takes text; any bytes whatever. */
void terminal_write(struct terminal *terminal, const char *text, size_t bytes);

/* The cells of a row, counted from the first one shown. */
static inline struct terminal_cell *terminal_row(const struct terminal *terminal, uint32_t row)
{
    uint32_t index = terminal->top + row;
    index -= index >= terminal->rows ? terminal->rows : 0;
    return terminal->cells + (size_t)index * terminal->columns;
}

/* The terminal: cells, cursor and control sequences; see <ashlar/terminal.h>. */
#include <ashlar/string.h>
#include <ashlar/terminal.h>

enum { ESC = 0x1b, CAN = 0x18, SUB = 0x1a, BEL = 0x07, TAB_COLUMNS = 8 };
enum { COLOUR_FOREGROUND = 7, COLOUR_BACKGROUND = 0, PARAMETER_MAX = 9999 };

/* ---- Cells ---- */

static void fill(struct terminal *terminal, uint32_t row, uint32_t from, uint32_t to)
{
    struct terminal_cell *cells = terminal_row(terminal, row);
    for (uint32_t column = from; column < to; column++) {
        cells[column] = terminal->blank;
    }
    terminal->changed[row] = true;
}

static void fill_rows(struct terminal *terminal, uint32_t from, uint32_t to)
{
    for (uint32_t row = from; row < to; row++) {
        fill(terminal, row, 0, terminal->columns);
    }
}

static void line_feed(struct terminal *terminal)
{
    terminal->wrap_pending = false;
    if (terminal->row + 1 < terminal->rows) {
        terminal->row++;
        return;
    }
    terminal->top = terminal->top + 1 == terminal->rows ? 0 : terminal->top + 1;
    fill(terminal, terminal->rows - 1, 0, terminal->columns);
    memset(terminal->changed, true, terminal->rows);
}

static void put(struct terminal *terminal, uint16_t glyph)
{
    if (terminal->wrap_pending) {
        terminal->column = 0;
        line_feed(terminal);
    }
    terminal_row(terminal, terminal->row)[terminal->column] =
        (struct terminal_cell){glyph, terminal->blank.foreground, terminal->blank.background};
    terminal->changed[terminal->row] = true;
    if (terminal->column + 1 < terminal->columns) {
        terminal->column++;
    } else {
        terminal->wrap_pending = true;
    }
}

static void move(struct terminal *terminal, int64_t column, int64_t row)
{
    int64_t last_column = (int64_t)terminal->columns - 1;
    int64_t last_row = (int64_t)terminal->rows - 1;
    terminal->column = (uint32_t)(column < 0 ? 0 : column > last_column ? last_column : column);
    terminal->row = (uint32_t)(row < 0 ? 0 : row > last_row ? last_row : row);
    terminal->wrap_pending = false;
}

static void erase_line(struct terminal *terminal, uint32_t what)
{
    if (what <= 2) {
        fill(terminal, terminal->row, what == 0 ? terminal->column : 0,
             what == 1 ? terminal->column + 1 : terminal->columns);
    }
}

static void erase_display(struct terminal *terminal, uint32_t what)
{
    if (what <= 1) {
        erase_line(terminal, what);
    }
    if (what == 0) {
        fill_rows(terminal, terminal->row + 1, terminal->rows);
    } else if (what == 1) {
        fill_rows(terminal, 0, terminal->row);
    } else if (what == 2) {
        fill_rows(terminal, 0, terminal->rows);
    }
}

/* ---- Colours ---- */

static void mix_colours(struct terminal *terminal)
{
    uint8_t foreground = terminal->foreground;
    if (terminal->bold && foreground < 8) {
        foreground = (uint8_t)(foreground + 8);
    }
    terminal->blank.foreground = terminal->reverse ? terminal->background : foreground;
    terminal->blank.background = terminal->reverse ? foreground : terminal->background;
}

static void reset_colours(struct terminal *terminal)
{
    terminal->bold = false;
    terminal->reverse = false;
    terminal->foreground = COLOUR_FOREGROUND;
    terminal->background = COLOUR_BACKGROUND;
}

/* The step of the palette's 6 x 6 x 6 cube (0, 95, 135, 175, 215, 255) nearest to a level. */
static uint32_t cube_step(uint32_t level)
{
    return level < 48 ? 0 : level < 115 ? 1 : level >= 235 ? 5 : (level - 35) / 40;
}

static uint32_t parameter(const struct terminal *terminal, uint32_t index, uint32_t absent)
{
    return index < terminal->parameter_count ? terminal->parameters[index] : absent;
}

/* The colour of the cube of 6 * 6 * 6 that is nearest to the red, green and blue in three parameters. */
static uint8_t cube_colour(const struct terminal *terminal, uint32_t index)
{
    uint32_t red = cube_step(parameter(terminal, index, 0));
    uint32_t green = cube_step(parameter(terminal, index + 1, 0));
    uint32_t blue = cube_step(parameter(terminal, index + 2, 0));
    return (uint8_t)(16 + red * 36 + green * 6 + blue);
}

/*
 * 38 and 48: "5;N" is a colour of the palette, "2;R;G;B" one of the cube near it.
 * Returns how many parameters after `index` belong to it.
 */
static uint32_t extended_colour(const struct terminal *terminal, uint32_t index, uint8_t *colour)
{
    switch (parameter(terminal, index + 1, 0)) {
    case 5:
        *colour = (uint8_t)min_u64(parameter(terminal, index + 2, 0), 255);
        return 2;
    case 2:
        *colour = cube_colour(terminal, index + 2);
        return 4;
    default:
        return 1;
    }
}

/* The codes that set one of the sixteen colours; all others are ignored. */
static void plain_colour(struct terminal *terminal, uint32_t code)
{
    if (code >= 30 && code <= 37) {
        terminal->foreground = (uint8_t)(code - 30);
    } else if (code >= 40 && code <= 47) {
        terminal->background = (uint8_t)(code - 40);
    } else if (code >= 90 && code <= 97) {
        terminal->foreground = (uint8_t)(code - 90 + 8);
    } else if (code >= 100 && code <= 107) {
        terminal->background = (uint8_t)(code - 100 + 8);
    }
}

/* One code of "select graphic rendition" (ECMA-48, 8.3.117). Returns how many parameters it used besides its
 * own. */
static uint32_t select_rendition(struct terminal *terminal, uint32_t index)
{
    uint32_t code = parameter(terminal, index, 0);
    switch (code) {
    case 0:
        reset_colours(terminal);
        return 0;
    case 1:
    case 22:
        terminal->bold = code == 1;
        return 0;
    case 7:
    case 27:
        terminal->reverse = code == 7;
        return 0;
    case 38:
        return extended_colour(terminal, index, &terminal->foreground);
    case 48:
        return extended_colour(terminal, index, &terminal->background);
    case 39:
        terminal->foreground = COLOUR_FOREGROUND;
        return 0;
    case 49:
        terminal->background = COLOUR_BACKGROUND;
        return 0;
    default:
        plain_colour(terminal, code);
        return 0;
    }
}

static void select_renditions(struct terminal *terminal)
{
    uint32_t index = 0;
    do {
        index += 1 + select_rendition(terminal, index);
    } while (index < terminal->parameter_count);
    mix_colours(terminal);
}

/* ---- Control sequences ---- */

static void dispatch(struct terminal *terminal, uint8_t final)
{
    uint32_t first = parameter(terminal, 0, 0);
    int64_t steps = first == 0 ? 1 : first;
    int64_t second = parameter(terminal, 1, 0);
    int64_t column = terminal->column;
    int64_t row = terminal->row;
    switch (final) {
    case 'A':
        move(terminal, column, row - steps);
        break;
    case 'B':
        move(terminal, column, row + steps);
        break;
    case 'C':
        move(terminal, column + steps, row);
        break;
    case 'D':
        move(terminal, column - steps, row);
        break;
    case 'G':
        move(terminal, steps - 1, row);
        break;
    case 'H':
    case 'f':
        move(terminal, second == 0 ? 0 : second - 1, steps - 1);
        break;
    case 'J':
        erase_display(terminal, first);
        break;
    case 'K':
        erase_line(terminal, first);
        break;
    case 'm':
        select_renditions(terminal);
        break;
    default:
        break;
    }
}

/* A byte of a control sequence: parameters, then intermediate bytes, then the final one (ECMA-48, 5.4). */
static void control_byte(struct terminal *terminal, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        uint32_t index = terminal->parameter_count - 1;
        if (index < TERMINAL_PARAMETERS_MAX) {
            uint32_t value = terminal->parameters[index] * 10U + (byte - '0');
            terminal->parameters[index] = (uint16_t)min_u64(value, PARAMETER_MAX);
        }
    } else if (byte == ';') {
        if (terminal->parameter_count < TERMINAL_PARAMETERS_MAX) {
            terminal->parameters[terminal->parameter_count] = 0;
            terminal->parameter_count++;
        } else {
            terminal->unknown = true;
        }
    } else if (byte < 0x40) {
        terminal->unknown = true;
    } else {
        terminal->state = TERMINAL_GROUND;
        if (!terminal->unknown) {
            dispatch(terminal, byte);
        }
    }
}

static void escape_byte(struct terminal *terminal, uint8_t byte)
{
    if (byte == '[') {
        terminal->state = TERMINAL_CONTROL;
        terminal->unknown = false;
        terminal->parameters[0] = 0;
        terminal->parameter_count = 1;
    } else if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_') {
        terminal->state = TERMINAL_STRING;
    } else {
        terminal->state = byte < 0x30 ? TERMINAL_DESIGNATE : TERMINAL_GROUND;
    }
}

/* Strings also end at a line feed: a stray ESC P must not swallow all that the kernel says from then on. */
static void string_byte(struct terminal *terminal, uint8_t byte)
{
    if (byte == ESC) {
        terminal->state = TERMINAL_STRING_END;
    } else if (byte == BEL || byte == CAN || byte == SUB || byte == '\n') {
        terminal->state = TERMINAL_GROUND;
    }
}

static void control_character(struct terminal *terminal, uint8_t byte)
{
    switch (byte) {
    case '\n':
        terminal->column = 0;
        line_feed(terminal);
        break;
    case '\r':
        move(terminal, 0, terminal->row);
        break;
    case '\b':
        move(terminal, (int64_t)terminal->column - 1, terminal->row);
        break;
    case '\t':
        move(terminal, ((int64_t)terminal->column / TAB_COLUMNS + 1) * TAB_COLUMNS, terminal->row);
        break;
    case ESC:
        terminal->state = TERMINAL_ESCAPE;
        break;
    case CAN:
    case SUB:
        terminal->state = TERMINAL_GROUND;
        break;
    default:
        break;
    }
}

static void text_byte(struct terminal *terminal, uint8_t byte)
{
    uint32_t points[2];
    unsigned count = utf8_decode(&terminal->decoder, byte, points);
    for (unsigned i = 0; i < count; i++) {
        if (points[i] < 0x20 || points[i] == 0x7f) {
            control_character(terminal, (uint8_t)points[i]);
        } else if (points[i] < 0x80 || points[i] >= 0xa0) { /* C1 controls as code points are ignored */
            put(terminal, psf_glyph(terminal->font, points[i]));
        }
    }
}

static void escaped_byte(struct terminal *terminal, uint8_t byte)
{
    bool in_string = terminal->state == TERMINAL_STRING || terminal->state == TERMINAL_STRING_END;
    if (byte < 0x20 && !in_string) {
        control_character(terminal, byte);
        return;
    }
    if (byte >= 0x80 && !in_string) {
        terminal->state = TERMINAL_GROUND; /* no part of any sequence: the sequence is broken off */
        text_byte(terminal, byte);
        return;
    }
    switch (terminal->state) {
    case TERMINAL_ESCAPE:
        escape_byte(terminal, byte);
        break;
    case TERMINAL_DESIGNATE:
        terminal->state = byte < 0x30 ? TERMINAL_DESIGNATE : TERMINAL_GROUND;
        break;
    case TERMINAL_CONTROL:
        control_byte(terminal, byte);
        break;
    case TERMINAL_STRING:
        string_byte(terminal, byte);
        break;
    case TERMINAL_STRING_END: /* ESC \ ends a string; ESC and anything else breaks it off */
        terminal->state = byte == '\\' ? TERMINAL_GROUND : TERMINAL_ESCAPE;
        if (byte != '\\') {
            escaped_byte(terminal, byte);
        }
        break;
    case TERMINAL_GROUND:
        break;
    }
}

/* ---- The public functions ---- */

void terminal_init(struct terminal *terminal, const struct psf_font *font, struct terminal_cell *cells,
                   uint32_t columns, uint32_t rows)
{
    memset(terminal, 0, sizeof *terminal);
    terminal->font = font;
    terminal->cells = cells;
    terminal->columns = columns;
    terminal->rows = rows;
    terminal->blank.glyph = font->ascii[' '];
    reset_colours(terminal);
    mix_colours(terminal);
    fill_rows(terminal, 0, rows);
}

void terminal_write(struct terminal *terminal, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (terminal->state != TERMINAL_GROUND) {
            escaped_byte(terminal, byte);
        } else if (byte >= 0x20 && byte < 0x7f && terminal->decoder.missing == 0) {
            put(terminal, terminal->font->ascii[byte]);
        } else {
            text_byte(terminal, byte);
        }
    }
}

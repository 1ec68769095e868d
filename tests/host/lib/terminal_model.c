#include "terminal_model.h"

#include <stdlib.h>
#include <string.h>

static struct terminal_model_cell terminal_model_blank(const struct terminal_model *model)
{
    int foreground = model->foreground + (model->bold && model->foreground < 8 ? 8 : 0);
    struct terminal_model_cell cell = {0, foreground, model->background};
    if (model->reverse) {
        cell.foreground = model->background;
        cell.background = foreground;
    }
    return cell;
}

/* Blanks all cells from one position to another, both included, in reading order. */
static void terminal_model_erase(struct terminal_model *model, int from_row, int from_column, int to_row,
                                 int to_column)
{
    for (int i = from_row * model->columns + from_column; i <= to_row * model->columns + to_column; i++) {
        model->cells[i / model->columns][i % model->columns] = terminal_model_blank(model);
    }
}

void terminal_model_init(struct terminal_model *model, const struct font_model *font, int columns, int rows)
{
    memset(model, 0, sizeof *model);
    model->font = font;
    model->columns = columns;
    model->rows = rows;
    model->foreground = 7;
    terminal_model_erase(model, 0, 0, rows - 1, columns - 1);
}

static void terminal_model_new_line(struct terminal_model *model)
{
    model->full = false;
    model->column = 0;
    if (++model->row == model->rows) {
        model->row--;
        memmove(model->cells[0], model->cells[1], sizeof model->cells[0] * (size_t)(model->rows - 1));
        terminal_model_erase(model, model->row, 0, model->row, model->columns - 1);
    }
}

static void terminal_model_show(struct terminal_model *model, uint32_t code_point)
{
    if (code_point >= 0x80 && code_point < 0xa0) {
        return;
    }
    if (model->full) {
        terminal_model_new_line(model);
    }
    struct terminal_model_cell cell = terminal_model_blank(model);
    cell.glyph = font_model_glyph(model->font, code_point);
    model->cells[model->row][model->column] = cell;
    model->full = model->column == model->columns - 1;
    model->column += !model->full;
}

static int terminal_model_clamp(long value, int most)
{
    return value < 0 ? 0 : value > most ? most : (int)value;
}

static void terminal_model_move(struct terminal_model *model, long column, long row)
{
    model->column = terminal_model_clamp(column, model->columns - 1);
    model->row = terminal_model_clamp(row, model->rows - 1);
    model->full = false;
}

static int terminal_model_cube(int level)
{
    static const int steps[6] = {0, 95, 135, 175, 215, 255};
    int best = 0;
    for (int i = 1; i < 6; i++) { /* a level in the middle goes up */
        best = abs(steps[i] - level) <= abs(steps[best] - level) ? i : best;
    }
    return best;
}

static void terminal_model_colours(struct terminal_model *model, const int *values, int count)
{
    for (int i = 0; i < count; i++) {
        int value = values[i];
        if (value == 0) {
            model->bold = model->reverse = false;
            model->foreground = 7;
            model->background = 0;
        } else if (value == 1 || value == 22) {
            model->bold = value == 1;
        } else if (value == 7 || value == 27) {
            model->reverse = value == 7;
        } else if (value / 10 == 3 && value % 10 < 8) {
            model->foreground = value % 10;
        } else if (value / 10 == 4 && value % 10 < 8) {
            model->background = value % 10;
        } else if (value / 10 == 9 && value % 10 < 8) {
            model->foreground = 8 + value % 10;
        } else if (value / 10 == 10 && value % 10 < 8) {
            model->background = 8 + value % 10;
        } else if (value == 39) {
            model->foreground = 7;
        } else if (value == 49) {
            model->background = 0;
        } else if (value == 38 || value == 48) {
            int *colour = value == 38 ? &model->foreground : &model->background;
            int arguments[4] = {0};
            for (int k = 0; k < 4 && i + 1 + k < count; k++) {
                arguments[k] = values[i + 1 + k];
            }
            if (arguments[0] == 5) {
                *colour = arguments[1] > 255 ? 255 : arguments[1];
                i += 2;
            } else if (arguments[0] == 2) {
                *colour = 16 + 36 * terminal_model_cube(arguments[1]) +
                          6 * terminal_model_cube(arguments[2]) + terminal_model_cube(arguments[3]);
                i += 4;
            } else {
                i += 1;
            }
        }
    }
}

/* A whole control sequence: ESC [ digits and semicolons, a letter. */
static void terminal_model_control(struct terminal_model *model, const char *text, int length)
{
    int values[17] = {0};
    int count = 1;
    char final = text[length - 1];
    for (int i = 2; i < length - 1; i++) {
        if (text[i] == ';') {
            if (++count > 16) {
                return;
            }
        } else if (text[i] >= '0' && text[i] <= '9') {
            values[count - 1] = terminal_model_clamp(values[count - 1] * 10L + (text[i] - '0'), 9999);
        } else {
            return;
        }
    }
    int one = values[0] ? values[0] : 1;
    int last_row = model->rows - 1;
    int last_column = model->columns - 1;
    switch (final) {
    case 'A':
        terminal_model_move(model, model->column, model->row - one);
        break;
    case 'B':
        terminal_model_move(model, model->column, model->row + one);
        break;
    case 'C':
        terminal_model_move(model, model->column + one, model->row);
        break;
    case 'D':
        terminal_model_move(model, model->column - one, model->row);
        break;
    case 'G':
        terminal_model_move(model, one - 1, model->row);
        break;
    case 'H':
    case 'f':
        terminal_model_move(model, values[1] ? values[1] - 1 : 0, one - 1);
        break;
    case 'K':
        if (values[0] <= 2) {
            terminal_model_erase(model, model->row, values[0] ? 0 : model->column, model->row,
                                 values[0] == 1 ? model->column : last_column);
        }
        break;
    case 'J':
        if (values[0] == 0) {
            terminal_model_erase(model, model->row, model->column, last_row, last_column);
        } else if (values[0] == 1) {
            terminal_model_erase(model, 0, 0, model->row, model->column);
        } else if (values[0] == 2) {
            terminal_model_erase(model, 0, 0, last_row, last_column);
        }
        break;
    case 'm':
        terminal_model_colours(model, values, count);
        break;
    default:
        break;
    }
}

static void terminal_model_execute(struct terminal_model *model, uint8_t byte)
{
    if (byte == '\n') {
        terminal_model_new_line(model);
    } else if (byte == '\r') {
        terminal_model_move(model, 0, model->row);
    } else if (byte == '\b') {
        terminal_model_move(model, model->column - 1, model->row);
    } else if (byte == '\t') {
        terminal_model_move(model, (model->column | 7) + 1, model->row);
    } else if (byte == 0x1b) {
        model->sequence[0] = 0x1b;
        model->sequence_length = 1;
    } else if (byte == 0x18 || byte == 0x1a) {
        model->sequence_length = 0;
    }
}

static bool terminal_model_lead_ok(uint8_t first, uint8_t second)
{
    uint32_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint32_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/* Text in UTF-8: each sequence of a lead byte and its continuation bytes is one character, or one U+FFFD. */
static void terminal_model_text(struct terminal_model *model, uint8_t byte)
{
    int length = model->character_length;
    if (length > 0 && byte / 0x40 != 2) {
        terminal_model_show(model, 0xfffd);
        length = model->character_length = 0;
    }
    if (length == 0 && byte < 0x80) {
        if (byte < 0x20) {
            terminal_model_execute(model, byte);
        } else if (byte != 0x7f) {
            terminal_model_show(model, byte);
        }
        return;
    }
    if (length == 0 && (byte < 0xc2 || byte > 0xf4)) {
        terminal_model_show(model, 0xfffd);
        return;
    }
    model->character[length++] = byte;
    model->character_length = length;
    const uint8_t *text = model->character;
    int whole = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (length < whole) {
        return;
    }
    uint32_t value = whole == 2 ? text[0] & 0x1fU : whole == 3 ? text[0] & 0x0fU : text[0] & 0x07U;
    for (int i = 1; i < whole; i++) {
        value = value * 64 + (text[i] & 0x3f);
    }
    model->character_length = 0;
    terminal_model_show(model, terminal_model_lead_ok(text[0], text[1]) ? value : 0xfffd);
}

/* A byte while an escape sequence is under way. */
static void terminal_model_escape(struct terminal_model *model, uint8_t byte)
{
    char *text = model->sequence;
    int length = model->sequence_length;
    bool string = length >= 2 && strchr("]PX^_", text[1]) != NULL;
    if (string && text[length - 1] == 0x1b) { /* ESC inside the string: its end, or another sequence */
        model->sequence_length = byte == '\\' ? 0 : 1;
        if (byte != '\\') {
            terminal_model_escape(model, byte);
        }
        return;
    }
    if (string) {
        text[model->sequence_length == 2 ? model->sequence_length++ : 2] = (char)byte;
        if (byte == 7 || byte == 0x18 || byte == 0x1a || byte == '\n') {
            model->sequence_length = 0;
        }
        return;
    }
    if (byte < 0x20) {
        terminal_model_execute(model, byte);
        return;
    }
    if (byte >= 0x80) {
        model->sequence_length = 0;
        terminal_model_text(model, byte);
        return;
    }
    if (length < MODEL_SEQUENCE_MAX) {
        text[model->sequence_length++] = (char)byte;
    } else {
        text[2] = '?'; /* too long to be one of ours */
        text[length - 1] = (char)byte;
    }
    length = model->sequence_length;
    if (text[1] == '[') {
        if (length > 2 && byte >= 0x40) {
            model->sequence_length = 0;
            terminal_model_control(model, text, length);
        }
    } else if (byte >= 0x30 && !(length == 2 && strchr("]PX^_", byte))) {
        model->sequence_length = 0;
    }
}

void terminal_model_write(struct terminal_model *model, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (model->sequence_length > 0) {
            terminal_model_escape(model, bytes[i]);
        } else {
            terminal_model_text(model, bytes[i]);
        }
    }
}

/*
 * A second opinion on the framebuffer console, for its tests and its fuzz target: a font made up on the spot,
 * a terminal that keeps a plain grid and collects each escape sequence before it looks at it, and a renderer
 * that computes every pixel of the picture from nothing but the grid.
 */
#pragma once

#include <ashlar/screen.h>
#include <stdlib.h>
#include <string.h>

/* --- the font ----------------------------------------------------------------------------------------------
 */

enum { MODEL_GLYPHS = 160, MODEL_FONT_BYTES_MAX = 32 + MODEL_GLYPHS * 4 * PSF_HEIGHT_MAX + 2048 };

struct model_font {
    uint32_t width;                     /* pixels */
    uint32_t height;                    /* rows */
    size_t bytes;                       /* length of the file */
    uint8_t file[MODEL_FONT_BYTES_MAX]; /* a PSF 2 file */
    uint32_t code_points[MODEL_GLYPHS]; /* what each glyph shows */
};

static inline void model_put_word(uint8_t *to, uint32_t word)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(word >> (8 * i));
    }
}

static inline size_t model_put_utf8(uint8_t *to, uint32_t code_point)
{
    if (code_point < 0x80) {
        to[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        to[0] = (uint8_t)(0xc0 | code_point >> 6);
        to[1] = (uint8_t)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        to[0] = (uint8_t)(0xe0 | code_point >> 12);
        to[1] = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (code_point & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | code_point >> 18);
    to[1] = (uint8_t)(0x80 | (code_point >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (code_point & 0x3f));
    return 4;
}

static inline bool model_pixel(const struct model_font *font, uint32_t glyph, uint32_t x, uint32_t y)
{
    uint32_t row_bytes = (font->width + 7) / 8;
    const uint8_t *line = font->file + 32 + (size_t)(glyph * font->height + y) * row_bytes;
    return (line[x / 8] >> (7 - x % 8) & 1) != 0;
}

/* Glyphs 0..94 are printable ASCII, the space empty; then box drawing, blocks, a few letters, an emoji,
 * U+FFFD. */
static inline void model_font_make(struct model_font *font, uint32_t width, uint32_t height)
{
    uint32_t row_bytes = (width + 7) / 8;
    uint32_t glyph_bytes = row_bytes * height;
    const uint32_t header[8] = {0x864ab572, 0, 32, 1, MODEL_GLYPHS, glyph_bytes, height, width};
    uint32_t random = 12345;
    memset(font, 0, sizeof *font);
    font->width = width;
    font->height = height;
    for (int i = 0; i < 8; i++) {
        model_put_word(font->file + (size_t)4 * i, header[i]);
    }
    uint8_t *next = font->file + 32 + (size_t)MODEL_GLYPHS * glyph_bytes;
    for (uint32_t glyph = 0; glyph < MODEL_GLYPHS; glyph++) {
        uint32_t code_point = glyph < 95 ? 32 + glyph : 0x2500 + (glyph - 95);
        code_point = glyph == 150 ? 0xe9 : glyph == 151 ? 0x1f642 : glyph == 152 ? 0xfffd : code_point;
        font->code_points[glyph] = code_point;
        next += model_put_utf8(next, code_point);
        *next++ = 0xff;
        for (uint32_t i = 0; glyph > 0 && i < glyph_bytes; i++) {
            random = random * 1664525 + 1013904223;
            font->file[32 + glyph * glyph_bytes + i] = (uint8_t)(random >> 24);
        }
    }
    font->bytes = (size_t)(next - font->file);
}

static inline uint32_t model_glyph(const struct model_font *font, uint32_t code_point)
{
    for (uint32_t glyph = 0; glyph < MODEL_GLYPHS; glyph++) {
        if (font->code_points[glyph] == code_point) {
            return glyph;
        }
    }
    return 152;
}

/* --- the terminal ------------------------------------------------------------------------------------------
 */

enum { MODEL_COLUMNS_MAX = 64, MODEL_ROWS_MAX = 48, MODEL_SEQUENCE_MAX = 4096 };

struct model_cell {
    uint32_t glyph;
    int foreground;
    int background;
};

struct model {
    const struct model_font *font;
    int columns;
    int rows;
    int column;
    int row;
    bool full; /* the last column was written: wrap first */
    int foreground;
    int background;
    bool bold;
    bool reverse;
    struct model_cell cells[MODEL_ROWS_MAX][MODEL_COLUMNS_MAX];
    char sequence[MODEL_SEQUENCE_MAX]; /* the escape sequence so far, ESC included */
    int sequence_length;
    uint8_t character[4]; /* the UTF-8 sequence so far */
    int character_length;
};

static inline struct model_cell model_blank(const struct model *model)
{
    int foreground = model->foreground + (model->bold && model->foreground < 8 ? 8 : 0);
    struct model_cell cell = {0, foreground, model->background};
    if (model->reverse) {
        cell.foreground = model->background;
        cell.background = foreground;
    }
    return cell;
}

/* Blanks all cells from one position to another, both included, in reading order. */
static inline void model_erase(struct model *model, int from_row, int from_column, int to_row, int to_column)
{
    for (int i = from_row * model->columns + from_column; i <= to_row * model->columns + to_column; i++) {
        model->cells[i / model->columns][i % model->columns] = model_blank(model);
    }
}

static inline void model_init(struct model *model, const struct model_font *font, int columns, int rows)
{
    memset(model, 0, sizeof *model);
    model->font = font;
    model->columns = columns;
    model->rows = rows;
    model->foreground = 7;
    model_erase(model, 0, 0, rows - 1, columns - 1);
}

static inline void model_new_line(struct model *model)
{
    model->full = false;
    model->column = 0;
    if (++model->row == model->rows) {
        model->row--;
        memmove(model->cells[0], model->cells[1], sizeof model->cells[0] * (size_t)(model->rows - 1));
        model_erase(model, model->row, 0, model->row, model->columns - 1);
    }
}

static inline void model_show(struct model *model, uint32_t code_point)
{
    if (code_point >= 0x80 && code_point < 0xa0) {
        return;
    }
    if (model->full) {
        model_new_line(model);
    }
    struct model_cell cell = model_blank(model);
    cell.glyph = model_glyph(model->font, code_point);
    model->cells[model->row][model->column] = cell;
    model->full = model->column == model->columns - 1;
    model->column += !model->full;
}

static inline int model_clamp(long value, int most)
{
    return value < 0 ? 0 : value > most ? most : (int)value;
}

static inline void model_move(struct model *model, long column, long row)
{
    model->column = model_clamp(column, model->columns - 1);
    model->row = model_clamp(row, model->rows - 1);
    model->full = false;
}

static inline int model_cube(int level)
{
    static const int steps[6] = {0, 95, 135, 175, 215, 255};
    int best = 0;
    for (int i = 1; i < 6; i++) { /* a level in the middle goes up */
        best = abs(steps[i] - level) <= abs(steps[best] - level) ? i : best;
    }
    return best;
}

static inline void model_colours(struct model *model, const int *values, int count)
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
                *colour = 16 + 36 * model_cube(arguments[1]) + 6 * model_cube(arguments[2]) +
                          model_cube(arguments[3]);
                i += 4;
            } else {
                i += 1;
            }
        }
    }
}

/* A whole control sequence: ESC [ digits and semicolons, a letter. */
static inline void model_control(struct model *model, const char *text, int length)
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
            values[count - 1] = model_clamp(values[count - 1] * 10L + (text[i] - '0'), 9999);
        } else {
            return;
        }
    }
    int one = values[0] ? values[0] : 1;
    int last_row = model->rows - 1;
    int last_column = model->columns - 1;
    switch (final) {
    case 'A':
        model_move(model, model->column, model->row - one);
        break;
    case 'B':
        model_move(model, model->column, model->row + one);
        break;
    case 'C':
        model_move(model, model->column + one, model->row);
        break;
    case 'D':
        model_move(model, model->column - one, model->row);
        break;
    case 'G':
        model_move(model, one - 1, model->row);
        break;
    case 'H':
    case 'f':
        model_move(model, values[1] ? values[1] - 1 : 0, one - 1);
        break;
    case 'K':
        if (values[0] <= 2) {
            model_erase(model, model->row, values[0] ? 0 : model->column, model->row,
                        values[0] == 1 ? model->column : last_column);
        }
        break;
    case 'J':
        if (values[0] == 0) {
            model_erase(model, model->row, model->column, last_row, last_column);
        } else if (values[0] == 1) {
            model_erase(model, 0, 0, model->row, model->column);
        } else if (values[0] == 2) {
            model_erase(model, 0, 0, last_row, last_column);
        }
        break;
    case 'm':
        model_colours(model, values, count);
        break;
    default:
        break;
    }
}

static inline void model_execute(struct model *model, uint8_t byte)
{
    if (byte == '\n') {
        model_new_line(model);
    } else if (byte == '\r') {
        model_move(model, 0, model->row);
    } else if (byte == '\b') {
        model_move(model, model->column - 1, model->row);
    } else if (byte == '\t') {
        model_move(model, (model->column | 7) + 1, model->row);
    } else if (byte == 0x1b) {
        model->sequence[0] = 0x1b;
        model->sequence_length = 1;
    } else if (byte == 0x18 || byte == 0x1a) {
        model->sequence_length = 0;
    }
}

static inline bool model_lead_ok(uint8_t first, uint8_t second)
{
    uint32_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint32_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/* Text in UTF-8: each sequence of a lead byte and its continuation bytes is one character, or one U+FFFD. */
static inline void model_text(struct model *model, uint8_t byte)
{
    int length = model->character_length;
    if (length > 0 && byte / 0x40 != 2) {
        model_show(model, 0xfffd);
        length = model->character_length = 0;
    }
    if (length == 0 && byte < 0x80) {
        if (byte < 0x20) {
            model_execute(model, byte);
        } else if (byte != 0x7f) {
            model_show(model, byte);
        }
        return;
    }
    if (length == 0 && (byte < 0xc2 || byte > 0xf4)) {
        model_show(model, 0xfffd);
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
    model_show(model, model_lead_ok(text[0], text[1]) ? value : 0xfffd);
}

/* A byte while an escape sequence is under way. */
static inline void model_escape(struct model *model, uint8_t byte)
{
    char *text = model->sequence;
    int length = model->sequence_length;
    bool string = length >= 2 && strchr("]PX^_", text[1]) != NULL;
    if (string && text[length - 1] == 0x1b) { /* ESC inside the string: its end, or another sequence */
        model->sequence_length = byte == '\\' ? 0 : 1;
        if (byte != '\\') {
            model_escape(model, byte);
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
        model_execute(model, byte);
        return;
    }
    if (byte >= 0x80) {
        model->sequence_length = 0;
        model_text(model, byte);
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
            model_control(model, text, length);
        }
    } else if (byte >= 0x30 && !(length == 2 && strchr("]PX^_", byte))) {
        model->sequence_length = 0;
    }
}

static inline void model_write(struct model *model, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (model->sequence_length > 0) {
            model_escape(model, bytes[i]);
        } else {
            model_text(model, bytes[i]);
        }
    }
}

/* --- the picture -------------------------------------------------------------------------------------------
 */

static inline uint32_t model_channel(struct boot_channel channel, uint32_t level)
{
    uint64_t most = ((uint64_t)1 << channel.bits) - 1;
    uint64_t rounded = (2 * (uint64_t)level * most + 255) / 510;
    return (uint32_t)(rounded << channel.shift);
}

static inline uint32_t model_colour(const struct boot_framebuffer *framebuffer, int number)
{
    static const int vga[8] = {0x000000, 0xaa0000, 0x00aa00, 0xaa5500,
                               0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa};
    static const int steps[6] = {0, 95, 135, 175, 215, 255};
    int colour;
    if (number < 8) {
        colour = vga[number];
    } else if (number < 16) {
        colour = 0x555555 + (number & 1) * 0xaa0000 + (number >> 1 & 1) * 0xaa00 + (number >> 2 & 1) * 0xaa;
    } else if (number < 232) {
        colour =
            steps[(number - 16) / 36] << 16 | steps[(number - 16) / 6 % 6] << 8 | steps[(number - 16) % 6];
    } else {
        colour = (8 + 10 * (number - 232)) * 0x10101;
    }
    return model_channel(framebuffer->red, (uint32_t)colour >> 16) |
           model_channel(framebuffer->green, (uint32_t)colour >> 8 & 255) |
           model_channel(framebuffer->blue, (uint32_t)colour & 255);
}

/* The pixel that should be at (x, y). */
static inline uint32_t model_expected(const struct model *model, const struct boot_framebuffer *framebuffer,
                                      uint32_t x, uint32_t y)
{
    int column = (int)(x / model->font->width);
    int row = (int)(y / model->font->height);
    if (column >= model->columns || row >= model->rows) {
        return model_colour(framebuffer, 0);
    }
    struct model_cell cell = model->cells[row][column];
    bool ink = model_pixel(model->font, cell.glyph, x % model->font->width, y % model->font->height);
    bool cursor = column == model->column && row == model->row;
    return model_colour(framebuffer, ink != cursor ? cell.foreground : cell.background);
}

/* Compares the whole framebuffer, its gaps (filled with 0xa5 before) included. Returns whether it is right.
 */
static inline bool model_matches(const struct model *model, const struct boot_framebuffer *framebuffer)
{
    const uint8_t *bytes = virt_pointer(framebuffer->virtual_base);
    size_t line_bytes = (size_t)framebuffer->width * framebuffer->bytes_per_pixel;
    for (uint32_t y = 0; y < framebuffer->height; y++) {
        const uint8_t *line = bytes + (size_t)y * framebuffer->pitch;
        for (uint32_t x = 0; x < framebuffer->width; x++) {
            uint32_t pixel = 0;
            memcpy(&pixel, line + (size_t)x * framebuffer->bytes_per_pixel, framebuffer->bytes_per_pixel);
            if (pixel != model_expected(model, framebuffer, x, y)) {
                return false;
            }
        }
        size_t gap_end = (size_t)y * framebuffer->pitch + framebuffer->pitch;
        for (size_t i = (size_t)y * framebuffer->pitch + line_bytes; i < gap_end && i < framebuffer->bytes;
             i++) {
            if (bytes[i] != 0xa5) {
                return false;
            }
        }
    }
    return true;
}

/* A framebuffer of exactly the bytes it needs, filled with 0xa5; free() its first byte. */
static inline struct boot_framebuffer model_framebuffer(uint32_t width, uint32_t height, uint32_t gap_bytes,
                                                        int format)
{
    static const struct {
        uint32_t bytes;
        struct boot_channel red, green, blue;
    } formats[] = {
        {4, {16, 8}, {8, 8}, {0, 8}}, {4, {0, 8}, {8, 8}, {16, 8}}, {4, {20, 10}, {10, 10}, {0, 10}},
        {3, {16, 8}, {8, 8}, {0, 8}}, {2, {11, 5}, {5, 6}, {0, 5}}, {2, {10, 5}, {5, 5}, {0, 5}},
    };
    struct boot_framebuffer framebuffer = {.width = width, .height = height};
    format %= (int)ARRAY_LENGTH(formats);
    framebuffer.bytes_per_pixel = formats[format].bytes;
    framebuffer.red = formats[format].red;
    framebuffer.green = formats[format].green;
    framebuffer.blue = formats[format].blue;
    framebuffer.pitch = width * framebuffer.bytes_per_pixel + gap_bytes;
    framebuffer.bytes =
        (uint64_t)framebuffer.pitch * (height - 1) + (uint64_t)width * framebuffer.bytes_per_pixel;
    framebuffer.virtual_base = virt_of(malloc(framebuffer.bytes));
    memset(virt_pointer(framebuffer.virtual_base), 0xa5, framebuffer.bytes);
    return framebuffer;
}

enum { MODEL_FORMATS = 6 };

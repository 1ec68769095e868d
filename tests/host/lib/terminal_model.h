/* A plain model of the terminal: what each cell holds after any bytes. */
#pragma once

#include "font_model.h"
#include <ashlar/screen.h>

enum { MODEL_COLUMNS_MAX = 64, MODEL_ROWS_MAX = 48, MODEL_SEQUENCE_MAX = 4096 };

struct terminal_model_cell {
    uint32_t glyph;
    int foreground;
    int background;
};

struct terminal_model {
    const struct font_model *font;
    int columns;
    int rows;
    int column;
    int row;
    bool full; /* the last column was written: wrap first */
    int foreground;
    int background;
    bool bold;
    bool reverse;
    struct terminal_model_cell cells[MODEL_ROWS_MAX][MODEL_COLUMNS_MAX];
    char sequence[MODEL_SEQUENCE_MAX]; /* the escape sequence so far, ESC included */
    int sequence_length;
    uint8_t character[4]; /* the UTF-8 sequence so far */
    int character_length;
};

void terminal_model_init(struct terminal_model *model, const struct font_model *font, int columns, int rows);
void terminal_model_write(struct terminal_model *model, const uint8_t *bytes, size_t count);

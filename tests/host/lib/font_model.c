#include "font_model.h"

#include <stdlib.h>
#include <string.h>

void font_model_put_word(uint8_t *to, uint32_t word)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(word >> (8 * i));
    }
}

size_t font_model_put_utf8(uint8_t *to, uint32_t code_point)
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

bool font_model_pixel(const struct font_model *font, uint32_t glyph, uint32_t x, uint32_t y)
{
    uint32_t row_bytes = (font->width + 7) / 8;
    const uint8_t *line = font->file + 32 + (size_t)(glyph * font->height + y) * row_bytes;
    return (line[x / 8] >> (7 - x % 8) & 1) != 0;
}

void font_model_make(struct font_model *font, uint32_t width, uint32_t height)
{
    uint32_t row_bytes = (width + 7) / 8;
    uint32_t glyph_bytes = row_bytes * height;
    const uint32_t header[8] = {0x864ab572, 0, 32, 1, MODEL_GLYPHS, glyph_bytes, height, width};
    uint32_t random = 12345;
    memset(font, 0, sizeof *font);
    font->width = width;
    font->height = height;
    for (int i = 0; i < 8; i++) {
        font_model_put_word(font->file + (size_t)4 * i, header[i]);
    }
    uint8_t *next = font->file + 32 + (size_t)MODEL_GLYPHS * glyph_bytes;
    for (uint32_t glyph = 0; glyph < MODEL_GLYPHS; glyph++) {
        uint32_t code_point = glyph < 95 ? 32 + glyph : 0x2500 + (glyph - 95);
        code_point = glyph == 150 ? 0xe9 : glyph == 151 ? 0x1f642 : glyph == 152 ? 0xfffd : code_point;
        font->code_points[glyph] = code_point;
        next += font_model_put_utf8(next, code_point);
        *next++ = 0xff;
        for (uint32_t i = 0; glyph > 0 && i < glyph_bytes; i++) {
            random = random * 1664525 + 1013904223;
            font->file[32 + glyph * glyph_bytes + i] = (uint8_t)(random >> 24);
        }
    }
    font->bytes = (size_t)(next - font->file);
}

uint32_t font_model_glyph(const struct font_model *font, uint32_t code_point)
{
    for (uint32_t glyph = 0; glyph < MODEL_GLYPHS; glyph++) {
        if (font->code_points[glyph] == code_point) {
            return glyph;
        }
    }
    return 152;
}

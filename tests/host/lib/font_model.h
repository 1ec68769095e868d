/* A font made for the tests, glyph by glyph, with a model of how code points find their glyphs. */
#pragma once

#include <ashlar/psf.h>

enum { MODEL_GLYPHS = 160, MODEL_FONT_BYTES_MAX = 32 + MODEL_GLYPHS * 4 * PSF_HEIGHT_MAX + 2048 };

struct font_model {
    uint32_t width;                     /* pixels */
    uint32_t height;                    /* rows */
    size_t bytes;                       /* length of the file */
    uint8_t file[MODEL_FONT_BYTES_MAX]; /* a PSF 2 file */
    uint32_t code_points[MODEL_GLYPHS]; /* what each glyph shows */
};

void font_model_put_word(uint8_t *to, uint32_t word);
size_t font_model_put_utf8(uint8_t *to, uint32_t code_point);
bool font_model_pixel(const struct font_model *font, uint32_t glyph, uint32_t x, uint32_t y);

/* Glyphs 0..94 are printable ASCII, the space empty; then box drawing, blocks, a few letters, an emoji,
 * U+FFFD. */
void font_model_make(struct font_model *font, uint32_t width, uint32_t height);
uint32_t font_model_glyph(const struct font_model *font, uint32_t code_point);

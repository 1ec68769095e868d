/* Random font files: opened or refused, and every glyph of an opened one lies inside the file. */
#include <ashlar/psf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_glyph(const struct psf_font *font, uint16_t glyph)
{
    if (glyph >= font->glyph_count) {
        abort();
    }
    const volatile uint8_t *bitmap = font->glyphs + (size_t)glyph * font->bytes_per_glyph;
    for (uint32_t i = 0; i < font->bytes_per_row * font->height; i++) {
        (void)bitmap[i]; /* the address sanitizer watches the end of the file */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct psf_font font;
    static const uint32_t samples[] = {0,      'A',    '?',    0x7f,    0x80,     0xe9,     0x2502,
                                       0x2588, 0xfffd, 0xffff, 0x1f642, 0x10ffff, 0x110000, UINT32_MAX};
    uint8_t *file = malloc(size + !size);
    memcpy(file, data, size);
    const char *error = psf_open(&font, file, size);
    for (size_t i = 0; !error && i < ARRAY_LENGTH(samples); i++) {
        read_glyph(&font, psf_glyph(&font, samples[i]));
    }
    for (uint32_t i = 0; !error && i < PSF_SLOTS; i++) {
        if (font.slots[i] != 0) {
            read_glyph(&font, psf_glyph(&font, font.slots[i] >> 11));
        }
    }
    uint32_t width;
    uint32_t height;
    if (!error && (!psf_size(file, size, &width, &height) || width != font.width || height != font.height)) {
        abort();
    }
    free(file);
    return 0;
}

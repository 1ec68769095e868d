/*
 * PC screen fonts, versions 1 and 2: a header, bitmaps, and a table that says which code points each shows.
 * (The format is that of Linux's kbd: https://www.win.tue.nl/~aeb/linux/kbd/font-formats-1.html)
 */
#pragma once

#include <ashlar/types.h>

#define PSF_WIDTH_MAX       32   /* pixels */
#define PSF_HEIGHT_MAX      64   /* pixels */
#define PSF_GLYPHS_MAX      2048 /* so that a code point (21 bits) and its glyph (11 bits) fit one word */
#define PSF_SLOTS           4096 /* of the table of code points; a power of two */
#define PSF_CODE_POINTS_MAX 3072 /* slots in use, at most: a search soon meets one that is empty */

struct psf_font {
    uint32_t width;            /* pixels of a glyph */
    uint32_t height;           /* rows of a glyph */
    uint32_t bytes_per_row;    /* of the bitmap; the leftmost pixel is the top bit of the first byte */
    uint32_t bytes_per_glyph;  /* from one glyph to the next */
    uint32_t glyph_count;      /* glyphs */
    const uint8_t *glyphs;     /* bitmaps, inside the file */
    uint32_t slot_count;       /* slots in use */
    uint16_t fallback;         /* glyph of what the font does not have */
    uint16_t ascii[128];       /* glyph of each ASCII character */
    uint32_t slots[PSF_SLOTS]; /* hash table: code point << 11 | glyph, linear probing, 0 is empty */
};

/*
 * Opens the font file of `bytes` bytes at `file`, which must stay there. Trusts nothing in it.
 * Returns NULL when it is good, else what is wrong with it, and *font is of no use.
 */
const char *psf_open(struct psf_font *font, const void *file, size_t bytes);

/*
 * Stores the size of a glyph in pixels, for a file whose header is good; returns false for any other.
 */
bool psf_size(const void *file, size_t bytes, uint32_t *width, uint32_t *height);

/* The glyph for a code point. Where the font has none: that of U+FFFD, else of '?', else glyph 0. */
uint16_t psf_glyph(const struct psf_font *font, uint32_t code_point);

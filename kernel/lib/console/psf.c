/*
 * PC screen fonts; see <ashlar/psf.h>.
 *
 * Version 1: magic 36 04, a mode byte (1: 512 glyphs instead of 256; 2 or 4: a table follows), the height;
 * width is 8; the table has 16-bit code points, 0xffff ends a glyph's list, 0xfffe starts a sequence of
 * combined characters. Version 2: magic 72 b5 4a 86, then words: version 0, header bytes, flags (1: a table
 * follows), glyphs, bytes per glyph, height, width; the table is UTF-8 with ff as the end of a list and fe as
 * the start of a sequence. Sequences are of no use to a terminal of single cells and are passed over.
 *
 * The table is turned into a hash table once, because every character that is printed is looked up in it.
 */
#include <ashlar/psf.h>
#include <ashlar/string.h>
#include <ashlar/utf8.h>

enum { PSF1_HEADER_BYTES = 4, PSF2_HEADER_BYTES = 32 };
enum { PSF1_MODE_512 = 1, PSF1_MODE_HAS_TABLE = 2, PSF1_MODE_HAS_SEQUENCES = 4 };
enum { PSF2_FLAG_HAS_TABLE = 1 };

#define PSF1_END      0xffffU
#define PSF1_SEQUENCE 0xfffeU
#define PSF2_END      0xffU
#define PSF2_SEQUENCE 0xfeU
#define GLYPH_BITS    11
#define GLYPH_MASK    ((1U << GLYPH_BITS) - 1)

/* A file whose header is good: all its glyphs lie inside it. */
struct psf_layout {
    uint32_t version;         /* 1 or 2 */
    uint32_t width;           /* pixels */
    uint32_t height;          /* rows */
    uint32_t glyph_count;     /* glyphs */
    uint32_t bytes_per_row;   /* of a glyph */
    uint32_t bytes_per_glyph; /* of a glyph */
    bool has_table;           /* code points follow the glyphs */
    const uint8_t *glyphs;    /* first bitmap */
    const uint8_t *table;     /* first byte after the glyphs */
    const uint8_t *end;       /* end of the file */
};

static uint32_t read_word(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static const char *check_layout(struct psf_layout *layout, const uint8_t *file, uint64_t header_bytes,
                                uint64_t bytes)
{
    if (layout->width < 1 || layout->width > PSF_WIDTH_MAX || layout->height < 1 ||
        layout->height > PSF_HEIGHT_MAX) {
        return "glyph size out of range";
    }
    if (layout->glyph_count < 1 || layout->glyph_count > PSF_GLYPHS_MAX) {
        return "number of glyphs out of range";
    }
    layout->bytes_per_row = (layout->width + 7) / 8;
    if (layout->bytes_per_glyph < layout->bytes_per_row * layout->height) {
        return "glyphs shorter than their size";
    }
    uint64_t glyph_bytes = (uint64_t)layout->glyph_count * layout->bytes_per_glyph;
    if (header_bytes > bytes || glyph_bytes > bytes - header_bytes) {
        return "glyphs beyond the end of the file";
    }
    layout->glyphs = file + header_bytes;
    layout->table = layout->glyphs + glyph_bytes;
    layout->end = file + bytes;
    return NULL;
}

static const char *parse_version1(struct psf_layout *layout, const uint8_t *file, size_t bytes)
{
    layout->version = 1;
    layout->width = 8;
    layout->height = file[3];
    layout->glyph_count = (file[2] & PSF1_MODE_512) != 0 ? 512 : 256;
    layout->bytes_per_glyph = layout->height;
    layout->has_table = (file[2] & (PSF1_MODE_HAS_TABLE | PSF1_MODE_HAS_SEQUENCES)) != 0;
    return check_layout(layout, file, PSF1_HEADER_BYTES, bytes);
}

static const char *parse_version2(struct psf_layout *layout, const uint8_t *file, size_t bytes)
{
    if (bytes < PSF2_HEADER_BYTES || read_word(file + 8) < PSF2_HEADER_BYTES) {
        return "header too short";
    }
    if (read_word(file + 4) != 0) {
        return "unknown version";
    }
    layout->version = 2;
    layout->has_table = (read_word(file + 12) & PSF2_FLAG_HAS_TABLE) != 0;
    layout->glyph_count = read_word(file + 16);
    layout->bytes_per_glyph = read_word(file + 20);
    layout->height = read_word(file + 24);
    layout->width = read_word(file + 28);
    return check_layout(layout, file, read_word(file + 8), bytes);
}

static const char *parse(struct psf_layout *layout, const uint8_t *file, size_t bytes)
{
    if (bytes >= PSF1_HEADER_BYTES && file[0] == 0x36 && file[1] == 0x04) {
        return parse_version1(layout, file, bytes);
    }
    if (bytes >= PSF1_HEADER_BYTES && read_word(file) == 0x864ab572) {
        return parse_version2(layout, file, bytes);
    }
    return "not a PSF font";
}

/* Multiplicative hashing (Knuth, TAOCP volume 3, 6.4): neighbouring code points spread over the table. */
static uint32_t slot_of(uint32_t code_point)
{
    return (code_point * 2654435769U) >> 20 & (PSF_SLOTS - 1);
}

/* The slot of a code point, or, if it is not in the table, the empty slot where it would be put. */
static uint32_t find_slot(const struct psf_font *font, uint32_t code_point)
{
    uint32_t slot = slot_of(code_point);
    while (font->slots[slot] != 0 && font->slots[slot] >> GLYPH_BITS != code_point) {
        slot = (slot + 1) & (PSF_SLOTS - 1);
    }
    return slot;
}

/* Returns false when the table is full. The first glyph that claims a code point keeps it. */
static bool add_code_point(struct psf_font *font, uint32_t code_point, uint32_t glyph)
{
    if (code_point < ARRAY_LENGTH(font->ascii)) {
        if (font->ascii[code_point] == UINT16_MAX) {
            font->ascii[code_point] = (uint16_t)glyph;
        }
        return true;
    }
    uint32_t slot = find_slot(font, code_point);
    if (font->slots[slot] != 0) {
        return true;
    }
    if (font->slot_count == PSF_CODE_POINTS_MAX) {
        return false;
    }
    font->slots[slot] = code_point << GLYPH_BITS | glyph;
    font->slot_count++;
    return true;
}

static bool read_table1(struct psf_font *font, const struct psf_layout *layout)
{
    const uint8_t *next = layout->table;
    uint32_t glyph = 0;
    bool in_sequence = false;
    for (; layout->end - next >= 2 && glyph < layout->glyph_count; next += 2) {
        uint32_t value = next[0] | (uint32_t)next[1] << 8;
        if (value == PSF1_END) {
            glyph++;
            in_sequence = false;
        } else if (value == PSF1_SEQUENCE) {
            in_sequence = true;
        } else if (!in_sequence && !add_code_point(font, value, glyph)) {
            return false;
        }
    }
    return true;
}

static bool read_table2(struct psf_font *font, const struct psf_layout *layout)
{
    struct utf8_decoder decoder = {0};
    uint32_t glyph = 0;
    bool in_sequence = false;
    for (const uint8_t *next = layout->table; next < layout->end && glyph < layout->glyph_count; next++) {
        uint32_t points[2];
        if (*next == PSF2_END || *next == PSF2_SEQUENCE) {
            in_sequence = *next == PSF2_SEQUENCE;
            glyph += *next == PSF2_END;
            decoder = (struct utf8_decoder){0};
        } else if (!in_sequence) {
            unsigned count = utf8_decode(&decoder, *next, points);
            for (unsigned i = 0; i < count; i++) {
                if (!add_code_point(font, points[i], glyph)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Without a table a glyph's number is its code point. */
static bool number_glyphs(struct psf_font *font, const struct psf_layout *layout)
{
    _Static_assert(PSF_GLYPHS_MAX <= PSF_CODE_POINTS_MAX, "there is room for a code point of each glyph");
    bool fits = true;
    for (uint32_t glyph = 0; glyph < layout->glyph_count; glyph++) {
        fits &= add_code_point(font, glyph, glyph);
    }
    return fits;
}

static void choose_fallback(struct psf_font *font)
{
    uint32_t replacement = font->slots[find_slot(font, UTF8_REPLACEMENT)];
    if (replacement != 0) {
        font->fallback = (uint16_t)(replacement & GLYPH_MASK);
    } else {
        font->fallback = font->ascii['?'] == UINT16_MAX ? 0 : font->ascii['?'];
    }
    for (size_t i = 0; i < ARRAY_LENGTH(font->ascii); i++) {
        if (font->ascii[i] == UINT16_MAX) {
            font->ascii[i] = font->fallback;
        }
    }
}

const char *psf_open(struct psf_font *font, const void *file, size_t bytes)
{
    struct psf_layout layout;
    const char *error = parse(&layout, file, bytes);
    if (error) {
        return error;
    }
    font->width = layout.width;
    font->height = layout.height;
    font->bytes_per_row = layout.bytes_per_row;
    font->bytes_per_glyph = layout.bytes_per_glyph;
    font->glyph_count = layout.glyph_count;
    font->glyphs = layout.glyphs;
    font->slot_count = 0;
    memset(font->slots, 0, sizeof font->slots);
    memset(font->ascii, 0xff, sizeof font->ascii);
    bool fits = !layout.has_table     ? number_glyphs(font, &layout)
                : layout.version == 1 ? read_table1(font, &layout)
                                      : read_table2(font, &layout);
    choose_fallback(font);
    return fits ? NULL : "more code points than the table holds";
}

bool psf_size(const void *file, size_t bytes, uint32_t *width, uint32_t *height)
{
    struct psf_layout layout;
    if (parse(&layout, file, bytes)) {
        return false;
    }
    *width = layout.width;
    *height = layout.height;
    return true;
}

uint16_t psf_glyph(const struct psf_font *font, uint32_t code_point)
{
    if (code_point < ARRAY_LENGTH(font->ascii)) {
        return font->ascii[code_point];
    }
    uint32_t entry = code_point <= 0x10ffff ? font->slots[find_slot(font, code_point)] : 0;
    return entry == 0 ? font->fallback : (uint16_t)(entry & GLYPH_MASK);
}

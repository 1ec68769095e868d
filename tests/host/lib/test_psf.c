/* Screen fonts: the table of code points against what the file was made from, and files that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/psf.h>

#include "screen_model.h"

enum { GLYPHS = 1000, FILE_BYTES_MAX = 32 + GLYPHS * 2 + GLYPHS * 16 };

static struct psf_font font;
static uint8_t file[FILE_BYTES_MAX];
static size_t file_bytes;

/* The three code points that glyph `glyph` shows; all of them differ. */
static uint32_t code_point_of(uint32_t glyph, uint32_t which)
{
    uint32_t number = glyph * 3 + which;
    return number < 126 ? number + 1 : which < 2 ? 0x400 + number : 0x10000 + number * 257;
}

/* Each glyph has two plain code points, a sequence (which must not count), and one more code point. */
static void make_version2(void)
{
    const uint32_t header[8] = {0x864ab572, 0, 32, 1, GLYPHS, 2, 2, 7};
    memset(file, 0, sizeof file);
    for (size_t i = 0; i < 8; i++) {
        font_model_put_word(file + 4 * i, header[i]);
    }
    uint8_t *next = file + 32 + (size_t)GLYPHS * 2;
    for (uint32_t glyph = 0; glyph < GLYPHS; glyph++) {
        next += font_model_put_utf8(next, code_point_of(glyph, 0));
        next += font_model_put_utf8(next, code_point_of(glyph, 1));
        next += font_model_put_utf8(next, code_point_of(glyph, 2));
        *next++ = 0xfe;
        next += font_model_put_utf8(next, 0x10f000 + glyph);
        *next++ = 0xff;
    }
    file_bytes = (size_t)(next - file);
}

static void every_code_point_finds_its_glyph(void **state)
{
    (void)state;
    make_version2();
    assert_null(psf_open(&font, file, file_bytes));
    assert_int_equal(font.glyph_count, GLYPHS);
    assert_int_equal(font.width, 7);
    for (uint32_t glyph = 0; glyph < GLYPHS; glyph++) {
        for (uint32_t which = 0; which < 3; which++) {
            assert_int_equal(psf_glyph(&font, code_point_of(glyph, which)), glyph);
        }
    }
}

static void what_the_font_lacks_is_a_question_mark(void **state)
{
    (void)state;
    static const uint32_t absent[] = {0x10f000, 0x10f3e7, 0x10ffff, 0x110000, UINT32_MAX, 0x200};
    make_version2();
    assert_null(psf_open(&font, file, file_bytes));
    for (size_t i = 0; i < ARRAY_LENGTH(absent); i++) {
        assert_int_equal(psf_glyph(&font, absent[i]), psf_glyph(&font, '?'));
    }
}

static void version1_fonts_are_read(void **state)
{
    (void)state;
    static uint8_t old[4 + 256 * 4 + 16] = {0x36, 0x04, 2, 4};
    static const uint8_t table[] = {'A', 0, 0x02, 0x25, 0xfe, 0xff, 'a', 0, 0xff, 0xff, '?', 0, 0xff, 0xff};
    memcpy(old + 4 + (size_t)256 * 4, table, sizeof table);
    assert_null(psf_open(&font, old, sizeof old));
    assert_int_equal(font.height, 4);
    assert_int_equal(psf_glyph(&font, 'A'), 0);
    assert_int_equal(psf_glyph(&font, 0x2502), 0);
    assert_int_equal(psf_glyph(&font, '?'), 1);
    assert_int_equal(psf_glyph(&font, 'a'), 1);
    old[2] = 0;
    assert_null(psf_open(&font, old, sizeof old));
    assert_int_equal(psf_glyph(&font, 'a'), 'a');
    assert_int_equal(psf_glyph(&font, 200), 200);
    old[2] = 1;
    assert_string_equal(psf_open(&font, old, sizeof old), "glyphs beyond the end of the file");
}

/* Both kinds of table: a code point that two glyphs claim, and more of them than there is room for. */
static void version1_tables_are_bounded(void **state)
{
    (void)state;
    static uint8_t old[4 + 256 + 2 * (PSF_CODE_POINTS_MAX + 3) + 2] = {0x36, 0x04, 2, 1};
    uint8_t *table = old + 4 + 256;
    for (uint32_t i = 0; i <= PSF_CODE_POINTS_MAX; i++) {
        uint32_t code_point = 0x1000 + (i == 1 ? 0 : i); /* the first one twice */
        table[2 * i] = (uint8_t)code_point;
        table[2 * i + 1] = (uint8_t)(code_point >> 8);
    }
    assert_null(psf_open(&font, old, (size_t)(table - old) + 2 * (PSF_CODE_POINTS_MAX + 1)));
    table[2 * (PSF_CODE_POINTS_MAX + 1)] = 0x34;
    table[2 * (PSF_CODE_POINTS_MAX + 1) + 1] = 0x12 + 0x40;
    assert_string_equal(psf_open(&font, old, (size_t)(table - old) + 2 * (PSF_CODE_POINTS_MAX + 2)),
                        "more code points than the table holds");
}

static void expect_refusal(size_t offset, uint32_t word, const char *reason)
{
    make_version2();
    font_model_put_word(file + offset, word);
    const char *error = psf_open(&font, file, file_bytes);
    assert_non_null(error);
    assert_string_equal(error, reason);
    uint32_t width;
    uint32_t height;
    assert_false(psf_size(file, file_bytes, &width, &height));
}

static void bad_headers_are_refused(void **state)
{
    (void)state;
    expect_refusal(0, 0x864ab573, "not a PSF font");
    expect_refusal(4, 1, "unknown version");
    expect_refusal(8, 31, "header too short");
    expect_refusal(8, UINT32_MAX, "glyphs beyond the end of the file");
    expect_refusal(16, 0, "number of glyphs out of range");
    expect_refusal(16, PSF_GLYPHS_MAX + 1, "number of glyphs out of range");
    expect_refusal(20, 1, "glyphs shorter than their size");
    expect_refusal(20, UINT32_MAX, "glyphs beyond the end of the file");
    expect_refusal(24, 0, "glyph size out of range");
    expect_refusal(28, PSF_WIDTH_MAX + 1, "glyph size out of range");
    make_version2();
    for (size_t bytes = 0; bytes < 32; bytes++) {
        assert_non_null(psf_open(&font, file, bytes));
    }
    assert_string_equal(psf_open(&font, file, 32 + GLYPHS * 2 - 1), "glyphs beyond the end of the file");
    assert_null(psf_open(&font, file, 32 + GLYPHS * 2));
}

static void too_many_code_points_are_refused(void **state)
{
    (void)state;
    static uint8_t wide[32 + 1 + PSF_SLOTS * 3 + 1];
    const uint32_t header[8] = {0x864ab572, 0, 32, 1, 1, 1, 1, 8};
    for (size_t i = 0; i < 8; i++) {
        font_model_put_word(wide + 4 * i, header[i]);
    }
    uint8_t *next = wide + 33;
    for (uint32_t i = 0; i < PSF_CODE_POINTS_MAX; i++) {
        next += font_model_put_utf8(next, 0x1000 + i);
    }
    *next = 0xff;
    assert_null(psf_open(&font, wide, (size_t)(next + 1 - wide)));
    for (uint32_t i = 0; i < PSF_SLOTS - PSF_CODE_POINTS_MAX; i++) {
        next += font_model_put_utf8(next, 0x4000 + i);
    }
    *next++ = 0xff;
    assert_string_equal(psf_open(&font, wide, (size_t)(next - wide)),
                        "more code points than the table holds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_finds_its_glyph),
        cmocka_unit_test(what_the_font_lacks_is_a_question_mark),
        cmocka_unit_test(version1_fonts_are_read),
        cmocka_unit_test(version1_tables_are_bounded),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(too_many_code_points_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

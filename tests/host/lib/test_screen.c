/*
 * The framebuffer console: every pixel against the model's picture, for each pixel format, font size and
 * pitch, after directed and random text; and the doors: bad fonts, bad framebuffers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "screen_model.h"

static struct font_model font;
static struct terminal_model model;
static struct screen screen;
static struct boot_framebuffer framebuffer;
static struct screen_memory memory;

/* A font and exactly as many cells as the screen needs with it. */
static struct screen_memory memory_for(const struct boot_framebuffer *video,
                                       const struct screen_font_file *file)
{
    uint32_t width = 1;
    uint32_t height = 1;
    struct screen_grid grid = {1, 1};
    assert_true(psf_size(file->data, file->bytes, &width, &height));
    screen_grid_of(video, width, height, &grid);
    uint64_t bytes = screen_cell_bytes(grid);
    return (struct screen_memory){file->data, file->bytes, memset(malloc(bytes), 0xa5, bytes), bytes};
}

static void open_both(uint32_t font_width, uint32_t font_height, uint32_t columns, uint32_t rows, int format)
{
    font_model_make(&font, font_width, font_height);
    framebuffer =
        screen_model_framebuffer(columns * font_width + font_width / 2, rows * font_height + font_height / 2,
                                 format % 2 == 0 ? 0 : 7 * (uint32_t)format, format);
    struct screen_font_file file = {font.file, font.bytes};
    memory = memory_for(&framebuffer, &file);
    assert_null(screen_open(&screen, &framebuffer, &memory));
    assert_int_equal(screen.terminal.columns, columns);
    assert_int_equal(screen.terminal.rows, rows);
    terminal_model_init(&model, &font, (int)columns, (int)rows);
}

static void write_both(const char *text, size_t bytes)
{
    screen_write(&screen, text, bytes);
    terminal_model_write(&model, (const uint8_t *)text, bytes);
}

static void check_both(void)
{
    screen_flush(&screen);
    assert_true(screen_model_matches(&model, &framebuffer));
}

static void close_both(void)
{
    free(virt_pointer(framebuffer.virtual_base));
    free(memory.cells);
}

/* ---- Directed: what a person would see, spelt out ---- */

/* The character of the model's font that stands in a cell. */
static uint32_t shown(uint32_t column, uint32_t row)
{
    return font.code_points[terminal_row(&screen.terminal, row)[column].glyph];
}

static void expect_row(uint32_t row, const char *text)
{
    for (uint32_t column = 0; column < screen.terminal.columns; column++) {
        uint32_t expected = column < strlen(text) ? (uint8_t)text[column] : (uint32_t)' ';
        assert_int_equal(shown(column, row), expected);
    }
}

static void open_and_write(const char *text)
{
    open_both(8, 16, 10, 4, 0);
    write_both(text, strlen(text));
    check_both();
}

static void lines_and_scrolling(void **state)
{
    (void)state;
    open_and_write("one\ntwo\nthree\nfour\nfive");
    expect_row(0, "two");
    expect_row(3, "five");
    assert_int_equal(screen.terminal.column, 4);
    close_both();
}

static void full_line_wraps_only_when_more_follows(void **state)
{
    (void)state;
    open_and_write("0123456789\nabcdefghijk");
    expect_row(0, "0123456789");
    expect_row(1, "abcdefghij");
    expect_row(2, "k");
    close_both();
}

static void line_editing(void **state)
{
    (void)state;
    open_and_write(
        "prompt\x1b[3D\x1b[KX\rP\x1b[8Gz\b\by\n\t.\x1b[1D\x1b[1K\x1b[4;1Hq\x1b[2;5f2\x1b[1Au\x1b[1Bd");
    expect_row(0, "ProX uyz");
    expect_row(1, "    2 d");
    expect_row(3, "q");
    close_both();
}

static void erasing_the_display(void **state)
{
    (void)state;
    open_and_write("aaaa\nbbbb\ncccc\x1b[2;3H\x1b[J");
    expect_row(0, "aaaa");
    expect_row(1, "bb");
    expect_row(2, "");
    write_both("\x1b[1J", 4);
    expect_row(0, "");
    write_both("zz\x1b[2J", 6);
    expect_row(1, "");
    check_both();
    close_both();
}

static void colours(void **state)
{
    (void)state;
    open_and_write("\x1b[31;42ma\x1b[1mb\x1b[22;7mc\x1b[27;94md\x1b[38;5;208;48;2;0;255;95me\x1b[39;49mf\x1b["
                   "0mg\x1b[mh");
    static const uint8_t expected[8][2] = {{1, 2}, {9, 2}, {2, 1}, {12, 2}, {208, 16 + 30 + 1},
                                           {7, 0}, {7, 0}, {7, 0}};
    for (uint32_t column = 0; column < 8; column++) {
        struct terminal_cell cell = terminal_row(&screen.terminal, 0)[column];
        assert_int_equal(cell.foreground, expected[column][0]);
        assert_int_equal(cell.background, expected[column][1]);
    }
    close_both();
}

/* Every level of a true colour goes to the step of the cube that is nearest. */
static void true_colours_are_approximated(void **state)
{
    (void)state;
    open_both(8, 16, 10, 4, 0);
    for (uint32_t level = 0; level < 300; level++) {
        char text[64];
        write_both(text, (size_t)snprintf(text, sizeof text, "\x1b[H\x1b[48;2;%u;%u;%um.", level, 299 - level,
                                          level));
        check_both();
    }
    close_both();
}

static void unknown_sequences_are_swallowed_whole(void **state)
{
    (void)state;
    open_and_write("a\x1b[?25lb\x1b]0;title\007c\x1bP1;2q#0\x1b\\d\x1b(Be\x1b[5 qf\x1b[>4;2mg\x1b"
                   "7h\x1b[99Zi");
    expect_row(0, "abcdefghi");
    close_both();
}

/*
 * Colours by a kind that is none, more parameters than there are, and an escape in place of a string's end.
 */
static void broken_sequences_are_swallowed(void **state)
{
    (void)state;
    open_and_write("a\x1b[38;7mb\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20mc\x1bPx\x1b[md");
    expect_row(0, "abcd");
    close_both();
}

/* The console writes through the sink that the screen is. */
static void the_screen_is_a_sink(void **state)
{
    (void)state;
    open_and_write("");
    screen.sink.write(&screen.sink, "through", 7);
    terminal_model_write(&model, (const uint8_t *)"through", 7);
    screen.sink.flush(&screen.sink);
    assert_true(screen_model_matches(&model, &framebuffer));
    close_both();
}

static void an_unfinished_string_ends_with_the_line(void **state)
{
    (void)state;
    open_and_write("\x1bPlost\nkept");
    expect_row(0, "kept");
    close_both();
}

static void utf8_and_what_is_none(void **state)
{
    (void)state;
    open_and_write("\xe2\x94\x82\xf0\x9f\x99\x82\xc3\xa9|\xff\xc3|\xed\xa0\x80\xe2\x94");
    static const uint32_t expected[] = {0x2502, 0x1f642, 0xe9, '|', 0xfffd, 0xfffd, '|', 0xfffd, ' ', ' '};
    for (uint32_t column = 0; column < ARRAY_LENGTH(expected); column++) {
        assert_int_equal(shown(column, 0), expected[column]);
    }
    close_both();
}

static void overlong_and_out_of_range_utf8(void **state)
{
    (void)state;
    open_and_write("\xe0\x80\xaf\xc0\xaf"
                   "a"
                   "\xf0\x82\x82\xac\xf4\x90\x80\x80\xed\xbf\xbf");
    static const uint32_t expected[] = {0xfffd, 0xfffd, 0xfffd, 'a', 0xfffd, 0xfffd, 0xfffd, ' '};
    for (uint32_t column = 0; column < ARRAY_LENGTH(expected); column++) {
        assert_int_equal(shown(column, 0), expected[column]);
    }
    close_both();
}

static void a_late_write_draws_by_itself(void **state)
{
    (void)state;
    open_both(8, 16, 10, 4, 0);
    screen.flushed_at -= SCREEN_FLUSH_TICKS;
    write_both("seen", 4);
    assert_true(screen_model_matches(&model, &framebuffer));
    close_both();
}

/* Draws nothing that is there already: pixels changed behind its back stay as they are. */
static void only_differences_are_drawn(void **state)
{
    (void)state;
    open_and_write("same\nother");
    uint8_t *pixels = virt_pointer(framebuffer.virtual_base);
    pixels[0] ^= 0xff;
    const char *again = "\x1b[1;1Hsame\x1b[3;1H";
    write_both(again, strlen(again));
    screen_flush(&screen);
    assert_false(screen_model_matches(&model, &framebuffer));
    pixels[0] ^= 0xff;
    check_both();
    close_both();
}

/* ---- Random ---- */

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((random_state >> 33) % limit);
}

/* A piece of text as programs send it, now and then broken. */
static size_t random_piece(char *to, size_t room)
{
    static const char *const characters[] = {"\xe2\x94\x82", "\xe2\x94\x80", "\xc3\xa9", "\xf0\x9f\x99\x82",
                                             "\n",           "\r",           "\t",       "\b",
                                             "\x1b",         "\xff",         "\xe2\x94", "\n\n"};
    static const char finals[] = "ABCDGHfJKmmmmmmmmsnz";
    switch (random_below(8)) {
    case 0:
        return (size_t)snprintf(to, room, "%s", characters[random_below(ARRAY_LENGTH(characters))]);
    case 1:
        return (size_t)snprintf(to, room, "\x1b[%u%c", random_below(12),
                                finals[random_below(sizeof finals - 1)]);
    case 2:
        return (size_t)snprintf(to, room, "\x1b[%u;%um", random_below(110), 30 + random_below(20));
    case 3:
        return (size_t)snprintf(to, room, "\x1b[%u;%u;%um", 38 + 10 * random_below(2), 5, random_below(300));
    case 4:
        return (size_t)snprintf(to, room, "\x1b[%u;%uH", random_below(60), random_below(60));
    case 5:
        to[0] = (char)random_below(256);
        return 1;
    default:
        return (size_t)snprintf(to, room, "%.*s", (int)random_below(20), "The quick brown fox ~!");
    }
}

static void random_text(uint32_t width, uint32_t height, int format)
{
    open_both(width, height, 1 + random_below(40), 1 + random_below(12), format);
    for (int round = 0; round < 40; round++) {
        for (int piece = 0; piece < 12; piece++) {
            char text[64];
            write_both(text, random_piece(text, sizeof text));
        }
        check_both();
    }
    close_both();
}

static void random_text_in_all_formats(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{8, 16}, {12, 24}, {16, 32}, {5, 8}, {20, 10}, {32, 5}, {1, 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (int format = 0; format < MODEL_FORMATS; format++) {
            random_state = i * 100 + (uint64_t)format;
            random_text(sizes[i][0], sizes[i][1], format);
        }
    }
}

/* ---- The doors ---- */

static void expect_refusal(struct boot_framebuffer wrong, const char *reason)
{
    const char *error = screen_open(&screen, &wrong, &memory);
    assert_non_null(error);
    assert_string_equal(error, reason);
}

/* Its header is sound, so it is chosen; what is behind it is more than a font can have. */
static void a_font_with_a_bad_table_is_refused(void **state)
{
    (void)state;
    static uint8_t old[4 + 256 * 16 + 2 * (PSF_CODE_POINTS_MAX + 1)] = {0x36, 0x04, 2, 16};
    for (uint32_t i = 0; i <= PSF_CODE_POINTS_MAX; i++) {
        old[4 + 256 * 16 + 2 * i] = (uint8_t)i;
        old[4 + 256 * 16 + 2 * i + 1] = (uint8_t)(0x10 + (i >> 8));
    }
    const struct screen_font_file file = {old, sizeof old};
    struct boot_framebuffer small = screen_model_framebuffer(80, 64, 0, 0);
    struct screen_memory room = memory_for(&small, &file);
    assert_string_equal(screen_open(&screen, &small, &room), "more code points than the table holds");
    free(virt_pointer(small.virtual_base));
    free(room.cells);
}

static void bad_framebuffers_are_refused(void **state)
{
    (void)state;
    open_both(8, 16, 10, 4, 0);
    struct boot_framebuffer wrong = framebuffer;
    wrong.bytes = 0;
    expect_refusal(wrong, "no framebuffer");
    wrong = framebuffer;
    wrong.bytes--;
    expect_refusal(wrong, "picture beyond the end of the framebuffer");
    wrong.pitch = UINT32_MAX;
    expect_refusal(wrong, "picture beyond the end of the framebuffer");
    wrong = framebuffer;
    wrong.pitch = wrong.width * 4 - 1;
    expect_refusal(wrong, "size or pitch out of range");
    wrong = framebuffer;
    wrong.height = 0;
    expect_refusal(wrong, "size or pitch out of range");
    wrong = framebuffer;
    wrong.bytes_per_pixel = 5;
    expect_refusal(wrong, "bytes per pixel out of range");
    wrong = framebuffer;
    wrong.red.shift = 30;
    expect_refusal(wrong, "colour channel outside of the pixel");
    wrong = framebuffer;
    wrong.height = 15;
    expect_refusal(wrong, "the font is larger than the framebuffer");
    close_both();
}

/* Nothing is drawn, neither in the framebuffer nor in the cells. */
static void bad_memory_is_refused(void **state)
{
    (void)state;
    open_both(8, 16, 10, 4, 0);
    screen_flush(&screen);
    struct terminal_cell first = memory.cells[0];
    terminal_model_init(&model, &font, 10, 4);
    memory.cells[0].glyph ^= 1;
    memory.cell_bytes--;
    expect_refusal(framebuffer, "too little memory for the cells");
    memory.cell_bytes++;
    memory.font_bytes = 0;
    expect_refusal(framebuffer, "no font that fits the framebuffer");
    memory.font_bytes = font.bytes - font.bytes / 2;
    expect_refusal(framebuffer, "glyphs beyond the end of the file");
    assert_int_equal(memory.cells[0].glyph, first.glyph ^ 1);
    assert_true(screen_model_matches(&model, &framebuffer));
    close_both();
}

static void a_huge_screen_is_used_in_part(void **state)
{
    (void)state;
    font_model_make(&font, 8, 4);
    framebuffer = screen_model_framebuffer(8 * 600, 4 * 100, 0, 4);
    struct screen_font_file file = {font.file, font.bytes};
    memory = memory_for(&framebuffer, &file);
    assert_null(screen_open(&screen, &framebuffer, &memory));
    assert_int_equal(screen.terminal.columns, SCREEN_COLUMNS_MAX);
    assert_int_equal(screen.terminal.rows, SCREEN_CELLS_MAX / SCREEN_COLUMNS_MAX);
    close_both();
}

/* The best font is the largest comfortable one, or else the smallest, in whatever order they come. */
static void the_font_suits_the_screen(void **state)
{
    (void)state;
    static struct font_model fonts[3];
    static const struct {
        uint32_t width, height, expected, columns, rows;
    } cases[] = {{8, 16, 8, 1, 1},          {640, 480, 8, 80, 30},     {1024, 768, 8, 128, 48},
                 {1280, 800, 8, 160, 50},   {1920, 1080, 12, 160, 45}, {2560, 1440, 16, 160, 45},
                 {3840, 2160, 16, 240, 67}, {16384, 16384, 8, 512, 32}};
    font_model_make(&fonts[0], 12, 24);
    font_model_make(&fonts[1], 8, 16);
    font_model_make(&fonts[2], 16, 32);
    struct screen_font_file files[4] = {{fonts[0].file, fonts[0].bytes},
                                        {fonts[1].file, fonts[1].bytes},
                                        {fonts[2].file, fonts[2].bytes},
                                        {"not a font", 10}};
    for (int order = 0; order < 4; order++) {
        struct screen_font_file first = files[0];
        memmove(files, files + 1, sizeof files - sizeof files[0]);
        files[3] = first;
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
            const struct boot_framebuffer video = {.width = cases[i].width, .height = cases[i].height};
            struct screen_grid grid = {0, 0};
            uint32_t width = 0;
            uint32_t height = 0;
            const struct screen_font_file *best = screen_choose_font(&video, files, 4, &grid);
            assert_non_null(best);
            assert_true(psf_size(best->data, best->bytes, &width, &height));
            assert_int_equal(width, cases[i].expected);
            assert_int_equal(grid.columns, cases[i].columns);
            assert_int_equal(grid.rows, cases[i].rows);
        }
    }
}

static void no_font_may_fit(void **state)
{
    (void)state;
    font_model_make(&font, 8, 16);
    const struct screen_font_file files[] = {{font.file, font.bytes}, {"not a font", 10}};
    const struct boot_framebuffer low = {.width = 640, .height = 15};
    const struct boot_framebuffer narrow = {.width = 7, .height = 480};
    struct screen_grid grid = {3, 4};
    assert_null(screen_choose_font(&low, files, 2, &grid));
    assert_null(screen_choose_font(&narrow, files, 2, &grid));
    assert_null(screen_choose_font(&(const struct boot_framebuffer){.width = 640, .height = 480}, files + 1,
                                   1, &grid));
    assert_int_equal(grid.columns, 3);
    assert_int_equal(grid.rows, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_scrolling),
        cmocka_unit_test(full_line_wraps_only_when_more_follows),
        cmocka_unit_test(line_editing),
        cmocka_unit_test(erasing_the_display),
        cmocka_unit_test(colours),
        cmocka_unit_test(true_colours_are_approximated),
        cmocka_unit_test(unknown_sequences_are_swallowed_whole),
        cmocka_unit_test(broken_sequences_are_swallowed),
        cmocka_unit_test(the_screen_is_a_sink),
        cmocka_unit_test(an_unfinished_string_ends_with_the_line),
        cmocka_unit_test(utf8_and_what_is_none),
        cmocka_unit_test(overlong_and_out_of_range_utf8),
        cmocka_unit_test(a_late_write_draws_by_itself),
        cmocka_unit_test(only_differences_are_drawn),
        cmocka_unit_test(random_text_in_all_formats),
        cmocka_unit_test(a_font_with_a_bad_table_is_refused),
        cmocka_unit_test(bad_framebuffers_are_refused),
        cmocka_unit_test(bad_memory_is_refused),
        cmocka_unit_test(a_huge_screen_is_used_in_part),
        cmocka_unit_test(the_font_suits_the_screen),
        cmocka_unit_test(no_font_may_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The line editor, seen from the keyboard and from the screen: every test reads what a terminal would show.
 */
#include "line_terminal.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {"help", "mem", "memory", "mend", "x"};

static void add_words(void *context, const char *line, size_t cursor, struct line_completion *completion)
{
    assert_ptr_equal(context, &screen);
    completion->prefix = line;
    completion->prefix_bytes = cursor;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        line_completion_add(completion, words[i]);
    }
}

static void start(void)
{
    start_with(add_words);
}

/* Types a line with Enter, checks what arrives, and starts the next. */
static void enters(const char *keys, const char *line)
{
    assert_int_equal(type(keys), LINE_EDITING);
    assert_int_equal(type("\r"), LINE_ENTERED);
    assert_string_equal(editor.text, line);
    line_editor_start(&editor, "> ");
}

/* The row shows `text` after the prompt, with the cursor in `column` of it. */
static void shows(const char *text, size_t column)
{
    char row[ROW_BYTES];
    read_row(row);
    assert_memory_equal(row, "> ", 2);
    assert_string_equal(row + 2, text);
    assert_int_equal(screen.cursor, column + 2);
}

static void typed_text_is_shown_and_entered(void **state)
{
    (void)state;
    start();
    shows("", 0);
    type("mem -j");
    shows("mem -j", 6);
    enters("", "mem -j");
    assert_string_equal(screen.last, "> mem -j\n");
    enters("", "");
}

static void arrows_move_and_text_goes_in_between(void **state)
{
    (void)state;
    start();
    type("abcd\x1b[D\x1b[D");
    shows("abcd", 2);
    type("XY");
    shows("abXYcd", 4);
    type("\x1b[C\x06\x06\x06!");
    shows("abXYcd!", 7);
    type("\x1b[H^\x05$\x01\x02");
    shows("^abXYcd!$", 0);
    enters("\x1bOF.\x1b[1~,\x1b[4~;", ",^abXYcd!$.;");
}

static void keys_that_come_together_are_drawn_once(void **state)
{
    (void)state;
    start();
    const char *keys = "abc\x1b[D\x1b[Dxy\x7fz";
    for (size_t i = 0; i < strlen(keys); i++) {
        line_editor_feed(&editor, (uint8_t)keys[i]);
    }
    shows("abc", 3);
    line_editor_show(&editor);
    shows("axzbc", 3);
    line_editor_feed(&editor, '!');
    assert_int_equal(line_editor_feed(&editor, '\r'), LINE_ENTERED);
    assert_string_equal(screen.last, "> axz!bc\n");
}

static void every_way_of_erasing(void **state)
{
    (void)state;
    start();
    type("one two three\x7f\b");
    shows("one two thr", 11);
    type("\x17");
    shows("one two ", 8);
    type("\x17");
    shows("one ", 4);
    type("more\x1b[D\x1b[D\x0b");
    shows("one mo", 6);
    type("\x01\x04\x1b[3~");
    shows("e mo", 0);
    type("\x05\x1b[D\x15");
    shows("o", 0);
    type("\x7f\x02\x04\x04\x04\x0b\x15\x17");
    shows("", 0);
    enters("x", "x");
}

static void words_are_jumped_over(void **state)
{
    (void)state;
    start();
    type("one  two\x1b"
         "b");
    shows("one  two", 5);
    type("\x1b[1;5D");
    shows("one  two", 0);
    type("\x1b"
         "f");
    shows("one  two", 3);
    type("\x1b[1;3C");
    shows("one  two", 8);
}

static void utf8_moves_as_a_whole(void **state)
{
    (void)state;
    start();
    type("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z");
    shows("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z", 5);
    type("\x1b[D\x7f");
    shows("a\xc3\xbc\xe2\x82\xacz", 3);
    type("\x1b[D\x04");
    shows("a\xc3\xbcz", 2);
    enters("", "a\xc3\xbcz");
}

static void damaged_input_shows_as_such(void **state)
{
    (void)state;
    start();
    enters("\xff"
           "a\x80",
           "\xef\xbf\xbd"
           "a\xef\xbf\xbd");
    enters("\xe2\x82"
           "b",
           "\xef\xbf\xbd"
           "b");
    enters("\xed\xa0\x80", "\xef\xbf\xbd");
    enters("\xe2\x82", "\xef\xbf\xbd");
    type_bytes("q\0r", 3);
    enters("\x1b[99;99;99;99x\x1b[200~\x1bQ\x1b\x1b[A", "\xef\xbf\xbd"); /* the last is "up" */
}

static void sequences_broken_off_do_no_harm(void **state)
{
    (void)state;
    start();
    enters("ab\x1b", "ab");
    enters("ab\x1b[12;", "ab");
    enters("ab\x1bO", "ab");
    enters("ab\x1b[\x1b[Dc", "acb");
}

static void line_ends_of_all_kinds(void **state)
{
    (void)state;
    start();
    assert_int_equal(type("a\r"), LINE_ENTERED);
    line_editor_start(&editor, "> ");
    assert_int_equal(type("\n"), LINE_EDITING);
    assert_int_equal(type("b\n"), LINE_ENTERED);
    line_editor_start(&editor, "> ");
    assert_int_equal(type("\n"), LINE_ENTERED);
    assert_int_equal(screen.lines, 3);
}

static void history_comes_back(void **state)
{
    (void)state;
    start();
    enters("first", "first");
    enters("second", "second");
    enters("second", "second");
    enters("   ", "   ");
    type("draft\x1b[A");
    shows("second", 6);
    type("\x1b[A");
    shows("first", 5);
    type("\x10");
    assert_int_equal(screen.bells, 1);
    shows("first", 5);
    type("\x1b[B\x1b[B");
    shows("draft", 5);
    type("\x0e");
    shows("draft", 5);
    type("\x1b[A\x1b[A!");
    enters("", "first!");
    type("\x1b[A");
    shows("first!", 6);
}

static void old_history_makes_room(void **state)
{
    (void)state;
    char line[LINE_BYTES];
    start();
    for (int i = 0; i < 300; i++) {
        snprintf(line, sizeof line, "line number %d", i);
        enters(line, line);
    }
    for (int i = 299; i > 150; i--) {
        snprintf(line, sizeof line, "line number %d", i);
        type("\x1b[A");
        shows(line, strlen(line));
    }
    memset(line, 'w', LINE_BYTES - 1);
    line[LINE_BYTES - 1] = '\0';
    type("\x03");
    line_editor_start(&editor, "> ");
    for (int i = 0; i < 10; i++) {
        line[0] = (char)('a' + i);
        enters(line, line);
        assert_true(editor.history_bytes <= sizeof editor.history);
    }
    type("\x1b[A\x1b[A\x1b[A\x1b[A");
    line[0] = 'g';
    assert_string_equal(editor.text, line);
    type("\x1b[A");
    assert_string_equal(editor.text, line);
}

static void interrupt_abandons_the_line(void **state)
{
    (void)state;
    start();
    assert_int_equal(type("abc\x1b[D\x03"), LINE_INTERRUPTED);
    assert_string_equal(screen.last, "> abc^C\n");
    line_editor_start(&editor, "> ");
    type("\x1b[A");
    shows("", 0);
}

static void tab_completes(void **state)
{
    (void)state;
    start();
    type("h\t");
    shows("help ", 5);
    type("\x15"
         "m\t");
    shows("me", 2);
    type("\t");
    assert_int_equal(screen.bells, 1);
    assert_int_equal(screen.lines, 0);
    type("\t");
    assert_string_equal(screen.last, "> me\nmem  memory  mend\n");
    shows("me", 2);
    type("m\t");
    shows("mem", 3);
    type("o\t");
    shows("memory ", 7);
    type("\x15q\t");
    shows("q", 1);
    assert_int_equal(screen.bells, 3);
}

static void add_many(void *context, const char *line, size_t cursor, struct line_completion *completion)
{
    (void)context;
    completion->prefix = line;
    completion->prefix_bytes = cursor;
    for (unsigned i = 0; i < LINE_COMPLETIONS_LISTED + 7; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%04u", i);
        line_completion_add(completion, word);
    }
}

static void of_many_candidates_some_are_listed(void **state)
{
    (void)state;
    start_with(add_many);
    type("w\t\t\t");
    assert_non_null(strstr(screen.last, "  ... and 7 more\n"));
    shows("w0", 2);
    start_with(NULL);
    type("w\t"); /* nobody knows any word */
    shows("w", 1);
}

static void completion_goes_in_at_the_cursor(void **state)
{
    (void)state;
    start();
    type("h tail\x01\x1b[C\t");
    shows("help  tail", 5);
}

static void clear_screen_keeps_the_line(void **state)
{
    (void)state;
    start();
    type("abc\x1b[D\x0c");
    shows("abc", 2);
}

static void long_lines_scroll_sideways(void **state)
{
    (void)state;
    char text[301];
    for (int i = 0; i < 300; i++) {
        text[i] = (char)('a' + i % 26);
    }
    text[300] = '\0';
    start();
    for (size_t i = 0; i < 300; i++) {
        type_bytes(text + i, 1);
        assert_true(i < 100 ||
                    screen.cursor > LINE_COLUMNS / 3); /* some of what goes before stays in sight */
    }
    assert_true(screen.most < LINE_COLUMNS);
    assert_int_equal(screen.cells[screen.cursor - 1][0], text[299]);
    type("\x01");
    char row[ROW_BYTES];
    read_row(row);
    assert_memory_equal(row + 2, text, strlen(row) - 2);
    assert_int_equal(screen.cursor, 2);
    enters("", text);
    line_editor_set_columns(&editor, 0);
    type(text);
    assert_int_equal(screen.lines, 1);
}

static void a_line_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 10000; i++) {
        type("y");
    }
    assert_int_equal(screen.bells, 1);
    assert_int_equal(type("\x7f\x7f\x1b[A\r"), LINE_TOO_LONG);
    assert_int_equal(editor.typed_bytes, 10000);
    line_editor_start(&editor, "> ");
    enters("after", "after");
    for (int i = 0; i < LINE_BYTES; i++) {
        type("y");
    }
    enters("\x15"
           "fresh",
           "fresh");
    for (int i = 0; i < LINE_BYTES - 1; i++) {
        type("z");
    }
    assert_int_equal(type("\r"), LINE_ENTERED);
    assert_int_equal(strlen(editor.text), LINE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_text_is_shown_and_entered),
        cmocka_unit_test(arrows_move_and_text_goes_in_between),
        cmocka_unit_test(keys_that_come_together_are_drawn_once),
        cmocka_unit_test(every_way_of_erasing),
        cmocka_unit_test(words_are_jumped_over),
        cmocka_unit_test(utf8_moves_as_a_whole),
        cmocka_unit_test(damaged_input_shows_as_such),
        cmocka_unit_test(sequences_broken_off_do_no_harm),
        cmocka_unit_test(line_ends_of_all_kinds),
        cmocka_unit_test(history_comes_back),
        cmocka_unit_test(old_history_makes_room),
        cmocka_unit_test(interrupt_abandons_the_line),
        cmocka_unit_test(tab_completes),
        cmocka_unit_test(of_many_candidates_some_are_listed),
        cmocka_unit_test(completion_goes_in_at_the_cursor),
        cmocka_unit_test(clear_screen_keeps_the_line),
        cmocka_unit_test(long_lines_scroll_sideways),
        cmocka_unit_test(a_line_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

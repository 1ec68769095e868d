/* A long random session at the line editor, compared key by key with a plain model of a line. */
#include "line_terminal.h"
#include "tests/host/support/random.h"

#include <string.h>

#define MODEL_TEXT_BYTES (LINE_BYTES * 4)

/* A line as plainly as can be: an array of code points and a cursor. */
struct model {
    unsigned line[LINE_BYTES];
    size_t length;
    size_t cursor;
};

static void model_insert(struct model *model, unsigned point)
{
    for (size_t i = model->length++; i > model->cursor; i--) {
        model->line[i] = model->line[i - 1];
    }
    model->line[model->cursor++] = point;
}

static void model_erase(struct model *model, size_t from, size_t to)
{
    for (size_t i = to; i < model->length; i++) {
        model->line[i - (to - from)] = model->line[i];
    }
    model->length -= to - from;
    model->cursor = from;
}

static size_t model_word_left(const struct model *model)
{
    size_t at = model->cursor;
    while (at > 0 && model->line[at - 1] == ' ') {
        at--;
    }
    while (at > 0 && model->line[at - 1] != ' ') {
        at--;
    }
    return at;
}

static const char *const characters[] = {"a", "b", " ", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

static void model_key(struct model *model, int key)
{
    switch (key) {
    case 0:
        model->cursor -= model->cursor > 0;
        type("\x1b[D");
        break;
    case 1:
        model->cursor += model->cursor < model->length;
        type("\x1b[C");
        break;
    case 2:
        model->cursor = 0;
        type("\x01");
        break;
    case 3:
        model->cursor = model->length;
        type("\x05");
        break;
    case 4:
        model_erase(model, model->cursor - (model->cursor > 0), model->cursor);
        type("\x7f");
        break;
    case 5: {
        size_t cursor = model->cursor;
        model_erase(model, cursor, cursor + (cursor < model->length));
        type("\x04");
        break;
    }
    case 6:
        model_erase(model, model_word_left(model), model->cursor);
        type("\x17");
        break;
    default:
        if (model->length < 200) {
            model_insert(model, (unsigned)key % 6);
            model->line[model->cursor - 1] = (unsigned)key % 6 == 2 ? ' ' : (unsigned)key % 6;
            type(characters[key % 6]);
        }
        break;
    }
}

static void model_text(const struct model *model, char *text)
{
    *text = '\0';
    for (size_t i = 0; i < model->length; i++) {
        append(text, MODEL_TEXT_BYTES, model->line[i] == ' ' ? " " : characters[model->line[i]]);
    }
}

/* The row is a stretch of the line with the cursor's character in it. */
static void compare_row(const struct model *model, const char *text)
{
    char row[ROW_BYTES];
    read_row(row);
    assert_memory_equal(row, "> ", 2);
    assert_non_null(strstr(text, row + 2));
    assert_true(screen.cursor < LINE_COLUMNS);
    assert_true(model->cursor >= screen.cursor - 2);
    size_t left = model->cursor - (screen.cursor - 2);
    for (size_t column = 2; column < LINE_COLUMNS && screen.cells[column][0]; column++) {
        unsigned expected = model->line[left + column - 2];
        assert_true(left + column - 2 < model->length);
        assert_string_equal(screen.cells[column], expected == ' ' ? " " : characters[expected]);
    }
}

static void random_editing_agrees_with_the_model(void **state)
{
    (void)state;
    static struct model model;
    char text[MODEL_TEXT_BYTES];
    uint64_t state_of_random = 7;
    start_with(NULL);
    for (int step = 0; step < 30000; step++) {
        model_key(&model, (int)(random_next(&state_of_random) % 28));
        model_text(&model, text);
        assert_string_equal(editor.text, text);
        compare_row(&model, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_editing_agrees_with_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Any bytes typed at the line editor: its line stays within bounds, valid and NUL-terminated, the cursor on a
 * character, and what it writes to the terminal never leaves the row.
 */
#include <ashlar/line_editor.h>
#include <ashlar/text.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

/*
 * Only what a terminal is meant to get: text, the control characters of the editor, and its escape sequences.
 */
static void check_output(void *context, const char *text, size_t bytes)
{
    (void)context;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        require(byte >= ' ' ? byte != 0x7f : strchr("\a\r\n\x1b", byte) != NULL && byte != 0);
    }
}

static void complete(void *context, const char *line, size_t cursor, struct line_completion *completion)
{
    static const char *const words[] = {"alpha", "alphabet", "beta", "be\xc3\xbcta"};
    (void)context;
    while (cursor > 0 && line[cursor - 1] != ' ') {
        cursor--;
        completion->prefix_bytes++;
    }
    completion->prefix = line + cursor;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        line_completion_add(completion, words[i]);
    }
}

static void check_line(const struct line_editor *editor)
{
    require(editor->length < sizeof editor->text && strlen(editor->text) == editor->length);
    require(editor->cursor <= editor->length && editor->window <= editor->length);
    require(!text_is_continuation((uint8_t)editor->text[editor->cursor]));
    require(!text_is_continuation((uint8_t)editor->text[editor->window]));
    require(editor->history_bytes <= sizeof editor->history);
    for (size_t at = 0; at < editor->length;) {
        unsigned length = text_character_length(editor->text + at, editor->length - at);
        require(length > 0 && (uint8_t)editor->text[at] >= ' ');
        at += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct line_editor_hooks hooks = {check_output, complete, NULL};
    struct line_editor *editor = malloc(sizeof *editor);
    line_editor_init(editor, &hooks);
    line_editor_set_columns(editor, bytes > 0 ? data[0] : 80);
    line_editor_start(editor, "> ");
    for (size_t i = 1; i < bytes; i++) {
        enum line_event event = line_editor_feed(editor, data[i]);
        if (event != LINE_EDITING || i % 16 == 0 ||
            i + 1 == bytes) {         /* a look at the whole line takes long */
            line_editor_show(editor); /* what moves the window back into a line that got shorter */
            check_line(editor);
        }
        if (event != LINE_EDITING) {
            line_editor_start(editor, "> ");
        }
    }
    free(editor);
    return 0;
}

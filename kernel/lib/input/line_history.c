/* The line editor's memory of entered lines; see line_history.h. */
#include "line_history.h"

#include <ashlar/string.h>

static bool is_blank(const char *text)
{
    while (*text == ' ') {
        text++;
    }
    return *text == '\0';
}

static void forget_oldest(struct line_editor *editor)
{
    size_t bytes = strlen(editor->history) + 1;
    editor->history_bytes -= bytes;
    memmove(editor->history, editor->history + bytes, editor->history_bytes);
}

void line_history_add(struct line_editor *editor)
{
    const char *newest = line_history_line(editor, 1);
    if (is_blank(editor->text) || (newest && strcmp(newest, editor->text) == 0)) {
        return;
    }
    while (sizeof editor->history - editor->history_bytes < editor->length + 1) {
        forget_oldest(editor);
    }
    memcpy(editor->history + editor->history_bytes, editor->text, editor->length + 1);
    editor->history_bytes += editor->length + 1;
}

const char *line_history_line(const struct line_editor *editor, size_t back)
{
    size_t at = editor->history_bytes;
    for (; back > 0 && at > 0; back--) {
        at--; /* the NUL of the line before */
        while (at > 0 && editor->history[at - 1] != '\0') {
            at--;
        }
    }
    return back == 0 ? editor->history + at : NULL;
}

_Static_assert(LINE_HISTORY_BYTES >= 2 * LINE_BYTES, "the longest line fits, beside another");

/* The line editor's memory of entered lines: NUL-terminated texts one after the other, oldest first. */
#pragma once

#include <ashlar/line_editor.h>

/*
 * Remembers editor->text, and forgets the oldest lines to make room; not a blank line or the last one again.
 */
void line_history_add(struct line_editor *editor);

/* The line `back` steps back, 1 being the newest; NULL when there are not that many. */
const char *line_history_line(const struct line_editor *editor, size_t back);

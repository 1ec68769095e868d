/*
 * The line editor; see <ashlar/line_editor.h>.
 *
 * The line is a byte array, the cursor an offset at the start of a character. `window` is the offset of the
 * first character on the screen. Most keys change the array and then draw the row afresh; typing at the end
 * of the line only sends what was typed. When the cursor leaves the window, the window moves so that the
 * cursor is in its middle: a long line then costs a redraw once in half a row, not with every character.
 */
#include <ashlar/format.h>
#include <ashlar/line_editor.h>
#include <ashlar/string.h>
#include <ashlar/text.h>

#include "line_history.h"

static void put(struct line_editor *editor, const char *text, size_t bytes)
{
    editor->hooks.write(editor->hooks.context, text, bytes);
}

static void put_text(struct line_editor *editor, const char *text)
{
    put(editor, text, strlen(text));
}

static void bell(struct line_editor *editor)
{
    put_text(editor, "\a");
}

/* Offset of the character before / after the one at `at`; the ends stay where they are. */
static size_t previous_character(const struct line_editor *editor, size_t at)
{
    while (at > 0 && text_is_continuation((uint8_t)editor->text[--at])) {
    }
    return at;
}

static size_t next_character(const struct line_editor *editor, size_t at)
{
    at += at < editor->length;
    while (at < editor->length && text_is_continuation((uint8_t)editor->text[at])) {
        at++;
    }
    return at;
}

/* Characters in text[from..to). */
static size_t width(const struct line_editor *editor, size_t from, size_t to)
{
    size_t characters = 0;
    for (size_t at = from; at < to; at++) {
        characters += !text_is_continuation((uint8_t)editor->text[at]);
    }
    return characters;
}

/* Characters that fit between the prompt and the last column, which stays free: writing there would wrap. */
static size_t room(const struct line_editor *editor)
{
    size_t used = strlen(editor->prompt) + 1;
    return used + 8 < editor->columns ? editor->columns - used : 8;
}

/* A line that was replaced may have no character that starts where the window did. */
static bool cursor_is_shown(const struct line_editor *editor)
{
    return editor->cursor >= editor->window && !text_is_continuation((uint8_t)editor->text[editor->window]) &&
           width(editor, editor->window, editor->cursor) <= room(editor);
}

static void move_window(struct line_editor *editor)
{
    editor->window = editor->cursor;
    for (size_t n = room(editor) / 2; n > 0; n--) {
        editor->window = previous_character(editor, editor->window);
    }
}

void line_editor_show(struct line_editor *editor)
{
    if (!editor->stale) {
        return;
    }
    editor->stale = false;
    if (!cursor_is_shown(editor)) {
        move_window(editor);
    }
    size_t end = editor->window;
    for (size_t left = room(editor); left > 0 && end < editor->length; left--) {
        end = next_character(editor, end);
    }
    put_text(editor, "\r");
    put_text(editor, editor->prompt);
    put(editor, editor->text + editor->window, end - editor->window);
    put_text(editor, "\x1b[K");
    if (editor->cursor != end) {
        char place[16];
        size_t column = strlen(editor->prompt) + width(editor, editor->window, editor->cursor);
        format(place, sizeof place, column > 0 ? "\r\x1b[%uC" : "\r", (unsigned)column);
        put_text(editor, place);
    }
}

/* Puts text at the cursor; what does not fit as a whole is left out, and the line counts as too long. */
static void insert(struct line_editor *editor, const char *text, size_t bytes)
{
    if (editor->typed_bytes > 0 || editor->length + bytes >= sizeof editor->text) {
        if (editor->typed_bytes == 0) {
            editor->typed_bytes = editor->length;
            bell(editor);
        }
        editor->typed_bytes += bytes;
        return;
    }
    bool at_end = editor->cursor == editor->length;
    char *gap = editor->text + editor->cursor;
    memmove(gap + bytes, gap, editor->length - editor->cursor + 1);
    memcpy(gap, text, bytes);
    editor->length += bytes;
    editor->cursor += bytes;
    if (at_end && !editor->stale && cursor_is_shown(editor)) {
        put(editor, text, bytes);
    } else {
        editor->stale = true;
    }
}

/* Takes text[from..to) out and leaves the cursor there. A line that was too long is whole again only when
 * empty. */
static void erase(struct line_editor *editor, size_t from, size_t to)
{
    if (from == to) {
        return;
    }
    memmove(editor->text + from, editor->text + to, editor->length - to + 1);
    editor->length -= to - from;
    editor->cursor = from;
    editor->typed_bytes = editor->length == 0 ? 0 : editor->typed_bytes;
    editor->stale = true;
}

static void move_cursor(struct line_editor *editor, size_t to)
{
    if (to != editor->cursor) {
        editor->cursor = to;
        editor->stale = true;
    }
}

static size_t word_left(const struct line_editor *editor)
{
    size_t at = editor->cursor;
    while (at > 0 && editor->text[at - 1] == ' ') {
        at--;
    }
    while (at > 0 && editor->text[at - 1] != ' ') {
        at--;
    }
    return at;
}

static size_t word_right(const struct line_editor *editor)
{
    size_t at = editor->cursor;
    while (at < editor->length && editor->text[at] == ' ') {
        at++;
    }
    while (at < editor->length && editor->text[at] != ' ') {
        at++;
    }
    return at;
}

/* Shows another line in place of this one. */
static void replace_line(struct line_editor *editor, const char *text)
{
    editor->length = editor->cursor = strlen(text);
    editor->window = 0;
    memcpy(editor->text, text, editor->length + 1);
    editor->stale = true;
}

static void recall(struct line_editor *editor, size_t back)
{
    const char *line = back == 0 ? editor->typed : line_history_line(editor, back);
    if (!line || editor->typed_bytes > 0) { /* the rest of a line too long to keep would be lost unseen */
        bell(editor);
        return;
    }
    if (editor->recalled == 0) {
        memcpy(editor->typed, editor->text, editor->length + 1);
    }
    editor->recalled = back;
    replace_line(editor, line);
}

static void list_candidate(struct line_editor *editor, const char *word)
{
    if (editor->listed < LINE_COMPLETIONS_LISTED) {
        put_text(editor, editor->listed == 0 ? "\n" : "  ");
        put_text(editor, word);
    }
    editor->listed++;
}

void line_completion_add(struct line_completion *completion, const char *word)
{
    if (strncmp(word, completion->prefix, completion->prefix_bytes) != 0) {
        return;
    }
    if (completion->listing) {
        list_candidate(completion->listing, word);
    }
    size_t limit = completion->count == 0 ? sizeof completion->common : completion->common_bytes;
    size_t same = 0;
    while (same < limit && word[same] != '\0' &&
           (completion->count == 0 || word[same] == completion->common[same])) {
        completion->common[same] = word[same];
        same++;
    }
    completion->common_bytes = same;
    completion->count++;
}

static struct line_completion ask_completion(struct line_editor *editor, struct line_editor *listing)
{
    struct line_completion completion = {.prefix = editor->text + editor->cursor, .listing = listing};
    editor->hooks.complete(editor->hooks.context, editor->text, editor->cursor, &completion);
    return completion;
}

static void list_completions(struct line_editor *editor)
{
    line_editor_show(editor);
    editor->listed = 0;
    ask_completion(editor, editor);
    if (editor->listed > LINE_COMPLETIONS_LISTED) {
        char rest[40];
        format(rest, sizeof rest, "  ... and %u more", editor->listed - LINE_COMPLETIONS_LISTED);
        put_text(editor, rest);
    }
    put_text(editor, "\n");
    editor->stale = true;
}

/* Tab: goes on as far as all candidates agree; a second Tab without progress lists them. */
static void complete(struct line_editor *editor, bool tab_before)
{
    if (!editor->hooks.complete) {
        return;
    }
    struct line_completion completion = ask_completion(editor, NULL);
    if (completion.count == 0) {
        bell(editor);
    } else if (completion.common_bytes > completion.prefix_bytes || completion.count == 1) {
        insert(editor, completion.common + completion.prefix_bytes,
               completion.common_bytes - completion.prefix_bytes);
        if (completion.count == 1) {
            insert(editor, " ", 1);
        }
    } else if (tab_before) {
        list_completions(editor);
    } else {
        editor->tab_before = true;
        bell(editor);
    }
}

static void insert_key(struct line_editor *editor)
{
    insert(editor, editor->decoder.text, editor->decoder.text_bytes);
}

static void tab(struct line_editor *editor)
{
    bool tab_before = editor->tab_before;
    editor->tab_before = false;
    complete(editor, tab_before);
}

static void backspace(struct line_editor *editor)
{
    erase(editor, previous_character(editor, editor->cursor), editor->cursor);
}

static void delete_character(struct line_editor *editor)
{
    erase(editor, editor->cursor, next_character(editor, editor->cursor));
}

static void erase_to_end(struct line_editor *editor)
{
    erase(editor, editor->cursor, editor->length);
}

static void erase_to_home(struct line_editor *editor)
{
    erase(editor, 0, editor->cursor);
}

static void erase_word(struct line_editor *editor)
{
    erase(editor, word_left(editor), editor->cursor);
}

static void move_left(struct line_editor *editor)
{
    move_cursor(editor, previous_character(editor, editor->cursor));
}

static void move_right(struct line_editor *editor)
{
    move_cursor(editor, next_character(editor, editor->cursor));
}

static void move_home(struct line_editor *editor)
{
    move_cursor(editor, 0);
}

static void move_end(struct line_editor *editor)
{
    move_cursor(editor, editor->length);
}

static void move_word_left(struct line_editor *editor)
{
    move_cursor(editor, word_left(editor));
}

static void move_word_right(struct line_editor *editor)
{
    move_cursor(editor, word_right(editor));
}

static void recall_older(struct line_editor *editor)
{
    recall(editor, editor->recalled + 1);
}

static void recall_newer(struct line_editor *editor)
{
    if (editor->recalled > 0) {
        recall(editor, editor->recalled - 1);
    }
}

static void clear_screen(struct line_editor *editor)
{
    put_text(editor, "\x1b[H\x1b[2J");
    editor->stale = true;
}

static void (*const actions[])(struct line_editor *editor) = {
    [KEY_TEXT] = insert_key,
    [KEY_TAB] = tab,
    [KEY_BACKSPACE] = backspace,
    [KEY_DELETE] = delete_character,
    [KEY_LEFT] = move_left,
    [KEY_RIGHT] = move_right,
    [KEY_UP] = recall_older,
    [KEY_DOWN] = recall_newer,
    [KEY_HOME] = move_home,
    [KEY_END] = move_end,
    [KEY_WORD_LEFT] = move_word_left,
    [KEY_WORD_RIGHT] = move_word_right,
    [KEY_ERASE_TO_END] = erase_to_end,
    [KEY_ERASE_TO_HOME] = erase_to_home,
    [KEY_ERASE_WORD] = erase_word,
    [KEY_CLEAR_SCREEN] = clear_screen,
};

/* Ends the line on the terminal with its cursor after the text, so that nothing of it is overwritten. */
static enum line_event finish(struct line_editor *editor, enum line_event event)
{
    move_cursor(editor, editor->length);
    line_editor_show(editor);
    put_text(editor, event == LINE_INTERRUPTED ? "^C\n" : "\n");
    if (event == LINE_ENTERED) {
        line_history_add(editor);
    }
    return event;
}

static enum line_event press(struct line_editor *editor, enum key key)
{
    if (key == KEY_ENTER) {
        return finish(editor, editor->typed_bytes > 0 ? LINE_TOO_LONG : LINE_ENTERED);
    }
    if (key == KEY_INTERRUPT) {
        return finish(editor, LINE_INTERRUPTED);
    }
    if (key != KEY_TAB) {
        editor->tab_before = false;
    }
    if (key < ARRAY_LENGTH(actions) && actions[key]) {
        actions[key](editor);
    }
    return LINE_EDITING;
}

enum line_event line_editor_feed(struct line_editor *editor, uint8_t byte)
{
    enum line_event event = LINE_EDITING;
    key_decoder_feed(&editor->decoder, byte);
    for (enum key key; (key = key_decoder_next(&editor->decoder)) != KEY_NONE;) {
        event = press(editor, key); /* an Enter or ctrl-c is the last key a byte can end */
    }
    return event;
}

void line_editor_init(struct line_editor *editor, const struct line_editor_hooks *hooks)
{
    memset(editor, 0, sizeof *editor);
    editor->hooks = *hooks;
    editor->prompt = "";
    editor->columns = LINE_COLUMNS;
    key_decoder_init(&editor->decoder);
}

void line_editor_set_columns(struct line_editor *editor, unsigned columns)
{
    editor->columns = columns < 20 ? 20 : columns;
}

void line_editor_start(struct line_editor *editor, const char *prompt)
{
    editor->prompt = prompt;
    editor->length = editor->cursor = editor->window = 0;
    editor->typed_bytes = 0;
    editor->recalled = 0;
    editor->tab_before = false;
    editor->stale = false;
    editor->text[0] = '\0';
    put_text(editor, prompt);
}

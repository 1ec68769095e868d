/*
 * A one-line editor for a VT100 terminal, with history and completion: bytes in, edited lines out.
 *
 * It does no input or output of its own: the owner feeds bytes and gets the terminal's text through write().
 * The line stays on one row of the terminal; a longer one scrolls sideways. No locks: the owner has one.
 */
#pragma once

#include <ashlar/key_decoder.h>
#include <ashlar/types.h>

#define LINE_BYTES              1024 /* longest line, with its NUL */
#define LINE_HISTORY_BYTES      4096 /* all remembered lines, with their NULs */
#define LINE_COMPLETION_BYTES   128  /* longest completion that is inserted */
#define LINE_COLUMNS            80   /* width of the terminal until line_editor_set_columns() */
#define LINE_COMPLETIONS_LISTED 200  /* candidates listed; of the others only the number is shown */

/*
 * What the word before the cursor can become. Filled by the owner's complete() through line_completion_add();
 * the candidates are compared as they pass and not kept.
 */
struct line_completion {
    const char *prefix;                 /* what has been typed of the word; not NUL-terminated */
    size_t prefix_bytes;                /* length of `prefix` */
    size_t count;                       /* candidates that begin with it */
    size_t common_bytes;                /* length of `common` */
    char common[LINE_COMPLETION_BYTES]; /* longest common beginning of those, cut to fit */
    struct line_editor *listing;        /* shows each candidate when not NULL */
};

/* Offers `word`; it is passed over unless it begins with the prefix. */
void line_completion_add(struct line_completion *completion, const char *word);

/* What the editor asks of its owner. */
struct line_editor_hooks {
    void (*write)(void *context, const char *text, size_t bytes); /* shows text on the terminal */
    /*
     * Sets completion->prefix to the word under way in line[0..cursor) and adds its candidates; NULL for an
     * editor without completion. Called once or twice per Tab, and must add the same candidates both times.
     */
    void (*complete)(void *context, const char *line, size_t cursor, struct line_completion *completion);
    void *context; /* handed to both */
};

enum line_event {
    LINE_EDITING,     /* go on feeding */
    LINE_ENTERED,     /* Enter: editor->text is the line */
    LINE_TOO_LONG,    /* Enter, but more than LINE_BYTES - 1 bytes came: editor->typed_bytes of them */
    LINE_INTERRUPTED, /* ctrl-c */
};

struct line_editor {
    struct line_editor_hooks hooks;   /* as given to line_editor_init() */
    struct key_decoder decoder;       /* of the bytes fed */
    const char *prompt;               /* shown before the line; ASCII */
    unsigned columns;                 /* of the terminal */
    size_t length;                    /* of `text`, without the NUL */
    size_t cursor;                    /* offset in `text` of the character under the cursor */
    size_t window;                    /* offset in `text` of the first character shown */
    size_t typed_bytes;               /* bytes of the line with those that did not fit; 0 while all fit */
    bool tab_before;                  /* the last key was a Tab that added nothing to the line */
    bool stale;                       /* the row on the terminal does not show the line as it is now */
    unsigned listed;                  /* candidates listed by this Tab */
    size_t recalled;                  /* history line shown: 0 the one being typed, 1 the newest ... */
    size_t history_bytes;             /* used bytes of `history` */
    char text[LINE_BYTES];            /* the line, NUL-terminated */
    char typed[LINE_BYTES];           /* the line being typed, while an older one is shown */
    char history[LINE_HISTORY_BYTES]; /* NUL-terminated lines, oldest first */
};

void line_editor_init(struct line_editor *editor, const struct line_editor_hooks *hooks);

/* Sets the width of the terminal; fewer than 20 columns are taken as 20. */
void line_editor_set_columns(struct line_editor *editor, unsigned columns);

/* Begins a new line: shows the prompt, which must stay valid until the line ends. */
void line_editor_start(struct line_editor *editor, const char *prompt);

/*
 * Takes one byte. After any event but LINE_EDITING the terminal's cursor is on a fresh line, and
 * line_editor_start() begins the next; an entered line is remembered unless it is blank or repeats the last.
 */
enum line_event line_editor_feed(struct line_editor *editor, uint8_t byte);

/*
 * Draws the row if keys have changed what it should show. The owner calls it when no more input waits: of
 * many keys that come at once, such as pasted text, only the outcome is drawn.
 */
void line_editor_show(struct line_editor *editor);

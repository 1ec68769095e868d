/*
 * From the bytes a terminal sends to the keys a person pressed: UTF-8, control characters, and the escape
 * sequences of VT100, xterm and similar terminals (ECMA-48 control sequences).
 *
 * One byte may end one key and begin the next, so bytes go in one at a time and keys come out in a loop:
 *
 *     key_decoder_feed(&decoder, byte);
 *     while ((key = key_decoder_next(&decoder)) != KEY_NONE) { ... }
 */
#pragma once

#include <ashlar/types.h>

enum key {
    KEY_NONE,  /* nothing more until the next byte */
    KEY_TEXT,  /* a character: decoder->text, decoder->text_bytes */
    KEY_ENTER, /* CR, LF, or CR LF, which is one key */
    KEY_TAB,
    KEY_BACKSPACE,     /* also ctrl-h */
    KEY_DELETE,        /* also ctrl-d */
    KEY_LEFT,          /* also ctrl-b */
    KEY_RIGHT,         /* also ctrl-f */
    KEY_UP,            /* also ctrl-p */
    KEY_DOWN,          /* also ctrl-n */
    KEY_HOME,          /* also ctrl-a */
    KEY_END,           /* also ctrl-e */
    KEY_WORD_LEFT,     /* alt-b, ctrl-left */
    KEY_WORD_RIGHT,    /* alt-f, ctrl-right */
    KEY_ERASE_TO_END,  /* ctrl-k */
    KEY_ERASE_TO_HOME, /* ctrl-u */
    KEY_ERASE_WORD,    /* ctrl-w */
    KEY_CLEAR_SCREEN,  /* ctrl-l */
    KEY_INTERRUPT,     /* ctrl-c */
    KEY_WINDOW_SIZE,   /* the terminal's answer to ESC [ 18 t: decoder->parameters[1] rows, [2] columns */
    KEY_IDENTITY,      /* the terminal's answer to ESC [ c: it is there */
    KEY_OTHER,         /* a key without a meaning here */
};

struct key_decoder {
    uint8_t state; /* enum in kernel/lib/input/key_decoder.c: in text, after ESC, in a control sequence ... */
    bool after_return;      /* the last byte was CR: an LF now belongs to it */
    int byte;               /* fed and not yet taken; -1 when there is none */
    unsigned wanted;        /* bytes of the UTF-8 character under way; 0 between characters */
    unsigned text_bytes;    /* length of `text` */
    char text[4];           /* the character of KEY_TEXT, or the part of one that has come so far */
    unsigned parameter;     /* index of the parameter under way */
    uint16_t parameters[3]; /* of the control sequence; 0 where absent */
};

void key_decoder_init(struct key_decoder *decoder);

/* Takes one byte. Since the byte before it, key_decoder_next() must have returned KEY_NONE. */
void key_decoder_feed(struct key_decoder *decoder, uint8_t byte);

/*
 * The next key, KEY_NONE when all bytes are used up. What is not UTF-8 comes as KEY_TEXT with U+FFFD, so that
 * damage shows instead of vanishing.
 */
enum key key_decoder_next(struct key_decoder *decoder);

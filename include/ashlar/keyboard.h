/*
 * The PS/2 keyboard: from scan codes to the bytes that a VT100 terminal would send, US layout.
 */
#pragma once

#include <ashlar/types.h>

#define KEYBOARD_BYTES_MAX 8 /* longest sequence that one scan code gives */

/* Which codes arrive. */
enum keyboard_set {
    KEYBOARD_SET_1, /* make code, make code | 0x80 on release: what an 8042 translates to */
    KEYBOARD_SET_2, /* make code, 0xf0 make code: what keyboards speak themselves */
};

/* One keyboard's state between scan codes. */
struct keyboard_translator {
    enum keyboard_set set;
    bool extended;   /* 0xe0 came before */
    bool released;   /* 0xf0 came before (set 2) */
    uint8_t skip;    /* codes of the Pause key that are still to come */
    bool left_shift; /* keys held now */
    bool right_shift;
    bool left_control;
    bool right_control;
    bool left_alt;
    bool right_alt;
    bool caps_lock; /* states that keys switch */
    bool num_lock;
};

/* Nothing held, NumLock on. */
void keyboard_translator_initialise(struct keyboard_translator *translator, enum keyboard_set set);

/*
 * Takes one code from the keyboard and writes the bytes it means to `bytes`: none for modifiers, releases and
 * keys that have no meaning on a terminal. Alt puts an escape before the key's bytes; arrows, Home, End, Page
 * Up/Down, Insert, Delete and F1 .. F12 give xterm's sequences. Returns the number of bytes, 0 ..
 * KEYBOARD_BYTES_MAX.
 */
size_t keyboard_translate(struct keyboard_translator *translator, uint8_t code,
                          uint8_t bytes[KEYBOARD_BYTES_MAX]);

/* Finds the keyboard controller and makes it a console input. Returns whether there is a keyboard. */
bool keyboard_initialise(void);

/*
 * Any codes from a keyboard: what comes out stays within its bounds and is text a terminal may get; letters
 * come out as a model of the held keys says; and once all is let go, nothing is stuck. The first byte chooses
 * the set.
 */
#include <ashlar/keyboard.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Keys as the model knows them: by their code in set 1 and in set 2 (IBM PS/2 technical reference). */
enum { SHIFT_LEFT = 26, SHIFT_RIGHT, CONTROL, ALT, CAPS, NUM, KEYS };
static const uint8_t codes[2][KEYS] = {
    {0x1e, 0x30, 0x2e, 0x20, 0x12, 0x21, 0x22, 0x23, 0x17, 0x24, 0x25, 0x26, 0x32, 0x31, 0x18, 0x19,
     0x10, 0x13, 0x1f, 0x14, 0x16, 0x2f, 0x11, 0x2d, 0x15, 0x2c, 0x2a, 0x36, 0x1d, 0x38, 0x3a, 0x45},
    {0x1c, 0x32, 0x21, 0x23, 0x24, 0x2b, 0x34, 0x33, 0x43, 0x3b, 0x42, 0x4b, 0x3a, 0x31, 0x44, 0x4d,
     0x15, 0x2d, 0x1b, 0x2c, 0x3c, 0x2a, 0x1d, 0x22, 0x35, 0x1a, 0x12, 0x59, 0x14, 0x11, 0x58, 0x77},
};

/* What the codes so far have done. */
struct model {
    unsigned set;
    unsigned skip; /* of the Pause key's codes */
    bool extended, released;
    bool held[KEYS][2]; /* a key, and the one of its name that is sent as extended */
    bool caps;
};

/* A key's number, or KEYS. */
static unsigned key_of(const struct model *model, uint8_t code)
{
    unsigned key = 0;
    while (key < KEYS && codes[model->set][key] != code) {
        key++;
    }
    return key;
}

/* Takes a code; true when it ends a key, whose number is then in *key, and whether it went down and was
 * extended. */
static bool take(struct model *model, uint8_t code, unsigned *key, bool *down, bool *extended)
{
    if (model->skip > 0) {
        model->skip--;
        return false;
    }
    if (code == 0xe1) {
        model->skip = model->set == 0 ? 5 : 7;
        return false;
    }
    if (code == 0xe0 || (code == 0xf0 && model->set == 1)) {
        model->extended |= code == 0xe0;
        model->released |= code == 0xf0;
        return false;
    }
    *down = model->set == 0 ? code < 0x80 : !model->released;
    *key = key_of(model, model->set == 0 ? code & 0x7f : code);
    *extended = model->extended;
    model->extended = model->released = false;
    return true;
}

static bool is_held(const struct model *model, unsigned key)
{
    return model->held[key][0] || model->held[key][1];
}

/* A letter's byte, as it is typed with the keys that are held. */
static uint8_t letter(const struct model *model, unsigned key)
{
    bool shift = model->held[SHIFT_LEFT][0] || model->held[SHIFT_RIGHT][0];
    bool upper = shift != model->caps;
    return (uint8_t)(is_held(model, CONTROL) ? key + 1 : (upper ? 'A' : 'a') + key);
}

static void check_key(struct model *model, unsigned key, bool down, bool extended, const uint8_t *bytes,
                      size_t count)
{
    bool alt = is_held(model, ALT);
    if (key >= SHIFT_LEFT && key < KEYS) {
        model->held[key][extended] = down;
        model->caps ^= key == CAPS && down;
        require(count == 0);
    } else if (!down || (key < SHIFT_LEFT && extended)) {
        require(count == 0 || key == KEYS);
    } else if (key < SHIFT_LEFT) {
        require(count == 1U + alt && (!alt || bytes[0] == 0x1b) && bytes[count - 1] == letter(model, key));
    } else {
        require(count == 0 || !alt || bytes[0] == 0x1b);
    }
    require(down || count == 0);
}

static void feed(struct keyboard_translator *keyboard, struct model *model, uint8_t code)
{
    uint8_t bytes[KEYBOARD_BYTES_MAX + 1];
    memset(bytes, 0xee, sizeof bytes);
    size_t count = keyboard_translate(keyboard, code, bytes);
    unsigned key;
    bool down;
    bool extended;
    require(count <= KEYBOARD_BYTES_MAX && bytes[KEYBOARD_BYTES_MAX] == 0xee);
    for (size_t i = 0; i < count; i++) {
        require(bytes[i] < 0x80);
    }
    if (take(model, code, &key, &down, &extended)) {
        check_key(model, key, down, extended, bytes, count);
    } else {
        require(count == 0);
    }
}

/* Lets go of a key; as the extended one of its name, too. */
static void let_go(struct keyboard_translator *keyboard, struct model *model, unsigned key)
{
    for (unsigned extended = 0; extended < 2; extended++) {
        if (extended) {
            feed(keyboard, model, 0xe0);
        }
        if (model->set == 1) {
            feed(keyboard, model, 0xf0);
        }
        feed(keyboard, model, codes[model->set][key] | (model->set == 0 ? 0x80 : 0));
    }
}

/* With all keys up, a letter is the letter. */
static void check_nothing_is_stuck(struct keyboard_translator *keyboard, struct model *model)
{
    for (unsigned i = 0; i < 8;
         i++) { /* whatever the Pause key has still to come, and what a prefix waits for */
        feed(keyboard, model, codes[model->set][CONTROL]);
    }
    for (unsigned key = SHIFT_LEFT; key <= ALT; key++) {
        let_go(keyboard, model, key);
    }
    uint8_t bytes[KEYBOARD_BYTES_MAX];
    require(keyboard_translate(keyboard, codes[model->set]['q' - 'a'], bytes) == 1);
    require(bytes[0] == (model->caps ? 'Q' : 'q'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyboard_translator keyboard;
    struct model model = {0};
    if (size < 1) {
        return 0;
    }
    model.set = data[0] & 1;
    keyboard_translator_initialise(&keyboard, model.set ? KEYBOARD_SET_2 : KEYBOARD_SET_1);
    for (size_t i = 1; i < size; i++) {
        feed(&keyboard, &model, data[i]);
    }
    check_nothing_is_stuck(&keyboard, &model);
    return 0;
}

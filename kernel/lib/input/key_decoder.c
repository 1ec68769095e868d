/* Terminal input: bytes to keys; see <ashlar/key_decoder.h>. */
#include <ashlar/key_decoder.h>
#include <ashlar/string.h>
#include <ashlar/text.h>

enum state {
    GROUND,        /* between keys, or within a UTF-8 character */
    AFTER_ESCAPE,  /* ESC */
    AFTER_SHIFT,   /* ESC O: the next byte names a key */
    IN_PARAMETERS, /* ESC [ */
};

#define ESCAPE 0x1b

void key_decoder_init(struct key_decoder *decoder)
{
    memset(decoder, 0, sizeof *decoder);
    decoder->byte = -1;
}

void key_decoder_feed(struct key_decoder *decoder, uint8_t byte)
{
    decoder->byte = byte;
}

static enum key replacement(struct key_decoder *decoder)
{
    decoder->wanted = 0;
    decoder->text_bytes = sizeof TEXT_REPLACEMENT - 1;
    memcpy(decoder->text, TEXT_REPLACEMENT, sizeof TEXT_REPLACEMENT - 1);
    return KEY_TEXT;
}

/* One byte of a character: returns the character when it is whole. */
static enum key text_byte(struct key_decoder *decoder, uint8_t byte)
{
    if (decoder->wanted == 0) {
        decoder->wanted = text_lead_length(byte);
        decoder->text_bytes = 0;
        if (decoder->wanted == 0) {
            return replacement(decoder);
        }
    }
    decoder->text[decoder->text_bytes++] = (char)byte;
    if (decoder->text_bytes < decoder->wanted) {
        return KEY_NONE;
    }
    if (text_character_length(decoder->text, decoder->text_bytes) == 0) {
        return replacement(decoder);
    }
    decoder->wanted = 0;
    return KEY_TEXT;
}

static enum key control_key(uint8_t byte)
{
    static const uint8_t keys[' '] = {
        [0x01] = KEY_HOME,  [0x02] = KEY_LEFT,         [0x03] = KEY_INTERRUPT,     [0x04] = KEY_DELETE,
        [0x05] = KEY_END,   [0x06] = KEY_RIGHT,        [0x08] = KEY_BACKSPACE,     ['\t'] = KEY_TAB,
        ['\n'] = KEY_ENTER, [0x0b] = KEY_ERASE_TO_END, ['\r'] = KEY_ENTER,         [0x0c] = KEY_CLEAR_SCREEN,
        [0x0e] = KEY_DOWN,  [0x10] = KEY_UP,           [0x15] = KEY_ERASE_TO_HOME, [0x17] = KEY_ERASE_WORD,
    };
    return keys[byte] == KEY_NONE ? KEY_OTHER : (enum key)keys[byte];
}

static enum key ground(struct key_decoder *decoder, uint8_t byte)
{
    bool after_return = decoder->after_return;
    decoder->after_return = byte == '\r';
    if (byte == ESCAPE) {
        decoder->state = AFTER_ESCAPE;
        return KEY_NONE;
    }
    if (byte == 0 || (byte == '\n' && after_return)) {
        return KEY_NONE; /* a line break or noise on the wire arrives as 0 */
    }
    if (byte == 0x7f) {
        return KEY_BACKSPACE;
    }
    return byte < ' ' ? control_key(byte) : text_byte(decoder, byte);
}

static enum key after_escape(struct key_decoder *decoder, uint8_t byte)
{
    decoder->state = GROUND;
    switch (byte) {
    case '[':
        decoder->state = IN_PARAMETERS;
        decoder->parameter = 0;
        memset(decoder->parameters, 0, sizeof decoder->parameters);
        return KEY_NONE;
    case 'O':
        decoder->state = AFTER_SHIFT;
        return KEY_NONE;
    case ESCAPE:
        decoder->state = AFTER_ESCAPE;
        return KEY_NONE;
    case 'b':
        return KEY_WORD_LEFT;
    case 'f':
        return KEY_WORD_RIGHT;
    default:
        return byte < ' ' ? ground(decoder, byte) : KEY_OTHER;
    }
}

/* ESC [ n ~ : the keys of the VT220's editing block, and rxvt's and Linux's names for home and end. */
static enum key numbered_key(unsigned number)
{
    switch (number) {
    case 1:
    case 7:
        return KEY_HOME;
    case 3:
        return KEY_DELETE;
    case 4:
    case 8:
        return KEY_END;
    default:
        return KEY_OTHER;
    }
}

/* The key that the last byte of a sequence names; a second parameter of 5 or 3 means with ctrl or alt. */
static enum key final_key(const struct key_decoder *decoder, uint8_t byte)
{
    bool modified = decoder->parameters[1] == 5 || decoder->parameters[1] == 3;
    switch (byte) {
    case 'A':
        return KEY_UP;
    case 'B':
        return KEY_DOWN;
    case 'C':
        return modified ? KEY_WORD_RIGHT : KEY_RIGHT;
    case 'D':
        return modified ? KEY_WORD_LEFT : KEY_LEFT;
    case 'F':
        return KEY_END;
    case 'H':
        return KEY_HOME;
    case 'c':
        return KEY_IDENTITY;
    case 't':
        return decoder->parameters[0] == 8 ? KEY_WINDOW_SIZE : KEY_OTHER;
    case '~':
        return numbered_key(decoder->parameters[0]);
    default:
        return KEY_OTHER;
    }
}

/* A digit of the parameter under way; those after the third, and what passes 9999, are of no interest. */
static void parameter_digit(struct key_decoder *decoder, uint8_t byte)
{
    if (decoder->parameter < ARRAY_LENGTH(decoder->parameters)) {
        unsigned value = decoder->parameters[decoder->parameter] * 10U + (byte - '0');
        decoder->parameters[decoder->parameter] = (uint16_t)(value > 9999 ? 9999 : value);
    }
}

static enum key in_parameters(struct key_decoder *decoder, uint8_t byte)
{
    if (byte < ' ' || byte >= 0x7f) { /* not part of any sequence: it was broken off */
        decoder->state = GROUND;
        return ground(decoder, byte);
    }
    if (byte >= '@') {
        decoder->state = GROUND;
        return final_key(decoder, byte);
    }
    if (byte >= '0' && byte <= '9') {
        parameter_digit(decoder, byte);
    } else if (byte == ';' && decoder->parameter < ARRAY_LENGTH(decoder->parameters)) {
        decoder->parameter++;
    }
    return KEY_NONE;
}

enum key key_decoder_next(struct key_decoder *decoder)
{
    if (decoder->byte < 0) {
        return KEY_NONE;
    }
    uint8_t byte = (uint8_t)decoder->byte;
    if (decoder->wanted > 0 && !text_is_continuation(byte)) {
        return replacement(decoder); /* a character was broken off; the byte stays for the next call */
    }
    decoder->byte = -1;
    switch ((enum state)decoder->state) {
    case AFTER_ESCAPE:
        return after_escape(decoder, byte);
    case AFTER_SHIFT:
        decoder->state = GROUND;
        return byte < ' ' ? ground(decoder, byte) : final_key(decoder, byte);
    case IN_PARAMETERS:
        return in_parameters(decoder, byte);
    case GROUND:
    default:
        return ground(decoder, byte);
    }
}

/*
 * Scan codes to bytes; see <ashlar/keyboard.h>. Set 2 is first turned into set 1, as the keyboard controller
 * does, so that there is one table of keys.
 */
#include <ashlar/keyboard.h>
#include <ashlar/string.h>

#define CODE_EXTENDED   0xe0
#define CODE_PAUSE      0xe1 /* begins the Pause key's sequence, which has no release */
#define CODE_RELEASE_2  0xf0
#define CODE_RELEASED_1 0x80
#define PAUSE_CODES_1   5 /* codes after 0xe1, both halves */
#define PAUSE_CODES_2   7
#define ESCAPE          0x1b
#define DELETE          0x7f

/* Keys of set 1 that are no characters. */
enum key {
    KEY_LEFT_CONTROL = 0x1d,
    KEY_LEFT_SHIFT = 0x2a,
    KEY_RIGHT_SHIFT = 0x36,
    KEY_ALT = 0x38,
    KEY_CAPS_LOCK = 0x3a,
    KEY_F1 = 0x3b,
    KEY_F10 = 0x44,
    KEY_NUM_LOCK = 0x45,
    KEY_PAD_HOME = 0x47,
    KEY_PAD_DELETE = 0x53,
    KEY_102ND = 0x56,
    KEY_F11 = 0x57,
    KEY_F12 = 0x58,
};

/* Characters of set 1's first 0x3a codes and of the keypad's operators; 0: none. */
static const uint8_t plain[0x3a] = {0,   ESCAPE, '1',    '2',  '3',  '4', '5', '6',  '7', '8', '9', '0',
                                    '-', '=',    DELETE, '\t', 'q',  'w', 'e', 'r',  't', 'y', 'u', 'i',
                                    'o', 'p',    '[',    ']',  '\r', 0,   'a', 's',  'd', 'f', 'g', 'h',
                                    'j', 'k',    'l',    ';',  '\'', '`', 0,   '\\', 'z', 'x', 'c', 'v',
                                    'b', 'n',    'm',    ',',  '.',  '/', 0,   '*',  0,   ' '};
static const uint8_t shifted[0x3a] = {0,   ESCAPE, '!',    '@',  '#',  '$', '%', '^', '&', '*', '(', ')',
                                      '_', '+',    DELETE, '\t', 'Q',  'W', 'E', 'R', 'T', 'Y', 'U', 'I',
                                      'O', 'P',    '{',    '}',  '\r', 0,   'A', 'S', 'D', 'F', 'G', 'H',
                                      'J', 'K',    'L',    ':',  '"',  '~', 0,   '|', 'Z', 'X', 'C', 'V',
                                      'B', 'N',    'M',    '<',  '>',  '?', 0,   '*', 0,   ' '};

/* The keypad, codes 0x47 .. 0x53: digits with NumLock, and xterm's sequences without and for the extended
 * keys. */
static const char pad_digits[] = "789-456+1230.";
static const char *const pad_sequences[] = {"\033[H",  "\033[A",  "\033[5~", "-",      "\033[D",
                                            "",        "\033[C",  "+",       "\033[F", "\033[B",
                                            "\033[6~", "\033[2~", "\033[3~"};

static const char *const function_keys[] = {"\033OP",   "\033OQ",   "\033OR",   "\033OS",
                                            "\033[15~", "\033[17~", "\033[18~", "\033[19~",
                                            "\033[20~", "\033[21~", "\033[23~", "\033[24~"};

/*
 * What the 8042 makes of set 2 (IBM PS/2 technical reference, keyboard controller): index set 2, value set 1.
 */
static const uint8_t set_2_to_1[0x84] = {
    0x00, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, 0x65,
    0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, 0x67, 0x2e,
    0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, 0x69, 0x31, 0x30,
    0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17,
    0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a,
    0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a,
    0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01,
    0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x80, 0x80, 0x41};

/* The bytes being put together for one key. */
struct output {
    uint8_t *bytes;
    size_t count;
};

static void put(struct output *output, const char *text)
{
    while (*text != '\0' && output->count < KEYBOARD_BYTES_MAX) {
        output->bytes[output->count++] = (uint8_t)*text++;
    }
}

void keyboard_translator_initialise(struct keyboard_translator *translator, enum keyboard_set set)
{
    memset(translator, 0, sizeof *translator);
    translator->set = set;
    translator->num_lock = true;
}

/* Follows the keys that only change what others mean. Returns whether `key` is one. */
static bool track_modifier(struct keyboard_translator *translator, uint8_t key, bool extended, bool pressed)
{
    switch (key) {
    case KEY_LEFT_SHIFT:
    case KEY_RIGHT_SHIFT:
        if (!extended) { /* an extended shift is sent around the arrow keys and means nothing */
            *(key == KEY_LEFT_SHIFT ? &translator->left_shift : &translator->right_shift) = pressed;
        }
        return true;
    case KEY_LEFT_CONTROL:
        *(extended ? &translator->right_control : &translator->left_control) = pressed;
        return true;
    case KEY_ALT:
        *(extended ? &translator->right_alt : &translator->left_alt) = pressed;
        return true;
    case KEY_CAPS_LOCK:
        translator->caps_lock ^= pressed;
        return true;
    case KEY_NUM_LOCK:
        translator->num_lock ^= pressed;
        return true;
    default:
        return false;
    }
}

/* What Ctrl makes of a character: the control code where ASCII has one, else the character itself, as xterm
 * does. */
static uint8_t control_of(uint8_t character)
{
    if (character >= '@' && character <= '~') {
        return character & 0x1f;
    }
    switch (character) {
    case ' ':
    case '2':
        return 0;
    case '/':
    case '-':
        return 0x1f;
    case '?':
        return DELETE;
    default:
        return character;
    }
}

static uint8_t character_of(const struct keyboard_translator *translator, uint8_t key)
{
    bool shift = translator->left_shift || translator->right_shift;
    uint8_t character = key == KEY_102ND ? '\\' : plain[key];
    if (character >= 'a' && character <= 'z') {
        shift ^= translator->caps_lock;
    }
    if (shift) {
        character = key == KEY_102ND ? '|' : shifted[key];
    }
    bool control = translator->left_control || translator->right_control;
    return control ? control_of(character) : character;
}

static void put_character(const struct keyboard_translator *translator, struct output *output, uint8_t key)
{
    bool is_key = key == KEY_102ND || (key < sizeof plain && plain[key] != 0);
    if (is_key) {
        output->bytes[output->count++] = character_of(translator, key);
    }
}

static void put_pad(const struct keyboard_translator *translator, struct output *output, uint8_t key)
{
    unsigned index = key - KEY_PAD_HOME;
    bool shift = translator->left_shift || translator->right_shift;
    if (translator->num_lock && !shift) {
        output->bytes[output->count++] = (uint8_t)pad_digits[index];
    } else {
        put(output, pad_sequences[index]);
    }
}

/* Keys that came with 0xe0: the grey ones, and the keypad's Enter and slash. */
static void put_extended(struct output *output, uint8_t key)
{
    if (key >= KEY_PAD_HOME && key <= KEY_PAD_DELETE) {
        put(output, pad_sequences[key - KEY_PAD_HOME]);
    } else if (key == 0x1c) {
        put(output, "\r");
    } else if (key == 0x35) {
        put(output, "/");
    }
}

static void put_key(const struct keyboard_translator *translator, struct output *output, uint8_t key,
                    bool extended)
{
    if (translator->left_alt || translator->right_alt) {
        output->bytes[output->count++] = ESCAPE;
    }
    size_t before = output->count;
    if (extended) {
        put_extended(output, key);
    } else if (key >= KEY_F1 && key <= KEY_F10) {
        put(output, function_keys[key - KEY_F1]);
    } else if (key == KEY_F11 || key == KEY_F12) {
        put(output, function_keys[key - KEY_F11 + 10]);
    } else if (key >= KEY_PAD_HOME && key <= KEY_PAD_DELETE) {
        put_pad(translator, output, key);
    } else {
        put_character(translator, output, key);
    }
    output->count = output->count == before ? 0 : output->count; /* no escape for a key that means nothing */
}

/* Takes the prefixes of other codes, and the codes of the Pause key. Returns whether `code` was one. */
static bool take_prefix(struct keyboard_translator *translator, uint8_t code)
{
    if (translator->skip != 0) {
        translator->skip--;
        return true;
    }
    if (code == CODE_EXTENDED) {
        translator->extended = true;
        return true;
    }
    if (code == CODE_PAUSE) {
        translator->skip = translator->set == KEYBOARD_SET_1 ? PAUSE_CODES_1 : PAUSE_CODES_2;
        return true;
    }
    if (code == CODE_RELEASE_2 && translator->set == KEYBOARD_SET_2) {
        translator->released = true;
        return true;
    }
    return false;
}

/* The key in set 1, and whether it went down; 0 for codes that no key has. */
static uint8_t key_of(const struct keyboard_translator *translator, uint8_t code, bool *pressed)
{
    if (translator->set == KEYBOARD_SET_1) {
        *pressed = !(code & CODE_RELEASED_1);
        return code & (CODE_RELEASED_1 - 1);
    }
    *pressed = !translator->released;
    uint8_t key = code < sizeof set_2_to_1 ? set_2_to_1[code] : 0;
    return key < CODE_RELEASED_1 ? key : 0;
}

size_t keyboard_translate(struct keyboard_translator *translator, uint8_t code,
                          uint8_t bytes[KEYBOARD_BYTES_MAX])
{
    if (take_prefix(translator, code)) {
        return 0;
    }
    bool pressed;
    uint8_t key = key_of(translator, code, &pressed);
    bool extended = translator->extended;
    translator->extended = false;
    translator->released = false;
    struct output output = {bytes, 0};
    if (!track_modifier(translator, key, extended, pressed) && pressed) {
        put_key(translator, &output, key, extended);
    }
    return output.count;
}

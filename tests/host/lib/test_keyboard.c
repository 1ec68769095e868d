/* Scan codes to bytes: what a person at a US keyboard types must arrive as a VT100 would send it. */
#include <ashlar/keyboard.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct keyboard_translator keyboard;

/* Feeds codes and expects exactly these bytes. */
static void expect(const char *codes, size_t code_count, const char *bytes, size_t byte_count)
{
    uint8_t got[256];
    size_t used = 0;
    for (size_t i = 0; i < code_count; i++) {
        used += keyboard_translate(&keyboard, (uint8_t)codes[i], got + used);
        assert_true(used + KEYBOARD_BYTES_MAX <= sizeof got);
    }
    if (used != byte_count || memcmp(got, bytes, byte_count) != 0) {
        fail_msg("got %zu bytes \"%.*s\", expected \"%.*s\"", used, (int)used, got, (int)byte_count, bytes);
    }
}

#define EXPECT_TYPED(codes, bytes) expect(codes, sizeof(codes) - 1, bytes, sizeof(bytes) - 1)

static void start(enum keyboard_set set)
{
    keyboard_translator_initialise(&keyboard, set);
}

static void letters_digits_and_shift(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\x1e\x9e\x02\x82\x39\xb9\x1c\x9c", "a1 \r");
    EXPECT_TYPED("\x2a\x1e\x9e\x02\x82\xaa\x1e\x9e", "A!a");
    EXPECT_TYPED("\x36\x28\xa8\xb6\x28", "\"'");
    EXPECT_TYPED("\x0e\x0f\x01", "\x7f\t\x1b");
    EXPECT_TYPED("\x56\x2a\x56\xaa", "\\|");
}

static void every_character_of_ascii_can_be_typed(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    bool seen[256] = {false};
    for (int shift = 0; shift < 2; shift++) {
        uint8_t bytes[KEYBOARD_BYTES_MAX];
        keyboard_translate(&keyboard, shift ? 0x2a : 0xaa, bytes);
        for (int code = 1; code < 0x3a; code++) {
            if (keyboard_translate(&keyboard, (uint8_t)code, bytes) == 1) {
                seen[bytes[0]] = true;
            }
            keyboard_translate(&keyboard, (uint8_t)(code | 0x80), bytes);
            keyboard_translate(&keyboard, shift ? 0x2a : 0xaa, bytes);
        }
    }
    for (int character = ' '; character < 0x7f; character++) {
        if (!seen[character]) {
            fail_msg("'%c' cannot be typed", character);
        }
    }
}

static void caps_lock_is_for_letters_alone(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\x3a\xba\x1e\x02", "A1");
    EXPECT_TYPED("\x2a\x1e\x02\xaa", "a!");
    EXPECT_TYPED("\x3a\xba\x1e", "a");
}

static void control_gives_control_codes(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\x1d\x2e\x9d\x2e", "\x03"
                                     "c");
    EXPECT_TYPED("\xe0\x1d\x1e\xe0\x9d\x1e", "\x01"
                                             "a");
    EXPECT_TYPED("\x1d\x1a\x9d", "\x1b");
    EXPECT_TYPED("\x1d\x39\x9d", "\0");
}

static void both_keys_of_a_pair_are_told_apart(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\x2a\x36\xaa\x1e\xb6\x1e", "Aa"); /* the right one is still held */
    EXPECT_TYPED("\x1d\xe0\x1d\x9d\x2e\xe0\x9d\x2e", "\x03"
                                                     "c");
}

static void arrows_and_function_keys_give_sequences(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\xe0\x48\xe0\xc8\xe0\x50\xe0\xd0\xe0\x4d\xe0\x4b", "\033[A\033[B\033[C\033[D");
    EXPECT_TYPED("\xe0\x47\xe0\x4f\xe0\x49\xe0\x51\xe0\x52\xe0\x53",
                 "\033[H\033[F\033[5~\033[6~\033[2~\033[3~");
    EXPECT_TYPED("\x3b\x44\x57\x58", "\033OP\033[21~\033[23~\033[24~");
    EXPECT_TYPED("\xe0\x2a\x1e\xe0\xaa", "a");
    EXPECT_TYPED("\xe0\x2a\xe0\x48\xe0\xc8\xe0\xaa\x1e",
                 "\033[Aa"); /* the shift that wraps an arrow is none */
}

static void keypad_follows_num_lock(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\x48\x4c\x53\x37\x4a\x4e", "85.*-+");
    EXPECT_TYPED("\x45\xc5\x48\x4c\x53\x4e", "\033[A\033[3~+");
    EXPECT_TYPED("\xe0\x1c\xe0\x35", "\r/");
}

static void alt_puts_an_escape_before(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\x38\x21\xa1\xb8\x21", "\033ff");
    EXPECT_TYPED("\x38\x5d\xb8", "");
}

static void pause_is_swallowed(void **state)
{
    (void)state;
    start(KEYBOARD_SET_1);
    EXPECT_TYPED("\xe1\x1d\x45\xe1\x9d\xc5\x1e\x48", "a8");
    start(KEYBOARD_SET_2);
    EXPECT_TYPED("\xe1\x14\x77\xe1\xf0\x14\xf0\x77\x1c\x75", "a8");
}

static void set_2_is_the_same_keyboard(void **state)
{
    (void)state;
    start(KEYBOARD_SET_2);
    EXPECT_TYPED("\x1c\xf0\x1c\x16\xf0\x16\x5a\xf0\x5a", "a1\r");
    EXPECT_TYPED("\x12\x1c\xf0\x1c\xf0\x12\x1c", "Aa");
    EXPECT_TYPED("\x14\x21\xf0\x14\x21", "\x03"
                                         "c");
    EXPECT_TYPED("\xe0\x75\xe0\xf0\x75\xe0\x6b", "\033[A\033[D");
    EXPECT_TYPED("\x83\x07\x66", "\033[18~\033[24~\x7f");
    EXPECT_TYPED("\x58\xf0\x58\x1c\xf0\x1c", "A");
}

/* Any codes at all: never more bytes than promised, and after releasing everything an 'a' is an 'a' again. */
static void random_codes_do_no_harm(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int set = 0; set < 2; set++) {
        start(set == 0 ? KEYBOARD_SET_1 : KEYBOARD_SET_2);
        for (int i = 0; i < 1000000; i++) {
            uint8_t bytes[KEYBOARD_BYTES_MAX];
            seed = seed * 1664525 + 1013904223;
            assert_true(keyboard_translate(&keyboard, (uint8_t)(seed >> 24), bytes) <= KEYBOARD_BYTES_MAX);
        }
        while (keyboard.skip != 0) {
            uint8_t bytes[KEYBOARD_BYTES_MAX];
            keyboard_translate(&keyboard, 0, bytes);
        }
        keyboard.caps_lock = false;
        if (set == 0) {
            EXPECT_TYPED("\xaa\xaa\xb6\x9d\xe0\x9d\xb8\xe0\xb8\x1e", "a");
        } else {
            EXPECT_TYPED("\xf0\x12\xf0\x12\xf0\x59\xf0\x14\xe0\xf0\x14\xf0\x11\xe0\xf0\x11\x1c", "a");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_digits_and_shift),
        cmocka_unit_test(every_character_of_ascii_can_be_typed),
        cmocka_unit_test(caps_lock_is_for_letters_alone),
        cmocka_unit_test(control_gives_control_codes),
        cmocka_unit_test(both_keys_of_a_pair_are_told_apart),
        cmocka_unit_test(arrows_and_function_keys_give_sequences),
        cmocka_unit_test(keypad_follows_num_lock),
        cmocka_unit_test(alt_puts_an_escape_before),
        cmocka_unit_test(pause_is_swallowed),
        cmocka_unit_test(set_2_is_the_same_keyboard),
        cmocka_unit_test(random_codes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

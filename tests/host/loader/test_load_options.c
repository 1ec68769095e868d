/* UEFI load options in all the forms that firmware gives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "loader/portable/load_options.h"

static struct loader_error error;

static void expect_line(const void *options, size_t bytes, const char *expected)
{
    char line[128];
    assert_true(load_options_parse(options, bytes, line, sizeof line, &error));
    assert_string_equal(line, expected);
    assert_string_equal(error.text, "");
}

static void expect_ignored(const void *options, size_t bytes, const char *text)
{
    char line[128] = "rubbish";
    assert_true(load_options_parse(options, bytes, line, sizeof line, &error));
    assert_string_equal(line, "");
    if (!strstr(error.text, text)) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

/* UTF-16 text with its NUL, and without. */
#define TEXT(text)         text, sizeof(text)
#define UNTERMINATED(text) text, sizeof(text) - 2

static void utf16_text_is_decoded(void **state)
{
    (void)state;
    expect_line(NULL, 0, "");
    expect_line(NULL, 8, "");
    expect_line(u"x", 0, "");
    expect_line(TEXT(u""), "");
    expect_line(TEXT(u"nokaslr"), "nokaslr");
    expect_line(UNTERMINATED(u"nokaslr"), "nokaslr");
    expect_line(TEXT(u"\xfeffnokaslr la57=on"), "nokaslr la57=on");
    expect_line(TEXT(u"  nokaslr\tlog=info\r\n"), "nokaslr log=info");
    expect_line(u"a\0\xffff\xffff", 8, "a"); /* what follows the NUL does not count */
    expect_line(u"ab", 3, "a");
}

static void any_alignment_will_do(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    memcpy(bytes + 1, u"nokaslr", 14);
    expect_line(bytes + 1, 14, "nokaslr");
}

static void ascii_text_is_decoded(void **state)
{
    (void)state;
    expect_line("nokaslr la57=on", 15, "nokaslr la57=on");
    expect_line("nokaslr", 8, "nokaslr");
    expect_line("x", 1, "x");
}

static void the_program_name_is_dropped(void **state)
{
    (void)state;
    expect_line(TEXT(u"BOOTX64.EFI"), "");
    expect_line(TEXT(u"BOOTX64.EFI nokaslr"), "nokaslr");
    expect_line(TEXT(u"bootx64 nokaslr"), "nokaslr");
    expect_line(TEXT(u"FS0:\\EFI\\BOOT\\BOOTX64.EFI  log=info"), "log=info");
    expect_line(TEXT(u"\\efi\\boot\\start nokaslr"), "nokaslr");
    expect_line(TEXT(u"\"FS0:\\my folder\\x.efi\" nokaslr"), "nokaslr");
    expect_line(TEXT(u"\"unclosed.efi"), "");
    expect_line(TEXT(u"nokaslr BOOTX64.EFI"), "nokaslr BOOTX64.EFI");
    expect_line(TEXT(u"debug=a\\b nokaslr"), "debug=a\\b nokaslr");
    expect_line(TEXT(u"efi nokaslr"), "efi nokaslr");
}

static void what_is_no_text_is_ignored(void **state)
{
    (void)state;
    static const uint8_t binary[] = {0x01, 0x02, 0x00, 0xff, 0x7f};
    expect_ignored(binary, sizeof binary, "character 0x201 at offset 0");
    expect_ignored(TEXT(u"log=\x00e9"), "character 0xe9 at offset 8");
    expect_ignored(TEXT(u"nokaslr \xd83d\xde00"), "character 0xd83d at offset 16");
    expect_ignored("ab\x80", 3, "character 0x80 at offset 2");
    expect_ignored("\x80", 1, "character 0x80 at offset 0");
}

static void the_text_has_to_fit(void **state)
{
    (void)state;
    char line[8];
    assert_true(load_options_parse(TEXT(u"nokaslr"), line, 8, &error));
    assert_string_equal(line, "nokaslr");
    assert_false(load_options_parse(TEXT(u"nokaslr"), line, 7, &error));
    assert_string_equal(line, "");
    assert_non_null(strstr(error.text, "16 bytes does not fit 6 characters"));
    assert_false(load_options_parse(TEXT(u"a"), line, 1, &error));
    assert_true(load_options_parse(NULL, 0, line, 1, &error));
}

/* A whole boot entry: active, "Ashlar", a hard-drive-like node and the end node, then the optional data. */
static size_t make_entry(uint8_t *out, const void *data, size_t bytes)
{
    static const uint8_t paths[] = {4, 4, 8, 0, 'x', 0, 0, 0, 0x7f, 0xff, 4, 0};
    static const uint16_t description[] = u"Ashlar";
    uint8_t header[6] = {1, 0, 0, 0, sizeof paths, 0};
    size_t length = 0;
    memcpy(out, header, sizeof header);
    length += sizeof header;
    memcpy(out + length, description, sizeof description);
    length += sizeof description;
    memcpy(out + length, paths, sizeof paths);
    length += sizeof paths;
    memcpy(out + length, data, bytes);
    return length + bytes;
}

static void a_whole_boot_entry_is_unwrapped(void **state)
{
    (void)state;
    uint8_t entry[128];
    expect_line(entry, make_entry(entry, TEXT(u"nokaslr")), "nokaslr");
    expect_line(entry, make_entry(entry, UNTERMINATED(u"\xfeffla57=on")), "la57=on");
    expect_line(entry, make_entry(entry, "log=info", 8), "log=info");
    expect_line(entry, make_entry(entry, "", 0), "");
    expect_ignored(entry, make_entry(entry, "\xff\xfe\xfd\xfc", 4), "character 0x");
}

static void a_broken_boot_entry_is_ignored(void **state)
{
    (void)state;
    uint8_t entry[128];
    size_t bytes = make_entry(entry, TEXT(u"nokaslr"));
    const size_t paths_at = 6 + 14;
    for (size_t length = 6; length < paths_at + 12; length++) {
        expect_ignored(entry, length, "character 0x01 at offset 0");
    }
    entry[paths_at + 2] = 3; /* a node shorter than its header */
    expect_ignored(entry, bytes, "character");
    entry[paths_at + 2] = 200; /* a node past the end */
    expect_ignored(entry, bytes, "character");
    entry[paths_at + 2] = 8;
    entry[paths_at + 8] = 4; /* no end node */
    expect_ignored(entry, bytes, "character");
    entry[paths_at + 8] = 0x7f;
    entry[3] = 0x80; /* an attribute that does not exist */
    expect_ignored(entry, bytes, "character");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf16_text_is_decoded),           cmocka_unit_test(any_alignment_will_do),
        cmocka_unit_test(ascii_text_is_decoded),           cmocka_unit_test(the_program_name_is_dropped),
        cmocka_unit_test(what_is_no_text_is_ignored),      cmocka_unit_test(the_text_has_to_fit),
        cmocka_unit_test(a_whole_boot_entry_is_unwrapped), cmocka_unit_test(a_broken_boot_entry_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

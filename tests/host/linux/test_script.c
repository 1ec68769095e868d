/* The first lines of scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/image/script.h"

static char line[SCRIPT_LINE_BYTES + 1];

static enum script_kind read_text(const char *text, struct script *script)
{
    memset(line, 0, sizeof line);
    memcpy(line, text, strlen(text) < SCRIPT_LINE_BYTES ? strlen(text) : SCRIPT_LINE_BYTES);
    return script_read(line, script);
}

static void check_sound(const char *text, const char *program, const char *argument)
{
    struct script script;
    assert_int_equal(read_text(text, &script), SCRIPT_SOUND);
    assert_string_equal(script.program, program);
    if (argument) {
        assert_non_null(script.argument);
        assert_string_equal(script.argument, argument);
    } else {
        assert_null(script.argument);
    }
}

static void names_are_read(void **state)
{
    (void)state;
    check_sound("#!/bin/sh\necho\n", "/bin/sh", NULL);
    check_sound("#! /bin/sh \t\necho\n", "/bin/sh", NULL);
    check_sound("#!/bin/sh", "/bin/sh", NULL);
    check_sound("#!/usr/bin/env  python3 -u \n", "/usr/bin/env", "python3 -u");
    check_sound("#!\t/bin/awk\t-f\nBEGIN", "/bin/awk", "-f");
}

static void what_names_nothing_is_broken(void **state)
{
    struct script script;
    (void)state;
    assert_int_equal(read_text("", &script), SCRIPT_NONE);
    assert_int_equal(read_text("# !/bin/sh\n", &script), SCRIPT_NONE);
    assert_int_equal(read_text("#!\n/bin/sh\n", &script), SCRIPT_BROKEN);
    assert_int_equal(read_text("#!", &script), SCRIPT_BROKEN);
    assert_int_equal(read_text("#!  \t \n", &script), SCRIPT_BROKEN);
}

/* A name that does not end in the first bytes may be cut; an argument is. */
static void long_lines_are_cut_in_the_argument_only(void **state)
{
    char text[SCRIPT_LINE_BYTES + 10];
    struct script script;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "#!/", 3);
    text[sizeof text - 1] = 0;
    assert_int_equal(read_text(text, &script), SCRIPT_BROKEN);
    text[10] = ' ';
    assert_int_equal(read_text(text, &script), SCRIPT_SOUND);
    assert_int_equal(strlen(script.program), 8);
    assert_int_equal(strlen(script.argument), SCRIPT_LINE_BYTES - 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(what_names_nothing_is_broken),
        cmocka_unit_test(long_lines_are_cut_in_the_argument_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

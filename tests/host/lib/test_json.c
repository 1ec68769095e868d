/* The JSON writer: what it writes is compared to the letter, and misuse panics. */
#include <ashlar/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/host/support/host.h"

struct sink {
    char text[8192];
    size_t bytes;
    unsigned writes;
};

static void sink_write(void *context, const char *text, size_t bytes)
{
    struct sink *sink = context;
    assert_true(sink->bytes + bytes < sizeof sink->text);
    memcpy(sink->text + sink->bytes, text, bytes);
    sink->bytes += bytes;
    sink->text[sink->bytes] = '\0';
    sink->writes++;
}

static void values_are_separated_and_named(void **state)
{
    (void)state;
    struct sink sink = {0};
    struct json json;
    json_begin(&json, sink_write, &sink);
    json_object_begin(&json, NULL);
    json_number(&json, "most", UINT64_MAX);
    json_signed(&json, "least", INT64_MIN);
    json_bool(&json, "yes", true);
    json_array_begin(&json, "list");
    json_number(&json, NULL, 0);
    json_bool(&json, NULL, false);
    json_object_begin(&json, NULL);
    json_object_end(&json);
    json_array_begin(&json, NULL);
    json_array_end(&json);
    json_array_end(&json);
    json_hex(&json, "address", 0xffffffff80000000);
    json_object_end(&json);
    json_end(&json);
    assert_string_equal(sink.text,
                        "{\"most\":18446744073709551615,\"least\":-9223372036854775808,\"yes\":true,"
                        "\"list\":[0,false,{},[]],\"address\":\"0xffffffff80000000\"}\n");
}

static const char *string_line(struct sink *sink, const char *text)
{
    struct json json;
    memset(sink, 0, sizeof *sink);
    json_begin(&json, sink_write, sink);
    json_string(&json, NULL, text);
    json_end(&json);
    return sink->text;
}

static void strings_are_escaped(void **state)
{
    (void)state;
    struct sink sink;
    assert_string_equal(string_line(&sink, ""), "\"\"\n");
    assert_string_equal(string_line(&sink, "a\"b\\c"), "\"a\\\"b\\\\c\"\n");
    assert_string_equal(string_line(&sink, "\n\t\x01\x1b\x7f"), "\"\\u000a\\u0009\\u0001\\u001b\\u007f\"\n");
    assert_string_equal(string_line(&sink, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
                        "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"\n");
}

static void what_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    struct sink sink;
    assert_string_equal(string_line(&sink, "\xff"), "\"\xef\xbf\xbd\"\n");
    assert_string_equal(string_line(&sink, "a\xc3"), "\"a\xef\xbf\xbd\"\n");
    assert_string_equal(string_line(&sink, "\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"\n"); /* overlong */
    assert_string_equal(string_line(&sink, "\xed\xa0\x80"),
                        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n"); /* surrogate */
}

static void long_texts_pass_the_buffer_whole(void **state)
{
    (void)state;
    struct sink sink;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    assert_int_equal(strlen(string_line(&sink, text)), 1003);
    assert_int_equal(strspn(sink.text + 1, "x"), 1000);
    assert_true(sink.writes < 20);
}

static void misuse_panics(void **state)
{
    (void)state;
    struct sink sink = {0};
    struct json json;
    struct host_panic_trap trap;
    bool panicked;
    json_begin(&json, sink_write, &sink);
    CATCH_PANIC(trap, panicked, json_object_end(&json));
    assert_true(panicked);
    json_begin(&json, sink_write, &sink);
    json_array_begin(&json, NULL);
    CATCH_PANIC(trap, panicked, json_number(&json, "name", 1));
    assert_true(panicked);
    CATCH_PANIC(trap, panicked, json_end(&json));
    assert_true(panicked);
    json_begin(&json, sink_write, &sink);
    json_number(&json, NULL, 1);
    CATCH_PANIC(trap, panicked, json_number(&json, NULL, 2));
    assert_true(panicked);
    json_begin(&json, sink_write, &sink);
    for (int depth = 0; depth < JSON_DEPTH_MAX; depth++) {
        json_array_begin(&json, NULL);
    }
    CATCH_PANIC(trap, panicked, json_array_begin(&json, NULL));
    assert_true(panicked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_separated_and_named),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(what_is_not_utf8_is_replaced),
        cmocka_unit_test(long_texts_pass_the_buffer_whole),
        cmocka_unit_test(misuse_panics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

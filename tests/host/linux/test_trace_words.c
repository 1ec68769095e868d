/* Numbers as words, as strace shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/trace/words.h"

#include <fcntl.h>
#include <sys/mman.h>

static void check(enum trace_words kind, uint64_t number, const char *wanted)
{
    char text[200];
    assert_int_equal(trace_words(kind, number, text, sizeof text), strlen(wanted));
    assert_string_equal(text, wanted);
}

/* The values are those of this machine's headers. */
static void bits_have_names(void **state)
{
    (void)state;
    check(WORDS_OPEN, O_RDONLY, "O_RDONLY");
    check(WORDS_OPEN, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC");
    check(WORDS_OPEN, O_RDWR | O_APPEND | O_NONBLOCK, "O_RDWR|O_APPEND|O_NONBLOCK");
    check(WORDS_OPEN, O_DIRECTORY | 0x80000000, "O_DIRECTORY|0x80000000");
    check(WORDS_PROTECT, PROT_NONE, "PROT_NONE");
    check(WORDS_PROTECT, PROT_READ | PROT_EXEC, "PROT_READ|PROT_EXEC");
    check(WORDS_MAP, MAP_PRIVATE | MAP_ANONYMOUS, "MAP_PRIVATE|MAP_ANONYMOUS");
    check(WORDS_MAP, MAP_SHARED | MAP_FIXED, "MAP_SHARED|MAP_FIXED");
    check(WORDS_MAP, 3 | MAP_POPULATE, "MAP_SHARED_VALIDATE|MAP_POPULATE");
    check(WORDS_CLONE, 0x4111, "CLONE_VM|CLONE_VFORK|0x11");
    check(WORDS_ADVICE, 0, "MADV_NORMAL");
    check(WORDS_ADVICE, MADV_DONTNEED, "MADV_DONTNEED");
    check(WORDS_ADVICE, MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE");
    check(WORDS_ADVICE, 7, "0x7");
}

static void what_does_not_fit_is_cut(void **state)
{
    char text[64];
    (void)state;
    for (size_t bytes = 1; bytes < sizeof text; bytes++) {
        memset(text, '#', sizeof text);
        size_t length = trace_words(WORDS_MAP, MAP_SHARED | MAP_FIXED, text, bytes);
        assert_int_equal(length, strlen(text));
        assert_true(length < bytes);
        for (size_t i = bytes; i < sizeof text; i++) {
            assert_int_equal(text[i], '#');
        }
    }
}

static void errors_have_names(void **state)
{
    (void)state;
    assert_string_equal(trace_error(1), "EPERM");
    assert_string_equal(trace_error(2), "ENOENT");
    assert_string_equal(trace_error(22), "EINVAL");
    assert_string_equal(trace_error(40), "ELOOP");
    assert_string_equal(trace_error(110), "ETIMEDOUT");
    assert_string_equal(trace_error(131), "ENOTRECOVERABLE");
    assert_null(trace_error(0));
    assert_null(trace_error(41));
    assert_null(trace_error(UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_have_names),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(errors_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

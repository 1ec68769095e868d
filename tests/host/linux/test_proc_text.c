/* Text of files below /proc: to the column, and cut nowhere but between records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/proc/text/lines.h"

static char room[2048];

static struct proc_text begin(size_t bytes)
{
    memset(room, '#', sizeof room);
    return (struct proc_text){.at = room, .bytes = bytes};
}

static void check(const struct proc_text *text, const char *wanted)
{
    assert_false(text->full);
    room[text->used] = 0;
    assert_string_equal(room, wanted);
}

/* Lines as Linux 6.1 has printed them. */
static void maps_have_linux_s_columns(void **state)
{
    struct map_line line = {
        .base = 0x400000, .end = 0x401000, .access = VM_READ, .node = 11, .name = "/bin/busybox"};
    (void)state;
    struct proc_text text = begin(sizeof room);
    text_map(&text, &line);
    check(&text, "00400000-00401000 r--p 00000000 00:01 11                                 /bin/busybox\n");
    line = (struct map_line){
        .base = 0x7ffd44b48000, .end = 0x7ffd45348000, .access = VM_READ | VM_WRITE, .name = "[stack]"};
    text = begin(sizeof room);
    text_map(&text, &line);
    check(&text, "7ffd44b48000-7ffd45348000 rw-p 00000000 00:00 0                          [stack]\n");
    line = (struct map_line){
        .base = 0x1000, .end = 0x3000, .access = VM_NONE, .shared = true, .offset = 0x123456000};
    text = begin(sizeof room);
    text_map(&text, &line);
    check(&text, "00001000-00003000 ---s 123456000 00:00 0 \n");
    line.name = "/a\nb";
    line.access = VM_READ | VM_EXECUTE;
    line.node = UINT64_MAX;
    line.base = 0x7ffffffff000;
    line.end = 0x7fffffffffff;
    text = begin(sizeof room);
    text_map(&text, &line);
    check(&text, "7ffffffff000-7fffffffffff r-xs 123456000 00:01 18446744073709551615      /a\\012b\n");
}

static void smaps_add_up(void **state)
{
    const struct map_line line = {.base = 0x10000, .end = 0x18000, .access = VM_READ | VM_WRITE, .name = ""};
    const struct vm_counts counts = {.resident = 5,
                                     .large = 0,
                                     .anonymous = 3,
                                     .used = 4,
                                     .alone = 2,
                                     .dirty = 3,
                                     .dirty_alone = 1,
                                     .swapped = 2,
                                     .portion = 0x2800,
                                     .dirty_portion = 0x1400};
    (void)state;
    struct proc_text text = begin(sizeof room);
    text_map_counts(&text, &line, &counts, true);
    check(&text, "Size:                 32 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
                 "Rss:                  20 kB\nPss:                  10 kB\nPss_Dirty:             5 kB\n"
                 "Shared_Clean:          4 kB\nShared_Dirty:          8 kB\nPrivate_Clean:         4 kB\n"
                 "Private_Dirty:         4 kB\nReferenced:           16 kB\nAnonymous:            12 kB\n"
                 "LazyFree:              0 kB\nAnonHugePages:         0 kB\nShmemPmdMapped:        0 kB\n"
                 "FilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
                 "Swap:                  8 kB\nSwapPss:               8 kB\nLocked:                0 kB\n"
                 "THPeligible:    0\nVmFlags: rd wr mr mw me gd ac \n");
    struct map_line shared = line;
    shared.shared = true;
    shared.access = VM_READ | VM_EXECUTE;
    text = begin(sizeof room);
    text_map_counts(&text, &shared, &counts, false);
    room[text.used] = 0;
    assert_non_null(strstr(room, "\nVmFlags: rd ex sh mr me \n"));
}

static void pages_have_linux_s_bits(void **state)
{
    (void)state;
    assert_int_equal(pagemap_word(false, false, false, false, 0x1234), 0);
    assert_int_equal(pagemap_word(true, false, false, true, 0x1234), 0x8100000000001234);
    assert_int_equal(pagemap_word(true, false, true, false, UINT64_MAX), 0xa07fffffffffffff);
    assert_int_equal(pagemap_word(false, true, false, false, 5), 0x4000000000000000);
}

static void limits_and_lengths_have_columns(void **state)
{
    (void)state;
    struct proc_text text = begin(sizeof room);
    text_limit(&text, "Max stack size", 8388608, UINT64_MAX, "bytes");
    text_limit(&text, "Max nice priority", 0, 0, "");
    text_kib(&text, "VmRSS", 1491968);
    check(&text, "Max stack size            8388608              unlimited            bytes     \n"
                 "Max nice priority         0                    0                    \n"
                 "VmRSS:\t    1457 kB\n");
}

static void stat_has_all_fields(void **state)
{
    const struct stat_line line = {.number = 322,
                                   .name = "a) b",
                                   .state = 'R',
                                   .parent = 1,
                                   .group = 2,
                                   .session = 3,
                                   .faults = 101,
                                   .children_faults = 7,
                                   .user_time = 12,
                                   .kernel_time = 14,
                                   .children_user_time = 13,
                                   .children_kernel_time = 15,
                                   .threads = 4,
                                   .started = 60,
                                   .bytes = 3133440,
                                   .resident = 418,
                                   .resident_limit = UINT64_MAX,
                                   .code = 20,
                                   .code_end = 21,
                                   .stack = 22,
                                   .exit_signal = 17,
                                   .cpu = 1,
                                   .data = 23,
                                   .data_end = 24,
                                   .heap = 25,
                                   .arguments = 26,
                                   .variables = 27,
                                   .variables_end = 28,
                                   .exit_code = 29};
    (void)state;
    struct proc_text text = begin(sizeof room);
    text_stat(&text, &line);
    check(&text,
          "322 (a) b) R 1 2 3 0 -1 0 101 7 0 0 12 14 13 15 20 0 4 0 60 3133440 418 18446744073709551615 "
          "20 21 22 0 0 "
          "0 0 0 0 0 0 0 17 1 0 0 0 0 0 23 24 25 26 27 27 28 29\n");
}

/* In every room that is too small something is left out as a whole, and nothing behind the room is written.
 */
static void what_does_not_fit_is_told(void **state)
{
    const struct map_line line = {
        .base = 0x400000, .end = 0x401000, .access = VM_READ, .node = 11, .name = "/bin/sh"};
    (void)state;
    struct proc_text whole = begin(sizeof room);
    text_map(&whole, &line);
    for (size_t bytes = 0; bytes < sizeof room; bytes++) {
        struct proc_text text = begin(bytes);
        text_map(&text, &line);
        assert_int_equal(text.full, bytes < whole.used);
        assert_true(text.used <= bytes);
        for (size_t i = bytes; i < sizeof room; i++) {
            assert_int_equal(room[i], '#');
        }
        text.full = false;
    }
    struct proc_text text = begin(4);
    text_print(&text, "%s", "abcd"); /* its terminator does not fit */
    assert_true(text.full);
    text_add(&text, "x", 1); /* nothing comes behind what was left out */
    assert_int_equal(text.used, 0);
}

static void packed_names_are_found(void **state)
{
    static const char names[] = "one\0two\0three\0";
    (void)state;
    assert_int_equal(text_name_find(names, "one", 3), 0);
    assert_int_equal(text_name_find(names, "three/x", 5), 2);
    assert_int_equal(text_name_find(names, "thre", 4), -1);
    assert_int_equal(text_name_find(names, "", 0), -1);
    assert_string_equal(text_name_at(names, 1), "two");
    assert_null(text_name_at(names, 3));
    assert_null(text_name_at(names, 30));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_have_linux_s_columns), cmocka_unit_test(smaps_add_up),
        cmocka_unit_test(pages_have_linux_s_bits),   cmocka_unit_test(limits_and_lengths_have_columns),
        cmocka_unit_test(stat_has_all_fields),       cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(packed_names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

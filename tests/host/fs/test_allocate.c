/* Memory set apart for parts of files, and holes in them: what is seen, what it takes, and what fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include <string.h>

#define PAGE  FRAME_BYTES
#define PUNCH (FILE_PUNCH | FILE_KEEP_LENGTH)

static struct fs_fixture tree;
static struct file *file;

static void open_file(uint64_t frames_max)
{
    fs_fixture_start_limited(&tree, frames_max, FS_NODES_MAX);
    assert_int_equal(fs_unnamed(&tree.view, "/memfd:", &file), 0);
}

static void close_file(void)
{
    file_put(file);
    fs_fixture_stop(&tree);
}

static uint64_t frames(void)
{
    struct fs_totals totals;
    fs_totals(&tree.fs, &totals);
    return totals.frames;
}

static int64_t length(void)
{
    return file_seek(file, 0, FILE_FROM_END);
}

static void write_at(const char *text, int64_t offset)
{
    struct file_memory memory;
    struct file_buffer *buffer = file_memory(&memory, (char *)(uintptr_t)text, strlen(text));
    assert_int_equal(file_write_at(file, buffer, offset), strlen(text));
}

static void expect_at(const char *text, size_t bytes, int64_t offset)
{
    char found[16];
    struct file_memory memory;
    assert_int_equal(file_read_at(file, file_memory(&memory, found, bytes), offset), bytes);
    assert_memory_equal(found, text, bytes);
}

static void memory_is_set_apart(void **state)
{
    (void)state;
    open_file(FS_FRAMES_MAX);
    assert_int_equal(file_allocate(file, FILE_KEEP_LENGTH, 0, 4 * PAGE), 0);
    assert_int_equal(frames(), 4);
    assert_int_equal(length(), 0);
    assert_int_equal(file_allocate(file, 0, PAGE + 1, 4 * PAGE), 0);
    assert_int_equal(frames(), 6);
    assert_int_equal(length(), 5 * PAGE + 1);
    write_at("text", 2 * PAGE);
    assert_int_equal(file_allocate(file, 0, 0, 3 * PAGE), 0); /* what stands there stays */
    expect_at("text", 4, 2 * PAGE);
    assert_int_equal(length(), 5 * PAGE + 1);
    close_file();
}

static void holes_are_zeros_and_take_nothing(void **state)
{
    (void)state;
    open_file(FS_FRAMES_MAX);
    for (unsigned i = 0; i < 4; i++) {
        write_at("abcdefgh", i * PAGE);
    }
    assert_int_equal(file_allocate(file, PUNCH, 2, 3 * PAGE), 0);
    assert_int_equal(frames(), 2);
    expect_at("ab\0\0\0\0\0\0", 8, 0);
    expect_at("\0\0\0\0", 4, PAGE);
    expect_at("\0\0cdefgh", 8, 3 * PAGE);
    assert_int_equal(length(), 3 * PAGE + 8);
    assert_int_equal(file_allocate(file, PUNCH, 3 * PAGE + 3, 2), 0); /* within one page */
    expect_at("\0\0c\0\0fgh", 8, 3 * PAGE);
    assert_int_equal(file_allocate(file, PUNCH, 0, INT64_MAX), 0);
    assert_int_equal(frames(), 0);
    assert_int_equal(length(), 3 * PAGE + 8);
    close_file();
}

/* What fails has made nothing, whatever is missing, and what stood there stays. */
static void what_fails_changes_nothing(void **state)
{
    (void)state;
    open_file(8);
    write_at("text", 2 * PAGE);
    assert_int_equal(file_allocate(file, 0, 0, 9 * PAGE), -ENOSPC);
    write_at("more", 20 * PAGE);
    assert_int_equal(file_allocate(file, 0, 0, 8 * PAGE), -ENOSPC); /* six more may be, seven would have to */
    assert_int_equal(frames(), 2);
    assert_int_equal(file_seek(file, 0, FILE_FROM_DATA), 2 * PAGE);
    assert_int_equal(file_seek(file, 3 * PAGE, FILE_FROM_DATA), 20 * PAGE);
    expect_at("text", 4, 2 * PAGE);
    assert_int_equal(file_allocate(file, 0, 0, 7 * PAGE), 0);
    assert_int_equal(frames(), 8);
    close_file();
}

static void seals_hold(void **state)
{
    (void)state;
    open_file(FS_FRAMES_MAX);
    write_at("text", 0);
    file_begin_sealing(file, FILE_SEAL_GROW);
    assert_int_equal(file_allocate(file, 0, 0, PAGE), -EPERM);
    assert_int_equal(file_allocate(file, FILE_KEEP_LENGTH, PAGE, PAGE), -EPERM);
    assert_int_equal(file_allocate(file, 0, 0, 4), 0);
    assert_int_equal(file_allocate(file, PUNCH, PAGE, PAGE), 0);
    assert_int_equal(file_add_seals(file, FILE_SEAL_WRITE), 0);
    assert_int_equal(file_allocate(file, PUNCH, 0, PAGE), -EPERM);
    expect_at("text", 4, 0);
    close_file();
}

static void mistakes(void **state)
{
    (void)state;
    struct file *ends[2];
    struct file *directory;
    open_file(FS_FRAMES_MAX);
    assert_int_equal(file_allocate(file, 0, -1, PAGE), -EINVAL);
    assert_int_equal(file_allocate(file, 0, 0, 0), -EINVAL);
    assert_int_equal(file_allocate(file, 0, 1, INT64_MAX), -EFBIG);
    assert_int_equal(file_allocate(file, FILE_PUNCH, 0, PAGE), -EOPNOTSUPP);
    assert_int_equal(file_allocate(file, 4, 0, PAGE), -EOPNOTSUPP);
    assert_int_equal(fs_pipe(&tree.view, 0, ends), 0);
    assert_int_equal(file_allocate(ends[1], 0, 0, PAGE), -ESPIPE);
    assert_int_equal(fs_open(&tree.view, NULL, "/", FILE_READ_ONLY, 0, &directory), 0);
    assert_int_equal(file_allocate(directory, 0, 0, PAGE), -EISDIR);
    struct vm_pager other = {.get = NULL, .references = 1};
    assert_int_equal(file_pager_punch(&other, 0, PAGE), -EOPNOTSUPP);
    struct vm_pager *pager = file_pager(file);
    assert_int_equal(file_pager_punch(pager, INT64_MAX, PAGE), -EFBIG);
    write_at("text", 0);
    assert_int_equal(file_pager_punch(pager, 0, PAGE), 0);
    expect_at("\0\0\0\0", 4, 0);
    vm_pager_put(pager);
    file_put(directory);
    file_put(ends[0]);
    file_put(ends[1]);
    close_file();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_set_apart),
        cmocka_unit_test(holes_are_zeros_and_take_nothing),
        cmocka_unit_test(what_fails_changes_nothing),
        cmocka_unit_test(seals_hold),
        cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A page of which as many page-table entries have references as it can have: it is read and cut as any other.
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct fs_fixture fixture;

static void test_most_references(void **state)
{
    struct file *file;
    struct file_memory memory;
    char text[700];
    char read[700] = "";
    (void)state;
    fs_fixture_start(&fixture);
    memset(text, 'x', sizeof text);
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_READ_WRITE | FILE_CREATE, 0644, &file), 0);
    assert_int_equal(fs_put(file, text, sizeof text), sizeof text);
    struct vm_pager *pager = file_pager(file);
    phys_addr_t frame = pager->get(pager, 0, false);
    struct frame_descriptor *descriptor = frame_descriptor(fixture.fs.config.frames, frame);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX));
    assert_int_equal(pager->get(pager, 0, true).raw, 0);
    assert_int_equal(file_read_at(file, file_memory(&memory, read, sizeof read), 0), sizeof read);
    assert_memory_equal(read, text, sizeof read);
    assert_int_equal(file_write_at(file, file_memory(&memory, text, 1), 0), -ENOMEM);
    assert_int_equal(file_truncate(file, 10), 0);
    assert_int_equal(file_truncate(file, 20), 0);
    assert_int_equal(file_read_at(file, file_memory(&memory, read, 20), 0), 20);
    assert_memory_equal(read, "xxxxxxxxxx\0\0\0\0\0\0\0\0\0\0", 20);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, 2));
    frame_put(fixture.fs.config.frames, frame);
    vm_pager_put(pager);
    file_put(file);
    fs_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_most_references)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the comparison with Linux does not reach: roots, names of places, many links, devices, pipes,
 * mappings. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PIPE_TEXT_MOST 150000

static struct fs_fixture fixture;

static int setup(void **state)
{
    (void)state;
    fs_fixture_start(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fs_fixture_stop(&fixture);
    return 0;
}

static int find(const char *name)
{
    struct path path;
    int error = fs_find(&fixture.view, NULL, name, 0, &path);
    if (error == 0) {
        path_put(path);
    }
    return error;
}

static void test_absolute(void **state)
{
    struct path root;
    (void)state;
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "/jail", 0755), 0);
    assert_int_equal(fs_make(&fixture.view, "/jail/inside", "x"), 0);
    assert_int_equal(fs_make(&fixture.view, "/outside", "x"), 0);
    assert_int_equal(fs_symlink(&fixture.view, "/outside", NULL, "/jail/link"), 0);
    assert_int_equal(find("/jail/link"), 0);
    assert_int_equal(find("/../../outside"), 0);
    assert_int_equal(find("//jail//.//inside"), 0);
    assert_int_equal(find("/jail/inside/"), -ENOTDIR);
    /* The same for who has another root: nothing leads out of it. */
    assert_int_equal(fs_find_directory(&fixture.view, NULL, "/jail", &root), 0);
    struct fs_view jail = fixture.view;
    jail.root = jail.here = root;
    struct fs_status status;
    assert_int_equal(fs_status(&jail, NULL, "/inside", 0, &status), 0);
    assert_int_equal(fs_status(&jail, NULL, "/link", 0, &status), -ENOENT);
    assert_int_equal(fs_status(&jail, NULL, "../outside", 0, &status), -ENOENT);
    char text[64];
    assert_int_equal(fs_name(&jail, root, text, sizeof text), 2);
    assert_string_equal(text, "/");
    assert_int_equal(fs_name(&jail, fixture.view.root, text, sizeof text), 15);
    assert_string_equal(text, "(unreachable)/");
    path_put(root);
}

static void test_names_of_places(void **state)
{
    struct path path;
    char text[64];
    (void)state;
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "a", 0755), 0);
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "a/bb", 0755), 0);
    assert_int_equal(fs_find(&fixture.view, NULL, "a/bb", 0, &path), 0);
    assert_int_equal(fs_name(&fixture.view, path, text, sizeof text), 6);
    assert_string_equal(text, "/a/bb");
    assert_int_equal(fs_name(&fixture.view, path, text, 5), -ERANGE);
    assert_int_equal(fs_name(&fixture.view, path, text, 6), 6);
    assert_int_equal(fs_rename(&fixture.view, NULL, "a/bb", NULL, "long-name", 0), 0);
    assert_int_equal(fs_name(&fixture.view, path, text, sizeof text), 11);
    assert_string_equal(text, "/long-name");
    assert_int_equal(fs_unlink(&fixture.view, NULL, "long-name", FS_AT_REMOVE_DIRECTORY), 0);
    assert_true(path_is_gone(path));
    fs_name(&fixture.view, path, text, sizeof text);
    assert_string_equal(text, "/long-name (deleted)");
    /* A directory that was removed is one still, but nothing can be put into it. */
    struct fs_status status;
    assert_int_equal(fs_status(&fixture.view, &path, ".", 0, &status), 0);
    assert_int_equal(fs_mkdir(&fixture.view, &path, "new", 0755), -ENOENT);
    assert_int_equal(fs_status(&fixture.view, &path, "..", 0, &status), 0);
    path_put(path);
}

static void test_links(void **state)
{
    char from[16];
    char to[16];
    (void)state;
    assert_int_equal(fs_make(&fixture.view, "link0", "x"), 0);
    for (unsigned i = 1; i <= FS_LINKS_MAX + 1; i++) {
        snprintf(from, sizeof from, "link%u", i - 1);
        snprintf(to, sizeof to, "link%u", i);
        assert_int_equal(fs_symlink(&fixture.view, from, NULL, to), 0);
    }
    assert_int_equal(find("link40"), 0);
    assert_int_equal(find("link41"), -ELOOP);
    assert_int_equal(fs_symlink(&fixture.view, "loop/x", NULL, "loop"), 0);
    assert_int_equal(find("loop"), -ELOOP);
}

static void test_long_paths(void **state)
{
    static char path[FS_PATH_MAX + 2];
    (void)state;
    for (size_t i = 0; i + 1 < sizeof path; i += 2) {
        memcpy(path + i, "./", 2);
    }
    path[FS_PATH_MAX - 1] = 0;
    assert_int_equal(find(path), 0);
    path[FS_PATH_MAX - 1] = '/';
    path[FS_PATH_MAX] = 0;
    assert_int_equal(find(path), -ENAMETOOLONG);
    static char target[FS_PATH_MAX + 1];
    memset(target, 'x', FS_PATH_MAX);
    assert_int_equal(fs_symlink(&fixture.view, target, NULL, "x"), -ENAMETOOLONG);
}

/* In a sticky directory a name is removed by whoever owns it, or the directory, or is user 0. */
static void test_sticky(void **state)
{
    const struct fs_change directory = {
        .set_mode = true, .chown = true, .set_user = true, .mode = 01777, .user = 1000};
    const struct fs_change file = {.chown = true, .set_user = true, .user = 1001};
    struct fs_view view = fixture.view;
    (void)state;
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "tmp", 0), 0);
    assert_int_equal(fs_change(&fixture.view, NULL, "tmp", 0, &directory), 0);
    for (unsigned user = 1000; user <= 1002; user++) {
        assert_int_equal(fs_make(&fixture.view, "tmp/x", ""), 0);
        assert_int_equal(fs_change(&fixture.view, NULL, "tmp/x", 0, &file), 0);
        view.who = (struct fs_identity){.user = user, .group = user};
        assert_int_equal(fs_unlink(&view, NULL, "tmp/x", 0), user == 1002 ? -EPERM : 0);
    }
}

/* A file that has lost its name is there as long as it is open. */
static void test_unlinked(void **state)
{
    struct file *file;
    struct fs_status status;
    char text[16] = "";
    (void)state;
    assert_int_equal(fs_make(&fixture.view, "x", "hello"), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_READ_WRITE, 0, &file), 0);
    assert_int_equal(fs_unlink(&fixture.view, NULL, "x", 0), 0);
    assert_int_equal(find("x"), -ENOENT);
    file_status(file, &status);
    assert_int_equal(status.links, 0);
    assert_int_equal(fs_take(file, text, sizeof text), 5);
    assert_string_equal(text, "hello");
    file_put(file);
    assert_int_equal(fixture.fs.frames, 0);
}

/* ---- Devices ---- */

static int open_device(uint64_t number, struct file **file)
{
    fs_unlink(&fixture.view, NULL, "device", 0);
    assert_int_equal(fs_mknod(&fixture.view, NULL, "device", FS_CHARACTER | 0666, number), 0);
    return fs_open(&fixture.view, NULL, "device", FILE_READ_WRITE, 0, file);
}

static void expect_device(unsigned minor, int64_t read, char filled, int64_t written)
{
    struct file *file;
    char text[1000];
    memset(text, 'x', sizeof text);
    assert_int_equal(open_device(fs_device(1, minor), &file), 0);
    assert_int_equal(fs_put(file, text, sizeof text), written);
    assert_int_equal(fs_take(file, text, sizeof text), read);
    for (int64_t i = 0; i < read; i++) {
        assert_int_equal(text[i], filled);
    }
    file_put(file);
}

static void test_devices(void **state)
{
    struct file *file;
    (void)state;
    expect_device(3, 0, 0, 1000);
    expect_device(5, 1000, 0, 1000);
    expect_device(7, 1000, 0, -ENOSPC);
    expect_device(8, 1000, 0x5a, 1000);
    expect_device(9, 1000, 0x5a, 1000);
    assert_int_equal(open_device(fs_device(1, 4), &file), -ENXIO);
    assert_int_equal(open_device(fs_device(5, 1), &file), -ENXIO); /* nobody has provided a console */
    assert_int_equal(fs_device(0x123, 0x45678), 0x45612378);
}

/* ---- Reading directories ---- */

struct seen {
    unsigned count[200];
    unsigned dots;
    unsigned left; /* entries to see before it stops */
};

static bool note_entry(void *context, const struct file_entry *entry)
{
    struct seen *seen = context;
    unsigned number;
    if (seen->left == 0) {
        return false;
    }
    seen->left--;
    if (sscanf(entry->name, "f%u", &number) == 1) {
        seen->count[number]++;
    } else {
        seen->dots++;
    }
    return true;
}

/* What stays is seen once, whatever comes and goes while the directory is read in parts. */
static void test_read_in_parts(void **state)
{
    static struct seen seen;
    struct file *file;
    char name[16];
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(fs_make(&fixture.view, name, ""), 0);
    }
    assert_int_equal(fs_open(&fixture.view, NULL, ".", FILE_DIRECTORY, 0, &file), 0);
    for (unsigned i = 0; i < 100; i++) {
        seen.left = 3;
        assert_int_equal(file_entries(file, note_entry, &seen), 0);
        snprintf(name, sizeof name, "f%u", 100 + i);
        assert_int_equal(fs_make(&fixture.view, name, ""), 0);
        snprintf(name, sizeof name, "f%u", i | 1); /* the odd ones go */
        fs_unlink(&fixture.view, NULL, name, 0);
    }
    assert_int_equal(seen.dots, 2);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(seen.count[i] <= 1 && (seen.count[i] == 1 || i % 2 == 1 || i >= 100));
    }
    file_put(file);
}

/* ---- Pipes ---- */

static struct file *ends[2];
static char heard[PIPE_TEXT_MOST];
static int64_t heard_bytes;

/* Whoever waits lets the other end do something: a reader reads, a writer writes, or closes. */
static int other_reads(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    mutex_release(held);
    int64_t done = fs_take(ends[0], heard + heard_bytes, 5000);
    assert_true(done > 0);
    heard_bytes += done;
    mutex_acquire(held);
    return 0;
}

static int other_writes(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    mutex_release(held);
    assert_int_equal(fs_put(ends[1], "late", 4), 4);
    mutex_acquire(held);
    return 0;
}

static int other_closes(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    mutex_release(held);
    file_put(ends[1]);
    ends[1] = NULL;
    mutex_acquire(held);
    return 0;
}

static int is_interrupted(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    (void)held;
    return -EINTR;
}

static void test_pipe(void **state)
{
    char text[16] = "";
    (void)state;
    assert_int_equal(fs_pipe(&fixture.view, 0, ends), 0);
    assert_int_equal(file_seek(ends[0], 0, FILE_FROM_START), -ESPIPE);
    assert_int_equal(fs_put(ends[0], "x", 1), -EBADF);
    assert_int_equal(file_ready(ends[0]), 0);
    assert_int_equal(file_ready(ends[1]), FILE_READY_WRITE);
    assert_int_equal(fs_put(ends[1], "hello", 5), 5);
    assert_int_equal(file_ready(ends[0]), FILE_READY_READ);
    assert_int_equal(fs_take(ends[0], text, 3), 3);
    assert_int_equal(fs_take(ends[0], text + 3, 10), 2);
    assert_string_equal(text, "hello");
    fs_wait_as = other_writes;
    assert_int_equal(fs_take(ends[0], text, 10), 4);
    fs_wait_as = is_interrupted;
    assert_int_equal(fs_take(ends[0], text, 10), -EINTR);
    file_set_flags(ends[0], FILE_NO_WAIT);
    assert_int_equal(fs_take(ends[0], text, 10), -EAGAIN);
    file_set_flags(ends[0], 0);
    fs_wait_as = other_closes;
    assert_int_equal(fs_take(ends[0], text, 10), 0);
    assert_int_equal(file_ready(ends[0]), FILE_READY_HANG_UP);
    file_put(ends[0]);
    assert_int_equal(fixture.fs.frames, 0);
}

/* What is written at once goes in as a whole or not at all; more goes in as there is room. */
static void test_pipe_room(void **state)
{
    static char text[PIPE_TEXT_MOST];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i * 7 + i / 251);
    }
    assert_int_equal(fs_pipe(&fixture.view, FILE_NO_WAIT, ends), 0);
    assert_int_equal(fs_put(ends[1], text, sizeof text), 65536);
    assert_int_equal(fs_put(ends[1], text, 1), -EAGAIN);
    assert_int_equal(file_ready(ends[1]), 0);
    assert_int_equal(fs_take(ends[0], heard, 4095), 4095);
    assert_int_equal(fs_put(ends[1], text, 4096), -EAGAIN);
    assert_int_equal(fs_put(ends[1], text, 4097), -EAGAIN); /* the oldest frame is not empty yet */
    assert_int_equal(fs_take(ends[0], heard, 1), 1);
    assert_int_equal(fs_put(ends[1], text, 4097), 4096);
    assert_int_equal(fs_take(ends[0], heard, sizeof heard), 65536);
    assert_memory_equal(heard, text + 4096, 65536 - 4096);
    assert_memory_equal(heard + 65536 - 4096, text, 4096);
    file_put(ends[0]);
    assert_int_equal(fs_put(ends[1], "x", 1), -EPIPE);
    assert_int_equal(file_ready(ends[1]), FILE_READY_WRITE | FILE_READY_ERROR);
    file_put(ends[1]);
    assert_int_equal(fs_pipe(&fixture.view, 0, ends), 0);
    fs_wait_as = other_reads;
    heard_bytes = 0;
    assert_int_equal(fs_put(ends[1], text, sizeof text), sizeof text);
    while (heard_bytes < (int64_t)sizeof text) {
        heard_bytes += fs_take(ends[0], heard + heard_bytes, 5000);
    }
    assert_memory_equal(heard, text, sizeof text);
    file_put(ends[0]);
    file_put(ends[1]);
    assert_int_equal(fixture.fs.frames, 0);
}

static int opens_writer(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    mutex_release(held);
    assert_int_equal(fs_open(&fixture.view, NULL, "fifo", FILE_WRITE_ONLY, 0, &ends[1]), 0);
    mutex_acquire(held);
    return 0;
}

static void test_named_pipe(void **state)
{
    char text[8] = "";
    struct file *file;
    (void)state;
    assert_int_equal(fs_mknod(&fixture.view, NULL, "fifo", FS_PIPE | 0666, 0), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "fifo", FILE_WRITE_ONLY | FILE_NO_WAIT, 0, &file), -ENXIO);
    fs_wait_as = opens_writer;
    assert_int_equal(fs_open(&fixture.view, NULL, "fifo", FILE_READ_ONLY, 0, &ends[0]), 0);
    assert_int_equal(fs_put(ends[1], "hello", 5), 5);
    assert_int_equal(fs_take(ends[0], text, 7), 5);
    file_put(ends[0]);
    file_put(ends[1]);
    fs_wait_as = is_interrupted;
    assert_int_equal(fs_open(&fixture.view, NULL, "fifo", FILE_READ_ONLY, 0, &ends[0]), -EINTR);
    assert_int_equal(fs_open(&fixture.view, NULL, "fifo", FILE_READ_WRITE, 0, &file), 0);
    file_put(file);
}

/* ---- Mappings ---- */

static char *memory_of(phys_addr_t frame)
{
    return frame_pointer(&fixture.heap.machine.pool, frame);
}

static void put_frame(phys_addr_t frame)
{
    frame_put(&fixture.heap.machine.pool, frame);
}

/* Pager, reads and writes have the same frames; pages beyond the end there are none. */
static void test_pager(void **state)
{
    struct file *file;
    char text[16] = "";
    (void)state;
    assert_int_equal(fs_make(&fixture.view, "x", "hello"), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_READ_WRITE, 0, &file), 0);
    struct vm_pager *pager = file_pager(file);
    phys_addr_t first = pager->get(pager, 0, false);
    assert_memory_equal(memory_of(first), "hello\0\0", 7);
    assert_int_equal(pager->get(pager, FRAME_BYTES, true).raw, 0);
    memcpy(memory_of(first), "HE", 2);
    assert_int_equal(fs_take(file, text, 5), 5);
    assert_string_equal(text, "HEllo");
    assert_int_equal(file_truncate(file, 3 * FRAME_BYTES), 0);
    assert_int_equal(pager->get(pager, 2 * FRAME_BYTES, false).raw, 0); /* a hole: nothing is at hand */
    phys_addr_t third = pager->get(pager, 2 * FRAME_BYTES, true);
    assert_int_equal(memory_of(third)[0], 0);
    memory_of(third)[1] = '!';
    struct file_memory memory;
    assert_int_equal(file_read_at(file, file_memory(&memory, text, 2), 2 * FRAME_BYTES), 2);
    assert_memory_equal(text, "\0!", 2);
    assert_int_equal(file_truncate(file, 3), 0);
    assert_int_equal(pager->get(pager, 2 * FRAME_BYTES, true).raw, 0);
    assert_memory_equal(memory_of(first), "HEl\0\0", 5);
    put_frame(third);
    put_frame(first);
    /* The mapping outlives the file's name and the open file. */
    file_put(file);
    assert_int_equal(fs_unlink(&fixture.view, NULL, "x", 0), 0);
    first = pager->get(pager, 0, false);
    assert_memory_equal(memory_of(first), "HEl", 3);
    put_frame(first);
    vm_pager_put(pager);
    assert_int_equal(fixture.fs.frames, 0);
    assert_int_equal(fixture.fs.nodes, 1);
}

static void test_executed(void **state)
{
    struct file *reader;
    struct file *writer;
    (void)state;
    assert_int_equal(fs_make(&fixture.view, "x", "hello"), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_READ_ONLY, 0, &reader), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_WRITE_ONLY, 0, &writer), 0);
    assert_int_equal(file_begin_execution(reader), -ETXTBSY);
    file_put(writer);
    assert_int_equal(file_begin_execution(reader), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_READ_WRITE, 0, &writer), -ETXTBSY);
    assert_int_equal(fs_truncate(&fixture.view, NULL, "x", 0), -ETXTBSY);
    file_end_execution(reader);
    assert_int_equal(fs_truncate(&fixture.view, NULL, "x", 0), 0);
    file_put(reader);
}

/* ---- Holes ---- */

static void test_holes(void **state)
{
    struct file *file;
    struct file_memory memory;
    static char page[FRAME_BYTES];
    (void)state;
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_CREATE | FILE_READ_WRITE, 0644, &file), 0);
    memset(page, 'x', sizeof page);
    for (int64_t at = 100; at < 300; at++) { /* more than one hold of pages */
        assert_int_equal(file_write_at(file, file_memory(&memory, page, sizeof page), at * 4096), 4096);
    }
    assert_int_equal(file_truncate(file, 1 << 22), 0);
    assert_int_equal(file_seek(file, 5, FILE_FROM_DATA), 100 * 4096);
    assert_int_equal(file_seek(file, 100 * 4096 + 7, FILE_FROM_DATA), 100 * 4096 + 7);
    assert_int_equal(file_seek(file, 5, FILE_FROM_HOLE), 5);
    assert_int_equal(file_seek(file, 100 * 4096, FILE_FROM_HOLE), 300 * 4096);
    assert_int_equal(file_seek(file, 300 * 4096, FILE_FROM_DATA), -ENXIO);
    assert_int_equal(file_seek(file, 1 << 22, FILE_FROM_HOLE), -ENXIO);
    assert_int_equal(file_read_at(file, file_memory(&memory, page, sizeof page), 4096), 4096);
    assert_int_equal(page[17], 0);
    assert_int_equal(file_truncate(file, INT64_MAX), 0);
    assert_int_equal(file_write_at(file, file_memory(&memory, page, 10), INT64_MAX), -EFBIG);
    assert_int_equal(file_write_at(file, file_memory(&memory, page, 10), INT64_MAX - 4), 4);
    assert_int_equal(file_truncate(file, 0), 0);
    assert_int_equal(fixture.fs.frames, 0);
    file_put(file);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_absolute), TEST(test_names_of_places), TEST(test_links),      TEST(test_long_paths),
        TEST(test_sticky),   TEST(test_unlinked),        TEST(test_devices),    TEST(test_read_in_parts),
        TEST(test_pipe),     TEST(test_pipe_room),       TEST(test_named_pipe), TEST(test_pager),
        TEST(test_executed), TEST(test_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Every allocation inside every operation is made to fail in turn: the operation says so, and nothing has
 * changed; with room for one more it gets further, until it is done. And limits: nodes, frames.
 */
#include "fixture.h"

#include <ashlar/initrd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct fs_fixture fixture;

/* ---- What the tree looks like ---- */

struct picture {
    char text[8192];
    size_t used;
};

static void draw(struct picture *picture, const char *path);

/* The names in a directory, which are looked at when it has been read. */
struct names {
    char text[16][64];
    unsigned count;
};

static bool note_name(void *context, const struct file_entry *entry)
{
    struct names *names = context;
    if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0) {
        snprintf(names->text[names->count++], sizeof names->text[0], "%s", entry->name);
    }
    return true;
}

static void draw_below(struct picture *picture, const char *folder)
{
    struct names names = {.count = 0};
    struct file *file;
    char path[512];
    /* The picture is drawn with memory: none of what fails is left to fail. */
    assert_int_equal(fs_open(&fixture.view, NULL, folder, FILE_DIRECTORY, 0, &file), 0);
    assert_int_equal(file_entries(file, note_name, &names), 0);
    file_put(file);
    for (unsigned i = 0; i < names.count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names.text[i]);
        draw(picture, path);
    }
}

static void draw(struct picture *picture, const char *path)
{
    struct fs_status status;
    assert_int_equal(fs_status(&fixture.view, NULL, path, FS_AT_NO_FOLLOW, &status), 0);
    picture->used += (size_t)snprintf(picture->text + picture->used, sizeof picture->text - picture->used,
                                      "%s %o %u %u %llu %llu %llu\n", path, status.mode, status.links,
                                      status.user, (unsigned long long)status.number,
                                      (unsigned long long)status.bytes, (unsigned long long)status.frames);
    if ((status.mode & FS_KIND) == FS_DIRECTORY) {
        draw_below(picture, path);
    }
}

/* ---- The operations: each returns 0, or the error, and can be done once on the tree that prepare() makes
 * ---- */

static struct file *opened;

static int op_mkdir(void)
{
    return fs_mkdir(&fixture.view, NULL, "dir/new", 0755);
}

static int op_symlink(void)
{
    return fs_symlink(&fixture.view, "somewhere", NULL, "dir/new");
}

static int op_link(void)
{
    return fs_link(&fixture.view, NULL, "file", NULL, "dir/new", 0);
}

static int op_rename(void)
{
    return fs_rename(&fixture.view, NULL, "file", NULL, "dir/new", 0);
}

static int op_replace(void)
{
    return fs_rename(&fixture.view, NULL, "file", NULL, "dir/old", 0);
}

static int op_open(void)
{
    int error = fs_open(&fixture.view, NULL, "file", FILE_READ_ONLY, 0, &opened);
    if (error == 0) {
        file_put(opened);
    }
    return error;
}

static int op_create(void)
{
    int error = fs_open(&fixture.view, NULL, "dir/new", FILE_CREATE | FILE_READ_WRITE, 0644, &opened);
    if (error == 0) {
        file_put(opened);
    }
    return error;
}

static int op_write(void)
{
    struct file_memory memory;
    char text[10000] = "text";
    int64_t done = file_write_at(opened, file_memory(&memory, text, sizeof text), (int64_t)1 << 40);
    return done < 0 ? (int)done : 0;
}

static int op_pipe(void)
{
    struct file *ends[2];
    int error = fs_pipe(&fixture.view, 0, ends);
    if (error == 0) {
        file_put(ends[0]);
        file_put(ends[1]);
    }
    return error;
}

static int op_unnamed(void)
{
    struct file *file;
    int error = fs_unnamed(&fixture.view, &file);
    if (error == 0) {
        file_put(file);
    }
    return error;
}

static void prepare(void)
{
    fs_fixture_start(&fixture);
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "dir", 0755), 0);
    assert_int_equal(fs_make(&fixture.view, "file", "contents"), 0);
    assert_int_equal(fs_make(&fixture.view, "dir/old", "others"), 0);
}

/* Fails the `count`th allocation of the heap's; the operation's result. */
static int fail_at(int (*operation)(void), uint64_t count)
{
    slab_fail_every(&fixture.heap.heap.slabs, count);
    int error = operation();
    slab_fail_every(&fixture.heap.heap.slabs, 0);
    return error;
}

static unsigned fail_each(int (*operation)(void), bool opens)
{
    static struct picture before;
    static struct picture after;
    unsigned failures = 0;
    int error = -ENOMEM;
    prepare();
    if (opens) {
        assert_int_equal(fs_open(&fixture.view, NULL, "file", FILE_READ_WRITE, 0, &opened), 0);
    }
    before.used = 0;
    draw(&before, ".");
    for (uint64_t count = 1; error != 0 && count < 100; count++) {
        error = fail_at(operation, count);
        if (error) {
            failures++;
            assert_int_equal(error, -ENOMEM);
            after.used = 0;
            draw(&after, ".");
            assert_string_equal(before.text, after.text);
        }
    }
    assert_int_equal(error, 0);
    if (opens) {
        file_put(opened);
    }
    fs_fixture_stop(&fixture);
    return failures;
}

static void test_each_allocation(void **state)
{
    (void)state;
    assert_int_equal(fail_each(op_mkdir, false), 3);   /* node, entry, name */
    assert_int_equal(fail_each(op_symlink, false), 4); /* and what it says */
    assert_int_equal(fail_each(op_link, false), 2);
    assert_int_equal(fail_each(op_rename, false), 2); /* what the move needs, and the name */
    assert_int_equal(fail_each(op_replace, false), 2);
    assert_int_equal(fail_each(op_open, false), 1);
    assert_int_equal(fail_each(op_create, false), 4); /* the file, its node, entry and name */
    assert_int_equal(fail_each(op_pipe, false), 4);   /* node, two files, the pipe */
    assert_int_equal(fail_each(op_unnamed, false), 2);
}

/* The first page at 1 TiB takes five nodes above the one page that is there, and four on the way down. */
static void test_pages(void **state)
{
    struct fs_status status;
    (void)state;
    prepare();
    assert_int_equal(fs_open(&fixture.view, NULL, "file", FILE_READ_WRITE, 0, &opened), 0);
    for (uint64_t count = 1; count <= 9; count++) {
        assert_int_equal(fail_at(op_write, count), -ENOMEM);
        file_status(opened, &status);
        assert_int_equal(status.bytes, 8);
        assert_int_equal(status.frames, 1);
    }
    assert_int_equal(op_write(), 0);
    file_status(opened, &status);
    assert_int_equal(status.bytes, ((uint64_t)1 << 40) + 10000);
    assert_int_equal(status.frames, 4);
    assert_int_equal(file_truncate(opened, 8), 0);
    file_status(opened, &status);
    assert_int_equal(status.frames, 1);
    file_put(opened);
    fs_fixture_stop(&fixture);
}

static void test_limits(void **state)
{
    struct file *file;
    char page[FRAME_BYTES] = "";
    (void)state;
    fs_fixture_start_limited(&fixture, 2, 3);
    assert_int_equal(fs_make(&fixture.view, "a", ""), 0);
    assert_int_equal(fs_make(&fixture.view, "b", ""), 0);
    assert_int_equal(fs_make(&fixture.view, "c", ""), -ENOSPC); /* the root is the third */
    assert_int_equal(fs_link(&fixture.view, NULL, "a", NULL, "c", 0), 0);
    assert_int_equal(fs_open(&fixture.view, NULL, "a", FILE_WRITE_ONLY, 0, &file), 0);
    assert_int_equal(fs_put(file, page, sizeof page), sizeof page);
    assert_int_equal(fs_put(file, page, sizeof page), sizeof page);
    assert_int_equal(fs_put(file, page, sizeof page), -ENOSPC);
    assert_int_equal(file_truncate(file, 10), 0);
    assert_int_equal(fs_put(file, page, sizeof page),
                     sizeof page); /* at 8 KiB: the hole before it costs nothing */
    file_put(file);
    fs_fixture_stop(&fixture);
}

/* All of the machine's frames are gone: a write fails, and goes on when some are back. */
static void test_no_frames(void **state)
{
    static phys_addr_t taken[HEAP_MACHINE_BYTES / FRAME_BYTES];
    struct frame_pool *pool = &fixture.heap.machine.pool;
    struct file *file;
    char page[FRAME_BYTES] = "page";
    (void)state;
    prepare();
    assert_int_equal(fs_open(&fixture.view, NULL, "file", FILE_READ_WRITE, 0, &file), 0);
    uint64_t count = frame_alloc_batch(pool, ARRAY_LENGTH(taken), taken, OWNER_TEST);
    assert_int_equal(file_seek(file, FRAME_BYTES, FILE_FROM_START), FRAME_BYTES);
    assert_int_equal(fs_put(file, page, sizeof page), -ENOMEM);
    frame_free_batch(pool, count, taken);
    assert_int_equal(fs_put(file, page, sizeof page), sizeof page);
    file_put(file);
    fs_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

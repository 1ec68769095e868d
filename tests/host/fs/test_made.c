/* Files that are made when somebody asks for them: names, links that lead to places, what is refused,
 * failures. */
#include "fixture.h"

#include <ashlar/made.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/*
 * /made has a file "file", a directory "folder" with the same names, a link "text" that says "folder/file",
 * and a link "place" that leads where `place` does. "gone" is found by the listing, but not by its name.
 */
static struct fs_fixture fixture;
static struct path place;
static unsigned released;

static const char *const names[] = {"file", "folder", "text", "place", "gone"};
static const uint32_t modes[] = {FS_REGULAR | 0444, FS_DIRECTORY | 0555, FS_SYMLINK | 0777, FS_SYMLINK | 0777,
                                 FS_REGULAR | 0444};

static int find(const struct made_what *directory, const char *name, size_t bytes, struct made_found *found)
{
    for (unsigned i = 0; i < 4; i++) {
        if (strlen(names[i]) == bytes && memcmp(names[i], name, bytes) == 0) {
            found->what.words[0] = directory->words[0] + 10 + i;
            found->mode = modes[i];
            found->number = 1000 + found->what.words[0];
            strcpy(found->text, "folder/file");
            found->leads = i == 3 ? path_get(place) : (struct path){NULL};
            return i == 3 && !place.entry ? -ESRCH : 0;
        }
    }
    return -ENOENT;
}

static bool next(const struct made_what *directory, uint64_t *position, char *name, struct made_found *found)
{
    *position = *position < 3 ? *position : *position > 7 ? 8 : 7; /* the last has a place of its own */
    uint64_t i = *position == 7 ? 4 : *position;
    if (i > 4) {
        return false;
    }
    strcpy(name, names[i]);
    found->mode = modes[i];
    found->number = 1000 + directory->words[0] + 10 + i;
    return true;
}

static int64_t read_what(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    char digit = (char)('0' + made_what(file)->words[0] % 10);
    *offset += 1;
    return (int64_t)buffer->put(buffer, &digit, 1);
}

static void release(struct file *file)
{
    (void)file;
    released++;
}

static const struct file_operations operations = {.read = read_what, .release = release};
static const struct made made = {.find = find, .next = next, .operations = &operations};

static int setup(void **state)
{
    const struct made_what what = {{100}};
    (void)state;
    fs_fixture_start(&fixture);
    assert_int_equal(made_mount(&fixture.fs, "/made", &made, &what), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    path_put(place);
    place.entry = NULL;
    fs_fixture_stop(&fixture);
    return 0;
}

static int open_at(const char *name, unsigned flags, struct file **file)
{
    return fs_open(&fixture.view, NULL, name, flags, 0600, file);
}

static void test_found(void **state)
{
    struct file *file;
    struct fs_status status;
    char text[32] = "";
    (void)state;
    released = 0;
    assert_int_equal(open_at("/made/folder/../folder/file", FILE_READ_ONLY, &file), 0);
    assert_int_equal(fs_take(file, text, 1), 1);
    assert_string_equal(text, "1"); /* 100 + 11, + 10 */
    file_status(file, &status);
    assert_int_equal(status.number, 1121);
    assert_int_equal(status.mode, FS_REGULAR | 0444);
    assert_int_equal(status.bytes, 0);
    assert_int_equal(file_truncate(file, 0), -EINVAL);
    assert_int_equal(file_seek(file, 0, FILE_FROM_END), -EINVAL);
    assert_int_equal(file_seek(file, 0, FILE_FROM_DATA), -EINVAL);
    assert_null(file_pager(file));
    assert_int_equal(file_begin_execution(file), -EACCES);
    assert_int_equal(fs_name(&fixture.view, file->path, text, sizeof text), 18);
    assert_string_equal(text, "/made/folder/file");
    file_put(file);
    assert_int_equal(released, 1);
    assert_int_equal(fs_readlink(&fixture.view, NULL, "/made/text", text, 6), 6);
    assert_memory_equal(text, "folder", 6);
    assert_int_equal(fs_status(&fixture.view, NULL, "/made/text", 0, &status), 0);
    assert_int_equal(status.number, 1121);
    assert_int_equal(fs_status(&fixture.view, NULL, "/made/none", 0, &status), -ENOENT);
    assert_int_equal(fs_status(&fixture.view, NULL, "/made/file/x", 0, &status), -ENOTDIR);
    assert_int_equal(fs_status(&fixture.view, NULL, "/made/place", 0, &status), -ESRCH);
    assert_int_equal(open_at("/made/file", FILE_WRITE_ONLY | FILE_TRUNCATE, &file), 0);
    assert_int_equal(fs_put(file, "x", 1), -EINVAL);
    file_put(file);
}

static bool note(void *context, const struct file_entry *entry)
{
    char *text = context;
    strcat(strcat(text, entry->name), entry->mode == FS_DIRECTORY ? "/ " : " ");
    return strcmp(entry->name, "text") != 0; /* and that one comes again */
}

static void test_listed(void **state)
{
    struct file *file;
    char text[128] = "";
    (void)state;
    assert_int_equal(open_at("/made", FILE_DIRECTORY, &file), 0);
    assert_int_equal(file_entries(file, note, text), 0);
    assert_string_equal(text, "./ ../ file folder/ text ");
    file->position++;
    text[0] = 0;
    assert_int_equal(file_entries(file, note, text), 0);
    assert_string_equal(text, "gone ");
    text[0] = 0;
    assert_int_equal(file_entries(file, note, text), 0);
    assert_string_equal(text, "");
    file_put(file);
}

/* A link that leads to a place leads there whatever its name has become. */
static void test_places(void **state)
{
    struct file *file;
    struct file *again;
    struct file *ends[2];
    struct fs_status status;
    char text[64] = "";
    (void)state;
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "/kept", 0755), 0);
    assert_int_equal(fs_make(&fixture.view, "/kept/one", "contents"), 0);
    assert_int_equal(fs_find(&fixture.view, NULL, "/kept", 0, &place), 0);
    assert_int_equal(open_at("/made/place/one", FILE_READ_ONLY, &file), 0);
    assert_int_equal(fs_readlink(&fixture.view, NULL, "/made/place", text, sizeof text), 5);
    assert_memory_equal(text, "/kept", 5);
    assert_int_equal(fs_mkdir(&fixture.view, NULL, "/made/place/new", 0755), 0);
    assert_int_equal(fs_status(&fixture.view, NULL, "/kept/new", 0, &status), 0);
    path_put(place);
    place = path_get(file->path);
    assert_int_equal(fs_unlink(&fixture.view, NULL, "/kept/one", 0), 0);
    assert_int_equal(fs_readlink(&fixture.view, NULL, "/made/place", text, sizeof text), 19);
    assert_memory_equal(text, "/kept/one (deleted)", 19);
    assert_int_equal(open_at("/made/place/x", FILE_READ_ONLY, &again), -ENOTDIR);
    assert_int_equal(open_at("/made/place/", FILE_READ_ONLY, &again), -ENOTDIR);
    assert_int_equal(open_at("/made/place", FILE_READ_ONLY | FILE_NO_FOLLOW, &again), -ELOOP);
    assert_int_equal(open_at("/made/place", FILE_READ_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &again), -EEXIST);
    assert_int_equal(open_at("/made/place", FILE_READ_WRITE | FILE_CREATE, &again), 0);
    assert_ptr_equal(again->node, file->node);
    file_put(again);
    file_put(file);
    path_put(place);
    assert_int_equal(fs_pipe(&fixture.view, 0, ends), 0);
    place = made_place(ends[0]);
    assert_int_equal(fs_readlink(&fixture.view, NULL, "/made/place", text, sizeof text) > 6, 1);
    assert_memory_equal(text, "pipe:[", 6);
    file_put(ends[0]);
    file_put(ends[1]);
    path_put(place);
    assert_int_equal(fs_unnamed(&fixture.view, "/memfd:", &file), 0);
    place = made_place(file);
    assert_int_equal(fs_readlink(&fixture.view, NULL, "/made/place", text, sizeof text), 17);
    assert_memory_equal(text, "/memfd: (deleted)", 17);
    file_put(file);
}

static void test_refused(void **state)
{
    const struct fs_change change = {.set_mode = true, .mode = 0600};
    const struct fs_view *view = &fixture.view;
    const struct made_what what = {{1}};
    struct file *file;
    (void)state;
    assert_int_equal(fs_mkdir(view, NULL, "/kept", 0755), 0);
    assert_int_equal(fs_make(view, "/kept/one", "x"), 0);
    assert_int_equal(made_mount(&fixture.fs, "/kept", &made, &what), -ENOTEMPTY);
    assert_int_equal(made_mount(&fixture.fs, "/kept/one", &made, &what), -ENOTDIR);
    assert_int_equal(made_mount(&fixture.fs, "/none/x", &made, &what), -ENOENT);
    assert_int_equal(fs_mkdir(view, NULL, "/made/new", 0755), -ENOENT);
    assert_int_equal(fs_mkdir(view, NULL, "/made/file", 0755), -EEXIST);
    assert_int_equal(open_at("/made/new", FILE_WRITE_ONLY | FILE_CREATE, &file), -ENOENT);
    assert_int_equal(fs_unlink(view, NULL, "/made/file", 0), -EPERM);
    assert_int_equal(fs_unlink(view, NULL, "/made/folder", FS_AT_REMOVE_DIRECTORY), -EPERM);
    assert_int_equal(fs_unlink(view, NULL, "/made", FS_AT_REMOVE_DIRECTORY), -EBUSY);
    assert_int_equal(fs_rename(view, NULL, "/made/file", NULL, "/made/folder", 0), -EPERM);
    assert_int_equal(fs_rename(view, NULL, "/made/file", NULL, "/kept/two", 0), -EXDEV);
    assert_int_equal(fs_rename(view, NULL, "/kept/one", NULL, "/made/file", 0), -EXDEV);
    assert_int_equal(fs_rename(view, NULL, "/made", NULL, "/other", 0), -EBUSY);
    assert_int_equal(fs_link(view, NULL, "/made/file", NULL, "/kept/two", 0), -EXDEV);
    assert_int_equal(fs_change(view, NULL, "/made/file", 0, &change), -EPERM);
    assert_int_equal(fs_truncate(view, NULL, "/made/file", 0), -EINVAL);
    assert_int_equal(
        open_at("/made/folder/aVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongName"
                "aVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongName"
                "aVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongNameaVeryLongName",
                FILE_READ_ONLY, &file),
        -ENAMETOOLONG);
}

/* The pages of a file lead to the name by which it was opened, as long as that is there. */
static void test_pagers(void **state)
{
    struct file *file;
    struct vm_pager other = {.get = NULL};
    struct fs_status status;
    struct path found;
    uint64_t number;
    const char *title;
    (void)state;
    assert_int_equal(fs_make(&fixture.view, "/one", "x"), 0);
    assert_int_equal(fs_link(&fixture.view, NULL, "/one", NULL, "/two", 0), 0);
    assert_int_equal(open_at("/two", FILE_READ_ONLY, &file), 0);
    struct vm_pager *pager = file_pager(file);
    assert_true(made_pager_file(pager, &number, &found, &title));
    file_status(file, &status);
    assert_int_equal(number, status.number);
    assert_ptr_equal(found.entry, file->path.entry);
    path_put(found);
    assert_int_equal(fs_unlink(&fixture.view, NULL, "/two", 0), 0);
    assert_true(made_pager_file(pager, &number, &found, &title));
    assert_non_null(found.entry);
    path_put(found);
    file_put(file);
    assert_true(made_pager_file(pager, &number, &found, &title));
    assert_null(found.entry);
    assert_null(title);
    vm_pager_put(pager);
    assert_int_equal(fs_unnamed(&fixture.view, "/memfd:one", &file), 0);
    pager = file_pager(file);
    file_put(file);
    assert_true(made_pager_file(pager, &number, &found, &title));
    assert_null(found.entry);
    assert_string_equal(title, "/memfd:one");
    vm_pager_put(pager);
    assert_false(made_pager_file(&other, &number, &found, &title));
}

/* Every allocation fails in turn: an error, and nothing is kept. */
static int op_open(void)
{
    struct file *file;
    int error = open_at("/made/text", FILE_READ_ONLY, &file);
    if (error == 0) {
        file_put(file);
    }
    return error;
}

static int op_readlink(void)
{
    char text[32];
    int64_t result = fs_readlink(&fixture.view, NULL, "/made/place", text, sizeof text);
    return result == 4 ? 0 : (int)result;
}

static unsigned failures_of(int (*operation)(void))
{
    unsigned failures = 0;
    int error = -ENOMEM;
    for (uint64_t count = 1; error != 0; count++) {
        slab_fail_every(&fixture.heap.heap.slabs, 0);
        slab_fail_every(&fixture.heap.heap.slabs, count);
        error = operation();
        slab_fail_every(&fixture.heap.heap.slabs, 0);
        assert_true(error == 0 || error == -ENOMEM);
        failures += error != 0;
    }
    return failures;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_int_equal(fs_make(&fixture.view, "/one", "x"), 0);
    assert_int_equal(failures_of(op_open),
                     11); /* of four names node, entry and name, the link's text; a file */
    assert_int_equal(fs_find(&fixture.view, NULL, "/one", 0, &place), 0);
    assert_int_equal(failures_of(op_readlink), 4); /* node, entry, name; and what it says */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_found),   TEST(test_listed), TEST(test_places),
                                       TEST(test_refused), TEST(test_pagers), TEST(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

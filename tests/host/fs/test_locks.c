/* Locks of files: lists against a model; and those who take them, wait, and would wait in a circle. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lock_model.h"
#include "tests/host/support/random.h"
#include <ashlar/file_lock.h>

#define RUNS      400
#define RUN_BYTES 900

static struct fs_fixture fixture;
static struct file *file;

static void test_model(void **state)
{
    static uint8_t bytes[RUN_BYTES];
    uint64_t random = 1;
    (void)state;
    for (unsigned i = 0; i < RUNS; i++) {
        random_fill(&random, bytes, sizeof bytes);
        lock_model_run(bytes, sizeof bytes);
    }
}

static int start(void **state)
{
    (void)state;
    fs_fixture_start(&fixture);
    return fs_open(&fixture.view, NULL, "x", FILE_READ_WRITE | FILE_CREATE, 0644, &file);
}

static int stop(void **state)
{
    (void)state;
    fs_wait_as = NULL;
    file_put(file);
    fs_fixture_stop(&fixture);
    return 0;
}

static struct file_lock lock_of(uint64_t owner, uint64_t first, uint64_t last)
{
    return (struct file_lock){.kind = FILE_LOCK_PROCESS,
                              .writes = true,
                              .first = first,
                              .last = last,
                              .owner = owner,
                              .process = 7};
}

static int take(uint64_t owner, uint64_t first, uint64_t last, bool waits)
{
    struct file_lock lock = lock_of(owner, first, last);
    return file_lock_take(file, &lock, waits);
}

/* While 1 waits for 2, 2 asks for what 1 has: that would be a circle, also by way of 3. */
static int others_ask(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    fs_wait_as = NULL;
    mutex_release(held);
    assert_int_equal(take(2, 0, 0, true), -EDEADLK);
    assert_int_equal(take(2, 0, 0, false), -EAGAIN);
    struct file_lock gives = lock_of(2, 1, 1);
    assert_int_equal(file_lock_give(file, &gives), 0);
    mutex_acquire(held);
    return 0;
}

static void test_circle(void **state)
{
    (void)state;
    assert_int_equal(take(1, 0, 0, false), 0);
    assert_int_equal(take(2, 1, 1, false), 0);
    fs_wait_as = others_ask;
    assert_int_equal(take(1, 1, 1, true), 0);
    file_locks_end(file, FILE_LOCK_PROCESS, 1);
    file_locks_end(file, FILE_LOCK_PROCESS, 2);
}

static int is_interrupted(struct fs_event *event, struct mutex *held) REQUIRES(held)
{
    (void)event;
    (void)held;
    return -EINTR;
}

static void test_interrupted(void **state)
{
    struct file_lock other;
    struct file_lock lock = lock_of(2, 5, FILE_LOCK_END);
    (void)state;
    assert_int_equal(take(1, 0, 9, false), 0);
    fs_wait_as = is_interrupted;
    assert_int_equal(take(2, 5, 5, true), -EINTR);
    assert_true(file_lock_find(file, &lock, &other));
    assert_int_equal(other.first, 0);
    assert_int_equal(other.last, 9);
    assert_int_equal(other.process, 7);
    file_locks_end(file, FILE_LOCK_PROCESS, 1);
    assert_false(file_lock_find(file, &lock, &other));
}

/* An open file's locks end with it. */
static void test_open_file(void **state)
{
    struct file *second;
    struct file_lock other;
    (void)state;
    assert_int_equal(fs_open(&fixture.view, NULL, "x", FILE_READ_WRITE, 0, &second), 0);
    struct file_lock lock = {
        .kind = FILE_LOCK_OPEN, .writes = true, .last = FILE_LOCK_END, .owner = (uintptr_t)second};
    struct file_lock whole = {.kind = FILE_LOCK_WHOLE, .last = FILE_LOCK_END, .owner = (uintptr_t)second};
    assert_int_equal(file_lock_take(second, &lock, false), 0);
    assert_int_equal(file_lock_take(second, &whole, false), 0);
    assert_int_equal(take(1, 3, 3, false), -EAGAIN);
    file_put(second);
    lock = lock_of(1, 0, FILE_LOCK_END);
    assert_false(file_lock_find(file, &lock, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test_setup_teardown(test_circle, start, stop),
        cmocka_unit_test_setup_teardown(test_interrupted, start, stop),
        cmocka_unit_test_setup_teardown(test_open_file, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

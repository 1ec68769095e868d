/* Many threads log into one small ring while others read it: every line that is read is whole. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/log_ring.h"

enum { WRITERS = 4, LINES = 20000, CAPACITY = 16 };

static struct log_slot slots[CAPACITY];
static struct log_ring ring = {slots, CAPACITY, 0};
static atomic_uint writers_left = WRITERS;

/* A line of one repeated letter, its length given by its ticks: a torn one shows. */
static void *write_lines(void *argument)
{
    unsigned writer = (unsigned)(uintptr_t)argument;
    struct log_text text = {0};
    for (unsigned i = 0; i < LINES; i++) {
        text.length = 1 + (i * 7 + writer) % LOG_TEXT_BYTES;
        memset(text.characters, 'a' + (int)((i + writer) % 26), text.length);
        uint64_t ticks = (uint64_t)text.length << 8 | (uint8_t)text.characters[0];
        log_ring_append(&ring, LOG_INFO, "thread", ticks, writer, &text);
    }
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

static bool is_whole(const struct log_record *record)
{
    size_t length = record->ticks >> 8;
    char letter[2] = {(char)(record->ticks & 0xff), '\0'};
    return strlen(record->text) == length && strspn(record->text, letter) == length;
}

/* Returns the number of lines read and lost, or -1 when one was torn or out of order. */
static void *read_lines(void *argument)
{
    (void)argument;
    struct log_reader reader = {0, 0};
    struct log_record record;
    intptr_t seen = 0;
    uint64_t next = 0;
    bool last_round = false;
    while (!last_round) {
        last_round = atomic_load(&writers_left) == 0;
        while (log_ring_read(&ring, &reader, last_round, &record)) {
            if (!is_whole(&record) || record.sequence != next + record.lost) {
                return (void *)(intptr_t)-1;
            }
            next = record.sequence + 1;
            seen += 1 + (intptr_t)record.lost;
        }
    }
    return (void *)(seen + (intptr_t)reader.lost);
}

static void lines_are_whole_or_counted_as_lost(void **state)
{
    (void)state;
    pthread_t writers[WRITERS];
    pthread_t readers[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_lines, NULL), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_lines, (void *)(uintptr_t)i), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i], NULL);
    }
    for (int i = 0; i < 2; i++) {
        void *seen;
        pthread_join(readers[i], &seen);
        assert_int_equal((intptr_t)seen, WRITERS * LINES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_whole_or_counted_as_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

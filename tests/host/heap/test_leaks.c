/* The leak scan: what the roots reach, and what nothing does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reports.h"
#include "virtual_fixture.h"

struct found {
    const void *root;         /* a variable: the only root */
    const void *pointers[16]; /* blocks shown */
    unsigned count;           /* how many */
};

static void show_root(void *context, struct heap_scan *scan)
{
    const struct found *found = context;
    if (found->root) {
        heap_scan_root(scan, found->root, sizeof(void *));
    }
}

static bool note(void *context, const struct heap_block *block)
{
    struct found *found = context;
    found->pointers[found->count++] = block->pointer;
    return found->count < ARRAY_LENGTH(found->pointers);
}

struct node {
    struct node *next; /* another block */
    void *payload[6];  /* more */
};

static void unreachable_blocks_are_found(void **state)
{
    (void)state;
    struct node *root = heap_alloc_zeroed(&fixture.heap, sizeof *root);
    root->next = heap_alloc_zeroed(&fixture.heap, sizeof *root);
    root->next->payload[3] = heap_alloc_zeroed(&fixture.heap, 100000);
    void **large = root->next->payload[3];
    large[5000] = (char *)heap_alloc_zeroed(&fixture.heap, 300) + 299; /* a pointer to its last byte counts */
    struct found found = {.root = &root};
    assert_int_equal(heap_leaks(&fixture.heap, show_root, note, &found), 0);
    assert_int_equal(found.count, 0);

    struct node *lost = heap_alloc_zeroed(&fixture.heap, sizeof *lost);
    lost->next = heap_alloc_zeroed(&fixture.heap, 20000); /* only reached from what is lost */
    lost->next->next = lost;
    found.count = 0;
    assert_int_equal(heap_leaks(&fixture.heap, show_root, note, &found), 2);
    assert_int_equal(found.count, 2);
    assert_ptr_equal(found.pointers[0], lost);
    assert_ptr_equal(found.pointers[1], lost->next);

    found = (struct found){.root = NULL};
    assert_int_equal(heap_leaks(&fixture.heap, show_root, note, &found), 6);
    found.count = 0;
    heap_visit(&fixture.heap, note, &found);
    assert_int_equal(found.count, 6);

    heap_free(&fixture.heap, lost->next);
    heap_free(&fixture.heap, lost);
    heap_free(&fixture.heap, (char *)large[5000] - 299);
    heap_free(&fixture.heap, large);
    heap_free(&fixture.heap, root->next);
    heap_free(&fixture.heap, root);
    assert_int_equal(fixture.reports, 0);
}

/* Words behind the length that a block once had are searched, too. */
static void what_a_grown_block_holds_is_reached(void **state)
{
    (void)state;
    void **root = heap_alloc_zeroed(&fixture.heap, 8200);
    root = heap_resize(&fixture.heap, root, 12000);
    memset(root, 0, 12000);
    root[11000 / sizeof *root] = heap_alloc_zeroed(&fixture.heap, 300);
    struct found found = {.root = &root};
    assert_int_equal(heap_leaks(&fixture.heap, show_root, note, &found), 0);
    heap_free(&fixture.heap, root[11000 / sizeof *root]);
    heap_free(&fixture.heap, root);
}

static bool note_owned(void *context, const struct heap_block *block)
{
    unsigned *owned = context;
    *owned += block->allocated != NULL && block->bytes == 300;
    return true;
}

/* Under policies a block is shown with the length that was asked for and who allocated it. */
static void blocks_are_shown_with_their_owner(void **state)
{
    (void)state;
    unsigned owned = 0;
    void *block = heap_alloc(&fixture.heap, 300);
    heap_visit(&fixture.heap, note_owned, &owned);
    assert_int_equal(owned, 1);
    heap_free(&fixture.heap, block);
}

/* Virtual blocks are listed, searched, and missed like others. */
static void virtual_blocks_take_part(void **state)
{
    (void)state;
    static struct virtual_source source;
    virtual_start(&fixture.heap, &source, 2, 0);
    void **first = heap_alloc(&fixture.heap, MIB(300));
    void **second = heap_alloc(&fixture.heap, MIB(300));
    memset(first, 0, VIRTUAL_BYTES);
    memset(second, 0, VIRTUAL_BYTES);
    second[7] = heap_alloc_zeroed(&fixture.heap, 64);
    first[9] = (char *)second + VIRTUAL_BYTES - 1; /* its last byte */
    struct found found = {.root = &first};
    assert_int_equal(heap_leaks(&fixture.heap, show_root, note, &found), 0);
    first[9] = (char *)second + VIRTUAL_BYTES;
    assert_int_equal(heap_leaks(&fixture.heap, show_root, note, &found), 2);
    assert_ptr_equal(found.pointers[0], second[7]);
    assert_ptr_equal(found.pointers[1], second);
    found = (struct found){.root = NULL};
    heap_visit(&fixture.heap, note, &found);
    assert_int_equal(found.count, 3);
    heap_free(&fixture.heap, second[7]);
    heap_free(&fixture.heap, second);
    heap_free(&fixture.heap, first);
    assert_int_equal(fixture.reports, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unreachable_blocks_are_found),
        TEST(what_a_grown_block_holds_is_reached),
        TEST(virtual_blocks_take_part),
        DEBUG_TEST(blocks_are_shown_with_their_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The stock of zeroed frames: who fills it, and who takes from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/internal.h"
#include "pc.h"
#include "tests/host/support/host.h"

static void zeroed_frames_come_from_the_stock(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct frame_request request = {.frames = 1, .owner = OWNER_TEST, .zeroed = true};
    struct frame_statistics before;
    struct frame_statistics after;
    unsigned prepared = 0;
    while (frame_pool_idle(pool)) {
        prepared++;
    }
    assert_true(prepared > 1);
    frame_pool_statistics(pool, &before);
    assert_int_equal(before.magazine_frames, prepared);
    for (unsigned i = 0; i < prepared; i++) {
        phys_addr_t frame;
        assert_int_equal(frame_alloc_request(pool, &request, &frame), FRAME_OK);
        const uint8_t *bytes = frame_pointer(pool, frame);
        assert_true(bytes[0] == 0 && memcmp(bytes, bytes + 1, FRAME_BYTES - 1) == 0);
    }
    frame_pool_statistics(pool, &after);
    assert_int_equal(after.magazine_frames, 0);
    assert_int_equal(after.free_frames, before.free_frames); /* all came from the stock */
    assert_true(frame_pool_idle(pool));
    request.limit = MIB(16); /* the stock says nothing about addresses */
    phys_addr_t low;
    assert_int_equal(frame_alloc_request(pool, &request, &low), FRAME_OK);
    assert_true(low.raw < MIB(16));
    request = (struct frame_request){.frames = 1, .owner = OWNER_COUNT, .zeroed = true};
    assert_int_equal(frame_alloc_request(pool, &request, &low), FRAME_BAD_OWNER);
}

static void frames_of_zeros_go_to_the_stock_while_it_has_room(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct frame_statistics before;
    struct frame_statistics after;
    struct frame_problem problem;
    phys_addr_t frames[64];
    unsigned room = 0;
    while (frame_pool_idle(pool)) {
        room++;
    }
    assert_true(room > 1 && room < ARRAY_LENGTH(frames));
    for (unsigned i = 0; i < room; i++) { /* the stock is empty then */
        assert_int_not_equal(frame_alloc_zeroed(pool, OWNER_TEST).raw, 0);
    }
    for (unsigned i = 0; i <= room; i++) {
        frames[i] = frame_alloc(pool, 0, OWNER_TEST);
        memset(frame_pointer(pool, frames[i]), 0, FRAME_BYTES);
    }
    frame_pool_statistics(pool, &before);
    for (unsigned i = 0; i <= room; i++) {
        frame_free_zeroed(pool, frames[i]);
    }
    frame_pool_statistics(pool, &after);
    assert_int_equal(after.magazine_frames, before.magazine_frames + room + 1);
    assert_true(frame_pool_check(pool, &problem));
    for (unsigned i = room; i-- > 0;) {
        assert_int_equal(frame_alloc_zeroed(pool, OWNER_TEST).raw, frames[i].raw);
    }
    assert_int_equal(frame_alloc(pool, 0, OWNER_TEST).raw, frames[room].raw); /* this one found no room */
}

#define FRAME_TEST(function)                                                                                 \
    cmocka_unit_test_setup_teardown(function, pc_setup, pc_teardown),                                        \
    {                                                                                                        \
#function " (bitmap)", function, pc_setup_bitmap, pc_teardown, NULL                                  \
    }
int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAME_TEST(zeroed_frames_come_from_the_stock),
        FRAME_TEST(frames_of_zeros_go_to_the_stock_while_it_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

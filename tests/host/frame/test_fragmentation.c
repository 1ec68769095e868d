/*
 * Free memory stays whole. Memory is filled with frames, a random half of them is freed, and then a random
 * tenth of the rest is freed and as many are allocated, a hundred times: how much of the free memory is whole
 * 2 MiB blocks then? All of it is counted, nothing is timed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/random.h"

#define MACHINE_BYTES GIB(1)
#define ROUNDS        100
#define TURN          64 /* operations of one CPU before the next has its turn */

static struct machine machine;
static phys_addr_t frames[MACHINE_BYTES / FRAME_BYTES];
static uint64_t random_state;

static void swap(uint64_t one, uint64_t other)
{
    phys_addr_t frame = frames[one];
    frames[one] = frames[other];
    frames[other] = frame;
}

/* Fills memory and frees a random half of it; returns how many frames are left. */
static uint64_t fill_half(void)
{
    uint64_t count = 0;
    while ((frames[count] = frame_alloc(&machine.pool, 0, OWNER_TEST)).raw != 0) {
        count++;
    }
    for (uint64_t left = count; left > count / 2; left--) {
        swap(left - 1, random_number(&random_state) % left);
        frame_free(&machine.pool, frames[left - 1], 0);
    }
    return count / 2;
}

static void replace_tenth(uint64_t count, unsigned cpus)
{
    for (uint64_t i = 0; i < count / 10; i++) {
        host_cpu = i / TURN % cpus;
        swap(count - 1 - i, random_number(&random_state) % (count - i));
        frame_free(&machine.pool, frames[count - 1 - i], 0);
    }
    for (uint64_t i = 0; i < count / 10; i++) {
        host_cpu = i / TURN % cpus;
        frames[count - 1 - i] = frame_alloc(&machine.pool, 0, OWNER_TEST);
        assert_int_not_equal(frames[count - 1 - i].raw, 0);
    }
}

/* Of 1000 free frames, how many lie in free blocks of 2 MiB and more. */
static uint64_t whole_permille(unsigned cpus)
{
    struct frame_statistics statistics;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        frame_pool_drain_cpu(&machine.pool, cpu);
    }
    frame_pool_statistics(&machine.pool, &statistics);
    return 1000 - frame_fragmentation(statistics.free_blocks, FRAME_ORDER_2M);
}

static uint64_t share_left_whole(unsigned cpus)
{
    random_state = 88172645463325252ULL;
    machine_make(&machine, MACHINE_BYTES);
    machine_range(&machine, MIB(16), MACHINE_BYTES - MIB(16), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, cpus, NULL), FRAME_OK);
    uint64_t count = fill_half();
    assert_in_range(whole_permille(cpus), 0, 10); /* it begins with nearly nothing whole */
    for (unsigned round = 0; round < ROUNDS; round++) {
        replace_tenth(count, cpus);
    }
    host_cpu = 0;
    uint64_t share = whole_permille(cpus);
    print_message("%u CPUs: %" PRIu64 " permille whole\n", cpus, share);
    assert_true(machine_is_sound(&machine));
    machine_destroy(&machine);
    return share;
}

static void one_cpu_leaves_nine_tenths_whole(void **state)
{
    (void)state;
    assert_in_range(share_left_whole(1), 900, 1000);
}

static void eight_cpus_leave_three_quarters_whole(void **state)
{
    (void)state;
    assert_in_range(share_left_whole(8), 750, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_cpu_leaves_nine_tenths_whole),
        cmocka_unit_test(eight_cpus_leave_three_quarters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

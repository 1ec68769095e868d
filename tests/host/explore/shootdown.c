/*
 * The shootdown (mm/paging/shootdown.c, kernel/lib/cpu_request.c, arch/x86_64/paging/tlb.c) in every
 * interleaving of two or three CPUs.
 *
 * The same program is built with each of many small mistakes in those files (mistakes.cmake), and must find
 * it.
 */
#include <ashlar/cpu_request.h>
#include <stdio.h>

#include "explore.h"

/* ---- What a CPU has done before ---- */

static void load(enum explore_table table)
{
    tlb_load(explore_tables(table));
}

static void come_online(void)
{
    tlb_cpu_enter();
    explore_is_online();
}

static void in_kernel(void)
{
    come_online();
}

static void in_a(void)
{
    come_online();
    load(EXPLORE_A);
}

static void in_b_after_a(void)
{
    come_online();
    load(EXPLORE_A);
    load(EXPLORE_B);
}

static void in_a_after_b(void)
{
    come_online();
    load(EXPLORE_B);
    load(EXPLORE_A);
}

static void in_a_with_interrupts_off(void)
{
    in_a();
    explore_interrupts(false);
}

/* ---- What it does ---- */

static void unmap_by(enum explore_table table, unsigned page, unsigned ranges)
{
    struct tlb_range range = {explore_address(page), FRAME_BYTES, PAGE_LEVEL_4K};
    explore_clear(table, page);
    tlb_flush(explore_tables(table), &range, ranges, false);
    explore_free(table, page);
}

static void unmap_first(void)
{
    unmap_by(EXPLORE_A, 0, 1);
}

static void unmap_second(void)
{
    unmap_by(EXPLORE_A, 1, 1);
}

static void unmap_both(void)
{
    unmap_first();
    unmap_second();
}

static void unmap_of_each(void)
{
    unmap_first();
    unmap_by(EXPLORE_B, 0, 1);
}

static void unmap_by_dropping_all(void)
{
    unmap_by(EXPLORE_A, 0, 0);
}

static void unmap_of_kernel(void)
{
    unmap_by(EXPLORE_KERNEL, EXPLORE_KERNEL_PAGE, 1);
}

static void unmap_of_kernel_by_dropping_all(void)
{
    unmap_by(EXPLORE_KERNEL, EXPLORE_KERNEL_PAGE, 0);
}

static void come(void)
{
    load(EXPLORE_A);
}

static void go_and_come(void)
{
    load(EXPLORE_B);
    load(EXPLORE_A);
}

static void come_and_go_and_come(void)
{
    load(EXPLORE_A);
    go_and_come();
}

static void go_and_come_and_go(void)
{
    go_and_come();
    load(EXPLORE_B);
}

static void leave_and_come_back(void)
{
    load(EXPLORE_KERNEL);
    load(EXPLORE_A);
    load(EXPLORE_A);
}

static void come_online_late(void)
{
    come_online();
    load(EXPLORE_A);
}

static void nothing(void)
{
}

/* ---- Who does what at the same time ---- */

#define TWO(first, second)                                                                                   \
    {                                                                                                        \
        first, second                                                                                        \
    }
#define THREE(first, second, third)                                                                          \
    {                                                                                                        \
        first, second, third                                                                                 \
    }

static const struct explore_scenario scenarios[] = {
    {"a flush while the space is loaded", 2, true, true, TWO(in_a, in_a), TWO(unmap_first, nothing)},
    {"two flushes beside loads", 2, true, true, TWO(in_a, in_kernel), TWO(unmap_both, come_and_go_and_come)},
    {"two flushes and coming back", 2, true, true, TWO(in_a, in_a_after_b), TWO(unmap_both, go_and_come)},
    {"two flushes, no PCIDs", 2, false, true, TWO(in_a, in_kernel), TWO(unmap_both, come_and_go_and_come)},
    {"leaving and coming back", 2, true, true, TWO(in_a, in_a), TWO(unmap_both, leave_and_come_back)},
    {"flushes from outside", 2, true, true, TWO(in_kernel, in_a_after_b), TWO(unmap_both, go_and_come)},
    {"flushes of two spaces", 2, true, true, TWO(in_kernel, in_a_after_b),
     TWO(unmap_of_each, go_and_come_and_go)},
    {"everything is dropped", 2, true, true, TWO(in_a, in_a), TWO(unmap_by_dropping_all, go_and_come)},
    {"two flush", 2, true, true, TWO(in_a, in_a), TWO(unmap_first, unmap_second)},
    {"two flush, interrupts off", 2, true, true, TWO(in_a_with_interrupts_off, in_a_with_interrupts_off),
     TWO(unmap_first, unmap_second)},
    {"space and kernel, interrupts off", 2, true, true,
     TWO(in_a_with_interrupts_off, in_a_with_interrupts_off), TWO(unmap_first, unmap_of_kernel)},
    {"the kernel's, global", 2, true, true, TWO(in_a, in_a_after_b), TWO(unmap_of_kernel, go_and_come)},
    {"the kernel's, not global", 2, true, false, TWO(in_a, in_a_after_b), TWO(unmap_of_kernel, go_and_come)},
    {"all of the kernel", 2, true, false, TWO(in_a, in_a_after_b),
     TWO(unmap_of_kernel_by_dropping_all, go_and_come)},
    {"a CPU comes online", 2, true, true, TWO(in_a, NULL), TWO(unmap_of_kernel, come_online_late)},
    {"two flush what a third has", 3, true, true, THREE(in_kernel, in_kernel, in_a),
     THREE(unmap_first, unmap_second, nothing)},
    {"two flush, a third comes", 3, true, true, THREE(in_kernel, in_kernel, in_b_after_a),
     THREE(unmap_first, unmap_second, come)},
    {"two flush what a third has, one all", 3, true, true, THREE(in_kernel, in_kernel, in_a),
     THREE(unmap_by_dropping_all, unmap_second, nothing)},
    {"one flushes, two come", 3, true, true, THREE(in_a, in_b_after_a, in_b_after_a),
     THREE(unmap_first, come, come)},
    {"space and kernel, a third has both", 3, true, false, THREE(in_kernel, in_kernel, in_a),
     THREE(unmap_first, unmap_of_kernel, nothing)},
};

int main(void)
{
    bool failed = false;
    for (unsigned i = 0; i < ARRAY_LENGTH(scenarios) && !failed; i++) {
        uint64_t states;
        const char *problem = explore(&scenarios[i], &states);
        printf("%-36s %8" PRIu64 " states: %s\n", scenarios[i].name, states, problem ? problem : "sound");
        fflush(stdout);
        if (problem) {
            explore_print_path();
        }
        failed = problem != NULL;
    }
    return failed ? 1 : 0;
}

/*
 * Where a program's memory goes: by chance, so that who learns one address knows nothing of others. As much
 * chance as Linux has: 28 bits of pages for the program and for mmap(), 22 for the stack, 13 for the heap.
 *
 *     0x10000         a program that cannot be moved lies where it was linked, mostly at 4 MiB; then its heap
 *     0x2aaaaaaab000  mmap(), upwards
 *     0x555555554000  a program that can be moved; then its heap
 *     0x7ffffffff000  stack, downwards
 */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/random.h>

#include "process.h"

#define MAP_BASE     0x00002aaaaaaab000ULL /* a third of the user half, as Linux's bottom-up layout has it */
#define PROGRAM_BASE 0x0000555555554000ULL /* two thirds */
#define MAP_PAGES    (1ULL << 28)
#define STACK_PAGES  (1ULL << 22)
#define HEAP_PAGES   (1ULL << 13)

static uint64_t chance(uint64_t pages)
{
    return random_below(pages) * FRAME_BYTES;
}

struct placement placement_choose(uint64_t alignment)
{
    struct placement placement = {
        .stack_top = USER_END, .program = PROGRAM_BASE, .map_base = MAP_BASE, .heap_gap = 0};
    if (!command_line_has(boot_command_line(), "norandom")) {
        placement.stack_top -= chance(STACK_PAGES);
        placement.program += chance(MAP_PAGES);
        placement.map_base += chance(MAP_PAGES);
        placement.heap_gap = chance(HEAP_PAGES);
    }
    placement.program = align_up(placement.program, alignment);
    return placement;
}

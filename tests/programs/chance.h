/* What comes by chance in a storm of system calls (storm.c): numbers, addresses, names, and what lies in
 * memory. Threads have their own states, as they may lose their thread-local memory. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ARENA        0x100000000000ULL /* what addresses point into */
#define ARENA_BYTES  (64UL << 10)
#define WINDOW       0x200000000000ULL /* what the calls of memory change */
#define WINDOW_PAGES 2048
#define PAGE         4096UL

static uint64_t next(uint64_t *chance)
{
    *chance ^= *chance >> 12;
    *chance ^= *chance << 25;
    *chance ^= *chance >> 27;
    return *chance * 0x2545f4914f6cdd1dULL;
}

static uint64_t below(uint64_t *chance, uint64_t end)
{
    return (next(chance) >> 20) % end;
}

#define ONE_OF(chance, array) ((array)[below(chance, sizeof(array) / sizeof *(array))])

static uint64_t any_number(uint64_t *chance)
{
    static const uint64_t boundaries[] = {
        0,          1,          2,
        3,          7,          8,
        16,         24,         63,
        64,         65,         127,
        128,        255,        256,
        511,        512,        4095,
        4096,       4097,       8192,
        65535,      65536,      1UL << 20,
        1UL << 21,  1UL << 24,  1UL << 30,
        0x7fffffff, 0x80000000, 0xffffffff,
        1UL << 32,  1UL << 47,  0x7fffffffffffffff,
        1UL << 63,  -1UL,       -2UL,
        -100UL,     -4096UL,
    };
    switch (below(chance, 4)) {
    case 0:
        return next(chance) >> below(chance, 64);
    case 1:
        return ONE_OF(chance, boundaries);
    case 2:
        return ONE_OF(chance, boundaries) + below(chance, 5) - 2;
    default:
        return below(chance, 40);
    }
}

static uint64_t any_bits(uint64_t *chance)
{
    switch (below(chance, 5)) {
    case 0:
        return 0;
    case 1:
        return 1UL << below(chance, 33);
    case 2:
        return 1UL << below(chance, 16) | 1UL << below(chance, 16);
    case 3:
        return next(chance) & next(chance) & 0xffffff;
    default:
        return any_number(chance);
    }
}

static uint64_t any_descriptor(uint64_t *chance)
{
    static const uint64_t others[] = {-1UL, (uint64_t)AT_FDCWD, 0x7fffffff, 1023, 1024, 1UL << 32, 64};
    return below(chance, 12) == 0 ? ONE_OF(chance, others) : below(chance, 24);
}

static uint64_t any_address(uint64_t *chance)
{
    static const uint64_t others[] = {
        0,
        1,
        8,
        PAGE - 8,
        65536,
        1UL << 46,
        0x7fffffffe000,
        0x7ffffffff000,
        0x7fffffffffff,
        0x800000000000,
        0xffff800000000000,
        0xffffffff80000000,
        0xffffffffffffff00,
        -1UL,
        ARENA + ARENA_BYTES, /* behind it lies nothing that can be reached */
        ARENA + ARENA_BYTES - 1,
        ARENA + ARENA_BYTES - 8,
        ARENA + ARENA_BYTES - 100,
        ARENA + ARENA_BYTES + PAGE,
    };
    switch (below(chance, 12)) {
    case 0:
        return ONE_OF(chance, others);
    case 1:
        return ARENA + below(chance, ARENA_BYTES);
    case 2:
        return WINDOW + below(chance, WINDOW_PAGES) * PAGE;
    case 3:
        return WINDOW + below(chance, WINDOW_PAGES) * PAGE + PAGE - below(chance, 64);
    default:
        return ARENA + below(chance, ARENA_BYTES / 8) * 8;
    }
}

static uint64_t any_name(uint64_t *chance)
{
    static char long_name[PAGE + 64], long_part[300];
    static const char *const names[] = {
        "a",
        "b",
        "c",
        "d",
        "e",
        "d/a",
        "d/b",
        "d/d",
        "d/d/d",
        "e/a",
        "a/b",
        ".",
        "..",
        "d/..",
        "/",
        "",
        "./a//",
        "link",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/proc",
        "/proc/self/exe",
        "/proc/self/maps",
        "/proc/self",
        "/self",
        "pipe",
        long_name,
        long_part,
    };
    long_name[0] = long_name[1] = 'n'; /* the same for all threads, so that nobody sees it change */
    if (long_part[0] == 0) {
        memset(long_name, '/', sizeof long_name - 1);
        memset(long_part, 'p', sizeof long_part - 1);
    }
    return below(chance, 16) == 0 ? any_address(chance) : (uint64_t)ONE_OF(chance, names);
}

/* Puts something into a stretch of the arena: vectors, times, sets, small numbers, addresses. */
static void fill(uint64_t *chance)
{
    uint64_t *at = (uint64_t *)(ARENA + below(chance, ARENA_BYTES / 8 - 32) * 8);
    unsigned kind = (unsigned)below(chance, 5);
    for (unsigned i = 0; i < 32; i++) {
        bool even = i % 2 == 0;
        at[i] = kind == 0   ? 0
                : kind == 1 ? below(chance, 5)
                : kind == 2 ? (even ? ARENA + below(chance, ARENA_BYTES) : below(chance, 300))
                : kind == 3 ? any_number(chance)
                            : next(chance) & next(chance) & next(chance);
    }
}

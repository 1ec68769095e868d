/*
 * Base types: sizes, and the two kinds of address.
 *
 * A physical and a virtual address are different types, so that the compiler refuses to mix them; each is a
 * structure of one word and costs nothing. Sizes are in bytes unless a name says frames or pages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How printf shows 64-bit numbers: PRIu64, PRIx64, PRId64. A freestanding target has no <inttypes.h>. */
#if __STDC_HOSTED__
#include <inttypes.h>
#else
#define PRIu64 __UINT64_FMTu__
#define PRIx64 __UINT64_FMTx__
#define PRIX64 __UINT64_FMTX__
#define PRId64 __INT64_FMTd__
#endif

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define TIB(n) ((uint64_t)(n) << 40)

#define FRAME_SHIFT 12
#define FRAME_BYTES ((uint64_t)1 << FRAME_SHIFT) /* one physical frame, one 4 KiB page */

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* An address on the memory bus. */
typedef struct {
    uint64_t raw;
} phys_addr_t;

/* An address as code sees it, through the page tables. */
typedef struct {
    uint64_t raw;
} virt_addr_t;

static inline phys_addr_t phys_addr(uint64_t raw)
{
    return (phys_addr_t){raw};
}

static inline phys_addr_t phys_add(phys_addr_t address, uint64_t bytes)
{
    return (phys_addr_t){address.raw + bytes};
}

static inline virt_addr_t virt_addr(uint64_t raw)
{
    return (virt_addr_t){raw};
}

static inline virt_addr_t virt_add(virt_addr_t address, uint64_t bytes)
{
    return (virt_addr_t){address.raw + bytes};
}

static inline virt_addr_t virt_of(const void *pointer)
{
    return (virt_addr_t){(uint64_t)(uintptr_t)pointer};
}

static inline void *virt_pointer(virt_addr_t address)
{
    return (void *)(uintptr_t)address.raw;
}

/*
 * Rounding to a power of two. align_up() wraps to 0 when the result would pass 2^64: where that can happen,
 * the caller checks before.
 */
static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t alignment)
{
    return (value & (alignment - 1)) == 0;
}

static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

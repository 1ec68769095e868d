/*
 * Copying between the kernel and a program's memory, which is that of the loaded user space. Nothing else in
 * the kernel touches user memory.
 *
 * An address that a program gave is a `user_addr_t`: it cannot be used as a pointer. Each function checks
 * that the range lies in the user half, then copies, with faults served as they come; where one cannot be,
 * because nothing lies there, it is not allowed, or another thread has just unmapped it, the copy ends there.
 * So no address is wrong: what cannot be reached is an answer.
 *
 * What may fault is called where waiting is allowed, and with no mutex that a pager may want. The variants
 * _no_fault touch only what is in the page tables, and may be called with mutexes and spinlocks held, though
 * not from a handler: on a miss let go, touch the memory by a plain variant, and try again.
 *
 * Bytes of the program's own may change at any moment: what was checked in a copy is not checked in memory.
 */
#pragma once

#include <ashlar/types.h>

/* The first address behind the user half: that of 4 levels of page tables, as programs know it, without its
 * last page, so that no instruction ends at its end (SDM volume 2, SYSRET). */
#define USER_END 0x00007ffffffff000ULL

typedef struct {
    uint64_t raw;
} user_addr_t;

static inline user_addr_t user_addr(uint64_t raw)
{
    return (user_addr_t){raw};
}

static inline user_addr_t user_add(user_addr_t address, uint64_t bytes)
{
    return (user_addr_t){address.raw + bytes};
}

/* Whether [at, at + bytes) lies in the user half; of no bytes, whether `at` does, or is its end. */
static inline bool user_range_is_sound(user_addr_t at, uint64_t bytes)
{
    return at.raw <= USER_END && bytes <= USER_END - at.raw;
}

/* Copy `bytes` bytes; false when not all of it could be, and then some of them may have been. */
bool copy_from_user(void *to, user_addr_t from, uint64_t bytes);
bool copy_to_user(user_addr_t to, const void *from, uint64_t bytes);
bool copy_from_user_no_fault(void *to, user_addr_t from, uint64_t bytes);
bool copy_to_user_no_fault(user_addr_t to, const void *from, uint64_t bytes);

/* Copy up to `bytes` bytes and return how many, to the first that cannot be reached; 0 for a range that is
 * not in the user half as a whole. */
uint64_t copy_some_from_user(void *to, user_addr_t from, uint64_t bytes);
uint64_t copy_some_to_user(user_addr_t to, const void *from, uint64_t bytes);
uint64_t copy_some_from_user_no_fault(void *to, user_addr_t from, uint64_t bytes);
uint64_t copy_some_to_user_no_fault(user_addr_t to, const void *from, uint64_t bytes);

/* Writes zeros; false when not all could be written. */
bool clear_user(user_addr_t to, uint64_t bytes);

#define USER_STRING_FAULT    (-1)
#define USER_STRING_TOO_LONG (-2)

/*
 * Copies a string with its terminator, at most `limit` bytes with it (at least 1). Returns its length without
 * the terminator, or one of the two above: then what `to` holds means nothing.
 */
int64_t strncpy_from_user(char *to, user_addr_t from, uint64_t limit);

/* One number, in one access if it is aligned. False when it cannot be reached. */
bool get_user_32(uint32_t *value, user_addr_t from);
bool get_user_64(uint64_t *value, user_addr_t from);
bool put_user_32(user_addr_t to, uint32_t value);
bool put_user_64(user_addr_t to, uint64_t value);

/*
 * Puts `desired` where `*expected` stands, as one atomic step; *expected becomes what stood there. False when
 * it cannot be reached: then *expected is as it was.
 */
bool compare_exchange_user_32(user_addr_t at, uint32_t *expected, uint32_t desired);

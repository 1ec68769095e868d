/* The system call futex (include/uapi/linux/futex.h). Locks that lend priority are not there. */
#include <ashlar/clock.h>

#include "calls.h"
#include "futex.h"
#include "time.h"

#define FUTEX_PRIVATE   128U
#define FUTEX_REAL_TIME 256U

enum futex_operation {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_REQUEUE = 3,
    FUTEX_COMPARE_REQUEUE = 4,
    FUTEX_WAKE_OPERATION = 5,
    FUTEX_WAIT_BITS = 9,
    FUTEX_WAKE_BITS = 10,
};

/* The time at `at`, if one is given: relative for FUTEX_WAIT, else a moment. */
static int64_t get_deadline(user_addr_t at, uint32_t operation, bool real_time, uint64_t *deadline)
{
    uint64_t nanoseconds;
    *deadline = WAIT_FOREVER;
    if (at.raw == 0) {
        return 0;
    }
    int64_t error = time_get(&nanoseconds, at);
    if (error || nanoseconds >= INT64_MAX) {
        return error; /* later than the clock can count */
    }
    *deadline = operation == FUTEX_WAIT ? restart_deadline(nanoseconds)
                : real_time             ? clock_from_real(nanoseconds)
                                        : nanoseconds;
    return 0;
}

static int64_t wait(const struct trap_frame *frame, uint32_t operation, uint32_t bits)
{
    uint32_t flags = (uint32_t)argument_2(frame);
    uint64_t deadline;
    struct futex_word word = {.at = user_addr(argument_1(frame)), .value = (uint32_t)argument_3(frame)};
    int64_t error = get_deadline(user_addr(argument_4(frame)), operation, flags & FUTEX_REAL_TIME, &deadline);
    if (!error && operation == FUTEX_WAIT && (flags & FUTEX_REAL_TIME)) {
        error = -ENOSYS;
    }
    if (!error && bits == 0) {
        error = -EINVAL;
    }
    error =
        error ? error : futex_key_of(process_current()->memory, word.at, flags & FUTEX_PRIVATE, &word.key);
    return error ? error : futex_wait(&word, bits, deadline);
}

/* Of a count of 0 one is woken: Linux has always done so. */
static int64_t wake(const struct trap_frame *frame, uint32_t bits)
{
    struct futex_key key;
    uint32_t flags = (uint32_t)argument_2(frame);
    int32_t count = (int32_t)argument_3(frame);
    if (bits == 0) {
        return -EINVAL;
    }
    int64_t error =
        futex_key_of(process_current()->memory, user_addr(argument_1(frame)), flags & FUTEX_PRIVATE, &key);
    return error ? error : futex_wake(&key, bits, count > 0 ? (uint32_t)count : 1);
}

static int64_t requeue(const struct trap_frame *frame, bool compares)
{
    uint32_t flags = (uint32_t)argument_2(frame);
    int32_t wakes = (int32_t)argument_3(frame);
    int32_t moves = (int32_t)argument_4(frame);
    struct memory *memory = process_current()->memory;
    struct futex_requeue request = {.wakes = (uint32_t)wakes,
                                    .moves = (uint32_t)moves,
                                    .compares = compares,
                                    .at = user_addr(argument_1(frame)),
                                    .value = (uint32_t)argument_6(frame)};
    if (wakes < 0 || moves < 0) {
        return -EINVAL;
    }
    int64_t error = futex_key_of(memory, request.at, flags & FUTEX_PRIVATE, &request.from);
    error = error ? error
                  : futex_key_of(memory, user_addr(argument_5(frame)), flags & FUTEX_PRIVATE, &request.to);
    return error ? error : futex_requeue(&request);
}

/* ---- A word is changed, and who sleeps for it is woken if it was as it is compared ---- */

static int32_t signed_12(uint32_t value)
{
    return (int32_t)(value << 20) >> 20;
}

/* What stands in the word afterwards; false: there is no such operation. The highest bit means that the
 * operand is the number of a bit. */
static bool changed(uint32_t encoded, uint32_t before, uint32_t *after)
{
    uint32_t operand = (uint32_t)signed_12(encoded >> 12);
    operand = encoded >> 31 ? 1U << (operand & 31) : operand;
    switch (encoded >> 28 & 7) {
    case 0:
        *after = operand;
        return true;
    case 1:
        *after = before + operand;
        return true;
    case 2:
        *after = before | operand;
        return true;
    case 3:
        *after = before & ~operand;
        return true;
    case 4:
        *after = before ^ operand;
        return true;
    default:
        return false;
    }
}

/* Whether what stood in the word before compares so; -ENOSYS: there is no such comparison. */
static int64_t compares(uint32_t encoded, int32_t before)
{
    int32_t operand = signed_12(encoded);
    switch (encoded >> 24 & 15) {
    case 0:
        return before == operand;
    case 1:
        return before != operand;
    case 2:
        return before < operand;
    case 3:
        return before <= operand;
    case 4:
        return before > operand;
    case 5:
        return before >= operand;
    default:
        return -ENOSYS;
    }
}

/* Changes the word in one step; stores what stood there. */
static int64_t change_word(user_addr_t at, uint32_t encoded, uint32_t *before)
{
    uint32_t after;
    uint32_t seen;
    if (!get_user_32(&seen, at)) {
        return -EFAULT;
    }
    do {
        *before = seen;
        if (!changed(encoded, *before, &after)) {
            return -ENOSYS;
        }
        if (!compare_exchange_user_32(at, &seen, after)) {
            return -EFAULT;
        }
    } while (seen != *before);
    return 0;
}

/* Whoever sleeps by the value before the change was there when it came, and is woken; so the two need not be
 * one step. */
static int64_t wake_and_change(const struct trap_frame *frame)
{
    uint32_t flags = (uint32_t)argument_2(frame);
    uint32_t encoded = (uint32_t)argument_6(frame);
    int32_t counts[2] = {(int32_t)argument_3(frame), (int32_t)argument_4(frame)};
    struct memory *memory = process_current()->memory;
    struct futex_key keys[2];
    uint32_t before;
    int64_t error = futex_key_of(memory, user_addr(argument_1(frame)), flags & FUTEX_PRIVATE, &keys[0]);
    error =
        error ? error : futex_key_of(memory, user_addr(argument_5(frame)), flags & FUTEX_PRIVATE, &keys[1]);
    error = error ? error : change_word(user_addr(argument_5(frame)), encoded, &before);
    if (error) {
        return error;
    }
    int64_t wakes = compares(encoded, (int32_t)before);
    if (wakes < 0) {
        return wakes;
    }
    int64_t woken = futex_wake(&keys[0], FUTEX_ALL_BITS, counts[0] > 0 ? (uint32_t)counts[0] : 1);
    return woken +
           (wakes ? futex_wake(&keys[1], FUTEX_ALL_BITS, counts[1] > 0 ? (uint32_t)counts[1] : 1) : 0);
}

int64_t call_futex(const struct trap_frame *frame)
{
    uint32_t operation = (uint32_t)argument_2(frame) & ~(FUTEX_PRIVATE | FUTEX_REAL_TIME);
    bool real_time = (uint32_t)argument_2(frame) & FUTEX_REAL_TIME;
    uint32_t bits = (uint32_t)argument_6(frame);
    if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITS) {
        return wait(frame, operation, operation == FUTEX_WAIT ? FUTEX_ALL_BITS : bits);
    }
    if (real_time) {
        return -ENOSYS;
    }
    switch (operation) {
    case FUTEX_WAKE:
        return wake(frame, FUTEX_ALL_BITS);
    case FUTEX_WAKE_BITS:
        return wake(frame, bits);
    case FUTEX_WAKE_OPERATION:
        return wake_and_change(frame);
    case FUTEX_REQUEUE:
        return requeue(frame, false);
    case FUTEX_COMPARE_REQUEUE:
        return requeue(frame, true);
    default:
        return -ENOSYS;
    }
}

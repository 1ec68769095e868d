/*
 * Times as programs give and get them, and the clocks that these are of (include/uapi/linux/time.h).
 *
 * Inside, a time is in nanoseconds, of 63 bits at most: what is later than that never comes.
 */
#pragma once

#include <ashlar/clock.h>

#include "process.h"

#define MICROSECOND 1000ULL

enum clock_number {
    CLOCK_REAL = 0,
    CLOCK_MONOTONIC = 1,
    CLOCK_PROCESS = 2,
    CLOCK_THREAD = 3,
    CLOCK_MONOTONIC_RAW = 4,
    CLOCK_REAL_COARSE = 5,
    CLOCK_MONOTONIC_COARSE = 6,
    CLOCK_BOOT_TIME = 7,
    CLOCK_ATOMIC = 11, /* CLOCK_TAI; as nobody says how many leap seconds there were, it is that of 0 */
};

/* struct timespec; of struct timeval the second word is in microseconds. */
struct user_time {
    int64_t seconds;
    int64_t part;
};

/* struct itimerspec; of struct itimerval the second words are in microseconds. */
struct user_timer {
    struct user_time interval;
    struct user_time left;
};

/* Whether it is a time as calls take it: not less than 0, and its nanoseconds are less than a second. */
bool time_is_sound(const struct user_time *time);

/* Cuts what is later than can be counted. */
uint64_t time_to_nanoseconds(const struct user_time *time);
struct user_time time_from_nanoseconds(uint64_t nanoseconds);

/* The same as a struct timeval, cut to microseconds. */
struct user_time time_in_microseconds(uint64_t nanoseconds);

/* Reads a struct timespec. 0, -EFAULT, or -EINVAL: less than 0, or the nanoseconds are a second or more. */
int64_t time_get(uint64_t *nanoseconds, user_addr_t from);

/* Writes one; 0 or -EFAULT. */
int64_t time_put(user_addr_t to, uint64_t nanoseconds);

/* Whether the clock is that of the time of day; then moments by it move when somebody sets it. */
bool clock_is_real(uint32_t clock);

/* Whether the clock counts from the start of the machine. */
bool clock_is_monotonic(uint32_t clock);

/* A moment of the time of day, by clock_nanoseconds(); what is past is 0. */
uint64_t clock_from_real(uint64_t nanoseconds);

/* Woken when somebody has set the time of day, for those who wait for a moment of it. */
struct wait_queue *clock_real_queue(void);

/* What the clock shows; -EINVAL: there is no such clock, or not that process or thread. */
int64_t clock_read(uint32_t clock, uint64_t *nanoseconds);

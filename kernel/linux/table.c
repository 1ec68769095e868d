/* From a system call's number to its function; see calls.h. */
#define LOG_SUBSYSTEM "program"
#include <ashlar/log.h>
#include <stdatomic.h>

#include "calls.h"

#define NUMBERS 512 /* more than Linux has; numbers from here on are told as one */

struct entry {
    system_call *run;
    const char *name;
    const char *kinds; /* of its arguments */
};

#define CALL_INDEX(number, name, kinds) CALL_##name,
enum call_index { CALL_NONE, SYSTEM_CALLS(CALL_INDEX) CALLS };
#undef CALL_INDEX

#define CALL_ENTRY(number, name, kinds) [CALL_##name] = {call_##name, #name, kinds},
static const struct entry entries[CALLS] = {SYSTEM_CALLS(CALL_ENTRY)};
#undef CALL_ENTRY

/* A byte for each number, so that the many that there are not take no more. */
#define CALL_NUMBER(number, name, kinds) [number] = CALL_##name,
static const uint8_t by_number[NUMBERS] = {SYSTEM_CALLS(CALL_NUMBER)};
#undef CALL_NUMBER

_Static_assert(CALLS <= UINT8_MAX, "by_number has bytes");

/* The numbers that were refused already. */
static _Atomic(uint64_t) refused[NUMBERS / 64 + 1];

static void tell_once(uint64_t number)
{
    uint64_t place = min_u64(number, NUMBERS);
    uint64_t bit = 1ULL << place % 64;
    if (!(atomic_fetch_or(&refused[place / 64], bit) & bit)) {
        log_info("%s: system call %" PRIu64 " is not there: ENOSYS, and no further word of it",
                 process_current()->name, number);
    }
}

void process_system_call(struct trap_frame *frame)
{
    uint64_t number = frame->rax;
    process_current()->calls++;
    if (number < NUMBERS && by_number[number] != CALL_NONE) {
        frame->rax = (uint64_t)entries[by_number[number]].run(frame);
        return;
    }
    tell_once(number);
    frame->rax = (uint64_t)-ENOSYS;
}

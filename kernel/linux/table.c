/* From a system call's number to its function; see calls.h. */
#define LOG_SUBSYSTEM "program"
#include <ashlar/log.h>
#include <ashlar/string.h>
#include <stdatomic.h>

#include "calls.h"
#include "fail_nth.h"

#define NUMBERS 512 /* more than Linux has; numbers from here on are told as one */

static system_call refuse;

/* Number 0 of our own is what there is not. */
#define CALL_INDEX(number, name, kinds) CALL_##name,
enum call_index { CALL_NONE, SYSTEM_CALLS(CALL_INDEX) CALLS };
#undef CALL_INDEX

#define CALL_FUNCTION(number, name, kinds) [CALL_##name] = call_##name,
static system_call *const functions[CALLS] = {[CALL_NONE] = refuse, SYSTEM_CALLS(CALL_FUNCTION)};
#undef CALL_FUNCTION

/* A byte for each number, so that the many that there are not take no more. */
#define CALL_NUMBER(number, name, kinds) [number] = CALL_##name,
static const uint8_t by_number[NUMBERS] = {SYSTEM_CALLS(CALL_NUMBER)};
#undef CALL_NUMBER

_Static_assert(CALLS <= UINT8_MAX, "by_number has bytes");

/* The numbers that were refused already. */
static _Atomic(uint64_t) refused[NUMBERS / 64 + 1];

/* Tells each number once. */
static int64_t refuse(const struct trap_frame *frame)
{
    uint64_t place = min_u64(frame->error_code, NUMBERS);
    uint64_t bit = 1ULL << place % 64;
    if (!(atomic_fetch_or(&refused[place / 64], bit) & bit)) {
        log_info("%s: system call %" PRIu64 " is not there: ENOSYS, and no further word of it",
                 process_current()->name, frame->error_code);
    }
    return -ENOSYS;
}

static int64_t carry_out(uint64_t number, const struct trap_frame *frame)
{
    return (number < NUMBERS ? functions[by_number[number]] : refuse)(frame);
}

/* The call that was interrupted goes on; its arguments are where they were. */
int64_t call_restart_syscall(const struct trap_frame *frame)
{
    struct restart *restart = &task_current()->signals.restart;
    uint64_t number = restart->number;
    if (number == 0) {
        return -EINTR;
    }
    restart->number = 0;
    restart->goes_on = true;
    int64_t result = carry_out(number, frame);
    restart->goes_on = false;
    if (result == -EINTR) {
        restart->number = (uint32_t)number;
    }
    return result;
}

uint64_t process_system_call(struct trap_frame *frame)
{
    fail_nth_begin();
    int64_t result = carry_out(frame->rax, frame);
    fail_nth_end();
    return (uint64_t)result;
}

/* ---- For people ---- */

#define CALL_NAME(number, name, kinds)  #name "\0"
#define CALL_KINDS(number, name, kinds) kinds "\0"
static const char call_names[] = SYSTEM_CALLS(CALL_NAME);
static const char call_kinds[] = SYSTEM_CALLS(CALL_KINDS);
#undef CALL_NAME
#undef CALL_KINDS

/* The string at a place among those that lie one behind the other. */
static const char *string_at(const char *strings, unsigned place)
{
    while (place-- > 0) {
        strings += strlen(strings) + 1;
    }
    return strings;
}

const char *system_call_name(uint64_t number, const char **kinds)
{
    unsigned call = number < NUMBERS ? by_number[number] : CALL_NONE;
    *kinds = call == CALL_NONE ? "xxxxxx" : string_at(call_kinds, call - 1);
    return call == CALL_NONE ? NULL : string_at(call_names, call - 1);
}

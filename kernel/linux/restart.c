/*
 * What becomes of a call that a signal has interrupted. Each answers EINTR, and its number tells the rest: as
 * Linux has it, some begin anew when the handler allows it, some only when no handler ran, and those that
 * wait for a time go on with the time that is left (signal(7)).
 */
#include <ashlar/clock.h>
#include <x86/user_mode.h>

#include "calls.h"

#define CALL_BYTES 2 /* of the instruction SYSCALL */

enum restart_class {
    RESTART_NEVER,
    RESTART_ALLOWED,    /* anew, if the handler has SA_RESTART, or none ran */
    RESTART_NO_HANDLER, /* anew, if none ran */
    RESTART_GOES_ON,    /* the same, by restart_syscall(), with its deadline */
};

static enum restart_class class_of(uint64_t number, const struct trap_frame *frame)
{
    switch (number) {
    case 0:   /* read */
    case 1:   /* write */
    case 2:   /* open */
    case 16:  /* ioctl */
    case 17:  /* pread64 */
    case 18:  /* pwrite64 */
    case 19:  /* readv */
    case 20:  /* writev */
    case 40:  /* sendfile */
    case 61:  /* wait4 */
    case 72:  /* fcntl */
    case 73:  /* flock */
    case 85:  /* creat */
    case 247: /* waitid */
    case 257: /* openat */
    case 275: /* splice */
    case 276: /* tee */
    case 278: /* vmsplice */
    case 295: /* preadv */
    case 296: /* pwritev */
    case 318: /* getrandom */
    case 327: /* preadv2 */
    case 328: /* pwritev2 */
    case 449: /* futex_waitv */
        return RESTART_ALLOWED;
    case 34:  /* pause */
    case 130: /* rt_sigsuspend */
        return RESTART_NO_HANDLER;
    case 202: /* futex */
        return argument_4(frame) == 0 ? RESTART_ALLOWED : RESTART_GOES_ON;
    case 7:   /* poll */
    case 23:  /* select */
    case 35:  /* nanosleep */
    case 219: /* restart_syscall */
    case 230: /* clock_nanosleep */
    case 270: /* pselect6 */
    case 271: /* ppoll */
        return RESTART_GOES_ON;
    default:
        return RESTART_NEVER;
    }
}

static bool was_interrupted(const struct trap_frame *frame)
{
    return frame->vector == TRAP_SYSTEM_CALL && frame->error_code != NO_CALL && (int64_t)frame->rax == -EINTR;
}

static void make_again(struct trap_frame *frame, uint64_t number)
{
    frame->rax = number;
    frame->rip -= CALL_BYTES;
}

/* A handler may make calls of its own: then the one before is gone. */
void restart_for_handler(struct trap_frame *frame, uint64_t flags)
{
    if (was_interrupted(frame) && class_of(frame->error_code, frame) == RESTART_ALLOWED &&
        (flags & ACTION_RESTART)) {
        make_again(frame, frame->error_code);
    }
    task_current()->signals.restart.number = 0;
    frame->error_code = frame->vector == TRAP_SYSTEM_CALL ? NO_CALL : frame->error_code;
}

void restart_without_handler(struct trap_frame *frame)
{
    if (was_interrupted(frame)) {
        switch (class_of(frame->error_code, frame)) {
        case RESTART_NEVER:
            break;
        case RESTART_ALLOWED:
        case RESTART_NO_HANDLER:
            make_again(frame, frame->error_code);
            break;
        case RESTART_GOES_ON:
            if (frame->error_code != CALL_NUMBER_RESTART) {
                task_current()->signals.restart.number = (uint32_t)frame->error_code;
            }
            make_again(frame, CALL_NUMBER_RESTART);
        }
    }
    frame->error_code = frame->vector == TRAP_SYSTEM_CALL ? NO_CALL : frame->error_code;
}

uint64_t restart_moment(uint64_t now, uint64_t nanoseconds)
{
    struct restart *restart = &task_current()->signals.restart;
    if (!restart->goes_on) {
        restart->deadline = nanoseconds < WAIT_FOREVER - now ? now + nanoseconds : WAIT_FOREVER;
    }
    return restart->deadline;
}

uint64_t restart_deadline(uint64_t nanoseconds)
{
    return restart_moment(clock_nanoseconds(), nanoseconds);
}

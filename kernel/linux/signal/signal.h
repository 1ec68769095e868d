/*
 * What signals are: numbers, sets, actions and what is told of each (include/uapi/asm-generic/signal.h and
 * siginfo.h). Pure: the rules are in rules.c, what is pending in queue.c, the frame of a handler in frame.c.
 */
#pragma once

#include <ashlar/types.h>

enum signal_number {
    SIGNAL_HANG_UP = 1,
    SIGNAL_INTERRUPT = 2,
    SIGNAL_QUIT = 3,
    SIGNAL_ILL = 4,
    SIGNAL_TRAP = 5,
    SIGNAL_ABORT = 6,
    SIGNAL_BUS = 7,
    SIGNAL_FPE = 8,
    SIGNAL_KILL = 9,
    SIGNAL_SEGV = 11,
    SIGNAL_PIPE = 13,
    SIGNAL_ALARM = 14,
    SIGNAL_CHILD = 17,
    SIGNAL_CONTINUE = 18,
    SIGNAL_STOP = 19,
    SIGNAL_TERMINAL_STOP = 20,
    SIGNAL_TERMINAL_READ = 21,
    SIGNAL_TERMINAL_WRITE = 22,
    SIGNAL_URGENT = 23,
    SIGNAL_TIME_LIMIT = 24,
    SIGNAL_VIRTUAL_ALARM = 26,
    SIGNAL_PROFILE = 27,
    SIGNAL_WINDOW = 28,
    SIGNAL_BAD_CALL = 31,
    SIGNAL_REALTIME = 32, /* the first that is queued */
    SIGNALS_END = 65,     /* the first number that is no signal */
};

#define SIGNAL_COUNT 64

/* A set of signals: signal n is bit n - 1. */
#define SIGNAL_BIT(signal) (1ULL << ((signal)-1))

#define SIGNALS_STOPPING                                                                                     \
    (SIGNAL_BIT(SIGNAL_STOP) | SIGNAL_BIT(SIGNAL_TERMINAL_STOP) | SIGNAL_BIT(SIGNAL_TERMINAL_READ) |         \
     SIGNAL_BIT(SIGNAL_TERMINAL_WRITE))

/* No mask holds these back. */
#define SIGNALS_UNMASKABLE (SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP))

/* Those that an instruction raises: taken before all others. */
#define SIGNALS_OF_FAULTS                                                                                    \
    (SIGNAL_BIT(SIGNAL_SEGV) | SIGNAL_BIT(SIGNAL_BUS) | SIGNAL_BIT(SIGNAL_ILL) | SIGNAL_BIT(SIGNAL_TRAP) |   \
     SIGNAL_BIT(SIGNAL_FPE) | SIGNAL_BIT(SIGNAL_BAD_CALL))

/* ---- Actions ---- */

#define ACTION_DEFAULT 0ULL /* as a handler */
#define ACTION_IGNORE  1ULL

enum action_flag {
    ACTION_NO_STOPS = 0x1,         /* SA_NOCLDSTOP */
    ACTION_NO_ZOMBIES = 0x2,       /* SA_NOCLDWAIT */
    ACTION_INFORMATION = 0x4,      /* SA_SIGINFO */
    ACTION_RESTORER = 0x04000000,  /* SA_RESTORER */
    ACTION_ON_STACK = 0x08000000,  /* SA_ONSTACK */
    ACTION_RESTART = 0x10000000,   /* SA_RESTART */
    ACTION_NO_DEFER = 0x40000000,  /* SA_NODEFER */
    ACTION_ONCE = (int)0x80000000, /* SA_RESETHAND */
};

/* All that are kept; SA_EXPOSE_TAGBITS, which means nothing here, among them. */
#define ACTION_FLAGS 0xdc000807ULL

/* As a program gives it to rt_sigaction(). */
struct signal_action {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

/* What a signal does when nothing has been set. */
enum signal_effect { EFFECT_END, EFFECT_IGNORE, EFFECT_STOP, EFFECT_CONTINUE };

enum signal_effect signal_default(uint32_t signal);

/* Whether a signal with that handler does nothing at all. */
bool signal_is_ignored(uint32_t signal, uint64_t handler);

/* Whether a task with that mask, which waits for the signals of `awaited`, is one to take the signal. */
static inline bool signal_reaches(uint32_t signal, uint64_t mask, uint64_t awaited)
{
    return (~mask | awaited) & SIGNAL_BIT(signal);
}

/* The signal that is taken first of a set that is not empty. */
uint32_t signal_first(uint64_t set);

/* The mask while a handler runs. */
uint64_t signal_handler_mask(uint32_t signal, const struct signal_action *action, uint64_t mask);

/* ---- What is told of a signal ---- */

#define CODE_USER   0    /* SI_USER: kill() */
#define CODE_KERNEL 0x80 /* SI_KERNEL */
#define CODE_QUEUE  (-1) /* SI_QUEUE */
#define CODE_TIMER  (-2) /* SI_TIMER */
#define CODE_TASK   (-6) /* SI_TKILL */

enum child_code {
    CHILD_EXITED = 1,
    CHILD_KILLED,
    CHILD_DUMPED,
    CHILD_TRAPPED,
    CHILD_STOPPED,
    CHILD_CONTINUED
};

/* The part of Linux's siginfo that is ever used; the rest of its 128 bytes is zeros. */
struct signal_information {
    int32_t signal;
    int32_t error;
    int32_t code;
    int32_t unused;
    union {
        struct {
            int32_t number; /* pid */
            uint32_t user;
            uint64_t value;
        } sender;
        struct {
            int32_t number; /* pid */
            uint32_t user;
            int32_t status;
            int32_t unused;
            uint64_t user_time; /* in hundredths of a second */
            uint64_t system_time;
        } child;
        struct {
            int32_t number;
            int32_t overrun;
            uint64_t value;
        } timer;
        uint64_t address;
        uint64_t words[4];
    };
};

#define INFORMATION_BYTES 128 /* of struct siginfo */

_Static_assert(sizeof(struct signal_information) == 48, "Linux's struct kernel_siginfo on x86-64");

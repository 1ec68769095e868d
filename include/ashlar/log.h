/*
 * The kernel's log. A source file names its subsystem once, before including this header:
 *     #define LOG_SUBSYSTEM "frames"
 *
 * A line goes to a ring in memory, from which the oldest lines drop out whole, and to the console if its
 * level is at or above the console's. Everything here can be called from any context, interrupt handlers and
 * NMI included: the ring takes no lock, and a line that finds the console in use is printed by whoever uses
 * it. Only the holder of an irq_spinlock writes no line, because it would keep interrupts off for as long as
 * a line takes to be printed; debug builds panic.
 */
#pragma once

#include <ashlar/types.h>
#include <stdarg.h>
#include <stdatomic.h>

enum log_level {
    LOG_ERROR,   /* something is broken, and what was asked for did not happen */
    LOG_WARNING, /* it works, but not as it should */
    LOG_INFO,    /* a milestone that a person wants to see */
    LOG_DEBUG,   /* for whoever works on the subsystem; not shown unless asked for */
    LOG_LEVEL_COUNT
};

/*
 * Adds one line (no newline at its end) to the log; of a text longer than LOG_TEXT_BYTES the rest is cut.
 * subsystem: a string that lives as long as the kernel.
 */
void log_write(enum log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_write_list(enum log_level level, const char *subsystem, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#define log_error(...)   log_write(LOG_ERROR, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, LOG_SUBSYSTEM, __VA_ARGS__)

/* How often one place in the source may log: LOG_LIMIT_LINES within LOG_LIMIT_TICKS; further lines are
 * suppressed until that time is over. */
#define LOG_LIMIT_LINES 8
#define LOG_LIMIT_TICKS                                                                                      \
    ((uint64_t)1 << 32) /* between 1 and 2 seconds on today's CPUs; needs no calibrated clock */

struct log_limit {
    _Atomic(uint64_t) window;     /* ticks at which the present window began */
    _Atomic(uint32_t) lines;      /* lines that asked in this window */
    _Atomic(uint32_t) suppressed; /* lines suppressed and not yet reported */
};

/* Whether a line may be logged now; if so, logs how many were suppressed before it. Any context. */
bool log_limit_passes(struct log_limit *limit, enum log_level level, const char *subsystem);

#define LOG_LIMITED(level, ...)                                                                              \
    do {                                                                                                     \
        static struct log_limit log_limit_here;                                                              \
        if (log_limit_passes(&log_limit_here, level, LOG_SUBSYSTEM)) {                                       \
            log_write(level, LOG_SUBSYSTEM, __VA_ARGS__);                                                    \
        }                                                                                                    \
    } while (0)

/* The same for places that can flood the log. */
#define log_warning_limited(...) LOG_LIMITED(LOG_WARNING, __VA_ARGS__)
#define log_info_limited(...)    LOG_LIMITED(LOG_INFO, __VA_ARGS__)

/*
 * Lines of `level` and more urgent ones appear on the console; LOG_INFO from the start. All go to the ring.
 */
void log_set_console_level(enum log_level level);

/*
 * While `provoked` is set, a warning or an error is what a test wants to see happen, not a defect: it is
 * logged as LOG_INFO, "(provoked by a test)" before its text. Of all CPUs' lines; for in-kernel tests.
 */
void log_set_provoked(bool provoked);

/* Stores the level called `name` ("error", "warning", "info", "debug"); false, and *level unchanged, for any
 * other name. */
bool log_level_parse(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);

/*
 * Sets how ticks are shown: as seconds since `origin_ticks`. While ticks_per_second is 0, as it is at the
 * start, lines show ticks since the origin instead. This holds for lines already in the ring, too.
 */
void log_set_clock(uint64_t origin_ticks, uint64_t ticks_per_second);

/* Prints the lines that wait in the ring. The console calls it after each write; nobody else needs to. */
void log_show_pending(void);

/* Reading the ring. */
#define LOG_RECORDS    512 /* lines the ring keeps; a power of two */
#define LOG_TEXT_BYTES 223 /* longest text of a line */

struct log_record {
    uint64_t sequence;             /* number of the line, from 0 */
    uint64_t ticks;                /* cpu_common_ticks() when it was written */
    uint64_t lost;                 /* lines missing between the one read before and this one */
    const char *subsystem;         /* as given */
    enum log_level level;          /* as given */
    unsigned cpu;                  /* CPU that wrote it */
    char text[LOG_TEXT_BYTES + 1]; /* NUL-terminated */
};

/* A place in the log; a value that its owner may copy. */
struct log_reader {
    uint64_t next; /* sequence number of the line to read next */
    uint64_t lost; /* lines passed over since the last one read */
};

/* A reader at the very first line (of which the ring may have lost many), or before the last `lines` ones. */
struct log_reader log_reader_first(void);
struct log_reader log_reader_last(uint64_t lines);

/*
 * Reads the next line. Returns false at the end. Lines that have dropped out, or that another CPU is still
 * writing, are passed over and counted in record->lost. Any context; for `log` and for panic.
 */
bool log_read(struct log_reader *reader, struct log_record *record);

/*
 * Writes the line as the console shows it, without colours and newline, cut to `bytes` with its NUL.
 * Returns the length of the whole line.
 */
size_t log_format_record(const struct log_record *record, char *buffer, size_t bytes);
#define LOG_LINE_BYTES 320 /* enough for any line with a subsystem of up to 32 characters */

/*
 * The kernel's log. A source file names its subsystem once, before including this header:
 *     #define LOG_SUBSYSTEM "frames"
 */
#pragma once

#include <ashlar/types.h>

enum log_level {
    LOG_ERROR,   /* something is broken, and what was asked for did not happen */
    LOG_WARNING, /* it works, but not as it should */
    LOG_INFO,    /* a milestone that a person wants to see */
    LOG_DEBUG,   /* for whoever works on the subsystem; not shown unless asked for */
    LOG_LEVEL_COUNT
};

/* Adds one line (no newline at its end) to the log. From any context, interrupt handlers included. */
void log_write(enum log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...)   log_write(LOG_ERROR, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, LOG_SUBSYSTEM, __VA_ARGS__)

/*
 * The console: what the kernel prints goes to every sink that exists (serial port, screen), and what a person
 * types comes back from any of them.
 */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/types.h>
#include <stdarg.h>

#define CONSOLE_SINKS_MAX 4

/* One place that shows text. write() gets UTF-8 with '\n' line ends and the VT100 colour codes (ESC [ ... m).
 */
struct console_sink {
    const char *name; /* "serial", "screen" */
    void (*write)(struct console_sink *sink, const char *text,
                  size_t bytes);              /* never fails, never blocks for ever */
    void (*flush)(struct console_sink *sink); /* makes all written text visible; or NULL */
};

/* Adds a sink; it shows what is written from now on. Panics when there are more than CONSOLE_SINKS_MAX. */
void console_add_sink(struct console_sink *sink);

/* Writes `bytes` bytes of text to every sink. */
void console_write(const char *text, size_t bytes);

/* Makes all written text visible: before the CPU halts, waits for a person, or panics. */
void console_flush(void);

/* printf to the console; a text longer than CONSOLE_LINE_BYTES is cut. */
#define CONSOLE_LINE_BYTES 1024
void console_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

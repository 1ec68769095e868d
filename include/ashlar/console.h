/*
 * The console: what the kernel prints goes to every sink that exists (serial port, screen), and what a person
 * types comes back from any of the inputs.
 *
 * One spinlock keeps the text of two CPUs apart: the text of each call comes out whole. Only the sinks are
 * called under it, and they take no lock and allocate nothing. Interrupt handlers do not print; they log
 * (<ashlar/log.h>), and whoever holds the console prints their lines when done. A panic first calls
 * console_break_lock().
 */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/types.h>
#include <stdarg.h>

#define CONSOLE_SINKS_MAX  4
#define CONSOLE_INPUTS_MAX 4

/*
 * One place that shows text. write() gets UTF-8 with '\n' line ends and the VT100 colour codes (ESC [ ... m).
 */
struct console_sink {
    const char *name; /* "serial", "screen" */
    void (*write)(struct console_sink *sink, const char *text,
                  size_t bytes);              /* never fails, bounded in time */
    void (*flush)(struct console_sink *sink); /* makes all written text visible; or NULL */
    bool busy;                                /* the console's own: inside write() or flush() */
    bool failed; /* the console's own: a panic came out of it; not used any more */
};

/* One place a person types at. */
struct console_input {
    const char *name; /* "serial", "keyboard" */
    bool (*read)(struct console_input *input,
                 uint8_t *byte); /* takes one byte if there is one; never waits */
};

/* Adds a sink; it shows what is written from now on. Panics when there are more than CONSOLE_SINKS_MAX. */
void console_add_sink(struct console_sink *sink);

/* Adds an input. Panics when there are more than CONSOLE_INPUTS_MAX. */
void console_add_input(struct console_input *input);

/* Writes `bytes` bytes of text to every sink. Not from interrupt handlers. */
void console_write(const char *text, size_t bytes);

/* Makes all written text visible: before the CPU halts, waits for a person, or panics. */
void console_flush(void);

/* printf to the console; a text longer than CONSOLE_LINE_BYTES - 1 is cut. */
#define CONSOLE_LINE_BYTES 1024
void console_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void console_print_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* The next typed byte from any input, or -1 when there is none. Does not wait. One reader at a time. */
int console_read(void);

/*
 * For the log, and for the functions above: takes the console for several writes, which come out together.
 * console_drop() ends that; its caller then calls log_show_pending(). console_hold() waits, so is not for
 * interrupt handlers; console_try_hold() returns false when somebody holds the console, from any context.
 */
void console_hold(void);
bool console_try_hold(void);
void console_write_held(const char *text, size_t bytes);
void console_flush_held(void);
void console_drop(void);

/*
 * For panic: from now on nobody waits for the console's lock, whoever holds it. The caller has stopped the
 * other CPUs. Called again, in a panic inside the panic, it takes the sink that was writing out of use, since
 * that sink has failed.
 */
void console_break_lock(void);

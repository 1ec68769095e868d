/*
 * The console as a program's terminal: /dev/console and /dev/tty, in Linux's terms (termios(3)).
 *
 * While it is open, what is typed is taken from console_read() and made into lines: echoed, erased by DEL,
 * ^W and ^U, ended by Enter, or by ^D, which at the start of a line is the end of the file. ^C, ^\ and ^Z are
 * signals (kernel/linux/terminal.h), and throw away what was typed. With ICANON off, bytes come as they are
 * typed. Output always goes through OPOST and ONLCR, since that is the console's own way.
 */
#pragma once

#include <ashlar/file.h>
#include <ashlar/wait.h>

#define CONSOLE_CHARACTERS 19

/* struct termios of Linux's calls. */
struct console_settings {
    uint32_t input;                         /* c_iflag */
    uint32_t output;                        /* c_oflag */
    uint32_t control;                       /* c_cflag */
    uint32_t local;                         /* c_lflag */
    uint8_t line;                           /* c_line */
    uint8_t characters[CONSOLE_CHARACTERS]; /* c_cc */
};

_Static_assert(sizeof(struct console_settings) == 36, "Linux's struct termios");

extern const struct file_operations console_file_operations;

/* The same, of the device that is a process's own terminal, if it has one. */
extern const struct file_operations own_terminal_operations;

static inline bool file_is_console(const struct file *file)
{
    return file->operations == &console_file_operations || file->operations == &own_terminal_operations;
}

/* Of a console that is open. set: `forget` throws away what was typed and not read. */
void console_file_get(struct console_settings *settings);
void console_file_set(const struct console_settings *settings, bool forget);

/* Whether who is not in front may not write to it either (TOSTOP). */
bool console_file_stops_writers(void);

/* Bytes that a read would get now (FIONREAD). */
size_t console_file_waiting(void);

/*
 * The key that leads from a program's terminal to the monitor (<ashlar/console_input.h>). While somebody
 * watches, it is taken out of what is typed, and from then on programs get nothing until the return. The
 * second takes in what has arrived, and tells whether the key was pressed; its caller waits in
 * console_readers.
 */
void console_file_watch(bool watched);
bool console_file_is_left(void);
void console_file_return(void);

/*
 * The console as the terminal that controls a session: what is typed there to interrupt or stop goes to the
 * group of processes in front, and others of the session may not read from it, nor change it.
 *
 * There is one. It belongs to the session whose first process has asked for it; the first program has it from
 * the start. Its session and its group in front are guarded by the tree's mutex (T).
 */
#pragma once

#include <ashlar/user_copy.h>

struct process;
struct trap_frame;

/* (T) A process that leads its session gets the terminal, if nobody has it. */
void terminal_begin(struct process *process);

/* (T) The process ends. If it leads the terminal's session, the group in front is hung up, and the terminal
 * is free. */
void terminal_end(const struct process *process);

/* Whether it belongs to the calling process's session. Takes the tree's mutex. */
bool terminal_is_own(void);

/* What was typed is a signal. Takes the tree's mutex. */
void terminal_signal(uint32_t signal);

/* Whether the calling process may read from the terminal (SIGTTIN), or change it (SIGTTOU): 0; -EIO: it may
 * not; -EINTR: its group has been sent that signal. */
int64_t terminal_check(uint32_t signal);

/* Its requests of ioctl(): true, with *result, if it is one. */
bool terminal_control(uint32_t command, uint64_t argument, int64_t *result);

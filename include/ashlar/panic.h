/*
 * The end of the kernel, with an explanation. panic() itself is in <ashlar/platform.h>, since portable code
 * calls it.
 *
 * A panic turns interrupts off, stops the other CPUs, and prints one report on every console: what, where,
 * the decoded exception, registers, the page-table walk, a symbolised backtrace, what the address belongs to,
 * the last log lines, and where to look next. A panic inside the report prints a few lines on the serial
 * port; a third says nothing. Then QEMU's isa-debug-exit, if present, gets POWER_EXIT_PANIC, and the CPU
 * halts.
 */
#pragma once

#include <ashlar/lock_check.h>
#include <ashlar/platform.h>
#include <stdarg.h>

struct per_cpu;
struct trap_frame;

/*
 * Does what panic() promises. The report is about the caller of the function whose frame pointer is `frame`.
 */
void panic_report(const void *frame, const char *text, va_list arguments)
    __attribute__((noreturn, format(printf, 2, 0)));

/* Panics for the exception that `frame` is of. Interrupts are off. */
void panic_exception(struct trap_frame *frame) __attribute__((noreturn));

/* Whether a panic is being reported: code that could wait or change something must then refrain from it. */
bool panic_active(void);

/*
 * Sets the functions that stop all other CPUs, waiting for them a bounded time only, and print a line for
 * each, where it was. Without them nothing is stopped, which is right while the boot CPU is the only one.
 */
void panic_set_others(void (*stop)(void), void (*print)(void));

/*
 * In builds that note locks, prints a line for each lock that a CPU holds: which, since when, taken where.
 * For the report, when that CPU stands still. cpu: NULL stands for this one.
 */
#ifdef LOCKS_ARE_NOTED
void panic_print_locks_held(const struct per_cpu *cpu);
#else
static inline void panic_print_locks_held(const struct per_cpu *cpu)
{
    (void)cpu;
}
#endif

/* The parts of a panic report that know the CPU. Called on the panic stack; print by console_print(). */
#pragma once

#include <x86/trap_frame.h>

/* Finds out what the exception of `frame` is. Called before all others, because it reads CR2. */
void exception_report_begin(const struct trap_frame *frame);

/* "reason:" for the exception of `frame`: its name and what it means. */
void exception_report_cause(const struct trap_frame *frame);

/* The address with its owner and page-table walk, the registers, and the instruction's bytes. */
void exception_report_details(const struct trap_frame *frame);

/* The control registers; CR2 as it was at the exception. */
void exception_report_control_registers(void);

/* What to look at next. */
const char *exception_report_advice(const struct trap_frame *frame);

/* The name of the frame's exception, such as "page fault". */
const char *exception_name_of(const struct trap_frame *frame);

/* Top of the stack the report runs on. */
void *panic_stack_top(void);

/* Run-time address of the image: with it, addresses in the report can be looked up in the ELF file. */
uint64_t panic_image_start(void);

/*
 * The order of start-up, made checkable. kernel/main.c builds the kernel stage by stage and declares each one
 * reached; whoever needs a stage says so where he is entered. A call that comes too early is then a panic
 * that names the function, the stage that it needs and the one that is reached, instead of a null pointer
 * somewhere below.
 *
 * The boot CPU alone moves the stage, before others run.
 */
#pragma once

#include <ashlar/types.h>

/* In this order. Each names what can be used from then on. */
enum start_stage {
    START_ENTRY,      /* nothing yet but traps, panics and the log */
    START_CONSOLE,    /* text is seen; the command line has been checked */
    START_FIRMWARE,   /* acpi_info() */
    START_FRAMES,     /* kernel_frames() */
    START_PAGING,     /* kernel_page_table(): the kernel's own tables are loaded */
    START_HEAP,       /* kernel_heap */
    START_ADDRESSES,  /* kernel_kva(), kernel_vmalloc, kernel_mmio, device_map() */
    START_SPACES,     /* address spaces: kernel_vm_manager(), lazily filled memory */
    START_INTERRUPTS, /* vectors, IO-APICs, this CPU's local APIC; all masked */
    START_CLOCK,      /* clock_nanoseconds() counts */
    START_TIMERS,     /* timer_start() */
    START_DEVICES,    /* firmware calls, input; interrupts arrive */
    START_STAGES
};

/* The stage's name, such as "heap", for messages. */
const char *start_stage_name(enum start_stage stage);

/* Declares `stage` reached. Panics unless it is the next one. By the boot CPU alone. */
void start_reached(enum start_stage stage);

/* Panics in the name of `function`: it needs `stage`, which is not reached. */
_Noreturn void start_too_early(enum start_stage stage, const char *function);

extern enum start_stage start_stage_in_force; /* tests alone write to it */

/* Panics when the function it stands in is called before `stage` is reached. Any context. */
#define START_REQUIRE(stage)                                                                                 \
    do {                                                                                                     \
        if (__builtin_expect(start_stage_in_force < (stage), 0)) {                                           \
            start_too_early(stage, __func__);                                                                \
        }                                                                                                    \
    } while (0)

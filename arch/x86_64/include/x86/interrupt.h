/*
 * Interrupts by vector: 32 .. 255, one handler each (interrupt_handler of <ashlar/interrupts.h>, which says
 * what it may do). Drivers get their vectors and handlers by interrupts_allocate(); what is here is below
 * that, and for the few vectors that are fixed (<x86/apic.h>).
 */
#pragma once

#include <ashlar/interrupts.h>
#include <ashlar/types.h>
#include <x86/interrupt_flag.h>
#include <x86/per_cpu.h>
#include <x86/trap_frame.h>

#define INTERRUPT_VECTORS 256

/*
 * Gives `vector` (32 .. 255) its handler. `name` lives as long as the kernel and is shown by the `irq`
 * command. Panics on a vector out of range or already taken: both are bugs of the caller. Any context without
 * that vector's interrupts arriving yet.
 */
void interrupt_register(unsigned vector, interrupt_handler *handler, void *context, const char *name);

/*
 * Takes the handler away; later interrupts of `vector` count as unexpected. One that another CPU is handling
 * just now is not waited for.
 */
void interrupt_unregister(unsigned vector);

/* Names the function that is called with the vector after each handler: the interrupt controller's
 * end-of-interrupt. */
void interrupt_set_end(void (*end)(unsigned vector));

/*
 * A handler of an exception: returns true when the interrupted code may continue from `frame` (which it may
 * have changed), false when the exception is a bug, which then panics. Runs with interrupts off; a page
 * fault's on the interrupted stack if that is sound, those of NMI, machine check and debug on 4 KiB stacks of
 * their own.
 */
typedef bool exception_handler(struct trap_frame *frame);

/* Sets the handler of `vector` (NULL: none) for all CPUs; returns the one before. */
exception_handler *exception_set_handler(enum exception_vector vector, exception_handler *handler);

/*
 * Sets the handler of what user mode raises and no other handler takes (NULL: none); returns the one before.
 * A return to user mode with a broken state counts as a general protection fault there, by that state. The
 * handler runs on the stack for what comes from user mode, but for an NMI and a machine check.
 */
exception_handler *user_exception_set_handler(exception_handler *handler);

/* Interrupts of `vector` (0 .. 255, exceptions too) seen by this CPU, or by `cpu`, since start. */
uint64_t interrupt_count(unsigned vector);
uint64_t interrupt_count_of(const struct per_cpu *cpu, unsigned vector);

/* The name given at registration, the exception's name for vectors below 32, or NULL for a vector without a
 * handler. */
const char *interrupt_name(unsigned vector);

/* Lets device interrupts in on this CPU for the first time. */
void interrupts_begin(void);

/* Whether this CPU is inside an interrupt handler. */
bool interrupt_active(void);

/* Waits for the next interrupt, and lets it in: the two instructions leave no gap to lose one in (SDM volume
 * 2, STI). */
static inline void cpu_wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}

/* The same; the ticks that it took count as idle ones. The caller stays on this CPU. */
static inline void cpu_rest(void)
{
    struct per_cpu *cpu = per_cpu();
    uint64_t begin = __builtin_ia32_rdtsc();
    atomic_store_explicit(&cpu->rest_began, begin, memory_order_relaxed);
    cpu_wait_for_interrupt();
    atomic_store_explicit(&cpu->rest_began, 0, memory_order_relaxed);
    cpu->idle_ticks += __builtin_ia32_rdtsc() - begin;
}

/* Stops this CPU for good, with interrupts off. */
_Noreturn static inline void cpu_halt_forever(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt" : : : "memory");
    }
}

/*
 * User mode: going there, coming back for good, and the system call.
 *
 * A system call is the instruction SYSCALL (SDM volume 2; volume 3, 5.8.8). It builds a trap frame like any
 * trap, with `vector` TRAP_SYSTEM_CALL, and the number that RAX had in `error_code`; RCX and R11 hold RIP and
 * RFLAGS, as the instruction leaves them.
 */
#pragma once

#include <x86/trap_frame.h>

/*
 * Carries a system call out: returns the answer, which RAX gets; may change all else of the frame. Called
 * with interrupts on, on the stack for what comes from user mode; may wait, and may end user mode.
 */
typedef uint64_t system_call_handler(struct trap_frame *frame);

/* Sets the handler for all CPUs; returns the one before. There is one before user mode is entered. */
system_call_handler *system_call_set_handler(system_call_handler *handler);

/* Tells this CPU where system calls enter. For each CPU on its own start, after cpu_control_set(). */
void system_call_entry_set(void);

/*
 * Runs user mode from the state in *frame (its `vector` and `error_code` mean nothing), in the loaded space,
 * until user_mode_end(): returns what that is given. Whatever comes from user mode meanwhile uses the stack
 * below the caller's. Preemption on; the interrupt flag is the frame's, and afterwards the caller's again.
 *
 * The caller answers for the frame: CS asks for ring 3, and RFLAGS has none that the kernel keeps for itself.
 * A state that the CPU refuses is an exception of the user's (user_exception_set_handler()).
 */
uint64_t user_mode_run(const struct trap_frame *frame);

/* Ends the innermost user_mode_run() of this stack: it returns `result`. From a system call, or from a trap
 * that came from user mode and runs on that stack. No lock is held. */
_Noreturn void user_mode_end(uint64_t result);

/* A frame to begin with: user segments, interrupts on, all registers 0 but RIP and RSP. */
struct trap_frame user_mode_frame(uint64_t rip, uint64_t rsp);

/* The bases of FS and GS in user mode, on this CPU: addresses of the user half. */
void user_bases_load(uint64_t fs, uint64_t gs);

/* Gives vector and floating-point registers the values that a program begins with. */
void user_vectors_clear(void);

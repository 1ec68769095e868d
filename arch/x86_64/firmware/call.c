/*
 * A firmware call and the exceptions in it; see <x86/firmware_call.h>. An exception changes the trap frame so
 * that it returns to the exit of the assembly part, which finds everything it must restore on the kernel's
 * stack. The trap dispatch asks here before it calls a handler, on a CPU that is in a firmware call.
 */
#include <ashlar/platform.h>
#include <ashlar/thread_types.h>
#include <stdatomic.h>
#include <x86/extended_state.h>
#include <x86/firmware_call.h>
#include <x86/interrupt_flag.h>
#include <x86/per_cpu.h>

/* Exceptions that firmware may raise. NMI, debug and machine-check exceptions are not caused by it, and
 * nothing can return from a double fault. */
#define BY_FIRMWARE                                                                                          \
    (1u << EXCEPTION_DIVIDE | 1u << EXCEPTION_BREAKPOINT | 1u << EXCEPTION_OVERFLOW |                        \
     1u << EXCEPTION_BOUND | 1u << EXCEPTION_INVALID_OPCODE | 1u << EXCEPTION_DEVICE_NOT_AVAILABLE |         \
     1u << EXCEPTION_INVALID_TSS | 1u << EXCEPTION_SEGMENT_NOT_PRESENT | 1u << EXCEPTION_STACK_SEGMENT |     \
     1u << EXCEPTION_GENERAL_PROTECTION | 1u << EXCEPTION_PAGE_FAULT | 1u << EXCEPTION_X87 |                 \
     1u << EXCEPTION_ALIGNMENT_CHECK | 1u << EXCEPTION_SIMD | 1u << EXCEPTION_CONTROL_PROTECTION)

static _Atomic(bool) active; /* some CPU is in a call */

bool firmware_call_end(struct trap_frame *frame)
{
    struct per_cpu *cpu = per_cpu();
    if (!(BY_FIRMWARE >> frame->vector & 1)) {
        return false;
    }
    *cpu->firmware_fault = *frame;
    cpu->firmware_fault = NULL;
    frame->rip = (uintptr_t)firmware_call_abandon;
    frame->rsp = firmware_call_saved_stack;
    return true;
}

bool firmware_call(struct firmware_call *call, struct trap_frame *fault)
{
    bool enabled = interrupts_disable();
    atomic_store(&active, true);
    struct per_cpu *cpu = per_cpu();
    void *extended = cpu->thread->extended;
    extended_state_switch(extended, NULL); /* firmware may use these registers */
    cpu->firmware_fault = fault;
    firmware_call_enter(call);
    cpu->firmware_fault = NULL;
    extended_state_switch(NULL, extended);
    atomic_store(&active, false);
    interrupts_restore(enabled);
    return !call->faulted;
}

bool firmware_call_active(void)
{
    return atomic_load(&active);
}

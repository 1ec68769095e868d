/*
 * A firmware call and the exceptions in it; see <x86/firmware_call.h>. The handler of an exception changes
 * the trap frame so that it returns to the exit of the assembly part, which finds everything it must restore
 * on the kernel's stack.
 */
#include <ashlar/platform.h>
#include <ashlar/types.h>
#include <x86/firmware_call.h>
#include <x86/interrupt.h>

/* Exceptions that firmware may raise. NMI, debug and machine-check exceptions are not caused by it, and
 * nothing can return from a double fault. */
static const enum exception_vector faults[] = {
    EXCEPTION_DIVIDE,
    EXCEPTION_BREAKPOINT,
    EXCEPTION_OVERFLOW,
    EXCEPTION_BOUND,
    EXCEPTION_INVALID_OPCODE,
    EXCEPTION_DEVICE_NOT_AVAILABLE,
    EXCEPTION_INVALID_TSS,
    EXCEPTION_SEGMENT_NOT_PRESENT,
    EXCEPTION_STACK_SEGMENT,
    EXCEPTION_GENERAL_PROTECTION,
    EXCEPTION_PAGE_FAULT,
    EXCEPTION_X87,
    EXCEPTION_ALIGNMENT_CHECK,
    EXCEPTION_SIMD,
    EXCEPTION_CONTROL_PROTECTION,
};

static exception_handler *displaced[ARRAY_LENGTH(faults)];
static struct trap_frame *fault; /* where to note the exception; NULL while no firmware runs */

static bool abandon(struct trap_frame *frame)
{
    if (fault == NULL) {
        return false;
    }
    *fault = *frame;
    fault = NULL;
    frame->rip = (uintptr_t)firmware_call_abandon;
    frame->rsp = firmware_call_saved_stack;
    return true;
}

bool firmware_call(struct firmware_call *call, struct trap_frame *frame)
{
    bool enabled = interrupts_disable();
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        displaced[i] = exception_set_handler(faults[i], abandon);
    }
    fault = frame;
    firmware_call_enter(call);
    fault = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        exception_set_handler(faults[i], displaced[i]);
    }
    interrupts_restore(enabled);
    return !call->faulted;
}

bool firmware_call_active(void)
{
    return fault != NULL;
}

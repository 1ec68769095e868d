/*
 * Exceptions that a program raised and that no space resolved: they end it as the signal would that Linux
 * sends, with a line in the log.
 */
#define LOG_SUBSYSTEM "program"
#include <ashlar/arch/page_fault_code.h>
#include <ashlar/format.h>
#include <ashlar/log.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>
#include <x86/control_registers.h>
#include <x86/interrupt.h>

#include "process.h"

#define REASON_BYTES 96

static enum signal_number signal_of(uint64_t vector)
{
    switch (vector) {
    case EXCEPTION_DIVIDE:
    case EXCEPTION_X87:
    case EXCEPTION_SIMD:
        return SIGNAL_FPE;
    case EXCEPTION_DEBUG:
    case EXCEPTION_BREAKPOINT:
        return SIGNAL_TRAP;
    case EXCEPTION_INVALID_OPCODE:
        return SIGNAL_ILL;
    case EXCEPTION_SEGMENT_NOT_PRESENT:
    case EXCEPTION_STACK_SEGMENT:
    case EXCEPTION_ALIGNMENT_CHECK:
        return SIGNAL_BUS;
    default:
        return SIGNAL_SEGV;
    }
}

static const char *signal_name(enum signal_number signal)
{
    switch ((unsigned)signal) {
    case SIGNAL_ILL:
        return "SIGILL";
    case SIGNAL_TRAP:
        return "SIGTRAP";
    case SIGNAL_BUS:
        return "SIGBUS";
    case SIGNAL_FPE:
        return "SIGFPE";
    case SIGNAL_KILL:
        return "SIGKILL";
    default:
        break;
    }
    return "SIGSEGV";
}

static const char *access_name(uint64_t error_code)
{
    if (error_code & PAGE_FAULT_FETCH) {
        return "execute";
    }
    return error_code & PAGE_FAULT_WRITE ? "write" : "read";
}

/* What the space said of a page fault, and what that means for the program. For a kernel address the space
 * was not asked: so nothing has faulted since, and CR2 still has it. */
static enum signal_number explain_page_fault(const struct trap_frame *frame, char reason[REASON_BYTES])
{
    const struct fault_history *seen = &thread_current()->faults;
    enum vm_fault refusal = (enum vm_fault)seen->refusal;
    uint64_t last = cr2_read();
    bool asked = (int64_t)last >= 0 && !vm_fault_resolved(refusal);
    format(reason, REASON_BYTES, "%s at 0x%" PRIx64 ": %s", access_name(frame->error_code),
           asked ? seen->refused : last, asked ? vm_fault_name(refusal) : "not a program's address");
    if (!asked) {
        return SIGNAL_SEGV;
    }
    if (refusal == VM_FAULT_PAGER_FAILED) {
        return SIGNAL_BUS;
    }
    return refusal == VM_FAULT_NO_MEMORY ? SIGNAL_KILL : SIGNAL_SEGV;
}

/* The instruction, and in which region it lies. */
static void tell_place(struct process *process, const struct trap_frame *frame, const char *signal,
                       const char *reason)
{
    struct vm_region_facts region;
    bool found = vm_space_find(&process->memory->space, virt_addr(frame->rip), &region);
    const char *name = !found ? "no region" : region.name[0] ? region.name : "memory of mmap()";
    log_warning("%s (%u): %s: %s; by the instruction at 0x%" PRIx64 ", %s + 0x%" PRIx64, process->name,
                process->number, signal, reason, frame->rip, name,
                frame->rip - (found ? region.base.raw : 0));
}

bool process_exception(struct trap_frame *frame)
{
    struct task *task = thread_current()->task;
    char reason[REASON_BYTES];
    if (!task || frame->vector == EXCEPTION_NMI || frame->vector == EXCEPTION_MACHINE_CHECK ||
        frame->vector == EXCEPTION_DOUBLE_FAULT) {
        return false;
    }
    enum signal_number signal = signal_of(frame->vector);
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        signal = explain_page_fault(frame, reason);
    } else {
        format(reason, sizeof reason, "exception %u, error code 0x%" PRIx64, (unsigned)frame->vector,
               frame->error_code);
    }
    interrupts_enable(); /* all that another trap would change has been read; user mode has them on */
    tell_place(task->process, frame, signal_name(signal), reason);
    process_end(PROCESS_KILLED(signal));
}

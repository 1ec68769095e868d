/*
 * Exceptions that a program raised and that no space resolved: each is the signal that Linux sends for it.
 * One that has no handler ends the program, with a line in the log.
 */
#define LOG_SUBSYSTEM "program"
#include <ashlar/arch/page_fault_code.h>
#include <ashlar/format.h>
#include <ashlar/log.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>
#include <x86/control_registers.h>
#include <x86/extended_state.h>
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

/* si_code of each (include/uapi/asm-generic/siginfo.h). */
enum fault_code {
    CODE_NOT_MAPPED = 1,     /* SEGV_MAPERR */
    CODE_NOT_ALLOWED = 2,    /* SEGV_ACCERR */
    CODE_ALIGNMENT = 1,      /* BUS_ADRALN */
    CODE_NOT_THERE = 2,      /* BUS_ADRERR */
    CODE_NO_INSTRUCTION = 2, /* ILL_ILLOPN */
    CODE_BREAKPOINT = 1,     /* TRAP_BRKPT */
    CODE_STEP = 2,           /* TRAP_TRACE */
    CODE_DIVISION = 1,       /* FPE_INTDIV */
    CODE_FLOAT_DIVISION = 3,
    CODE_OVERFLOW = 4,
    CODE_UNDERFLOW = 5,
    CODE_INEXACT = 6,
    CODE_INVALID = 7,
};

/* Of several exceptions of floating point the first of these. */
static int32_t float_code(bool of_sse)
{
    static const struct {
        uint32_t bits;
        int32_t code;
    } codes[] = {{0x1, CODE_INVALID},
                 {0x4, CODE_FLOAT_DIVISION},
                 {0x8, CODE_OVERFLOW},
                 {0x12, CODE_UNDERFLOW},
                 {0x20, CODE_INEXACT}};
    uint32_t exceptions = extended_state_exceptions(of_sse);
    for (unsigned i = 0; i < ARRAY_LENGTH(codes); i++) {
        if (exceptions & codes[i].bits) {
            return codes[i].code;
        }
    }
    return CODE_INVALID;
}

/* What a handler is told of an exception other than a page fault. */
static struct signal_information explain(const struct trap_frame *frame, uint64_t debug_status)
{
    struct signal_information told = signal_by_kernel(signal_of(frame->vector));
    switch (frame->vector) {
    case EXCEPTION_DIVIDE:
        told.code = CODE_DIVISION;
        break;
    case EXCEPTION_X87:
    case EXCEPTION_SIMD:
        told.code = float_code(frame->vector == EXCEPTION_SIMD);
        break;
    case EXCEPTION_DEBUG:
        told.code = debug_status & DR6_STEP ? CODE_STEP : CODE_BREAKPOINT;
        break;
    case EXCEPTION_INVALID_OPCODE:
        told.code = CODE_NO_INSTRUCTION;
        break;
    case EXCEPTION_ALIGNMENT_CHECK:
        told.code = CODE_ALIGNMENT;
        return told;
    default:
        return told; /* by the kernel, without an address */
    }
    told.address = frame->rip;
    return told;
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
 * was not asked: so nothing has faulted since, and `last`, which was CR2, is the address. */
static struct signal_information explain_page_fault(uint64_t last)
{
    const struct fault_history *seen = &thread_current()->faults;
    enum vm_fault refusal = (enum vm_fault)seen->refusal;
    bool asked = (int64_t)last >= 0 && !vm_fault_resolved(refusal);
    uint64_t address = asked ? seen->refused : last;
    struct signal_information told = {.signal = SIGNAL_SEGV, .code = CODE_NOT_MAPPED, .address = address};
    if (asked && refusal == VM_FAULT_PAGER_FAILED) {
        told.signal = SIGNAL_BUS;
        told.code = CODE_NOT_THERE;
    } else if (asked && refusal == VM_FAULT_NO_MEMORY) {
        told.signal = SIGNAL_KILL;
    } else if (asked && (refusal == VM_FAULT_DENIED || refusal == VM_FAULT_RESERVED)) {
        told.code = CODE_NOT_ALLOWED;
    }
    return told;
}

static void explain_to_people(const struct trap_frame *frame, uint64_t address, char reason[REASON_BYTES])
{
    enum vm_fault refusal = (enum vm_fault)thread_current()->faults.refusal;
    bool asked = (int64_t)address >= 0 && !vm_fault_resolved(refusal);
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        format(reason, REASON_BYTES, "%s at 0x%" PRIx64 ": %s", access_name(frame->error_code), address,
               asked ? vm_fault_name(refusal) : "not a program's address");
    } else {
        format(reason, REASON_BYTES, "exception %u, error code 0x%" PRIx64, (unsigned)frame->vector,
               frame->error_code);
    }
}

/* Why, the instruction, and in which region it lies. */
static void tell(struct process *process, const struct trap_frame *frame, const char *signal,
                 uint64_t address)
{
    char reason[REASON_BYTES];
    struct vm_region_facts region;
    explain_to_people(frame, address, reason);
    bool found = vm_space_find(&process->memory->space, virt_addr(frame->rip), &region);
    const char *name = !found ? "no region" : region.name[0] ? region.name : "memory of mmap()";
    log_warning("%s (%u): %s: %s; by the instruction at 0x%" PRIx64 ", %s + 0x%" PRIx64, process->name,
                process->number, signal, reason, frame->rip, name,
                frame->rip - (found ? region.base.raw : 0));
}

static uint64_t take_debug_status(void)
{
    uint64_t status = dr6_read();
    dr6_write(status & ~DR6_STEP);
    return status;
}

/* What the frame of a handler says of the last fault. */
static void note(struct task *task, const struct trap_frame *frame, const struct signal_information *told)
{
    task->signals.fault_vector = frame->vector;
    task->signals.fault_error = frame->error_code;
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        task->signals.fault_address = told->address;
        /* Whether something lies at an address of the kernel's is no program's business. */
        task->signals.fault_error |= told->address >= USER_END ? PAGE_FAULT_PRESENT : 0;
    }
}

/* Interrupts come on when all that another trap would change has been read; user mode has them on. */
bool process_exception(struct trap_frame *frame)
{
    struct task *task = thread_current()->task;
    struct signal_information told;
    if (!task || frame->vector == EXCEPTION_NMI || frame->vector == EXCEPTION_MACHINE_CHECK ||
        frame->vector == EXCEPTION_DOUBLE_FAULT) {
        return false;
    }
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        uint64_t last = cr2_read();
        interrupts_enable();
        told = explain_page_fault(last);
    } else {
        uint64_t status = frame->vector == EXCEPTION_DEBUG ? take_debug_status() : 0;
        told = explain(frame, status);
        interrupts_enable();
    }
    note(task, frame, &told);
    if (told.signal == SIGNAL_KILL || !signal_fault(&told)) {
        enum signal_number signal = (enum signal_number)told.signal;
        tell(task->process, frame, signal_name(signal), told.address);
        process_end(PROCESS_KILLED(signal));
    }
    interrupts_disable();
    return true;
}

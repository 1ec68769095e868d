/*
 * Page faults on their way to the address space that they are for; see page_fault.h.
 *
 * The trap dispatch asks here first, for addresses that a space may have. If a space resolves the fault, the
 * instruction is repeated; all other faults go on to the fixup table (an access that was declared fallible),
 * to a handler, or into the panic report, which gets the space's answer from the resolver below.
 *
 * While a space works, interrupts are as the interrupted code had them, because clearing 2 MiB takes a while
 * and a pager may wait. They are off again before the trap's own state is touched.
 */
#include <ashlar/arch/page_fault_code.h>
#include <ashlar/console.h>
#include <ashlar/panic.h>
#include <ashlar/thread.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <x86/interrupt.h>
#include <x86/page_fault.h>

#include "kernel/kernel.h"
#include "page_fault.h"
#include "spaces.h"

/* Bits of the error code that no space resolves. */
#define PAGE_FAULT_UNEXPECTED                                                                                \
    (~(uint64_t)(PAGE_FAULT_PRESENT | PAGE_FAULT_WRITE | PAGE_FAULT_USER | PAGE_FAULT_FETCH))
#define SPURIOUS_MAX   64 /* in a row; more are taken for a fault that never ends */
/* A refusal, as all from VM_FAULT_NO_REGION on: the space was not even asked. */
#define COULD_NOT_WAIT VM_FAULT_COUNT

static enum vm_access access_of(uint64_t error_code)
{
    if (error_code & PAGE_FAULT_FETCH) {
        return VM_EXECUTE;
    }
    return error_code & PAGE_FAULT_WRITE ? VM_WRITE : VM_READ;
}

/* Whether the code that faulted may touch the address at all, by the rules that hold in every space. During a
 * panic no space is asked. */
static bool may_touch(const struct trap_frame *frame, virt_addr_t address)
{
    if (frame->error_code & PAGE_FAULT_UNEXPECTED) {
        return false;
    }
    bool user_address = (int64_t)address.raw >= 0;
    if (frame->error_code & PAGE_FAULT_USER) {
        return user_address;
    }
    bool allowed =
        !user_address || (frame->rflags & RFLAGS_ACCESS && !(frame->error_code & PAGE_FAULT_FETCH));
    return allowed && !panic_active();
}

/* Whether the code that faulted may wait, as resolving a fault takes locks and time. User mode always may. */
static bool may_wait(const struct trap_frame *frame)
{
    return frame->error_code & PAGE_FAULT_USER ||
           (preempt_is_on() && !cpu_in_interrupt() && frame->rflags & RFLAGS_INTERRUPT);
}

/*
 * Whether this is a fault without end: the page tables allow the access, the CPU faults again and again, and
 * no other fault comes in between. A few of these in a row are possible: each time another CPU was faster.
 */
static bool repeats(struct fault_history *seen, const struct trap_frame *frame, virt_addr_t address)
{
    bool same = seen->spurious == address.raw && seen->instruction == frame->rip;
    seen->repeated = same ? seen->repeated + 1 : 1;
    seen->spurious = address.raw;
    seen->instruction = frame->rip;
    return seen->repeated > SPURIOUS_MAX;
}

/*
 * Whether the frame lies on the interrupted code's stack, or on the kernel stack of user mode. It lies on the
 * page fault's own small stack instead, where interrupts must stay off, when the address was near the stack
 * pointer.
 */
static bool is_on_a_whole_stack(const struct trap_frame *frame)
{
    return trap_from_user(frame) || align_down(frame->rsp, 16) - sizeof *frame == (uintptr_t)frame;
}

static enum vm_fault resolve(const struct trap_frame *frame, virt_addr_t address)
{
    struct vm_space *space = (int64_t)address.raw < 0 ? &kernel_lazy : per_cpu()->space;
    enum vm_access access = access_of(frame->error_code);
    if (!(frame->rflags & RFLAGS_INTERRUPT) || !is_on_a_whole_stack(frame)) {
        return vm_space_fault(space, address, access);
    }
    interrupts_enable();
    enum vm_fault fault = vm_space_fault(space, address, access);
    interrupts_disable();
    return fault;
}

bool kernel_page_fault(const struct trap_frame *frame, virt_addr_t address)
{
    struct fault_history *seen = &thread_current()->faults;
    if (!may_touch(frame, address)) {
        seen->refusal = panic_active() ? seen->refusal : VM_FAULT_SPURIOUS; /* no space said so */
        return false;
    }
    enum vm_fault fault = may_wait(frame) ? resolve(frame, address) : COULD_NOT_WAIT;
    if (fault == VM_FAULT_SPURIOUS) {
        return !repeats(seen, frame, address);
    }
    seen->repeated = 0;
    if (vm_fault_resolved(fault)) {
        seen->resolved++;
        return true;
    }
    seen->refused = address.raw;
    seen->refusal = fault;
    return false;
}

/* ---- The panic report: it may take no lock, so it can only repeat what the space answered before ---- */

/* Why the last fault at `address` was refused; one that was resolved if there was none. */
static enum vm_fault refusal_of(virt_addr_t address)
{
    const struct fault_history *seen = &thread_current()->faults;
    return seen->refused == address.raw ? (enum vm_fault)seen->refusal : VM_FAULT_SPURIOUS;
}

static bool resolve_lazy(virt_addr_t address, struct memory_region *region)
{
    static const struct memory_region room = {
        {LAZY_BASE}, LAZY_END - LAZY_BASE, "lazily filled kernel memory", false};
    if (address.raw - LAZY_BASE >= LAZY_END - LAZY_BASE) {
        return false;
    }
    enum vm_fault refusal = refusal_of(address);
    *region = room;
    if (refusal == VM_FAULT_GUARD || refusal == VM_FAULT_STACK_LIMIT) {
        *region = (struct memory_region){virt_addr(align_down(address.raw, FRAME_BYTES)), FRAME_BYTES,
                                         "guard gap in lazily filled kernel memory", true};
    }
    return true;
}

static bool describe_refusal(virt_addr_t address)
{
    enum vm_fault refusal = refusal_of(address);
    if (vm_fault_resolved(refusal)) {
        return false;
    }
    console_print("space:   %s\n", refusal == COULD_NOT_WAIT
                                       ? "not asked: preemption or interrupts are off, or this is a handler"
                                       : vm_fault_name(refusal));
    return true;
}

void page_faults_start(void)
{
    static struct region_resolver resolver = {.resolve = resolve_lazy, .describe = describe_refusal};
    region_resolver_add(&resolver);
}

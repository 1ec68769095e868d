/*
 * The functions of upper rooms that lower rooms call. Calls run downwards between the rooms of
 * docs/architecture.md, and these few are the exceptions: each is a function of kernel/ that the ground floor
 * (kernel/lib/) or the architecture (arch/x86_64/) cannot do without. kernel/main.c defines them as one
 * constant structure, so they can be called from the first instruction on.
 *
 * Host tests define a structure of their own (tests/host/support/platform.c).
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>
#include <stdarg.h>

struct boot_info;
struct kva_purpose;
struct mutex;
struct symbol;
struct trap_frame;

struct kernel_hooks {
    /*
     * The kernel's first C function. Called once by arch/x86_64/boot/entry.S, which finds it at offset 0, on
     * the boot stack with interrupts off.
     */
    void (*start)(const struct boot_info *info) __attribute__((noreturn));

    /*
     * Ends the kernel with a message. Called by panic() and by the stack protector's check.
     * frame: the frame pointer of that function: its caller is what the report is about. Any context.
     */
    void (*panic)(const void *frame, const char *format, va_list arguments)
        __attribute__((noreturn, format(printf, 2, 0)));

    /* Ends the kernel for an exception that nobody handles. Called by the trap dispatch, interrupts off. */
    void (*panic_exception)(struct trap_frame *frame) __attribute__((noreturn));

    /*
     * Asks the address space that `address` belongs to; true when the instruction may be repeated. Called by
     * the trap dispatch with interrupts off, for addresses that page_fault_may_be_resolved()
     * (<x86/page_fault.h>) lets through.
     */
    bool (*page_fault)(const struct trap_frame *frame, virt_addr_t address);

    /* As symbol_find() of <ashlar/symbols.h>, for fault reports and backtraces. Any context. */
    bool (*symbol_find)(virt_addr_t address, struct symbol *symbol);

    /* As device_map() of <ashlar/mmio.h>, for the interrupt controllers. At start-up. */
    void *(*device_map)(phys_addr_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                        const struct kva_purpose *purpose);

    /*
     * Where a processor that has been started goes on, for good. Called on its own stack, interrupts off,
     * with the kernel's page tables, its descriptor tables and GS in place. Its control registers have what
     * it came here with, and it is not online yet.
     */
    void (*processor_enter)(void) __attribute__((noreturn));

    /*
     * Lets another thread run on this CPU if one should, and returns when this one goes on, maybe on another
     * CPU. Called when somebody has wished it, where preemption comes on while interrupts are on, and at the
     * end of an interrupt.
     */
    void (*reschedule)(void);

    /*
     * Does what the thread's user_work says (<ashlar/thread_types.h>), which is not 0, before user mode is
     * gone back to by way of the frame; may wait, may change the frame, and may not return but end user mode.
     * Called with interrupts on, on the stack for what comes from user mode, until nothing is left to do.
     */
    void (*user_work)(struct trap_frame *frame);

    /*
     * Sleeps until the mutex belongs to this thread, which has tried in vain; false, without the mutex, if
     * this thread cannot sleep. The other one releases a mutex that somebody sleeps for. On the host NULL:
     * there all spin.
     */
    bool (*mutex_sleep)(struct mutex *mutex);
    void (*mutex_hand_on)(struct mutex *mutex);

    /* As clock_nanoseconds() of <ashlar/clock.h>, for devices that are waited for. Any context. */
    uint64_t (*nanoseconds)(void);
};

extern const struct kernel_hooks kernel_hooks;

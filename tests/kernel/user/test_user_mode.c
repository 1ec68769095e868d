/*
 * An excursion to user mode and back: every kind of entry from there has to find the kernel's GS and stack,
 * and every return has to leave the user's. The user program is a handful of instructions in the test page.
 */
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/msr.h>
#include <x86/user_mode.h>

#include "page.h"

#define USER_GS_BASE     0x0000555500000000ULL
#define FLAG_SINGLE_STEP 0x100
#define RESULT           0x0123456789abcdefULL
#define BAD_SELECTOR     0x1233 /* beyond the table, ring 3 */

/* What the user program does, one after the other; each is one trap. */
enum { STEPS = 6 };
static const uint8_t program[] = {
    0x90,                            /* nop, in single step: debug exception, on its own stack */
    0xcc,                            /* int3 */
    0x0f, 0x0b,                      /* ud2: invalid opcode */
    0xcd, 0x02,                      /* int $2, which only the kernel may: general protection */
    0x8a, 0x04, 0x25, 0x40, 0, 0, 0, /* movb 0x40, %al: page fault */
    0xcc,                            /* int3: the test sends it home with a broken CS */
};
static const uint8_t wanted_vectors[STEPS] = {EXCEPTION_DEBUG,          EXCEPTION_BREAKPOINT,
                                              EXCEPTION_INVALID_OPCODE, EXCEPTION_GENERAL_PROTECTION,
                                              EXCEPTION_PAGE_FAULT,     EXCEPTION_BREAKPOINT};

static struct {
    unsigned step;
    bool vectors_right;
    bool gs_right;
    bool stacks_right;
    bool from_user;
    unsigned return_faults;
} seen;

/* At the top of the stack for what comes from user mode: also a debug exception, which begins elsewhere. */
static bool on_kernel_stack(const struct trap_frame *frame)
{
    return (uintptr_t)(frame + 1) == per_cpu()->tss.rsp0;
}

static void note(const struct trap_frame *frame)
{
    seen.vectors_right =
        seen.vectors_right && seen.step < STEPS && frame->vector == wanted_vectors[seen.step];
    seen.gs_right = seen.gs_right && msr_read(MSR_GS_BASE) == (uintptr_t)&boot_cpu &&
                    msr_read(MSR_KERNEL_GS_BASE) == USER_GS_BASE;
    seen.stacks_right = seen.stacks_right && on_kernel_stack(frame);
    seen.from_user = seen.from_user && trap_from_user(frame);
    seen.step++;
}

/* The return to the broken CS faults in the kernel, at the IRET, with the user's GS; and is handed on as the
 * program's. */
static _Noreturn void handle_return_fault(void)
{
    seen.return_faults++;
    seen.gs_right = seen.gs_right && msr_read(MSR_GS_BASE) == (uintptr_t)&boot_cpu;
    user_mode_end(RESULT);
}

static bool handle(struct trap_frame *frame)
{
    if (frame->cs == BAD_SELECTOR) {
        handle_return_fault();
    }
    note(frame);
    switch (frame->vector) {
    case EXCEPTION_DEBUG:
        frame->rflags &= ~(uint64_t)FLAG_SINGLE_STEP;
        break;
    case EXCEPTION_INVALID_OPCODE:
    case EXCEPTION_GENERAL_PROTECTION:
        frame->rip += 2;
        break;
    case EXCEPTION_PAGE_FAULT:
        frame->rip += 7;
        break;
    default:
        break;
    }
    if (seen.step >= STEPS || !seen.vectors_right) {
        frame->cs = BAD_SELECTOR;
    }
    return true;
}

static void exchange_handlers(exception_handler *handlers[STEPS])
{
    for (unsigned i = 0; i + 1 < STEPS; i++) {
        handlers[i] = exception_set_handler((enum exception_vector)wanted_vectors[i], handlers[i]);
    }
}

KERNEL_TEST(user_mode_enters_and_leaves_with_the_right_gs)
{
    exception_handler *handlers[STEPS] = {handle, handle, handle, handle, handle, NULL};
    seen = (typeof(seen)){0, true, true, true, true, 0};
    virt_addr_t page = user_page_map(USER_PAGE_CODE);
    memcpy(user_page_contents(), program, sizeof program);
    exchange_handlers(handlers);
    user_bases_load(0, USER_GS_BASE);
    struct task_state before = per_cpu()->tss;
    struct trap_frame frame = user_mode_frame(page.raw, page.raw + FRAME_BYTES);
    frame.rflags |= FLAG_SINGLE_STEP;

    uint64_t result = user_mode_run(&frame);

    bool interrupts_kept = interrupts_enabled();
    uint64_t user_gs = msr_read(MSR_KERNEL_GS_BASE);
    user_bases_load(0, 0);
    exchange_handlers(handlers);
    user_page_unmap();
    EXPECT_EQUAL(result, RESULT);
    EXPECT(interrupts_kept);
    EXPECT(memcmp(&before, &per_cpu()->tss, sizeof before) == 0);
    EXPECT(per_cpu()->frame == NULL);
    EXPECT(seen.vectors_right);
    EXPECT_EQUAL(seen.step, STEPS);
    EXPECT(seen.from_user);
    EXPECT(seen.gs_right);
    EXPECT(seen.stacks_right);
    EXPECT_EQUAL(seen.return_faults, 1);
    EXPECT_EQUAL(msr_read(MSR_GS_BASE), (uintptr_t)&boot_cpu);
    EXPECT_EQUAL(user_gs, USER_GS_BASE);
}

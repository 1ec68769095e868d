/*
 * An excursion to user mode and back: every kind of entry from there has to find the kernel's GS and stack,
 * and every return has to leave the user's. The user program is a handful of instructions in the test page.
 */
#include <ashlar/heap.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/msr.h>
#include <x86/user_page.h>

#include "program.h"

#define USER_GS_BASE     0x0000555500000000ULL
#define FLAG_SINGLE_STEP 0x100
#define FLAGS_FIXED      0x2
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

static uint8_t *kernel_stack; /* of USER_KERNEL_STACK_BYTES, while the test runs */

/* user_mode_run(rip, rsp, rflags) comes back when a handler sets RIP to user_mode_leave and RSP to
 * user_mode_stack. */
void user_mode_run(uint64_t rip, uint64_t rsp, uint64_t rflags);
extern const uint8_t user_mode_leave[];
uint64_t user_mode_stack;

__asm__(".pushsection .text.user_mode_run, \"ax\"\n"
        ".globl user_mode_run, user_mode_leave\n"
        ".type user_mode_run, @function\n"
        "user_mode_run:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, user_mode_stack(%rip)\n"
        "    pushq $0x23\n" /* SELECTOR_USER_DATA */
        "    pushq %rsi\n"
        "    pushq %rdx\n"
        "    pushq $0x2b\n" /* SELECTOR_USER_CODE */
        "    pushq %rdi\n"
        "    swapgs\n"
        "    iretq\n"
        "user_mode_leave:\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size user_mode_run, . - user_mode_run\n"
        ".popsection\n");

static void go_home(struct trap_frame *frame)
{
    frame->rip = (uintptr_t)user_mode_leave;
    frame->rsp = user_mode_stack;
    frame->cs = SELECTOR_KERNEL_CODE;
    frame->ss = SELECTOR_KERNEL_DATA;
    frame->rflags = FLAGS_FIXED;
}

static bool on_kernel_stack(const struct trap_frame *frame)
{
    uint64_t end = (uintptr_t)frame + sizeof *frame;
    return frame->vector == EXCEPTION_DEBUG || end == (uintptr_t)kernel_stack + USER_KERNEL_STACK_BYTES;
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

/* The return to the broken CS faults in the kernel, at the IRET, with the user's GS. */
static void handle_return_fault(struct trap_frame *frame)
{
    seen.return_faults++;
    seen.gs_right = seen.gs_right && msr_read(MSR_GS_BASE) == (uintptr_t)&boot_cpu;
    go_home(frame);
}

static bool handle(struct trap_frame *frame)
{
    if (!trap_from_user(frame)) {
        handle_return_fault(frame);
        return true;
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
    kernel_stack = heap_alloc_aligned(&kernel_heap, USER_KERNEL_STACK_BYTES, 16);
    EXPECT(kernel_stack != NULL);
    bool were_enabled = interrupts_disable();
    virt_addr_t page = user_page_map(USER_PAGE_CODE);
    memcpy(user_page_contents(), program, sizeof program);
    uint64_t stack_before = per_cpu()->tss.rsp0;
    per_cpu()->tss.rsp0 = (uintptr_t)kernel_stack + USER_KERNEL_STACK_BYTES;
    exchange_handlers(handlers);
    msr_write(MSR_KERNEL_GS_BASE, USER_GS_BASE);

    user_mode_run(page.raw, page.raw + FRAME_BYTES, FLAGS_FIXED | FLAG_SINGLE_STEP);

    uint64_t user_gs = msr_read(MSR_KERNEL_GS_BASE);
    msr_write(MSR_KERNEL_GS_BASE, 0);
    exchange_handlers(handlers);
    per_cpu()->tss.rsp0 = stack_before;
    user_page_unmap();
    interrupts_restore(were_enabled);
    heap_free(&kernel_heap, kernel_stack);
    EXPECT(seen.vectors_right);
    EXPECT_EQUAL(seen.step, STEPS);
    EXPECT(seen.from_user);
    EXPECT(seen.gs_right);
    EXPECT(seen.stacks_right);
    EXPECT_EQUAL(seen.return_faults, 1);
    EXPECT_EQUAL(msr_read(MSR_GS_BASE), (uintptr_t)&boot_cpu);
    EXPECT_EQUAL(user_gs, USER_GS_BASE);
}

/*
 * The system call's way in and out. User code is a few instructions in the test page; which of its traps
 * leads where is looked at from inside the handlers, and once at every instruction of every way.
 */
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/msr.h>
#include <x86/user_mode.h>

#include "arch/x86_64/trap/internal.h"
#include "page.h"

#define USER_GS_BASE      0x0000555500000000ULL
#define FLAG_CARRY        0x1ULL
#define FLAG_SINGLE_STEP  0x100ULL
#define FLAG_DIRECTION    0x400ULL
#define FLAG_NESTED_TASK  0x4000ULL
#define FLAG_RESUME       0x10000ULL
#define FLAG_ALIGNMENT    0x40000ULL
#define CALL              0x1234
#define CALL_END          0x5678 /* ends the program: its answer is what R8 has */
#define NON_CANONICAL     0x0000800000000000ULL
#define STEPS_MAX         20000
#define WATCHED_OFFSET    0x100 /* in the test page, where `mov` loads SS from */
#define WATCH_INSTRUCTION 0x1ULL
#define WATCH_WORD        0x700000ULL /* reads and writes of two bytes, by the second register */

extern const uint8_t system_call_entry[];

static struct {
    unsigned calls;
    struct trap_frame frame;  /* as the last call left it */
    uint64_t flags;           /* of the kernel, in the handler */
    bool gs_right;            /* each time */
    bool stacks_right;        /* each time */
    unsigned debugs;          /* debug exceptions of user mode */
    unsigned steps;           /* the same of the kernel, each an instruction of a way in or out */
    unsigned interrupts;      /* that are not maskable: one at each step */
    struct trap_frame broken; /* what the handler for programs was given */
    unsigned broken_count;
    bool ending; /* the program's last call is on its way out */
} seen;

static void (*change)(struct trap_frame *frame); /* what a call does with its frame, or NULL */

static void note_gs(void)
{
    seen.gs_right = seen.gs_right && msr_read(MSR_GS_BASE) == (uintptr_t)&boot_cpu;
}

static uint64_t answer(struct trap_frame *frame)
{
    note_gs();
    seen.flags = rflags_read();
    seen.stacks_right = seen.stacks_right && (uintptr_t)(frame + 1) == per_cpu()->tss.rsp0;
    seen.calls++;
    seen.frame = *frame;
    if (frame->rax == CALL_END) {
        seen.ending = true;
        user_mode_end(frame->r8);
    }
    if (change) {
        change(frame);
    }
    return frame->rax + 1;
}

static bool end_by_exception(struct trap_frame *frame)
{
    note_gs();
    seen.broken = *frame;
    seen.broken_count++;
    user_mode_end(0);
}

/* Runs the instructions with these flags, R8 = 1, R9 = the page's address, RAX = CALL. */
static uint64_t run(const uint8_t *code, size_t bytes, uint64_t flags)
{
    virt_addr_t page = user_page_map(USER_PAGE_CODE);
    struct trap_frame frame = user_mode_frame(page.raw, page.raw + 0x800);
    frame.rflags |= flags;
    frame.rax = CALL;
    frame.r8 = 1;
    frame.r9 = page.raw;
    memcpy(user_page_contents(), code, bytes);
    memcpy(user_page_contents() + WATCHED_OFFSET, &(uint16_t){SELECTOR_USER_DATA}, sizeof(uint16_t));
    seen = (typeof(seen)){.gs_right = true, .stacks_right = true};
    system_call_handler *handler = system_call_set_handler(answer);
    exception_handler *broken = user_exception_set_handler(end_by_exception);
    user_bases_load(0, USER_GS_BASE);
    uint64_t result = user_mode_run(&frame);
    uint64_t user_gs = msr_read(MSR_KERNEL_GS_BASE);
    user_bases_load(0, 0);
    user_exception_set_handler(broken);
    system_call_set_handler(handler);
    user_page_unmap();
    seen.gs_right = seen.gs_right && user_gs == USER_GS_BASE;
    return result;
}

#define SYSCALL  0x0f, 0x05
#define LOAD_END 0xb8, 0x78, 0x56, 0, 0 /* movl $CALL_END, %eax */

static const uint8_t one_call[] = {
    SYSCALL,                                     /* RAX + 1 */
    0x49,    0x89, 0xc0,                         /* movq %rax, %r8: the result */
    0x49,    0x89, 0xcc, LOAD_END, SYSCALL, 0xcc /* movq %rcx, %r12 */
};

KERNEL_TEST(system_call_passes_its_number_and_keeps_registers)
{
    change = NULL;
    EXPECT_EQUAL(run(one_call, sizeof one_call, FLAG_CARRY), CALL + 1);
    EXPECT_EQUAL(seen.calls, 2);
    EXPECT(seen.gs_right);
    EXPECT(seen.stacks_right);
    EXPECT_EQUAL(seen.frame.vector, TRAP_SYSTEM_CALL);
    EXPECT_EQUAL(seen.frame.error_code, CALL_END);
    EXPECT_EQUAL(seen.frame.r12, seen.frame.r9 + 2); /* RCX was the address behind the first SYSCALL */
    EXPECT_EQUAL(seen.frame.rcx, seen.frame.rip);
    EXPECT_EQUAL(seen.frame.r11, seen.frame.rflags);
    EXPECT_EQUAL(seen.frame.rsp, seen.frame.r9 + 0x800);
    EXPECT_EQUAL(seen.frame.cs, SELECTOR_USER_CODE);
    EXPECT_EQUAL(seen.frame.ss, SELECTOR_USER_DATA);
    EXPECT(seen.frame.rflags & FLAG_CARRY);
    EXPECT(seen.flags & RFLAGS_INTERRUPT);
}

/* Each of these would hurt the kernel, and each is the program's own again afterwards. */
KERNEL_TEST(system_call_keeps_the_users_flags_from_the_kernel)
{
    const uint64_t flags = FLAG_DIRECTION | FLAG_NESTED_TASK | FLAG_ALIGNMENT;
    change = NULL;
    EXPECT_EQUAL(run(one_call, sizeof one_call, flags), CALL + 1);
    EXPECT_EQUAL(seen.flags & flags, 0);
    EXPECT_EQUAL(seen.frame.rflags & flags, flags); /* of the second call: they had come back */
    EXPECT(seen.gs_right);
}

static bool stop_single_step(struct trap_frame *frame)
{
    note_gs();
    seen.debugs++;
    seen.stacks_right = seen.stacks_right && trap_from_user(frame) &&
                        (uintptr_t)(frame + 1) == per_cpu()->tss.rsp0 && !(seen.flags & FLAG_SINGLE_STEP);
    frame->rflags &= ~FLAG_SINGLE_STEP;
    return true;
}

KERNEL_TEST(system_call_in_single_step_traps_in_user_mode_only)
{
    change = NULL;
    exception_handler *before = exception_set_handler(EXCEPTION_DEBUG, stop_single_step);
    uint64_t result = run(one_call, sizeof one_call, FLAG_SINGLE_STEP);
    exception_set_handler(EXCEPTION_DEBUG, before);
    EXPECT_EQUAL(result, CALL + 1);
    EXPECT_EQUAL(seen.debugs, 1);
    EXPECT(seen.stacks_right);
    EXPECT(seen.gs_right);
}

/* ---- States that SYSRET must not be given ---- */

static void return_far(struct trap_frame *frame)
{
    frame->rip = frame->rcx = NON_CANONICAL;
}

static void return_to_kernel(struct trap_frame *frame)
{
    frame->rip = frame->rcx = (uintptr_t)system_call_entry;
}

static void return_by_bad_segment(struct trap_frame *frame)
{
    frame->cs = 0x1233; /* beyond the table */
}

static void return_by_bad_stack(struct trap_frame *frame)
{
    frame->ss = SELECTOR_KERNEL_DATA;
}

static void return_other_registers(struct trap_frame *frame)
{
    frame->rcx = 0x1111;
    frame->r11 = 0x2222;
}

KERNEL_TEST(system_call_returns_to_a_broken_state_by_an_exception_of_the_programs)
{
    static void (*const changes[])(struct trap_frame *) = {return_far, return_to_kernel,
                                                           return_by_bad_segment, return_by_bad_stack};
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        change = changes[i];
        EXPECT_EQUAL(run(one_call, sizeof one_call, 0), 0);
        EXPECT_EQUAL(seen.calls, 1);
        EXPECT_EQUAL(seen.broken_count, 1);
        EXPECT(trap_from_user(&seen.broken));
        EXPECT_EQUAL(seen.broken.rax, CALL + 1); /* the program's registers */
        EXPECT(seen.gs_right);
    }
}

KERNEL_TEST(system_call_may_change_every_register)
{
    static const uint8_t code[] = {SYSCALL,  0x49,    0x89, 0xc8, /* movq %rcx, %r8 */
                                   0x4d,     0x01,    0xd8,       /* addq %r11, %r8 */
                                   LOAD_END, SYSCALL, 0xcc};
    change = return_other_registers;
    EXPECT_EQUAL(run(code, sizeof code, 0), 0x3333);
}

KERNEL_TEST(system_call_entry_is_set_up)
{
    EXPECT_EQUAL(msr_read(MSR_LSTAR), (uintptr_t)system_call_entry);
    EXPECT_EQUAL(msr_read(MSR_STAR) >> 32, (SELECTOR_USER_DATA - 8) << 16 | SELECTOR_KERNEL_CODE);
    EXPECT_EQUAL(msr_read(MSR_SYSENTER_CS), 0);
}

/* ---- At every instruction ---- */

static void watch(uint64_t control, const uint64_t addresses[4])
{
    __asm__ volatile(
        "movq %0, %%dr7\n\tmovq %1, %%dr0\n\tmovq %2, %%dr1\n\tmovq %3, %%dr2\n\tmovq %4, %%dr3\n\t"
        "movq %0, %%dr6\n\tmovq %5, %%dr7"
        :
        : "r"(0ULL), "r"(addresses[0]), "r"(addresses[1]), "r"(addresses[2]), "r"(addresses[3]),
          "r"(control));
}

static bool note_interrupt(struct trap_frame *frame)
{
    (void)frame;
    note_gs();
    seen.interrupts++;
    return true;
}

/* The first instruction of a way in stops by its address, all others by single step. At each comes an NMI. */
static bool step(struct trap_frame *frame)
{
    note_gs();
    if (trap_from_user(frame)) {
        seen.debugs++;
        return !(frame->rflags & FLAG_SINGLE_STEP);
    }
    struct memory_region region;
    seen.stacks_right =
        seen.stacks_right && region_find(virt_of(frame), &region) && strcmp(region.name, "debug stack") == 0;
    seen.steps++;
    frame->rflags |= FLAG_RESUME | FLAG_SINGLE_STEP; /* the way in clears it */
    if (seen.ending || seen.steps == STEPS_MAX) {
        frame->rflags &= ~FLAG_SINGLE_STEP;
    }
    __asm__ volatile("int $2" : : : "memory");
    return true;
}

static bool skip(struct trap_frame *frame)
{
    note_gs();
    seen.stacks_right = seen.stacks_right && trap_from_user(frame);
    frame->rip += frame->vector == EXCEPTION_PAGE_FAULT           ? 7
                  : frame->vector == EXCEPTION_GENERAL_PROTECTION ? 2
                                                                  : 0;
    return true;
}

static const uint8_t all_ways[] = {
    SYSCALL,  0xcc,                         /* int3 */
    0x8a,     0x04,    0x25, 0x40, 0, 0, 0, /* movb 0x40, %al: page fault */
    0xcd,     0x02,                         /* int $2: general protection */
    LOAD_END, SYSCALL, 0xcc,
};

static const enum exception_vector ways[] = {EXCEPTION_BREAKPOINT, EXCEPTION_PAGE_FAULT,
                                             EXCEPTION_GENERAL_PROTECTION};

static uint64_t run_in_steps(void)
{
    exception_handler *before[ARRAY_LENGTH(ways)];
    uint64_t addresses[4] = {(uintptr_t)system_call_entry};
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        before[i] = exception_set_handler(ways[i], skip);
        addresses[i + 1] = (uintptr_t)trap_stubs + (uint64_t)ways[i] * TRAP_STUB_BYTES;
    }
    exception_handler *debug = exception_set_handler(EXCEPTION_DEBUG, step);
    exception_handler *nmi = exception_set_handler(EXCEPTION_NMI, note_interrupt);
    watch(WATCH_INSTRUCTION * 0x55, addresses); /* all four */
    uint64_t result = run(all_ways, sizeof all_ways, 0);
    watch(0, addresses);
    exception_set_handler(EXCEPTION_NMI, nmi);
    exception_set_handler(EXCEPTION_DEBUG, debug);
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        exception_set_handler(ways[i], before[i]);
    }
    return result;
}

/* What the two CPU-owned stacks of the step's exceptions do is the same for NMI, machine check and double
 * fault: they share their entry. */
KERNEL_TEST(system_call_and_traps_stand_an_nmi_at_every_instruction)
{
    struct task_state before = per_cpu()->tss;
    static void (*const changes[])(struct trap_frame *) = {NULL, return_other_registers};
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) { /* back by SYSRET, and by IRET */
        change = changes[i];
        EXPECT_EQUAL(run_in_steps(), 1);
        EXPECT(seen.gs_right);
        EXPECT(seen.stacks_right);
        EXPECT(seen.debugs <= 4); /* the step that was the return itself */
        EXPECT(seen.steps > 300 && seen.steps < STEPS_MAX);
        EXPECT_EQUAL(seen.interrupts, seen.steps);
        EXPECT(memcmp(&before, &per_cpu()->tss, sizeof before) == 0);
    }
}

/*
 * Loading SS holds back debug exceptions until the next instruction is done: one that the load raised, as its
 * operand is watched, then comes at the kernel's first instruction. (An emulated CPU may raise it at once.)
 */
static bool note_watch(struct trap_frame *frame)
{
    note_gs();
    frame->rflags |= FLAG_RESUME;
    seen.debugs++;
    return true;
}

#define LOAD_STACK_SEGMENT(at)                                                                               \
    0x8e, 0x15, (uint8_t)(WATCHED_OFFSET - (at)-6), 0, 0, 0 /* movw 0x100-..(%rip), %ss */

KERNEL_TEST(system_call_and_breakpoint_stand_a_late_debug_exception)
{
    static const uint8_t code[] = {
        LOAD_STACK_SEGMENT(0), SYSCALL, LOAD_STACK_SEGMENT(8), 0xcc, LOAD_END, SYSCALL};
    _Static_assert(WATCHED_OFFSET - 6 < 256, "one byte");
    virt_addr_t page = user_page_map(USER_PAGE_CODE);
    exception_handler *debug = exception_set_handler(EXCEPTION_DEBUG, note_watch);
    exception_handler *breakpoint = exception_set_handler(EXCEPTION_BREAKPOINT, skip);
    change = NULL;
    watch(WATCH_INSTRUCTION << 2 | WATCH_WORD, (uint64_t[4]){0, page.raw + WATCHED_OFFSET});
    uint64_t result = run(code, sizeof code, 0);
    watch(0, (uint64_t[4]){0});
    exception_set_handler(EXCEPTION_BREAKPOINT, breakpoint);
    exception_set_handler(EXCEPTION_DEBUG, debug);
    EXPECT_EQUAL(result, 1);
    EXPECT_EQUAL(seen.debugs, 2);
    EXPECT(seen.gs_right);
}

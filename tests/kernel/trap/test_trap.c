/* Traps in the running kernel: the CPU's settings, trap stacks and nesting, probes, backtraces, symbols. */
#include <ashlar/bench.h>
#include <ashlar/boot.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/msr.h>
#include <x86/unwind.h>

#include "arch/x86_64/trap/internal.h"
#include "tests/kernel/user/page.h"

#define FLAG_SINGLE_STEP     0x100
#define FLAG_DIRECTION       0x400
#define FLAG_ALIGNMENT_CHECK 0x40000

static unsigned handled;
static uint64_t seen_flags; /* as they were inside a handler */
static uint64_t seen_frame; /* where the frame was */

KERNEL_TEST(cpu_control_registers_are_hardened)
{
    struct cpu_control wanted = cpu_control_wanted();
    struct cpu_control actual = cpu_control_actual();
    EXPECT_EQUAL(actual.cr0, wanted.cr0);
    EXPECT_EQUAL(actual.cr4, wanted.cr4);
    EXPECT_EQUAL(actual.efer, wanted.efer);
    EXPECT_EQUAL(actual.pat, wanted.pat);
    EXPECT(actual.cr0 & CR0_WRITE_PROTECT);
    EXPECT_EQUAL((actual.efer & EFER_NO_EXECUTE) != 0, cpu_has(CPU_FEATURE_NX));
    EXPECT_EQUAL((actual.cr4 & CR4_SMEP) != 0, cpu_has(CPU_FEATURE_SMEP));
    EXPECT_EQUAL((actual.cr4 & CR4_SMAP) != 0, cpu_has(CPU_FEATURE_SMAP));
    EXPECT_EQUAL((actual.cr4 & CR4_UMIP) != 0, cpu_has(CPU_FEATURE_UMIP));
    EXPECT_EQUAL((actual.cr4 & CR4_PCID) != 0, cpu_has(CPU_FEATURE_PCID));
    EXPECT_EQUAL(actual.cr4 & CR4_FSGSBASE, 0);
}

KERNEL_TEST(cpu_stack_protector_has_a_secret)
{
    extern uintptr_t __stack_chk_guard;
    EXPECT(__stack_chk_guard != 0x595e9fbd94fda700);
    EXPECT_EQUAL(__stack_chk_guard & 0xff, 0);
    EXPECT(__stack_chk_guard >> 32 != 0);
}

KERNEL_TEST(cpu_per_cpu_data_is_this_cpus)
{
    EXPECT_EQUAL(msr_read(MSR_GS_BASE), (uintptr_t)per_cpu());
    EXPECT_EQUAL(per_cpu()->number, cpu_number());
    uint32_t depth = preempt_count();
    preempt_disable();
    EXPECT_EQUAL(preempt_count(), depth + 1);
    preempt_enable();
    EXPECT_EQUAL(preempt_count(), depth);
}

static bool count_and_continue(struct trap_frame *frame)
{
    (void)frame;
    seen_flags = rflags_read();
    handled++;
    return true;
}

/* The interrupted flags stay outside, and come back: a set AC would switch SMAP off, a set DF reverse every
 * copy. */
KERNEL_TEST(trap_breakpoint_reaches_its_handler_and_returns)
{
    exception_handler *before = exception_set_handler(EXCEPTION_BREAKPOINT, count_and_continue);
    uint64_t count = interrupt_count(EXCEPTION_BREAKPOINT);
    uint64_t flags_after;
    bool were_enabled = interrupts_disable();
    register uint64_t kept __asm__("r12") = 0x1122334455667788;
    handled = 0;
    __asm__ volatile("pushfq; orq $0x40400, (%%rsp); popfq; int3; pushfq; popq %1; pushq $2; popfq"
                     : "+r"(kept), "=r"(flags_after)
                     :
                     : "memory", "cc");
    interrupts_restore(were_enabled);
    exception_set_handler(EXCEPTION_BREAKPOINT, before);
    EXPECT_EQUAL(handled, 1);
    EXPECT_EQUAL(kept, 0x1122334455667788);
    EXPECT_EQUAL(seen_flags & (FLAG_DIRECTION | FLAG_ALIGNMENT_CHECK | RFLAGS_INTERRUPT), 0);
    EXPECT_EQUAL(flags_after & (FLAG_DIRECTION | FLAG_ALIGNMENT_CHECK),
                 FLAG_DIRECTION | FLAG_ALIGNMENT_CHECK);
    EXPECT_EQUAL(interrupt_count(EXCEPTION_BREAKPOINT), count + 1);
}

static bool in_region(uint64_t address, const char *name)
{
    struct memory_region region;
    return region_find(virt_addr(address), &region) && strcmp(region.name, name) == 0;
}

/* Inside a non-maskable interrupt: a fault that is fixed up, and once a second interrupt of the same kind. */
static bool nest_inside_nmi(struct trap_frame *frame)
{
    uint64_t word;
    handled++;
    if (!in_region((uintptr_t)frame, "NMI stack") || memory_try_read(&word, virt_addr(8), sizeof word)) {
        return false;
    }
    if (handled == 1) {
        seen_frame = (uintptr_t)frame;
        __asm__ volatile("int $2" : : : "memory");
        return frame->vector == EXCEPTION_NMI;
    }
    return (uintptr_t)frame == seen_frame - IST_LEVEL_BYTES;
}

KERNEL_TEST(trap_nmi_may_fault_and_nest)
{
    struct task_state before_tss = per_cpu()->tss;
    exception_handler *before = exception_set_handler(EXCEPTION_NMI, nest_inside_nmi);
    handled = 0;
    cr2_write(0xabc000);
    __asm__ volatile("int $2" : : : "memory");
    exception_set_handler(EXCEPTION_NMI, before);
    EXPECT_EQUAL(handled, 2);
    EXPECT_EQUAL(cr2_read(), 0xabc000); /* of a page fault that the NMI might have interrupted */
    EXPECT(memcmp(&before_tss, &per_cpu()->tss, sizeof before_tss) == 0);
}

static bool stop_single_step(struct trap_frame *frame)
{
    handled++;
    frame->rflags &= ~(uint64_t)FLAG_SINGLE_STEP;
    return in_region((uintptr_t)frame, "debug stack");
}

KERNEL_TEST(trap_single_step_has_its_own_stack)
{
    exception_handler *before = exception_set_handler(EXCEPTION_DEBUG, stop_single_step);
    handled = 0;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
    exception_set_handler(EXCEPTION_DEBUG, before);
    EXPECT_EQUAL(handled, 1);
}

static bool skip_read(struct trap_frame *frame)
{
    handled++;
    seen_frame = (uintptr_t)frame;
    frame->rip += 3; /* movq (%rax), %rax */
    return true;
}

KERNEL_TEST(trap_page_fault_moves_to_the_interrupted_stack)
{
    exception_handler *before = exception_set_handler(EXCEPTION_PAGE_FAULT, skip_read);
    uint64_t stack_fault_slot = per_cpu()->tss.ist[IST_PAGE_FAULT - 1];
    uint64_t pointer = 0x40;
    uint64_t stack;
    handled = 0;
    __asm__ volatile("movq %%rsp, %1; movq (%0), %0" : "+a"(pointer), "=&r"(stack) : : "memory");
    exception_set_handler(EXCEPTION_PAGE_FAULT, before);
    EXPECT_EQUAL(handled, 1);
    EXPECT_EQUAL(seen_frame, align_down(stack, 16) - sizeof(struct trap_frame));
    EXPECT_EQUAL(per_cpu()->tss.ist[IST_PAGE_FAULT - 1], stack_fault_slot);
}

static uint64_t seen_address; /* CR2 inside the handler */

static bool skip_read_and_note(struct trap_frame *frame)
{
    seen_address = cr2_read();
    return skip_read(frame);
}

/* A stack pointer that leads nowhere, and a fault elsewhere: the frame cannot move, and CR2 is still the
 * fault's. */
KERNEL_TEST(trap_page_fault_stays_when_the_stack_is_lost)
{
    exception_handler *before = exception_set_handler(EXCEPTION_PAGE_FAULT, skip_read_and_note);
    bool were_enabled = interrupts_disable();
    struct task_state before_tss = per_cpu()->tss;
    uint64_t pointer = 0x40;
    handled = 0;
    __asm__ volatile("movq %%rsp, %%r12; movl $0x700000, %%esp; movq (%0), %0; movq %%r12, %%rsp"
                     : "+a"(pointer)
                     :
                     : "r12", "memory");
    interrupts_restore(were_enabled);
    exception_set_handler(EXCEPTION_PAGE_FAULT, before);
    EXPECT_EQUAL(handled, 1);
    EXPECT_EQUAL(seen_address, 0x40);
    EXPECT(in_region(seen_frame, "page-fault stack"));
    EXPECT(memcmp(&before_tss, &per_cpu()->tss, sizeof before_tss) == 0);
}

KERNEL_TEST(trap_guard_pages_are_unmapped)
{
    uint8_t byte;
    struct memory_region region;
    for (unsigned slot = 0; slot < IST_COUNT; slot++) {
        uint64_t address = per_cpu()->tss.ist[slot] - 1;
        EXPECT(memory_try_read(&byte, virt_addr(address), 1));
        EXPECT(region_find(virt_addr(address), &region) && !region.guard);
        EXPECT(!memory_try_read(&byte, virt_addr(region.base.raw - 1), 1));
        EXPECT(region_find(virt_addr(region.base.raw - 1), &region) && region.guard);
    }
    EXPECT(!memory_try_read(&byte, virt_addr(boot_info()->kernel.stack_bottom.raw - 1), 1));
}

KERNEL_TEST(probe_reads_what_is_there_and_nothing_else)
{
    static const char text[] = "sixteen letters";
    char copy[sizeof text] = {0};
    EXPECT(memory_try_read(copy, virt_of(text), sizeof text));
    EXPECT(memcmp(copy, text, sizeof text) == 0);
    EXPECT(!memory_try_read(copy, virt_addr(0), 1));
    EXPECT(!memory_try_read(copy, virt_addr(0x8000000000000000), 1));
    EXPECT(!memory_try_read(copy, virt_addr(UINT64_MAX - 2), 8));
    EXPECT(memory_try_read(copy, virt_addr(0), 0));
}

/* Above the debug stack lies the guard page of the next one: the last bytes before it can be read, and no
 * more. */
KERNEL_TEST(probe_stops_at_the_first_byte_that_faults)
{
    uint64_t top = per_cpu()->tss.ist[IST_DEBUG - 1];
    uint8_t copy[8];
    EXPECT(memory_try_read(copy, virt_addr(top - 4), 4));
    memset(copy, 0xee, sizeof copy);
    EXPECT(!memory_try_read(copy, virt_addr(top - 4), 6));
    EXPECT(copy[3] != 0xee || *(const volatile uint8_t *)(uintptr_t)(top - 1) == 0xee);
    EXPECT_EQUAL(copy[4], 0xee);
}

KERNEL_TEST(probe_writes_only_what_is_writable)
{
    static const uint64_t constant = 7;
    static uint64_t variable = 7;
    uint64_t value = 9;
    EXPECT(memory_try_write(virt_of(&variable), &value, sizeof value));
    EXPECT_EQUAL(*(volatile uint64_t *)&variable, 9);
    EXPECT(!memory_try_write(virt_of(&constant), &value, sizeof value));
    EXPECT_EQUAL(*(const volatile uint64_t *)&constant, 7);
}

KERNEL_TEST(probe_respects_smap)
{
    if (!cpu_has(CPU_FEATURE_SMAP)) {
        kernel_test_skip("the CPU has no SMAP");
        return;
    }
    uint8_t byte;
    virt_addr_t page = user_page_map(USER_PAGE_DATA);
    bool readable = memory_try_read(&byte, page, 1);
    user_page_unmap();
    EXPECT(!readable);
}

static char trace[256]; /* names of a walk, each followed by a blank */

static void trace_names(struct unwind at)
{
    size_t used = 0;
    do {
        struct symbol symbol;
        bool known = symbol_find(virt_addr(at.address.raw - (at.is_return ? 1 : 0)), &symbol);
        const char *name = known ? symbol.name : "?";
        size_t bytes = strlen(name);
        if (used + bytes + 2 > sizeof trace) {
            return;
        }
        memcpy(trace + used, name, bytes);
        trace[used + bytes] = ' ';
        used += bytes + 1;
        trace[used] = '\0';
    } while (unwind_next(&at));
}

static bool trace_has_prefix(const char *prefix)
{
    return strncmp(trace, prefix, strlen(prefix)) == 0;
}

__attribute__((noinline)) static void unwind_inner(void)
{
    trace_names(unwind_caller());
}

__attribute__((noinline)) static void unwind_outer(void)
{
    unwind_inner();
}

KERNEL_TEST(unwind_names_the_callers)
{
    unwind_outer();
    EXPECT(trace_has_prefix("unwind_outer unwind_names_the_callers "));
    size_t length = strlen(trace);
    EXPECT(length > 13 && strcmp(trace + length - 13, "kernel_entry ") == 0);
}

__attribute__((noinline)) static bool trace_from_handler(struct trap_frame *frame)
{
    (void)frame;
    trace_names(unwind_caller());
    return true;
}

__attribute__((noinline)) static void unwind_interrupted(void)
{
    __asm__ volatile("int3" : : : "memory");
}

/* What is left on the stack of a trap that is over may look like one under way; its frame tells. */
KERNEL_TEST(unwind_takes_no_remains_for_a_trap)
{
    uint64_t stack[4 + sizeof(struct trap_frame) / sizeof(uint64_t)];
    memset(stack, 0x93, sizeof stack);
    stack[0] = (uintptr_t)&stack[2];
    stack[1] = (uintptr_t)trap_return;
    struct unwind at = {.address = virt_of((void *)(uintptr_t)unwind_names_the_callers),
                        .is_return = true,
                        .trap = UNWIND_NO_TRAP,
                        .frame_pointer = (uintptr_t)stack,
                        .stack = (uintptr_t)stack};
    EXPECT(!unwind_next(&at) || (at.trap == UNWIND_NO_TRAP && unwind_is_code(at.address)));
}

KERNEL_TEST(unwind_crosses_a_trap)
{
    exception_handler *before = exception_set_handler(EXCEPTION_BREAKPOINT, trace_from_handler);
    unwind_interrupted();
    exception_set_handler(EXCEPTION_BREAKPOINT, before);
    EXPECT(trace_has_prefix("trap_dispatch unwind_interrupted unwind_crosses_a_trap "));
}

__attribute__((noinline)) static uint64_t unwind_stepped(uint64_t value)
{
    volatile uint64_t local[2] = {value, value + 1};
    return local[value % 2] + 1;
}

static unsigned steps_inside; /* instructions of unwind_stepped() that were interrupted */
static unsigned steps_lost;   /* those from which the walk did not find the way back */

static bool trace_step(struct trap_frame *frame)
{
    struct symbol symbol;
    if (symbol_find(virt_addr(frame->rip), &symbol) && strcmp(symbol.name, "unwind_stepped") == 0) {
        trace_names(unwind_frame(frame));
        steps_inside++;
        steps_lost += !trace_has_prefix("unwind_stepped unwind_steps_through_a_function ");
    }
    return true;
}

/* From every instruction of a function, its prologue and return included, the walk finds the caller. */
KERNEL_TEST(unwind_steps_through_a_function)
{
    exception_handler *before = exception_set_handler(EXCEPTION_DEBUG, trace_step);
    bool were_enabled = interrupts_disable();
    steps_inside = steps_lost = 0;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" : : : "memory", "cc");
    uint64_t result = unwind_stepped(3);
    __asm__ volatile("pushfq; andl $~0x100, (%%rsp); popfq" : : : "memory", "cc");
    interrupts_restore(were_enabled);
    exception_set_handler(EXCEPTION_DEBUG, before);
    EXPECT_EQUAL(result, 5);
    EXPECT(steps_inside >= 6);
    EXPECT_EQUAL(steps_lost, 0);
}

static void (*volatile no_function)(void);

static bool trace_and_return(struct trap_frame *frame)
{
    trace_names(unwind_frame(frame));
    frame->rip = *(uint64_t *)(uintptr_t)frame->rsp; /* RET */
    frame->rsp += sizeof(uint64_t);
    return true;
}

KERNEL_TEST(unwind_finds_who_called_a_null_pointer)
{
    exception_handler *before = exception_set_handler(EXCEPTION_PAGE_FAULT, trace_and_return);
    no_function();
    exception_set_handler(EXCEPTION_PAGE_FAULT, before);
    EXPECT(trace_has_prefix("? unwind_finds_who_called_a_null_pointer "));
}

KERNEL_TEST(symbols_find_addresses_and_names)
{
    struct symbol symbol;
    struct source_line source;
    virt_addr_t address;
    virt_addr_t here = virt_of((const void *)(uintptr_t)unwind_outer);
    EXPECT(symbol_find(virt_add(here, 1), &symbol));
    EXPECT(strcmp(symbol.name, "unwind_outer") == 0);
    EXPECT_EQUAL(symbol.start.raw, here.raw);
    EXPECT(symbol_find_line(here, &source));
    EXPECT(strcmp(source.file, "tests/kernel/trap/test_trap.c") == 0);
    EXPECT(source.line > 100 && source.line < 400);
    EXPECT(symbol_find_name("kernel_main+0x10", 11, &address));
    EXPECT(symbol_find(address, &symbol) && strcmp(symbol.name, "kernel_main") == 0);
    EXPECT(!symbol_find_name("kernel_mai", 10, &address));
    EXPECT(!symbol_find(virt_addr(0x1000), &symbol));
    EXPECT(!symbol_find_line(virt_addr(UINT64_MAX), &source));
}

struct visited {
    unsigned count;
    bool in_order;
    char last[64];
};

static void note_name(void *context, const char *name)
{
    struct visited *visited = context;
    visited->count++;
    visited->in_order =
        visited->in_order && strcmp(visited->last, name) <= 0 && strncmp(name, "unwind_", 7) == 0;
    size_t bytes = strnlen(name, sizeof visited->last - 1);
    memcpy(visited->last, name, bytes);
    visited->last[bytes] = '\0';
}

KERNEL_TEST(symbols_complete_in_order)
{
    struct visited visited = {.in_order = true};
    symbol_visit_prefix("unwind_", 7, note_name, &visited);
    EXPECT(visited.count >= 5);
    EXPECT(visited.in_order);
}

static bool do_nothing(struct trap_frame *frame)
{
    (void)frame;
    return true;
}

KERNEL_BENCH(bench_exception, "trap.exception")
{
    exception_handler *before = exception_set_handler(EXCEPTION_BREAKPOINT, do_nothing);
    bench_start(bench);
    for (unsigned i = 0; i < 100; i++) {
        __asm__ volatile("int3" : : : "memory");
    }
    bench_stop(bench, 100);
    exception_set_handler(EXCEPTION_BREAKPOINT, before);
}

static bool skip_byte_read(struct trap_frame *frame)
{
    frame->rip += 2; /* movb (%rax), %al */
    return true;
}

KERNEL_BENCH(bench_page_fault, "trap.page_fault")
{
    exception_handler *before = exception_set_handler(EXCEPTION_PAGE_FAULT, skip_byte_read);
    bench_start(bench);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t address = 0x40;
        __asm__ volatile("movb (%0), %%al" : "+a"(address) : : "memory");
    }
    bench_stop(bench, 100);
    exception_set_handler(EXCEPTION_PAGE_FAULT, before);
}

static void ignore_interrupt(void *context)
{
    (void)context;
}

#define BENCH_VECTOR 0xe2 /* no device's */

KERNEL_BENCH(bench_interrupt, "trap.interrupt")
{
    interrupt_register(BENCH_VECTOR, ignore_interrupt, NULL, "benchmark");
    bench_start(bench);
    for (unsigned i = 0; i < 100; i++) {
        __asm__ volatile("int %0" : : "i"(BENCH_VECTOR) : "memory");
    }
    bench_stop(bench, 100);
    interrupt_unregister(BENCH_VECTOR);
}

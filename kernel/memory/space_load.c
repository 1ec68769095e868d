/* Loading address spaces on a CPU, and touching what is loaded; see <ashlar/vm_kernel.h>. */
#include <ashlar/memory.h>
#include <ashlar/start.h>
#include <ashlar/thread_types.h>
#include <ashlar/vm_kernel.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

struct vm_space *space_load(struct vm_space *space)
{
    START_REQUIRE(START_SPACES);
    preempt_disable();
    struct per_cpu *cpu = per_cpu();
    struct vm_space *before = cpu->space;
    if (space) {
        vm_space_enter(space);
    }
    cpu->space = space;
    tlb_load(space ? &space->own : kernel_page_table());
    preempt_enable();
    if (before) {
        vm_space_leave(before);
    }
    return before;
}

/* The space stays entered for the thread that is left. */
void space_switch(struct thread *from, const struct thread *to)
{
    struct per_cpu *cpu = per_cpu();
    from->space = cpu->space;
    if (cpu->space != to->space) {
        cpu->space = to->space;
        tlb_load(to->space ? &to->space->own : kernel_page_table());
    }
}

/* AC may be set whether the CPU has SMAP or not: in the kernel it means nothing else. */
void user_access_begin(void)
{
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(RFLAGS_ACCESS) : "memory", "cc");
}

void user_access_end(void)
{
    __asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~(int64_t)RFLAGS_ACCESS) : "memory", "cc");
}

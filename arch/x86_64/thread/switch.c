/* From one thread to another; see <x86/thread.h>. */
#include <x86/extended_state.h>
#include <x86/per_cpu.h>
#include <x86/thread.h>
#include <x86/user_mode.h>

#define FLAGS_AT_FIRST 2 /* the bit that is always set */

_Static_assert(sizeof(struct thread_saved) == 64, "arch/x86_64/thread/switch.S pushes this");

void thread_switch_stacks(void **left, void *to);
extern const uint8_t thread_first[];

void thread_prepare(struct thread *thread, void (*begin)(void))
{
    uint64_t top = kernel_stack_top(&thread->stack).raw;
    struct thread_saved *saved = (struct thread_saved *)(top - sizeof *saved);
    *saved = (struct thread_saved){
        .r12 = (uintptr_t)begin, .rflags = FLAGS_AT_FIRST, .rip = (uintptr_t)thread_first};
    thread->stack_pointer = saved;
    thread->trap_stack = top;
}

void thread_switch(struct thread *from, struct thread *to)
{
    struct per_cpu *cpu = per_cpu();
    from->frame = cpu->frame;
    cpu->frame = to->frame;
    from->trap_stack = cpu->tss.rsp0;
    cpu->tss.rsp0 = to->trap_stack;
    extended_state_switch(from->extended, to->extended);
    if (to->extended) {
        user_bases_load(to->fs_base, to->gs_base);
    }
    cpu->thread = to;
    thread_switch_stacks(&from->stack_pointer, to->stack_pointer);
}

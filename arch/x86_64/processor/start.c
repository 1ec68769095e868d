/* The first steps of the boot CPU; see cpu_early_init() of <x86/cpu.h>. */
#include <ashlar/lock.h>
#include <ashlar/stack_protector.h>
#include <ashlar/thread_types.h>
#include <x86/cpu.h>
#include <x86/cpu_stacks.h>
#include <x86/extended_state.h>
#include <x86/user_mode.h>

#include "internal.h"

static struct thread boot_thread; /* told about itself by threads_start() */

struct per_cpu boot_cpu = {.self = &boot_cpu,
                           .preempt_depth = PREEMPT_NO_WISH,
                           .thread = &boot_thread,
                           .timers_lock = IRQ_SPINLOCK_INITIALIZER(LOCK_TIMERS)};

/* The lowest byte stays 0, so that a string that overruns its buffer cannot reproduce the value. */
static uint64_t stack_guard_from(const struct boot_seed *seed)
{
    uint64_t value = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < sizeof seed->bytes; i++) {
        value = (value ^ seed->bytes[i]) * 0x100000001b3ULL;
    }
    return (value ^ value >> 29) << 8;
}

/* Changes the guard, so it must not itself be checked against the old one. */
__attribute__((no_stack_protector)) void cpu_early_init(const struct boot_info *info)
{
    gdt_load(&boot_cpu);
    boot_cpu.began = info->stages[0].ticks;
    cpu_stacks_init(&boot_cpu);
    idt_init();
    cpu_features_find();
    cpu_control_set();
    extended_state_enable();
    system_call_entry_set();
    cpu_stacks_guard();
    __stack_chk_guard = stack_guard_from(&info->seed);
}

/* User mode; see <x86/user_mode.h>. The entry itself is entry.S. */
#include <ashlar/assert.h>
#include <ashlar/platform.h>
#include <stdatomic.h>
#include <x86/cpuid.h>
#include <x86/interrupt.h>
#include <x86/msr.h>
#include <x86/user_mode.h>

/* SYSCALL takes CS from bits 47:32 and SS as that + 8, SYSRET CS from bits 63:48 as that + 16 and SS as that
 * + 8 (SDM volume 3, 5.8.8). */
#define STAR_VALUE ((uint64_t)(SELECTOR_USER_DATA - 8) << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32)

_Static_assert(SELECTOR_KERNEL_DATA == SELECTOR_KERNEL_CODE + 8, "SYSCALL wants it");
_Static_assert(SELECTOR_USER_CODE == SELECTOR_USER_DATA + 8, "SYSRET wants it");

/*
 * Flags that SYSCALL clears: all that mean something to the kernel or change what its instructions do (trap,
 * interrupt, direction, I/O privilege, nested task, resume, alignment check, identification), and those that
 * are results. An AC that stayed set would switch SMAP off.
 */
#define FLAGS_CLEARED 0x257fd5ULL

#define FLAGS_FIXED 0x2

/* Of entry.S. */
extern _Atomic(system_call_handler *) system_call_run;
void system_call_entry(void);
uint64_t user_mode_switch(const struct trap_frame *frame);
_Noreturn void user_mode_switch_back(uint64_t result);

system_call_handler *system_call_set_handler(system_call_handler *handler)
{
    return atomic_exchange(&system_call_run, handler);
}

/* SYSENTER, the other such instruction, has no entry: without a code segment it is a general protection
 * fault (SDM volume 2, SYSENTER). The table of segments has no 32-bit ones, so nor has SYSCALL from there. */
void system_call_entry_set(void)
{
    msr_write(MSR_STAR, STAR_VALUE);
    msr_write(MSR_LSTAR, (uintptr_t)system_call_entry);
    msr_write(MSR_SYSCALL_MASK, FLAGS_CLEARED);
    msr_write(MSR_SYSENTER_CS, 0);
    if (cpu_has(CPU_FEATURE_RDTSCP)) {
        msr_write(MSR_TSC_AUX, cpu_number());
    }
}

/* Traps that were under way when user mode ended are over. */
uint64_t user_mode_run(const struct trap_frame *frame)
{
    bool enabled = interrupts_disable(); /* the frame is this CPU's as long as the thread stays */
    struct trap_frame *outer = per_cpu()->frame;
    interrupts_restore(enabled);
    uint64_t result = user_mode_switch(frame);
    enabled = interrupts_disable();
    per_cpu()->frame = outer;
    interrupts_restore(enabled);
    return result;
}

_Noreturn void user_mode_end(uint64_t result)
{
    user_mode_switch_back(result);
}

struct trap_frame user_mode_frame(uint64_t rip, uint64_t rsp)
{
    return (struct trap_frame){.rip = rip,
                               .cs = SELECTOR_USER_CODE,
                               .rflags = FLAGS_FIXED | RFLAGS_INTERRUPT,
                               .rsp = rsp,
                               .ss = SELECTOR_USER_DATA};
}

/* A base in the upper half would be taken for the kernel's. */
void user_bases_load(uint64_t fs, uint64_t gs)
{
    ASSERT((int64_t)fs >= 0 && (int64_t)gs >= 0);
    msr_write(MSR_FS_BASE, fs);
    msr_write(MSR_KERNEL_GS_BASE, gs);
}

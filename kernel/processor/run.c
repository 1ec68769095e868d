/* A processor from its first moment in the kernel on. */
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/tlb.h>
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/extended_state.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/timer_device.h>
#include <x86/user_mode.h>

#define LOG_SUBSYSTEM "processors"
#include <ashlar/log.h>

#include "internal.h"
#include "kernel/task/task.h"

void processor_refuse(struct processor *processor)
{
    processor->why = "it lacks what the kernel uses";
    atomic_store(&processor->state, PROCESSOR_REFUSED);
}

/* Takes no lock and logs nothing until it is online: from then on it hears what others ask of it. */
_Noreturn void processor_enter(void)
{
    struct processor *processor = processor_listed(cpu_number());
    processor->lacks = cpu_features_lacking();
    processor->microcode = cpu_microcode();
    uint64_t needed = cpu_features_needed() | (apic_is_x2apic() ? 1ULL << CPU_FEATURE_X2APIC : 0);
    if (processor->lacks & needed) {
        processor_refuse(processor);
        cpu_halt_forever();
    }
    cpu_control_set();
    extended_state_enable();
    system_call_entry_set();
    apic_start(); /* before others ask: an APIC that is switched off does not keep what it is sent */
    tlb_cpu_enter();
    timer_device_start();
    atomic_store(&processor->state, PROCESSOR_ONLINE);
    threads_enter();
    interrupts_begin();
    threads_idle();
}

void processor_report(const struct processor *processor)
{
    const struct processor *boot = processor_at(0);
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++) {
        if (processor->lacks >> feature & 1) {
            log_warning("CPU %u lacks %s, which the boot CPU has", processor->number,
                        cpu_feature_name((enum cpu_feature)feature));
        }
    }
    if (processor->why && atomic_load(&processor->state) == PROCESSOR_REFUSED) {
        log_error("CPU %u, APIC %u, is not used: %s", processor->number, processor->apic_id, processor->why);
    }
    if (processor->microcode != 0 && processor->microcode != boot->microcode) {
        log_warning("CPU %u has microcode %#" PRIx64 ", the boot CPU %#" PRIx64, processor->number,
                    processor->microcode, boot->microcode);
    }
    if (processor->ticks_ahead != 0) {
        log_warning("the time-stamp counter of CPU %u is %" PRId64 " ticks ahead: the clock takes that off",
                    processor->number, processor->ticks_ahead);
    }
}

/* The C part of how processors start; see <x86/startup.h> and startup.S. */
#include <ashlar/boot.h>
#include <ashlar/hooks.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <stdatomic.h>
#include <x86/apic.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/startup.h>

/* Of startup.S. */
extern const uint8_t startup_begin[], startup_end[], startup_code_32[], startup_code_64[], startup_gdt[],
    startup_gdt_pointer[], startup_far_32[], startup_far_64[], startup_cr4[], startup_root[], startup_table[],
    startup_entry[];
void startup_arrive(void);

/* Variables of startup.S. */
extern uint64_t startup_kernel_root, startup_physmap;
extern void (*startup_function)(struct startup_cpu *record) __attribute__((noreturn));

_Static_assert(sizeof(struct startup_cpu) == 24 && offsetof(struct startup_cpu, arrived) == 4 &&
                   offsetof(struct startup_cpu, stack_top) == 8 &&
                   offsetof(struct startup_table, x2apic) == 4 && offsetof(struct startup_table, cpus) == 8 &&
                   STARTUP_EXPECTED == 0 && STARTUP_LACKS_NX == 3 && STARTUP_LACKS_LA57 == 4,
               "startup.S knows them");

static void put32(void *page, const uint8_t *at, uint32_t value)
{
    memcpy((uint8_t *)page + (at - startup_begin), &value, sizeof value);
}

void startup_code_write(void *page, const struct startup_places *places)
{
    uint32_t base = (uint32_t)places->frame.raw;
    uint64_t entry = (uintptr_t)startup_arrive;
    memcpy(page, startup_begin, (size_t)(startup_end - startup_begin));
    put32(page, startup_gdt_pointer + 2, base + (uint32_t)(startup_gdt - startup_begin));
    put32(page, startup_far_32, base + (uint32_t)(startup_code_32 - startup_begin));
    put32(page, startup_far_64, base + (uint32_t)(startup_code_64 - startup_begin));
    put32(page, startup_cr4, (uint32_t)(CR4_PAE | (cr4_read() & CR4_LA57)));
    put32(page, startup_root, (uint32_t)places->root.raw);
    put32(page, startup_table, (uint32_t)places->table.raw);
    memcpy((uint8_t *)page + (startup_entry - startup_begin), &entry, sizeof entry);
}

/* Called by startup.S on the processor that starts, on its own stack, with the kernel's tables loaded. */
__attribute__((noreturn)) static void enter(struct startup_cpu *record)
{
    struct per_cpu *cpu = record->cpu;
    uint32_t expected = STARTUP_EXPECTED;
    if (!atomic_compare_exchange_strong(&record->arrived, &expected, STARTUP_ARRIVED)) {
        cpu_halt_forever();
    }
    cpu->began = cpu_ticks();
    gdt_load(cpu);
    idt_load();
    kernel_hooks.processor_enter();
}

void startup_expect(struct startup_table *table, unsigned count, phys_addr_t root)
{
    startup_kernel_root = root.raw;
    startup_physmap = (uintptr_t)physmap_pointer(phys_addr(0));
    startup_function = enter;
    table->x2apic = apic_is_x2apic();
    table->count = count;
    atomic_thread_fence(memory_order_seq_cst);
}

/* Older than AMD's family 15 and Intel's family 6, both of which begin before 64-bit mode: nobody today. */
bool startup_needs_pause(void)
{
    uint32_t signature = cpuid(1, 0).eax;
    uint32_t family = signature >> 8 & 0xf;
    family += family == 0xf ? signature >> 20 & 0xff : 0;
    return family < 6;
}

void per_cpu_prepare(struct per_cpu *cpu, uint32_t number, const virt_addr_t stack_tops[IST_COUNT])
{
    memset(cpu, 0, sizeof *cpu);
    cpu->self = cpu;
    cpu->number = number;
    cpu->preempt_depth = PREEMPT_NO_WISH;
    cpu->timers_lock = (struct irq_spinlock)IRQ_SPINLOCK_INITIALIZER(LOCK_TIMERS);
    cpu->part_offset = (uint64_t)number * CPU_PART_BYTES;
    cpu->page_offset = (uint64_t)number * FRAME_BYTES;
    for (unsigned i = 0; i < IST_COUNT; i++) {
        cpu->tss.ist[i] = stack_tops[i].raw;
    }
}

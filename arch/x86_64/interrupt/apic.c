/*
 * The local APIC. Two ways to its registers: memory (xAPIC) or MSRs (x2APIC). The firmware chose, and we stay
 * with its choice as long as it serves: x2APIC cannot be left without turning the APIC off, and xAPIC is
 * enough for any identifier below 255 (SDM volume 3, 10.12.5 and 10.12.8.1). Where a processor has a larger
 * one, x2APIC is switched on. All CPUs are in the same mode.
 *
 * All state is the CPU's own or written once at start, so there is no lock.
 */
#define LOG_SUBSYSTEM "apic"
#include <ashlar/hooks.h>
#include <ashlar/log.h>
#include <ashlar/mmio.h>
#include <stdatomic.h>
#include <x86/apic.h>
#include <x86/cpuid.h>
#include <x86/interrupt.h>
#include <x86/msr.h>

/* Registers: offset in memory; the MSR is 0x800 + offset / 16 (SDM 10.4.1, table 10-1; 10.12.1.2, table
 * 10-6). */
enum apic_register {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TASK_PRIORITY = 0x80,
    APIC_END_OF_INTERRUPT = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_IN_SERVICE = 0x100, /* 8 registers of 32 vectors */
    APIC_REQUESTED = 0x200,  /* 8 more: accepted, not yet in service */
    APIC_ERROR_STATUS = 0x280,
    APIC_LVT_CMCI = 0x2f0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERFORMANCE = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    APIC_SELF = 0x3f0, /* of x2APIC only */
};

#define MSR_X2APIC       0x800
#define MSR_TSC_DEADLINE 0x6e0

#define APIC_BASE_X2APIC     ((uint64_t)1 << 10)
#define APIC_BASE_ENABLE     ((uint64_t)1 << 11)
#define APIC_BASE_ADDRESS    0x000ffffffffff000ULL
#define APIC_REGISTERS_BYTES 0x400

#define SPURIOUS_ENABLE    (1u << 8)
#define COMMAND_TO_SELF    (1u << 18)
#define COMMAND_INIT       (5u << 8 | COMMAND_ASSERT)
#define COMMAND_STARTUP    (6u << 8 | COMMAND_ASSERT)
#define COMMAND_NMI        (4u << 8 | COMMAND_ASSERT)
#define COMMAND_ASSERT     (1u << 14)
#define COMMAND_PENDING    (1u << 12)
#define PENDING_LOOKS_MAX  1000000 /* far longer than any message takes */
#define LVT_MASKED         (1u << 16)
#define LVT_NMI            (4u << 8)
#define LVT_TIMER_DEADLINE (2u << 17)
#define DIVIDE_BY_1        0xbu

#define CPUID_1_EDX_APIC (1u << 9)

static const struct kva_purpose purpose = KVA_PURPOSE("local APIC registers");
static volatile uint32_t *registers; /* of this CPU's APIC, the same address on each; NULL in x2APIC mode */
static bool available;
static bool x2apic;
static _Atomic(uint64_t) error_status; /* all error bits ever seen */

static uint32_t apic_read(enum apic_register number)
{
    return x2apic ? (uint32_t)msr_read(MSR_X2APIC + number / 16) : registers[number / 4];
}

static void apic_write(enum apic_register number, uint32_t value)
{
    if (x2apic) {
        msr_write(MSR_X2APIC + number / 16, value);
    } else {
        registers[number / 4] = value;
    }
}

static void end_of_interrupt(unsigned vector)
{
    if (vector != VECTOR_SPURIOUS) { /* a spurious interrupt is not in service (SDM 10.9) */
        apic_write(APIC_END_OF_INTERRUPT, 0);
    }
}

static void spurious(void *context)
{
    (void)context; /* the count by vector, which every interrupt has, is all there is to do */
}

static void report_error(void *context)
{
    (void)context;
    apic_write(APIC_ERROR_STATUS, 0); /* latches what has happened since the last write (SDM 10.5.3) */
    uint32_t status = apic_read(APIC_ERROR_STATUS);
    atomic_fetch_or(&error_status, status);
    log_warning_limited("error status 0x%02x", status);
}

/* Brings this CPU's APIC into the mode that all are in: first on, then, if it is wanted, x2APIC (10.12.5). */
static void set_mode(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE);
    if (!(base & APIC_BASE_ENABLE)) {
        base |= APIC_BASE_ENABLE;
        msr_write(MSR_APIC_BASE, base);
    }
    if (x2apic && !(base & APIC_BASE_X2APIC)) {
        msr_write(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    }
}

/* Chooses the mode, turns the APIC on, and finds its registers. */
static bool open_registers(uint32_t largest)
{
    uint64_t base = msr_read(MSR_APIC_BASE);
    x2apic = (base & APIC_BASE_ENABLE) && (base & APIC_BASE_X2APIC);
    x2apic = x2apic || (largest >= XAPIC_IDS && cpu_has(CPU_FEATURE_X2APIC));
    set_mode();
    if (x2apic) {
        return true;
    }
    phys_addr_t address = phys_addr(base & APIC_BASE_ADDRESS);
    registers = kernel_hooks.device_map(address, APIC_REGISTERS_BYTES, PAGE_WRITE, CACHE_UNCACHED, &purpose);
    if (registers == NULL) {
        log_error("registers at %#" PRIx64 " cannot be mapped", address.raw);
    }
    return registers != NULL;
}

/* Entries of the local vector table beyond the first ones exist where the version register says so
 * (SDM 10.4.8). */
static void mask_local_vectors(void)
{
    static const enum apic_register entries[] = {APIC_LVT_TIMER, APIC_LVT_LINT0,       APIC_LVT_LINT1,
                                                 APIC_LVT_ERROR, APIC_LVT_PERFORMANCE, APIC_LVT_THERMAL,
                                                 APIC_LVT_CMCI};
    unsigned count = (apic_read(APIC_VERSION) >> 16 & 0xff) + 1;
    for (unsigned i = 0; i < ARRAY_LENGTH(entries) && i < count; i++) {
        apic_write(entries[i], LVT_MASKED);
    }
}

/* Of one of the sets of 256 bits: 8 registers of 32 vectors, 16 bytes apart. */
static bool has_bit(enum apic_register first, unsigned vector)
{
    return apic_read((enum apic_register)(first + vector / 32 * 16)) >> vector % 32 & 1;
}

/* An interrupt that the firmware left in service would block every one of lower priority for ever. */
static void finish_pending(void)
{
    for (unsigned vector = 0; vector < INTERRUPT_VECTORS; vector++) {
        if (has_bit(APIC_IN_SERVICE, vector)) {
            apic_write(APIC_END_OF_INTERRUPT, 0);
        }
    }
}

/* Everything masked but the NMI, nothing in service. */
static void take_over(void)
{
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    mask_local_vectors();
    finish_pending();
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_LVT_LINT1, LVT_NMI); /* where the MADTs of PCs wire the NMI to */
    apic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_ERROR_STATUS, 0);
}

bool apic_initialise(uint32_t largest)
{
    if (!(cpuid(1, 0).edx & CPUID_1_EDX_APIC) || !open_registers(largest)) {
        log_warning("no local APIC: no timers and no device interrupts");
        return false;
    }
    take_over();
    interrupt_register(VECTOR_SPURIOUS, spurious, NULL, "spurious");
    interrupt_register(VECTOR_APIC_ERROR, report_error, NULL, "APIC error");
    interrupt_set_end(end_of_interrupt);
    available = true;
    log_info("%s mode, identifier %u, version 0x%02x", x2apic ? "x2APIC" : "xAPIC", apic_id(),
             apic_read(APIC_VERSION) & 0xff);
    return true;
}

void apic_start(void)
{
    set_mode();
    take_over();
}

bool apic_available(void)
{
    return available;
}

bool apic_is_x2apic(void)
{
    return x2apic;
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(APIC_ID);
    return x2apic ? id : id >> 24;
}

bool apic_is_pending(unsigned vector)
{
    return has_bit(APIC_REQUESTED, vector) || has_bit(APIC_IN_SERVICE, vector);
}

/* Waits until the last message has left. In x2APIC mode nothing tells, and the write itself has sent it. */
void apic_wait_sent(void)
{
    for (unsigned i = 0; !x2apic && i < PENDING_LOOKS_MAX && (apic_read(APIC_COMMAND) & COMMAND_PENDING);
         i++) {
        __asm__ volatile("pause");
    }
}

/*
 * Sends a command to the APIC `id`. In memory it takes two writes, between which no interrupt handler may
 * send one of its own, and the one before must have left.
 */
static void send(uint32_t id, uint32_t command)
{
    if (x2apic) {
        __asm__ volatile("mfence; lfence" : : : "memory"); /* the MSR's write waits for no store (10.12.3) */
        msr_write(MSR_X2APIC + APIC_COMMAND / 16, (uint64_t)id << 32 | command);
        return;
    }
    bool enabled = interrupts_disable();
    for (unsigned i = 0; i < PENDING_LOOKS_MAX && (registers[APIC_COMMAND / 4] & COMMAND_PENDING); i++) {
        __asm__ volatile("pause");
    }
    registers[APIC_COMMAND_HIGH / 4] = id << 24;
    registers[APIC_COMMAND / 4] = command;
    interrupts_restore(enabled);
}

void apic_send(uint32_t id, unsigned vector)
{
    send(id, COMMAND_ASSERT | vector);
}

void apic_send_nmi(uint32_t id)
{
    send(id, COMMAND_NMI);
}

void apic_send_init(uint32_t id)
{
    send(id, COMMAND_INIT);
}

void apic_send_startup(uint32_t id, phys_addr_t frame)
{
    send(id, COMMAND_STARTUP | (uint32_t)(frame.raw / FRAME_BYTES));
}

void apic_send_self(unsigned vector)
{
    if (x2apic) {
        apic_write(APIC_SELF, vector);
    } else {
        bool enabled = interrupts_disable();
        apic_wait_sent();
        apic_write(APIC_COMMAND, COMMAND_TO_SELF | COMMAND_ASSERT | vector);
        interrupts_restore(enabled);
    }
}

uint64_t apic_error_status(void)
{
    return atomic_load(&error_status);
}

void apic_timer_start(uint32_t count)
{
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_left(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}

void apic_timer_use_deadline(void)
{
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, LVT_TIMER_DEADLINE | VECTOR_TIMER);
    __asm__ volatile("mfence" : : : "memory"); /* between a write to memory and the MSR's (SDM 10.5.4.1) */
}

void apic_timer_deadline(uint64_t ticks)
{
    msr_write(MSR_TSC_DEADLINE, ticks);
}

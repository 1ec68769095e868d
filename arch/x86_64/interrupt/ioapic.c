/*
 * The IO-APICs: device interrupts in, messages to a local APIC out. Each has two registers in memory, an
 * index and a window; the lock keeps the two accesses together. It turns interrupts off, since a handler may
 * mask its own input; nothing is locked or logged under it.
 */
#define LOG_SUBSYSTEM "ioapic"
#include <ashlar/hooks.h>
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <ashlar/mmio.h>
#include <x86/apic.h>

/* Offsets in memory, and indexes behind the window (82093AA data sheet, 3.1 and 3.2). */
#define IOAPIC_INDEX       (0x00 / 4)
#define IOAPIC_WINDOW      (0x10 / 4)
#define IOAPIC_BYTES       0x20
#define IOAPIC_VERSION     0x01
#define IOAPIC_REDIRECTION 0x10 /* two words for each input */

#define REDIRECT_PENDING    (1u << 12) /* read only: there is a message to send still */
#define REDIRECT_ACTIVE_LOW (1u << 13)
#define REDIRECT_LEVEL      (1u << 15)
#define REDIRECT_MASKED     (1u << 16)
#define INPUTS_MAX          240 /* the field allows 256; the data sheet stops here */
#define SEND_TRIES          1000

struct ioapic {
    volatile uint32_t *registers; /* index and window */
    uint32_t base;                /* global number of input 0 */
    uint32_t inputs;              /* how many it has */
};

static const struct kva_purpose purpose = KVA_PURPOSE("IO-APIC registers");
static struct irq_spinlock ioapic_lock = IRQ_SPINLOCK_INITIALIZER(LOCK_IO_APIC);
static struct ioapic ioapics[ACPI_IO_APICS_MAX] GUARDED_BY(ioapic_lock);
static unsigned ioapic_count GUARDED_BY(ioapic_lock);

static uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t index) REQUIRES(ioapic_lock)
{
    ioapic->registers[IOAPIC_INDEX] = index;
    return ioapic->registers[IOAPIC_WINDOW];
}

static void ioapic_write(const struct ioapic *ioapic, uint32_t index, uint32_t value) REQUIRES(ioapic_lock)
{
    ioapic->registers[IOAPIC_INDEX] = index;
    ioapic->registers[IOAPIC_WINDOW] = value;
}

static void write_input(const struct ioapic *ioapic, uint32_t input, uint32_t low, uint32_t high)
    REQUIRES(ioapic_lock)
{
    uint32_t index = IOAPIC_REDIRECTION + 2 * input;
    ioapic_write(ioapic, index, REDIRECT_MASKED); /* never live with half of the old and half of the new */
    ioapic_write(ioapic, index + 1, high);
    ioapic_write(ioapic, index, low);
}

/* Adds an IO-APIC whose registers are mapped, with all inputs masked, unless what it says cannot be true. */
static bool add(struct ioapic *ioapic, uint32_t *version)
{
    irq_spinlock_acquire(&ioapic_lock);
    *version = ioapic_read(ioapic, IOAPIC_VERSION);
    ioapic->inputs = (*version >> 16 & 0xff) + 1;
    bool sound = *version != UINT32_MAX && *version != 0 && ioapic->inputs <= INPUTS_MAX;
    for (uint32_t input = 0; sound && input < ioapic->inputs; input++) {
        write_input(ioapic, input, REDIRECT_MASKED, 0);
    }
    if (sound) {
        ioapics[ioapic_count++] = *ioapic;
    }
    irq_spinlock_release(&ioapic_lock);
    return sound;
}

static bool open_ioapic(const struct acpi_io_apic *from)
{
    uint32_t version;
    struct ioapic ioapic = {.base = from->interrupt_base,
                            .registers = kernel_hooks.device_map(from->address, IOAPIC_BYTES, PAGE_WRITE,
                                                                 CACHE_UNCACHED, &purpose)};
    if (ioapic.registers == NULL) {
        log_error("IO-APIC %u at %#" PRIx64 " cannot be mapped", from->id, from->address.raw);
        return false;
    }
    if (!add(&ioapic, &version)) {
        log_error("IO-APIC %u at %#" PRIx64 ": version register %#x: not there", from->id, from->address.raw,
                  version);
        return false;
    }
    return true;
}

unsigned ioapic_initialise(const struct acpi_madt *madt)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < madt->io_apic_count; i++) {
        count += open_ioapic(&madt->io_apics[i]);
    }
    return count;
}

/* The IO-APIC that has a global interrupt; NULL when none has. */
static const struct ioapic *owner_of(uint32_t interrupt) REQUIRES(ioapic_lock)
{
    for (unsigned i = 0; i < ioapic_count; i++) {
        if (interrupt - ioapics[i].base < ioapics[i].inputs) {
            return &ioapics[i];
        }
    }
    return NULL;
}

bool ioapic_route(const struct acpi_override *interrupt, unsigned vector, uint32_t destination)
{
    irq_spinlock_acquire(&ioapic_lock);
    const struct ioapic *owner = owner_of(interrupt->interrupt);
    bool possible = owner != NULL && destination <= 0xff;
    if (possible) {
        uint32_t low = vector | (interrupt->active_low ? REDIRECT_ACTIVE_LOW : 0) |
                       (interrupt->level_triggered ? REDIRECT_LEVEL : 0);
        write_input(owner, interrupt->interrupt - owner->base, low, destination << 24);
    }
    irq_spinlock_release(&ioapic_lock);
    return possible;
}

/*
 * Masks the input; returns whether its message is still on its way. Reading back also makes the write arrive.
 */
static bool mask_input(const struct acpi_override *interrupt)
{
    bool pending = false;
    irq_spinlock_acquire(&ioapic_lock);
    const struct ioapic *owner = owner_of(interrupt->interrupt);
    if (owner != NULL) {
        uint32_t index = IOAPIC_REDIRECTION + 2 * (interrupt->interrupt - owner->base);
        ioapic_write(owner, index, ioapic_read(owner, index) | REDIRECT_MASKED);
        pending = ioapic_read(owner, index) & REDIRECT_PENDING;
    }
    irq_spinlock_release(&ioapic_lock);
    return pending;
}

void ioapic_mask(const struct acpi_override *interrupt)
{
    for (unsigned i = 0; i < SEND_TRIES && mask_input(interrupt); i++) {
        cpu_relax();
    }
}

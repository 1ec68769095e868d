/* The high-precision event timer's main counter (IA-PC HPET specification 1.0a, 2.3). */
#define LOG_SUBSYSTEM "clock"
#include <ashlar/acpi.h>
#include <ashlar/log.h>
#include <ashlar/mmio.h>

#include "reference.h"

#define HPET_CAPABILITIES  (0x00 / 8)
#define HPET_CONFIGURATION (0x10 / 8)
#define HPET_COUNTER       (0xf0 / 8)
#define HPET_BYTES         0x400

#define HPET_ENABLE             ((uint64_t)1 << 0)
#define HPET_PERIOD_MAX         100000000ULL /* femtoseconds: 10 MHz at least */
#define FEMTOSECONDS_PER_SECOND 1000000000000000ULL

static const struct kva_purpose purpose = KVA_PURPOSE("HPET registers");
static volatile uint64_t *registers;
static struct clock_reference hpet;

static uint64_t read_counter(void)
{
    return *(volatile uint32_t *)&registers[HPET_COUNTER]; /* half of it: one access on any bus */
}

const struct clock_reference *hpet_reference(void)
{
    const struct acpi_hpet *table = &acpi_info()->hpet;
    if (!table->present) {
        return NULL;
    }
    registers = device_map(table->address, HPET_BYTES, PAGE_WRITE, CACHE_UNCACHED, &purpose);
    uint64_t period = registers != NULL ? registers[HPET_CAPABILITIES] >> 32 : 0;
    if (period == 0 || period > HPET_PERIOD_MAX) {
        log_warning("HPET at %#" PRIx64 ": period %" PRIu64 " fs: not used", table->address.raw, period);
        return NULL;
    }
    registers[HPET_CONFIGURATION] |= HPET_ENABLE;
    hpet = (struct clock_reference){
        .name = "hpet", .hertz = FEMTOSECONDS_PER_SECOND / period, .bits = 32, .read = read_counter};
    return &hpet;
}

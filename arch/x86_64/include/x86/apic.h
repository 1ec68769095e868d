/*
 * Interrupt controllers: each CPU's local APIC (SDM volume 3, chapter 10), the IO-APICs that devices are
 * wired to (82093AA data sheet), and the legacy pair of 8259s, which is only silenced.
 */
#pragma once

#include <ashlar/acpi.h>
#include <ashlar/types.h>

/* Vectors. A higher 16-block has the higher priority. */
#define VECTOR_PIC         0x20 /* .. 0x2f: where the 8259s would deliver, were they not masked */
#define VECTOR_DEVICES     0x30 /* from here on they are given out: interrupts_allocate() */
#define VECTOR_DEVICES_END 0xe0 /* the first behind those */
#define VECTOR_TIMER       0xe0
#define VECTOR_WISH        0xfc /* this CPU wishes to look which thread should run: kernel/task/machine.c */
#define VECTOR_MAILBOX     0xfd /* another CPU asks for something: kernel/processor/start.c */
#define VECTOR_APIC_ERROR  0xfe
#define VECTOR_SPURIOUS    0xff

#define XAPIC_IDS 255 /* identifiers from here on need x2APIC mode */

/*
 * Takes over the boot CPU's local APIC and turns it on if it was off. It stays in the mode it is in (xAPIC or
 * x2APIC), unless some CPU has an identifier, of which `largest` is the largest, that needs x2APIC.
 * Afterwards everything but the NMI is masked and no interrupt is in service. Returns false when the CPU has
 * no local APIC, or its registers cannot be mapped.
 */
bool apic_initialise(uint32_t largest);

/* The same for another CPU, on itself. After apic_initialise() has succeeded. */
void apic_start(void);

/* Whether apic_initialise() succeeded, whether it is in x2APIC mode, and this CPU's identifier. */
bool apic_available(void);
bool apic_is_x2apic(void);
uint32_t apic_id(void);

/*
 * Whether this CPU's APIC has accepted an interrupt of `vector` that is not over: the CPU has not taken it
 * yet, or its handler is running.
 */
bool apic_is_pending(unsigned vector);

/*
 * Raises `vector` (32 .. 255), or an NMI, on the CPU whose APIC has the identifier `id`. Any context. What
 * this CPU wrote before is visible to the handler.
 */
void apic_send(uint32_t id, unsigned vector);
void apic_send_nmi(uint32_t id);

/* The two messages that start a CPU (SDM 8.4.4): INIT, and STARTUP with the frame below 1 MiB to begin in. */
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, phys_addr_t frame);

/* Waits until the last message that this CPU has sent is on its way. */
void apic_wait_sent(void);

/* Raises `vector` (32 .. 255) on this CPU, which takes it as soon as interrupts are on. */
void apic_send_self(unsigned vector);

/* All error bits that the local APIC has reported since the start (SDM 10.5.3); 0: none. */
uint64_t apic_error_status(void);

/*
 * The timer: counts down once from `count`, at the rate that arch/x86_64/time/measure.c finds, then raises
 * VECTOR_TIMER. 0 stops it.
 */
void apic_timer_start(uint32_t count);
uint32_t apic_timer_left(void);

/*
 * Switches the timer to time-stamp deadlines (SDM 10.5.4.1), on a CPU with CPU_FEATURE_TSC_DEADLINE. Then
 * apic_timer_deadline() makes it raise VECTOR_TIMER when the time-stamp counter reaches `ticks`; 0 disarms
 * it.
 */
void apic_timer_use_deadline(void);
void apic_timer_deadline(uint64_t ticks);

/* Remaps the 8259s to VECTOR_PIC and masks every input. Harmless where there are none. */
void pic_disable(void);

/* Finds and masks all IO-APICs that the MADT names. Returns how many can be used. */
unsigned ioapic_initialise(const struct acpi_madt *madt);

/*
 * Sends one device interrupt to `vector` of the CPU whose local APIC has the identifier `destination`, and
 * unmasks it. Returns false when no IO-APIC has that input, or `destination` does not fit into 8 bits.
 */
bool ioapic_route(const struct acpi_override *interrupt, unsigned vector, uint32_t destination);

/*
 * Lets it through no more. What the IO-APIC had to send has been sent when this returns: it is at the local
 * APIC, unless that accepts nothing. Nothing happens when no IO-APIC has that input.
 */
void ioapic_mask(const struct acpi_override *interrupt);

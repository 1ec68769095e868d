/*
 * Device interrupts for drivers, and the start of the interrupt controllers. docs/traps.md, "Vectors", tells
 * how they are given out. All of it is called on the boot CPU, which takes the interrupts of all devices;
 * another one that takes vectors or gives any back is refused by a panic. Only cpu_idle() is for any CPU.
 */
#pragma once

#include <ashlar/types.h>

/*
 * Silences the 8259s, takes over the local APIC and masks the IO-APICs. Interrupts stay off. After
 * acpi_initialise(), before clock_initialise(), which measures the local APIC's timer too.
 */
void interrupts_initialise(void);

/*
 * Handles a device's interrupt. Runs with interrupts off, on the stack of whatever was interrupted: it may
 * not allocate, and waits for no lock but an irq_spinlock. It must bear being called when its device has
 * nothing to say. The trap's frame, for those who need it, is per_cpu()->frame.
 */
typedef void interrupt_handler(void *context);

/* Who gets an interrupt. */
struct interrupt_user {
    interrupt_handler *run;
    void *context;    /* handed to it */
    const char *name; /* shown by the `irq` command; lives as long as the kernel */
};

/*
 * Vectors of one CPU that belong to one driver: vector, vector + 1 .. vector + count - 1. A device raises
 * them by a message to the local APIC `destination`, or through an IO-APIC.
 */
struct interrupt_run {
    uint32_t destination; /* identifier of the CPU's local APIC */
    uint8_t vector;       /* the first; a multiple of count */
    uint8_t count;        /* 0: none */
};

/*
 * Gives users[0 .. count - 1] a vector of this CPU each, in one run; count: 1, 2, 4, 8, 16 or 32, as MSI asks
 * for; MSI-X takes as many single ones as it likes. From then on an interrupt of vector + i calls users[i].
 * Returns false, and leaves *run empty, when no such run is free or the CPU has no local APIC.
 * Holding no lock of rank LOCK_VECTORS or later, not in a handler; the caller stays on this CPU meanwhile.
 */
bool interrupts_allocate(const struct interrupt_user users[], unsigned count, struct interrupt_run *run);

/*
 * Takes back what interrupts_allocate() gave, and leaves *run empty. The caller has made the device silent
 * before: masked or disabled its interrupts, and then read one of its registers, so that messages on their
 * way are at the CPU. None of the handlers runs any more when this returns. An interrupt that the CPU has
 * accepted but not taken, since interrupts are off, will find no handler, and its vector gets no other user
 * until then.
 *
 * On the CPU that the run belongs to, as no other can see what its local APIC holds, nor keep it out of the
 * handler; as interrupts_allocate() otherwise.
 */
void interrupts_release(struct interrupt_run *run);

/* Vectors of this CPU that nobody has. */
unsigned interrupts_free_count(void);

/*
 * Delivers a legacy interrupt (0 .. 15) to user->run(user->context) on this CPU. Returns false, and changes
 * nothing, when it is routed already, there is no IO-APIC for it, or no vector is free. As
 * interrupts_allocate().
 */
bool interrupts_route_legacy(uint8_t irq, const struct interrupt_user *user);

/*
 * Undoes interrupts_route_legacy(): masks the IO-APIC's input, then releases the vector. Nothing happens when
 * it is not routed. As interrupts_release(); its handler does not run any more when this returns.
 */
void interrupts_unroute_legacy(uint8_t irq);

/* Starts the devices of the boot CPU, in the order they need each other, and lets interrupts in. */
struct boot_info;
void devices_start(const struct boot_info *info);

/*
 * Rests the CPU until an interrupt. Called with interrupts off, which closes the gap between looking for work
 * and resting: an interrupt that arrives after the look ends the rest at once. Returns with interrupts off.
 * On a machine where no interrupt would ever come it returns after a short pause instead.
 */
void cpu_idle(void);

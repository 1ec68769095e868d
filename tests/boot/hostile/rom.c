/*
 * ROM: RAM behind 0xc0000 that the host bridge of the q35 board lets nobody write to, as firmware does with
 * what it has copied there. Its registers say for each 16 KiB whether reads and writes reach the RAM or the
 * devices, of which none answers there (Intel Q35 datasheet, 5.1.19 to 5.1.25, PAM0 to PAM6). No memory map
 * mentions these addresses.
 */
#include "hostile.h"

#define ROM_BASE       0xc0000
#define PCI_ADDRESS    0xcf8
#define PCI_DATA       0xcfc
#define PCI_ENABLE     0x80000000 /* bus 0, device 0, function 0: the host bridge */
#define PAM_FIRST      0x91       /* of 0xc0000 to 0xc7fff; the next one is of what follows */
#define PAM_LAST       0x92
#define PAM_READ_WRITE 0x33
#define PAM_READ       0x11

static void bridge_write(uint8_t where, uint8_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(PCI_ENABLE | (where & 0xfcU)), "Nd"((uint16_t)PCI_ADDRESS));
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"((uint16_t)(PCI_DATA + (where & 3))));
}

static void set_all(uint8_t value)
{
    for (uint8_t where = PAM_FIRST; where <= PAM_LAST; where++) {
        bridge_write(where, value);
    }
}

uint8_t *rom_open(void)
{
    set_all(PAM_READ_WRITE);
    return (uint8_t *)(uintptr_t)ROM_BASE;
}

void rom_close(void)
{
    volatile uint8_t *first = (uint8_t *)(uintptr_t)ROM_BASE;
    set_all(PAM_READ);
    uint8_t before = *first;
    *first = (uint8_t)~before;
    if (*first != before) {
        say("error: what should be ROM can be written to");
    }
}

/*
 * The pair of 8259 interrupt controllers: moved out of the way of the exceptions and masked. Even masked they
 * can raise a spurious interrupt on their input 7, so their vectors have handlers.
 */
#include <x86/apic.h>
#include <x86/interrupt.h>
#include <x86/port.h>

/* Ports, and initialisation words 1 to 4 (8259A data sheet). */
#define PIC_FIRST_COMMAND  0x20
#define PIC_FIRST_DATA     0x21
#define PIC_SECOND_COMMAND 0xa0
#define PIC_SECOND_DATA    0xa1
#define PIC_BEGIN          0x11 /* word 1: four words, cascaded, edge-triggered */
#define PIC_SECOND_AT_2    0x04 /* word 3 of the first: the second is at input 2 */
#define PIC_I_AM_2         0x02 /* word 3 of the second */
#define PIC_8086           0x01 /* word 4 */
#define PIC_ALL            0xff

static void spurious(void *context)
{
    (void)context; /* counted by vector; a spurious one is not in service, so nothing ends it */
}

void pic_disable(void)
{
    port_write8(PIC_FIRST_COMMAND, PIC_BEGIN);
    port_write8(PIC_SECOND_COMMAND, PIC_BEGIN);
    port_write8(PIC_FIRST_DATA, VECTOR_PIC);
    port_write8(PIC_SECOND_DATA, VECTOR_PIC + 8);
    port_write8(PIC_FIRST_DATA, PIC_SECOND_AT_2);
    port_write8(PIC_SECOND_DATA, PIC_I_AM_2);
    port_write8(PIC_FIRST_DATA, PIC_8086);
    port_write8(PIC_SECOND_DATA, PIC_8086);
    port_write8(PIC_FIRST_DATA, PIC_ALL);
    port_write8(PIC_SECOND_DATA, PIC_ALL);
    interrupt_register(VECTOR_PIC + 7, spurious, NULL, "8259 spurious");
    interrupt_register(VECTOR_PIC + 15, spurious, NULL, "8259 spurious");
}

/*
 * The kernel's serial console: COM1. Once its interrupt is routed, the handler moves received bytes into a
 * ring and the console reads from there; until then, and where it cannot be routed, the console polls the
 * port.
 */
#define LOG_SUBSYSTEM "serial"
#include <ashlar/byte_ring.h>
#include <ashlar/console_input.h>
#include <ashlar/interrupts.h>
#include <ashlar/log.h>
#include <ashlar/serial.h>

#define SERIAL_COM1_INTERRUPT 4
#define BYTES_AT_ONCE_MAX     256 /* a port whose status is stuck does not hold the CPU */

static struct serial_port console_port; /* the console's */
static struct byte_ring received;       /* from the interrupt handler to the console */

bool serial_console_start(void)
{
    if (!serial_init(&console_port, SERIAL_COM1)) {
        log_info("no port at 0x%x", SERIAL_COM1);
        return false;
    }
    console_add_sink(&console_port.sink);
    console_add_input(&console_port.input);
    log_info("16550 at 0x%x, 115200 8N1, %u bytes at once", SERIAL_COM1, console_port.burst);
    return true;
}

static void take_received(void *context)
{
    (void)context;
    uint8_t byte;
    for (unsigned i = 0; i < BYTES_AT_ONCE_MAX && serial_read(&console_port, &byte); i++) {
        byte_ring_put(&received, byte);
    }
    console_input_arrived();
}

static bool read_received(struct console_input *input, uint8_t *byte)
{
    (void)input;
    return byte_ring_take(&received, byte);
}

bool serial_console_use_interrupt(void)
{
    static const struct interrupt_user user = {take_received, NULL, "serial"};
    if (!console_port.alive || !interrupts_route_legacy(SERIAL_COM1_INTERRUPT, &user)) {
        return false;
    }
    console_port.input.read = read_received;
    take_received(NULL); /* bytes that are there already raise no new edge; interrupts are still off */
    serial_interrupt_on_receive(&console_port);
    return true;
}

/*
 * A 16550 serial port (National Semiconductor PC16550D data sheet), polled: 115200 baud, 8 bits, no parity, 1
 * stop bit. No wait is endless: a port that stops taking bytes is given up.
 */
#pragma once

#include <ashlar/console.h>
#include <ashlar/types.h>

#define SERIAL_COM1 0x3f8

struct serial_port {
    struct console_sink sink;   /* for console_add_sink(); '\n' goes out as "\r\n" */
    struct console_input input; /* for console_add_input() */
    uint16_t base;              /* first I/O port */
    uint16_t burst; /* bytes it takes at once when its transmitter is empty: 16 with a FIFO, else 1 */
    bool alive;     /* it is there and has not stopped */
};

/*
 * Looks for a port at I/O address `base` (scratch register, then a byte sent in loopback) and sets it up.
 * Returns false when there is none; `port` can be used all the same, and discards what is written.
 */
bool serial_init(struct serial_port *port, uint16_t base);

/* Sends bytes; gives the port up when it takes none for about a second. */
void serial_write(struct serial_port *port, const char *text, size_t bytes);

/* Takes one received byte if there is one; returns whether there was. */
bool serial_read(struct serial_port *port, uint8_t *byte);

/*
 * The kernel's own port: COM1, if it is there, added to the console's sinks and inputs. Logs it; called once.
 */
bool serial_console_start(void);

/* Makes the port raise its interrupt for every received byte. The handler must read until serial_read()
 * returns false. */
void serial_interrupt_on_receive(struct serial_port *port);

/*
 * Makes an interrupt handler collect what the console's port receives. Returns false when there is no port or
 * its interrupt cannot be routed: then the port is polled, as before. After interrupts_initialise().
 */
bool serial_console_use_interrupt(void);

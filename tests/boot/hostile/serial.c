/* The first serial port, by port input and output, and the end of the machine. */
#include "hostile.h"
#include <ashlar/format.h>
#include <stdarg.h>

#define PORT_COM1          0x3f8
#define LINE_STATUS        5    /* register offset */
#define TRANSMITTER_EMPTY  0x20 /* in the line status */
#define PORT_DEBUG_EXIT    0xf4 /* isa-debug-exit,iobase=0xf4 */
#define TRANSMIT_TRIES_MAX 100000

static inline void port_write(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t port_read(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(char character)
{
    for (unsigned try = 0; try < TRANSMIT_TRIES_MAX; try++) {
        if (port_read(PORT_COM1 + LINE_STATUS) & TRANSMITTER_EMPTY) {
            break;
        }
    }
    port_write(PORT_COM1, (uint8_t)character);
}

/* Prints "hostile: " and one line. It begins on a new line whatever the firmware's console printed before. */
void say(const char *text, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, text);
    format_list(line, sizeof(line), text, arguments);
    va_end(arguments);
    for (const char *at = "\r\nhostile: "; *at; at++) {
        put(*at);
    }
    for (const char *at = line; *at; at++) {
        put(*at);
    }
    put('\r');
    put('\n');
}

/* Ends QEMU with status 2 * value + 1. */
void machine_end(uint8_t value)
{
    port_write(PORT_DEBUG_EXIT, value);
}

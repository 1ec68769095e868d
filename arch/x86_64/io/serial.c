/*
 * The 16550 serial port; see <ashlar/serial.h>. Register numbers and bits: PC16550D data sheet, section 8.
 *
 * Where there is no port, every read gives 0xff (or 0 on some chipsets). So a port counts as present only
 * after a probe, and every wait has a limit on its polls: one poll takes about a microsecond on real
 * hardware.
 */
#include <ashlar/platform.h>
#include <ashlar/serial.h>
#include <x86/port.h>

enum {
    DATA = 0,               /* received and sent bytes; low byte of the divisor while DLAB is set */
    INTERRUPT_ENABLE = 1,   /* high byte of the divisor while DLAB is set */
    FIFO_CONTROL = 2,       /* written */
    INTERRUPT_IDENTITY = 2, /* read */
    LINE_CONTROL = 3,
    MODEM_CONTROL = 4,
    LINE_STATUS = 5,
    SCRATCH = 7,
};

enum {
    FIFO_ON_AND_CLEARED = 0x07,
    IDENTITY_FIFO = 0xc0, /* both bits set: a FIFO that works */
    LINE_8N1 = 0x03,
    LINE_DIVISOR_ACCESS = 0x80,
    MODEM_READY = 0x0b,    /* DTR, RTS, and OUT2, which lets interrupts out of the chip */
    MODEM_LOOPBACK = 0x10, /* the transmitter feeds the receiver */
    INTERRUPT_ON_RECEIVE = 0x01,
    STATUS_RECEIVED = 0x01,
    STATUS_TRANSMITTER_READY = 0x20,
    STATUS_TRANSMITTER_EMPTY = 0x40,
    STATUS_ABSENT = 0xff,
};

enum {
    DIVISOR_115200 = 1,
    FIFO_BYTES = 16,
    DRAIN_POLLS = 20000,    /* 20 ms: what a full FIFO takes at 9600 baud */
    SEND_POLLS = 1000000,   /* about a second */
    LOOPBACK_POLLS = 10000, /* 10 ms; a byte takes 0.1 ms */
    LOOPBACK_BYTE = 0xae,
};

static uint8_t read_register(const struct serial_port *port, uint16_t number)
{
    return port_read8((uint16_t)(port->base + number));
}

static void write_register(const struct serial_port *port, uint16_t number, uint8_t value)
{
    port_write8((uint16_t)(port->base + number), value);
}

/* Waits until a bit of the line status is set; false if `polls` reads did not show it. */
static bool wait_status(const struct serial_port *port, uint8_t bit, uint32_t polls)
{
    for (uint32_t i = 0; i < polls; i++) {
        uint8_t status = read_register(port, LINE_STATUS);
        if ((status & bit) != 0) {
            return status != STATUS_ABSENT;
        }
        cpu_relax();
    }
    return false;
}

static bool scratch_keeps(const struct serial_port *port, uint8_t value)
{
    write_register(port, SCRATCH, value);
    return read_register(port, SCRATCH) == value;
}

static void set_line(const struct serial_port *port)
{
    write_register(port, INTERRUPT_ENABLE, 0);
    write_register(port, LINE_CONTROL, LINE_DIVISOR_ACCESS);
    write_register(port, DATA, DIVISOR_115200);
    write_register(port, INTERRUPT_ENABLE, 0);
    write_register(port, LINE_CONTROL, LINE_8N1);
    write_register(port, FIFO_CONTROL, FIFO_ON_AND_CLEARED);
}

static bool loopback_works(const struct serial_port *port)
{
    write_register(port, MODEM_CONTROL, MODEM_LOOPBACK | MODEM_READY);
    write_register(port, DATA, LOOPBACK_BYTE);
    bool works =
        wait_status(port, STATUS_RECEIVED, LOOPBACK_POLLS) && read_register(port, DATA) == LOOPBACK_BYTE;
    write_register(port, MODEM_CONTROL, MODEM_READY);
    return works;
}

static void sink_write(struct console_sink *sink, const char *text, size_t bytes)
{
    serial_write((struct serial_port *)((char *)sink - offsetof(struct serial_port, sink)), text, bytes);
}

static bool input_read(struct console_input *input, uint8_t *byte)
{
    return serial_read((struct serial_port *)((char *)input - offsetof(struct serial_port, input)), byte);
}

bool serial_init(struct serial_port *port, uint16_t base)
{
    *port = (struct serial_port){
        .sink = {.name = "serial", .write = sink_write},
        .input = {.name = "serial", .read = input_read},
        .base = base,
        .burst = 1,
    };
    if (!scratch_keeps(port, 0x5a) || !scratch_keeps(port, 0xa5)) {
        return false;
    }
    /* What the firmware said last may still be going out. */
    wait_status(port, STATUS_TRANSMITTER_EMPTY, DRAIN_POLLS);
    set_line(port);
    if (!loopback_works(port)) {
        return false;
    }
    if ((read_register(port, INTERRUPT_IDENTITY) & IDENTITY_FIFO) == IDENTITY_FIFO) {
        port->burst = FIFO_BYTES;
    }
    port->alive = true;
    return true;
}

/* Sends one byte; *room is how many more bytes the transmitter takes before its status must be read again. */
static void send(struct serial_port *port, uint8_t byte, uint32_t *room)
{
    if (*room == 0) {
        port->alive = port->alive && wait_status(port, STATUS_TRANSMITTER_READY, SEND_POLLS);
        *room = port->burst;
    }
    if (port->alive) {
        write_register(port, DATA, byte);
        --*room;
    }
}

void serial_write(struct serial_port *port, const char *text, size_t bytes)
{
    uint32_t room = 0;
    for (size_t i = 0; i < bytes && port->alive; i++) {
        if (text[i] == '\n') {
            send(port, '\r', &room);
        }
        send(port, (uint8_t)text[i], &room);
    }
}

bool serial_read(struct serial_port *port, uint8_t *byte)
{
    if (!port->alive) {
        return false;
    }
    uint8_t status = read_register(port, LINE_STATUS);
    if (status == STATUS_ABSENT || (status & STATUS_RECEIVED) == 0) {
        return false;
    }
    *byte = read_register(port, DATA);
    return true;
}

void serial_interrupt_on_receive(struct serial_port *port)
{
    write_register(port, INTERRUPT_ENABLE, INTERRUPT_ON_RECEIVE);
}

/*
 * What is typed, on its way to the monitor. Bytes come from console_read(); those that arrive while a command
 * runs wait in a ring for the next prompt. ctrl-c is seen when it arrives, not when it is read: it stops the
 * command and throws away what was typed before it, as a terminal driver does.
 */
#include <ashlar/clock.h>
#include <ashlar/console.h>
#include <ashlar/console_input.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>

#include "output.h"

#define RING_BYTES 4096
#define CONTROL_C  0x03

static struct {
    uint8_t bytes[RING_BYTES]; /* typed ahead */
    size_t first;              /* place of the oldest */
    size_t count;              /* bytes that wait */
    bool interrupted;          /* the running command should stop */
    bool quit;                 /* because the reader has seen enough */
} input;

static void append(uint8_t byte)
{
    if (input.count < RING_BYTES) {
        input.bytes[(input.first + input.count++) % RING_BYTES] = byte;
    }
}

int monitor_take_byte(void)
{
    if (input.count == 0) {
        return console_read();
    }
    uint8_t byte = input.bytes[input.first];
    input.first = (input.first + 1) % RING_BYTES;
    input.count--;
    return byte;
}

void monitor_unread(const uint8_t *bytes, size_t count)
{
    while (count > 0 && input.count < RING_BYTES) {
        input.first = (input.first + RING_BYTES - 1) % RING_BYTES;
        input.bytes[input.first] = bytes[--count];
        input.count++;
    }
}

void monitor_input_begin(void)
{
    input.interrupted = false;
    input.quit = false;
}

void monitor_quit(void)
{
    input.interrupted = true;
    input.quit = true;
}

bool monitor_was_cut_off(void)
{
    return monitor_interrupted() && !input.quit;
}

bool monitor_interrupted(void)
{
    for (int byte; !input.interrupted && (byte = console_read()) >= 0;) {
        if (byte == CONTROL_C) {
            input.interrupted = true;
            input.count = 0;
        } else {
            append((uint8_t)byte);
        }
    }
    return input.interrupted;
}

bool monitor_input_waits(void)
{
    return !monitor_interrupted() && input.count > 0;
}

/*
 * The pause between two looks for a byte while interrupts are off: an emulator that is polled without a pause
 * gets no time to deliver one. 64 pauses take a few microseconds, less than one byte takes on a serial line
 * at 115200 baud.
 */
static void pause_polling(void)
{
    for (unsigned i = 0; i < 64; i++) {
        cpu_relax();
    }
}

static uint8_t poll_byte(void)
{
    int byte;
    while ((byte = monitor_take_byte()) < 0) {
        pause_polling();
    }
    return (uint8_t)byte;
}

uint8_t monitor_wait_byte(void)
{
    int byte = monitor_take_byte();
    if (byte >= 0) {
        return (uint8_t)byte;
    }
    console_flush();
    if (!interrupts_enabled()) {
        return poll_byte();
    }
    const struct wait_how how = {.deadline = WAIT_FOREVER, .from_outside = true};
    (void)WAIT_UNTIL(&console_readers, (byte = monitor_take_byte()) >= 0, "input", how);
    return (uint8_t)byte;
}

int monitor_wait_byte_for(uint64_t nanoseconds)
{
    uint64_t start = clock_nanoseconds();
    int byte = monitor_take_byte();
    console_flush();
    while (byte < 0 && clock_frequency() > 0 && clock_nanoseconds() - start < nanoseconds) {
        pause_polling();
        byte = monitor_take_byte();
    }
    return byte;
}

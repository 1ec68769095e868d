/* See <x86/i8042.h>. Commands and bits: IBM PS/2 technical reference, keyboard and auxiliary device
 * controller. */
#define LOG_SUBSYSTEM "keyboard"
#include <ashlar/hooks.h>
#include <ashlar/log.h>
#include <x86/i8042.h>
#include <x86/port.h>

#define I8042_DATA    0x60
#define I8042_STATUS  0x64 /* read */
#define I8042_COMMAND 0x64 /* written */

#define STATUS_OUTPUT    0x01 /* a byte can be read */
#define STATUS_INPUT     0x02 /* the controller has not taken the byte written last */
#define STATUS_AUXILIARY 0x20 /* the byte is the mouse's */
#define STATUS_ABSENT    0xff

#define COMMAND_READ_CONFIGURATION  0x20
#define COMMAND_WRITE_CONFIGURATION 0x60
#define COMMAND_DISABLE_AUXILIARY   0xa7
#define COMMAND_SELF_TEST           0xaa
#define COMMAND_TEST_KEYBOARD       0xab
#define COMMAND_DISABLE_KEYBOARD    0xad
#define COMMAND_ENABLE_KEYBOARD     0xae
#define SELF_TEST_PASSED            0x55

#define CONFIGURATION_KEYBOARD_INTERRUPT  0x01
#define CONFIGURATION_AUXILIARY_INTERRUPT 0x02
#define CONFIGURATION_KEYBOARD_OFF        0x10
#define CONFIGURATION_TRANSLATE           0x40

#define KEYBOARD_SELECT_SET  0xf0
#define KEYBOARD_SET_NUMBER  2
#define KEYBOARD_SCAN        0xf4
#define KEYBOARD_STOP        0xf5
#define KEYBOARD_ACKNOWLEDGE 0xfa
#define KEYBOARD_RESEND      0xfe

#define WAIT_NANOSECONDS 25000000 /* a keyboard answers within 20 ms */
#define FLUSH_BYTES_MAX  64
#define SEND_TRIES       3

/* Waits until `bits` of the status are set or clear. */
static bool wait_status(uint8_t bits, bool set)
{
    uint64_t end = kernel_hooks.nanoseconds() + WAIT_NANOSECONDS;
    do {
        uint8_t status = port_read8(I8042_STATUS);
        if (((status & bits) != 0) == set && status != STATUS_ABSENT) {
            return true;
        }
    } while (kernel_hooks.nanoseconds() < end);
    return false;
}

static bool command(uint8_t code)
{
    if (!wait_status(STATUS_INPUT, false)) {
        return false;
    }
    port_write8(I8042_COMMAND, code);
    return true;
}

static bool put_data(uint8_t byte)
{
    if (!wait_status(STATUS_INPUT, false)) {
        return false;
    }
    port_write8(I8042_DATA, byte);
    return true;
}

static bool take_data(uint8_t *byte)
{
    if (!wait_status(STATUS_OUTPUT, true)) {
        return false;
    }
    *byte = port_read8(I8042_DATA);
    return true;
}

static void flush_output(void)
{
    for (unsigned i = 0; i < FLUSH_BYTES_MAX && (port_read8(I8042_STATUS) & STATUS_OUTPUT); i++) {
        port_read8(I8042_DATA);
    }
}

/* A controller command that answers with one byte. */
static bool ask(uint8_t code, uint8_t *answer)
{
    return command(code) && take_data(answer);
}

/* Sends a byte to the keyboard itself until it is acknowledged. */
static bool tell_keyboard(uint8_t byte)
{
    for (unsigned i = 0; i < SEND_TRIES; i++) {
        uint8_t answer;
        if (!put_data(byte) || !take_data(&answer)) {
            return false;
        }
        if (answer == KEYBOARD_ACKNOWLEDGE) {
            return true;
        }
        if (answer != KEYBOARD_RESEND) {
            flush_output(); /* a key pressed just now */
        }
    }
    return false;
}

static bool controller_works(void)
{
    uint8_t answer;
    if (port_read8(I8042_STATUS) == STATUS_ABSENT || !command(COMMAND_DISABLE_KEYBOARD) ||
        !command(COMMAND_DISABLE_AUXILIARY)) {
        return false;
    }
    flush_output();
    if (!ask(COMMAND_SELF_TEST, &answer) || answer != SELF_TEST_PASSED) {
        return false;
    }
    return ask(COMMAND_TEST_KEYBOARD, &answer) && answer == 0;
}

/* Writes the configuration and reads back whether the controller translates. */
static bool configure(uint8_t configuration, bool *translates)
{
    uint8_t got;
    if (!command(COMMAND_WRITE_CONFIGURATION) || !put_data(configuration) ||
        !ask(COMMAND_READ_CONFIGURATION, &got)) {
        return false;
    }
    *translates = got & CONFIGURATION_TRANSLATE;
    return true;
}

bool i8042_initialise(bool *translates)
{
    uint8_t configuration;
    if (!controller_works() || !ask(COMMAND_READ_CONFIGURATION, &configuration)) {
        return false;
    }
    configuration |= CONFIGURATION_TRANSLATE;
    configuration &= (uint8_t) ~(CONFIGURATION_KEYBOARD_INTERRUPT | CONFIGURATION_AUXILIARY_INTERRUPT |
                                 CONFIGURATION_KEYBOARD_OFF);
    if (!configure(configuration, translates) || !command(COMMAND_ENABLE_KEYBOARD)) {
        return false;
    }
    if (!tell_keyboard(KEYBOARD_STOP) || !tell_keyboard(KEYBOARD_SELECT_SET) ||
        !tell_keyboard(KEYBOARD_SET_NUMBER) || !tell_keyboard(KEYBOARD_SCAN)) {
        log_info("a keyboard controller, but no keyboard answers");
        return false;
    }
    return configure(configuration | CONFIGURATION_KEYBOARD_INTERRUPT, translates);
}

bool i8042_take(uint8_t *code)
{
    for (unsigned i = 0; i < FLUSH_BYTES_MAX; i++) {
        uint8_t status = port_read8(I8042_STATUS);
        if (status == STATUS_ABSENT || !(status & STATUS_OUTPUT)) {
            return false;
        }
        *code = port_read8(I8042_DATA);
        if (!(status & STATUS_AUXILIARY)) {
            return true;
        }
    }
    return false;
}

void i8042_pulse_reset(void)
{
    command(0xfe); /* pulses output line 0, which is wired to the CPU's reset */
}

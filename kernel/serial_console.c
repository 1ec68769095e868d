/* The kernel's serial console: COM1. */
#define LOG_SUBSYSTEM "serial"
#include <ashlar/log.h>
#include <ashlar/serial.h>

static struct serial_port console_port; /* the console's */

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

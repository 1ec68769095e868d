/* The consoles the kernel owns: the first serial port and the screen. */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/console.h>
#include <ashlar/log.h>
#include <ashlar/screen.h>
#include <ashlar/serial.h>
#include <ashlar/string.h>

#include "kernel/kernel.h"

/* Whether the command line leaves the console `name` on: console=serial, screen or both, which is the
 * default. */
static bool is_wanted(const char *name)
{
    char wish[8];
    bool said = command_line_get(boot_command_line(), "console", wish, sizeof wish);
    return !said || strcmp(wish, "both") == 0 || strcmp(wish, name) == 0;
}

static void level_from_command_line(void)
{
    char wish[8] = "";
    enum log_level level;
    if (command_line_get(boot_command_line(), "log", wish, sizeof wish) && log_level_parse(wish, &level)) {
        log_set_console_level(level);
    }
}

/* Serial first, so that whatever goes wrong afterwards can be reported there. */
void consoles_start(void)
{
    level_from_command_line();
    if (is_wanted("serial")) {
        serial_console_start();
    }
    if (is_wanted("screen")) {
        screen_console_start(boot_info());
    }
}

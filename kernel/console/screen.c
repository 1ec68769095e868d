/* The kernel's screen, with the fonts in its image (arch/x86_64/io/fonts.S). */
#define LOG_SUBSYSTEM "screen"
#include <ashlar/log.h>
#include <ashlar/screen.h>

extern const uint8_t ashlar_font_small[];
extern const uint8_t ashlar_font_small_end[];
extern const uint8_t ashlar_font_medium[];
extern const uint8_t ashlar_font_medium_end[];
extern const uint8_t ashlar_font_large[];
extern const uint8_t ashlar_font_large_end[];

static struct screen console_screen; /* the console's */

bool screen_console_start(const struct boot_framebuffer *framebuffer)
{
    const struct screen_font_file files[] = {
        {ashlar_font_small, (size_t)(ashlar_font_small_end - ashlar_font_small)},
        {ashlar_font_medium, (size_t)(ashlar_font_medium_end - ashlar_font_medium)},
        {ashlar_font_large, (size_t)(ashlar_font_large_end - ashlar_font_large)},
    };
    const char *error = screen_open(&console_screen, framebuffer, files, ARRAY_LENGTH(files));
    if (error) {
        log_info("none used: %s (%u x %u pixels of %u bytes)", error, framebuffer->width, framebuffer->height,
                 framebuffer->bytes_per_pixel);
        return false;
    }
    console_add_sink(&console_screen.sink);
    log_info("%u x %u pixels, %u x %u characters of %u x %u", framebuffer->width, framebuffer->height,
             console_screen.terminal.columns, console_screen.terminal.rows, console_screen.font.width,
             console_screen.font.height);
    return true;
}

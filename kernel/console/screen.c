/* The kernel's screen, with the font and the memory that the loader handed over. */
#define LOG_SUBSYSTEM "screen"
#include <ashlar/boot.h>
#include <ashlar/log.h>
#include <ashlar/screen.h>

static struct screen console_screen; /* the console's */

/* Opens the screen; returns NULL, or why it cannot. */
static const char *open_handed_over(const struct boot_framebuffer *framebuffer,
                                    const struct boot_screen *from)
{
    struct screen_memory memory = {.font_bytes = from->font_bytes, .cell_bytes = from->cell_bytes};
    if (from->font_bytes != 0) {
        if (!boot_info_holds(from->font, from->font_bytes) ||
            !boot_info_holds(from->cells, from->cell_bytes) || !is_aligned(from->cells.raw, FRAME_BYTES)) {
            return "its font or cells lie in memory that is not the loader's";
        }
        memory.font = physmap_pointer(from->font);
        memory.cells = physmap_pointer(from->cells);
    }
    return screen_open(&console_screen, framebuffer, &memory);
}

bool screen_console_start(const struct boot_info *info)
{
    const struct boot_framebuffer *framebuffer = &info->framebuffer;
    const char *error = open_handed_over(framebuffer, &info->screen);
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

/* The fonts in the kernel image (arch/x86_64/fonts.S), and the screen made with them. */
#include <ashlar/screen.h>

extern const uint8_t ashlar_font_small[];
extern const uint8_t ashlar_font_small_end[];
extern const uint8_t ashlar_font_medium[];
extern const uint8_t ashlar_font_medium_end[];
extern const uint8_t ashlar_font_large[];
extern const uint8_t ashlar_font_large_end[];

const char *screen_init(struct screen *screen, const struct boot_framebuffer *framebuffer)
{
    const struct screen_font_file files[] = {
        {ashlar_font_small, (size_t)(ashlar_font_small_end - ashlar_font_small)},
        {ashlar_font_medium, (size_t)(ashlar_font_medium_end - ashlar_font_medium)},
        {ashlar_font_large, (size_t)(ashlar_font_large_end - ashlar_font_large)},
    };
    return screen_open(screen, framebuffer, files, ARRAY_LENGTH(files));
}

/* Random bytes to the framebuffer console: every pixel must be what the model says, and no other byte
 * touched. */
#include "tests/host/lib/screen_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct font_model font;
    static struct terminal_model model;
    static struct screen screen;
    if (size < 4) {
        return 0;
    }
    font_model_make(&font, 1 + data[0] % 20, 4);
    uint32_t columns = 1 + data[1] % 24;
    uint32_t rows = 1 + data[2] % 6;
    struct boot_framebuffer framebuffer =
        screen_model_framebuffer(columns * font.width + data[3] / 64 % font.width,
                                 rows * font.height + data[3] % 3, data[3] % 13, data[3] / 16);
    uint64_t cell_bytes = screen_cell_bytes((struct screen_grid){columns, rows});
    struct screen_memory memory = {font.file, font.bytes, malloc(cell_bytes), cell_bytes};
    if (screen_open(&screen, &framebuffer, &memory)) {
        abort();
    }
    terminal_model_init(&model, &font, (int)columns, (int)rows);
    for (size_t from = 4; from < size; from += 16) {
        size_t count = min_u64(size - from, 16);
        screen_write(&screen, (const char *)data + from, count);
        terminal_model_write(&model, data + from, count);
        if (data[from] % 4 == 0) {
            screen_flush(&screen);
        }
    }
    screen_flush(&screen);
    if (!screen_model_matches(&model, &framebuffer)) {
        abort();
    }
    free(virt_pointer(framebuffer.virtual_base));
    free(memory.cells);
    return 0;
}

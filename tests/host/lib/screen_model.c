#include "screen_model.h"

#include <stdlib.h>
#include <string.h>

static uint32_t screen_model_channel(struct boot_channel channel, uint32_t level)
{
    uint64_t most = ((uint64_t)1 << channel.bits) - 1;
    uint64_t rounded = (2 * (uint64_t)level * most + 255) / 510;
    return (uint32_t)(rounded << channel.shift);
}

static uint32_t screen_model_colour(const struct boot_framebuffer *framebuffer, int number)
{
    static const int vga[8] = {0x000000, 0xaa0000, 0x00aa00, 0xaa5500,
                               0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa};
    static const int steps[6] = {0, 95, 135, 175, 215, 255};
    int colour;
    if (number < 8) {
        colour = vga[number];
    } else if (number < 16) {
        colour = 0x555555 + (number & 1) * 0xaa0000 + (number >> 1 & 1) * 0xaa00 + (number >> 2 & 1) * 0xaa;
    } else if (number < 232) {
        colour =
            steps[(number - 16) / 36] << 16 | steps[(number - 16) / 6 % 6] << 8 | steps[(number - 16) % 6];
    } else {
        colour = (8 + 10 * (number - 232)) * 0x10101;
    }
    return screen_model_channel(framebuffer->red, (uint32_t)colour >> 16) |
           screen_model_channel(framebuffer->green, (uint32_t)colour >> 8 & 255) |
           screen_model_channel(framebuffer->blue, (uint32_t)colour & 255);
}

/* The pixel that should be at (x, y). */
static uint32_t screen_model_expected(const struct terminal_model *model,
                                      const struct boot_framebuffer *framebuffer, uint32_t x, uint32_t y)
{
    int column = (int)(x / model->font->width);
    int row = (int)(y / model->font->height);
    if (column >= model->columns || row >= model->rows) {
        return screen_model_colour(framebuffer, 0);
    }
    struct terminal_model_cell cell = model->cells[row][column];
    bool ink = font_model_pixel(model->font, cell.glyph, x % model->font->width, y % model->font->height);
    bool cursor = column == model->column && row == model->row;
    return screen_model_colour(framebuffer, ink != cursor ? cell.foreground : cell.background);
}

bool screen_model_matches(const struct terminal_model *model, const struct boot_framebuffer *framebuffer)
{
    const uint8_t *bytes = virt_pointer(framebuffer->virtual_base);
    size_t line_bytes = (size_t)framebuffer->width * framebuffer->bytes_per_pixel;
    for (uint32_t y = 0; y < framebuffer->height; y++) {
        const uint8_t *line = bytes + (size_t)y * framebuffer->pitch;
        for (uint32_t x = 0; x < framebuffer->width; x++) {
            uint32_t pixel = 0;
            memcpy(&pixel, line + (size_t)x * framebuffer->bytes_per_pixel, framebuffer->bytes_per_pixel);
            if (pixel != screen_model_expected(model, framebuffer, x, y)) {
                return false;
            }
        }
        size_t gap_end = (size_t)y * framebuffer->pitch + framebuffer->pitch;
        for (size_t i = (size_t)y * framebuffer->pitch + line_bytes; i < gap_end && i < framebuffer->bytes;
             i++) {
            if (bytes[i] != 0xa5) {
                return false;
            }
        }
    }
    return true;
}

struct boot_framebuffer screen_model_framebuffer(uint32_t width, uint32_t height, uint32_t gap_bytes,
                                                 int format)
{
    static const struct {
        uint32_t bytes;
        struct boot_channel red, green, blue;
    } formats[] = {
        {4, {16, 8}, {8, 8}, {0, 8}}, {4, {0, 8}, {8, 8}, {16, 8}}, {4, {20, 10}, {10, 10}, {0, 10}},
        {3, {16, 8}, {8, 8}, {0, 8}}, {2, {11, 5}, {5, 6}, {0, 5}}, {2, {10, 5}, {5, 5}, {0, 5}},
    };
    struct boot_framebuffer framebuffer = {.width = width, .height = height};
    format %= (int)ARRAY_LENGTH(formats);
    framebuffer.bytes_per_pixel = formats[format].bytes;
    framebuffer.red = formats[format].red;
    framebuffer.green = formats[format].green;
    framebuffer.blue = formats[format].blue;
    framebuffer.pitch = width * framebuffer.bytes_per_pixel + gap_bytes;
    framebuffer.bytes =
        (uint64_t)framebuffer.pitch * (height - 1) + (uint64_t)width * framebuffer.bytes_per_pixel;
    framebuffer.virtual_base = virt_of(malloc(framebuffer.bytes));
    memset(virt_pointer(framebuffer.virtual_base), 0xa5, framebuffer.bytes);
    return framebuffer;
}

/*
 * What the kernel needs to show text in the framebuffer: a font and memory for the cells. The kernel would
 * have to carry every font, and room for the largest screen there may be, for as long as it runs; the loader,
 * whose memory is given back, hands over what this screen needs.
 */
#include <ashlar/memory_type.h>
#include <ashlar/screen_grid.h>
#include <ashlar/string.h>

#include "loader.h"
#include "message.h"

extern const uint8_t font_small[];
extern const uint8_t font_small_end[];
extern const uint8_t font_medium[];
extern const uint8_t font_medium_end[];
extern const uint8_t font_large[];
extern const uint8_t font_large_end[];

/* Whether some of [first, end) is RAM. */
static bool touches_ram(const struct loader *loader, uint64_t first, uint64_t end)
{
    bool touches = false;
    for (size_t i = 0; i < loader->range_count && !touches; i++) {
        const struct memory_range *range = &loader->ranges[i];
        touches = memory_type_is_ram(range->type) && range->base.raw < end &&
                  first < range->base.raw + range->bytes;
    }
    return touches;
}

/* What is drawn into RAM would be somebody's memory, which the physmap has cached in another way besides. */
static bool lies_in_ram(const struct loader *loader, const struct boot_framebuffer *video)
{
    uint64_t first = align_down(video->physical_base.raw, FRAME_BYTES);
    uint64_t end = align_up(video->physical_base.raw + video->bytes, FRAME_BYTES);
    if (!touches_ram(loader, first, end)) {
        return false;
    }
    message_warning("the firmware's framebuffer at %#" PRIx64 ", %" PRIu64
                    " bytes, lies in RAM: it is not used",
                    video->physical_base.raw, video->bytes);
    return true;
}

/* Allocates memory for the cells and the font behind them. */
static bool hand_over(struct loader *loader, const struct screen_font_file *font, struct screen_grid grid)
{
    struct boot_screen *out = &loader->info->screen;
    uint64_t cell_bytes = screen_cell_bytes(grid);
    phys_addr_t base;
    if (!loader_allocate(loader, cell_bytes + font->bytes, MEMORY_BOOT_INFO, 0, "the screen", &base)) {
        message_warning("no memory for the screen (%" PRIu64 " bytes): it is not used",
                        cell_bytes + font->bytes);
        return false;
    }
    *out = (struct boot_screen){
        .cells = base,
        .cell_bytes = cell_bytes,
        .font = phys_add(base, cell_bytes),
        .font_bytes = font->bytes,
    };
    memcpy((void *)(uintptr_t)out->font.raw, font->data, font->bytes);
    return true;
}

void screen_prepare(struct loader *loader)
{
    const struct screen_font_file files[] = {
        {font_small, (size_t)(font_small_end - font_small)},
        {font_medium, (size_t)(font_medium_end - font_medium)},
        {font_large, (size_t)(font_large_end - font_large)},
    };
    struct boot_framebuffer *video = &loader->info->framebuffer;
    struct screen_grid grid;
    if (video->bytes == 0) {
        return;
    }
    const struct screen_font_file *font = screen_choose_font(video, files, ARRAY_LENGTH(files), &grid);
    if (lies_in_ram(loader, video) || (font && !hand_over(loader, font, grid))) {
        *video = (struct boot_framebuffer){0};
    }
}

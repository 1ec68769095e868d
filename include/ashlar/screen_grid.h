/*
 * How text fits a framebuffer: the columns and rows it has with a font, the memory these take, and the font
 * that suits it. The loader chooses the font and allocates the memory, the kernel's screen
 * (<ashlar/screen.h>) uses both, and both go by these rules. No state, no locks.
 */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/terminal.h>
#include <ashlar/types.h>

/*
 * Cells a screen has at most: 3840 x 2160 pixels are 240 x 67 cells of the 16 x 32 font, 5120 x 2880 are 320
 * x 90. A larger screen shows text in its upper left part only.
 */
#define SCREEN_CELLS_MAX   16384
#define SCREEN_COLUMNS_MAX 512

/* The cells of a screen. */
struct screen_grid {
    uint32_t columns; /* cells in a row, 1 .. SCREEN_COLUMNS_MAX */
    uint32_t rows;    /* rows, 1 .. TERMINAL_ROWS_MAX */
};

/* A font file in memory. */
struct screen_font_file {
    const void *data; /* first byte */
    size_t bytes;     /* length */
};

/*
 * Stores the columns and rows that a framebuffer has with a font of this size in pixels, neither of them 0.
 * Returns false when there is not one of each; then *grid is as it was.
 */
bool screen_grid_of(const struct boot_framebuffer *framebuffer, uint32_t font_width, uint32_t font_height,
                    struct screen_grid *grid);

/*
 * The one of the files whose font suits the framebuffer best: the largest that leaves 128 columns and 40
 * rows, else the smallest. Stores the columns and rows with it. Returns NULL when none fits; files that are
 * not valid fonts are skipped.
 */
const struct screen_font_file *screen_choose_font(const struct boot_framebuffer *framebuffer,
                                                  const struct screen_font_file *files, size_t file_count,
                                                  struct screen_grid *grid);

/* Bytes of the memory that a screen needs for its cells: what should be shown, and what is shown. */
static inline uint64_t screen_cell_bytes(struct screen_grid grid)
{
    return 2 * (uint64_t)grid.columns * grid.rows * sizeof(struct terminal_cell);
}

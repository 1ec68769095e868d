/*
 * The framebuffer console: a terminal drawn into the firmware's framebuffer.
 *
 * Text is written to cells in ordinary memory; pixels are drawn later, all at once, and only where the cells
 * differ from what is on the screen (a copy of that is kept too, because reading video memory is slow). So
 * printing two hundred lines costs about one redraw of the screen. console_flush() redraws; so does a write
 * that comes SCREEN_FLUSH_TICKS or more after the last redraw. No locks: the console has one.
 */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/console.h>
#include <ashlar/psf.h>
#include <ashlar/terminal.h>
#include <ashlar/types.h>

/*
 * Cells a screen has at most: 3840 x 2160 pixels are 240 x 67 cells of the 16 x 32 font, 5120 x 2880 are 320
 * x 90. A larger screen shows text in its upper left part only.
 */
#define SCREEN_CELLS_MAX   16384
#define SCREEN_COLUMNS_MAX 512

/* Some 20 ms on today's CPUs: more frequent redraws could not be seen, and would slow down the start. */
#define SCREEN_FLUSH_TICKS ((uint64_t)50000000)

/* A font file in memory. */
struct screen_font_file {
    const void *data; /* first byte */
    size_t bytes;     /* length */
};

struct screen {
    struct console_sink sink;                     /* for console_add_sink() */
    struct boot_framebuffer framebuffer;          /* where the pixels go */
    struct psf_font font;                         /* the one in use */
    struct terminal terminal;                     /* what should be shown */
    uint64_t flushed_at;                          /* cpu_ticks() of the last redraw */
    uint32_t cursor_row;                          /* where the cursor is drawn */
    uint32_t palette[256];                        /* pixel value of each colour */
    uint8_t expanded_foreground;                  /* colours `expanded` was made for */
    uint8_t expanded_background;                  /* ... */
    bool expanded_valid;                          /* it was made */
    uint64_t expanded[16][2];                     /* by four bits of a bitmap: their four 32-bit pixels */
    struct terminal_cell cells[SCREEN_CELLS_MAX]; /* what should be shown */
    struct terminal_cell shown[SCREEN_CELLS_MAX]; /* what is on the screen, row after row */
};

/*
 * Makes a screen on `framebuffer`, with the font of `files` that suits it best (the largest that leaves 128
 * columns and 40 rows, else the smallest), and clears it. Returns NULL, or why it cannot: no framebuffer, one
 * that is described inconsistently, no usable font; then nothing was drawn.
 */
const char *screen_open(struct screen *screen, const struct boot_framebuffer *framebuffer,
                        const struct screen_font_file *files, size_t file_count);

/*
 * The kernel's own screen: opens it with the fonts in the kernel image and adds it to the console. Logs what
 * it found, or why there is none, and returns whether there is one. Called once.
 */
bool screen_console_start(const struct boot_framebuffer *framebuffer);

/* Takes text; draws when the last redraw is SCREEN_FLUSH_TICKS ago. */
void screen_write(struct screen *screen, const char *text, size_t bytes);

/* Draws all that changed, and the cursor. */
void screen_flush(struct screen *screen);

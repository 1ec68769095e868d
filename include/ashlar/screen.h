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
#include <ashlar/screen_grid.h>
#include <ashlar/terminal.h>
#include <ashlar/types.h>

/* Some 20 ms on today's CPUs: more frequent redraws could not be seen, and would slow down the start. */
#define SCREEN_FLUSH_TICKS ((uint64_t)50000000)

/* Memory that a screen uses, for as long as it is used. */
struct screen_memory {
    const void *font;            /* first byte of a PC screen font file */
    size_t font_bytes;           /* length; 0 when there is no font */
    struct terminal_cell *cells; /* screen_cell_bytes() or more, whatever is in them */
    uint64_t cell_bytes;         /* length */
};

struct screen {
    struct console_sink sink;            /* for console_add_sink() */
    struct boot_framebuffer framebuffer; /* where the pixels go */
    struct psf_font font;                /* the one in use */
    struct terminal terminal;            /* what should be shown */
    uint64_t flushed_at;                 /* cpu_ticks() of the last redraw */
    uint32_t cursor_row;                 /* where the cursor is drawn */
    uint32_t palette[256];               /* pixel value of each colour */
    uint8_t expanded_foreground;         /* colours `expanded` was made for */
    uint8_t expanded_background;         /* ... */
    bool expanded_valid;                 /* it was made */
    uint64_t expanded[16][2];            /* by four bits of a bitmap: their four 32-bit pixels */
    struct terminal_cell *cells;         /* what should be shown */
    struct terminal_cell *shown;         /* what is on the screen, row after row */
};

/*
 * Makes a screen on `framebuffer`, with the font and the cells of `memory`, and clears it. Trusts neither:
 * returns NULL, or why it cannot: no framebuffer, one that is described inconsistently, no font that is valid
 * and fits, too few cells; then nothing was drawn.
 */
const char *screen_open(struct screen *screen, const struct boot_framebuffer *framebuffer,
                        const struct screen_memory *memory);

/*
 * The kernel's own screen: opens it with the framebuffer, the font and the cells that the loader handed over,
 * and adds it to the console. Logs what it found, or why there is none, and returns whether there is one.
 * Called once.
 */
bool screen_console_start(const struct boot_info *info);

/* Takes text; draws when the last redraw is SCREEN_FLUSH_TICKS ago. */
void screen_write(struct screen *screen, const char *text, size_t bytes);

/* Draws all that changed, and the cursor. */
void screen_flush(struct screen *screen);

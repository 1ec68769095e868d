/*
 * The framebuffer console; see <ashlar/screen.h>.
 *
 * A redraw goes through the rows the terminal marked, finds runs of cells of equal colours that differ from
 * what is shown, and draws each run one line of pixels after the other: ascending addresses, so that a CPU's
 * write-combining buffers fill up and leave as whole bursts. With pixels of 32 bits four bits of a bitmap
 * become two stores, from a table made for the run's colours; other formats are drawn pixel by pixel.
 *
 * The cursor is shown by exchanging the two colours of its cell while the screen is redrawn.
 */
#include <ashlar/platform.h>
#include <ashlar/screen.h>
#include <ashlar/string.h>

/* ---- Colours ---- */

/* The sixteen colours of the VGA text mode, as 0xRRGGBB. */
static const uint32_t base_colours[16] = {
    0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa,
    0x555555, 0xff5555, 0x55ff55, 0xffff55, 0x5555ff, 0xff55ff, 0x55ffff, 0xffffff,
};

/* The 256-colour palette that terminals agree on: 16 base colours, a 6 x 6 x 6 cube, 24 greys. */
static uint32_t palette_colour(uint32_t number)
{
    static const uint8_t steps[6] = {0, 95, 135, 175, 215, 255};
    if (number < 16) {
        return base_colours[number];
    }
    if (number < 232) {
        uint32_t cube = number - 16;
        return (uint32_t)steps[cube / 36] << 16 | (uint32_t)steps[cube / 6 % 6] << 8 | steps[cube % 6];
    }
    return (8 + (number - 232) * 10) * 0x010101U;
}

static uint32_t channel_bits(struct boot_channel channel, uint32_t level)
{
    uint64_t most = ((uint64_t)1 << channel.bits) - 1;
    return (uint32_t)((level * most + 127) / 255 << channel.shift);
}

static void make_palette(struct screen *screen)
{
    const struct boot_framebuffer *framebuffer = &screen->framebuffer;
    for (uint32_t number = 0; number < ARRAY_LENGTH(screen->palette); number++) {
        uint32_t colour = palette_colour(number);
        screen->palette[number] = channel_bits(framebuffer->red, colour >> 16 & 0xff) |
                                  channel_bits(framebuffer->green, colour >> 8 & 0xff) |
                                  channel_bits(framebuffer->blue, colour & 0xff);
    }
}

/* ---- Pixels ---- */

static inline void store64(uint8_t *to, uint64_t value)
{
    __builtin_memcpy(to, &value, sizeof value); /* one store, aligned or not */
}

static uint8_t *pixel_at(const struct screen *screen, uint32_t x, uint32_t y)
{
    const struct boot_framebuffer *framebuffer = &screen->framebuffer;
    uint8_t *first = virt_pointer(framebuffer->virtual_base);
    return first + (size_t)y * framebuffer->pitch + (size_t)x * framebuffer->bytes_per_pixel;
}

static uint8_t *store_pixel(uint8_t *to, uint32_t pixel, uint32_t bytes_per_pixel)
{
    for (uint32_t i = 0; i < bytes_per_pixel; i++) {
        to[i] = (uint8_t)(pixel >> (8 * i));
    }
    return to + bytes_per_pixel;
}

/* One line of pixels in one colour. */
static void fill_line(const struct screen *screen, uint8_t *to, uint32_t pixels, uint32_t pixel)
{
    uint32_t bytes_per_pixel = screen->framebuffer.bytes_per_pixel;
    if (bytes_per_pixel == 4) {
        uint64_t pair = (uint64_t)pixel << 32 | pixel;
        uint64_t count = pixels / 2;
        if (pixels % 2 != 0) {
            __builtin_memcpy(to + count * 8, &pixel, sizeof pixel);
        }
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(pair) : "memory");
        return;
    }
    for (uint32_t i = 0; i < pixels; i++) {
        to = store_pixel(to, pixel, bytes_per_pixel);
    }
}

/* A line of a glyph, its leftmost pixel in bit 31. */
static inline uint32_t glyph_line(const uint8_t *line, uint32_t bytes_per_row)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < bytes_per_row; i++) {
        bits |= (uint32_t)line[i] << (24 - 8 * i);
    }
    return bits;
}

/* ---- Runs of cells ---- */

/* Cells of one row and of equal colours. */
struct run {
    const struct terminal_cell *cells; /* first cell */
    uint32_t column;                   /* where it stands */
    uint32_t row;                      /* ... */
    uint32_t count;                    /* cells */
};

static void expand_colours(struct screen *screen, struct terminal_cell cell)
{
    if (screen->expanded_valid && screen->expanded_foreground == cell.foreground &&
        screen->expanded_background == cell.background) {
        return;
    }
    uint64_t pixels[2] = {screen->palette[cell.background], screen->palette[cell.foreground]};
    for (uint32_t bits = 0; bits < 16; bits++) {
        screen->expanded[bits][0] = pixels[bits >> 3 & 1] | pixels[bits >> 2 & 1] << 32;
        screen->expanded[bits][1] = pixels[bits >> 1 & 1] | pixels[bits & 1] << 32;
    }
    screen->expanded_foreground = cell.foreground;
    screen->expanded_background = cell.background;
    screen->expanded_valid = true;
}

/* Pixels of 32 bits, glyphs of 4 * quads pixels. Inlined with constants, so that the inner loops unroll. */
__attribute__((always_inline)) static inline void
draw_quads(const struct screen *screen, const struct run *run, uint32_t bytes_per_row, uint32_t quads)
{
    const struct psf_font *font = &screen->font;
    uint8_t *line_start = pixel_at(screen, run->column * quads * 4, run->row * font->height);
    const uint8_t *line_glyphs = font->glyphs;
    for (uint32_t y = 0; y < font->height; y++) {
        uint8_t *to = line_start;
        for (uint32_t i = 0; i < run->count; i++) {
            const uint8_t *line = line_glyphs + (size_t)run->cells[i].glyph * font->bytes_per_glyph;
            uint32_t bits = glyph_line(line, bytes_per_row);
            for (uint32_t quad = 0; quad < quads; quad++) {
                const uint64_t *pixels = screen->expanded[bits >> (28 - 4 * quad) & 15];
                store64(to, pixels[0]);
                store64(to + 8, pixels[1]);
                to += 16;
            }
        }
        line_start += screen->framebuffer.pitch;
        line_glyphs += bytes_per_row;
    }
}

/* Any format, any glyph width. */
static void draw_pixels(const struct screen *screen, const struct run *run)
{
    const struct psf_font *font = &screen->font;
    const uint32_t pixels[2] = {screen->palette[run->cells->background],
                                screen->palette[run->cells->foreground]};
    for (uint32_t y = 0; y < font->height; y++) {
        uint8_t *to = pixel_at(screen, run->column * font->width, run->row * font->height + y);
        for (uint32_t i = 0; i < run->count; i++) {
            const uint8_t *line = font->glyphs + (size_t)run->cells[i].glyph * font->bytes_per_glyph;
            uint32_t bits = glyph_line(line + (size_t)y * font->bytes_per_row, font->bytes_per_row);
            for (uint32_t x = 0; x < font->width; x++) {
                to = store_pixel(to, pixels[bits >> (31 - x) & 1], screen->framebuffer.bytes_per_pixel);
            }
        }
    }
}

static void draw_blank(const struct screen *screen, const struct run *run)
{
    const struct psf_font *font = &screen->font;
    for (uint32_t y = 0; y < font->height; y++) {
        fill_line(screen, pixel_at(screen, run->column * font->width, run->row * font->height + y),
                  run->count * font->width, screen->palette[run->cells->background]);
    }
}

static bool is_blank(const struct screen *screen, const struct terminal_cell *cell)
{
    return cell->glyph == screen->font.ascii[' '];
}

static void draw_run(struct screen *screen, const struct run *run)
{
    if (is_blank(screen, run->cells)) {
        draw_blank(screen, run);
        return;
    }
    if (screen->framebuffer.bytes_per_pixel != 4 || screen->font.width % 4 != 0) {
        draw_pixels(screen, run);
        return;
    }
    expand_colours(screen, *run->cells);
    switch (screen->font.width) {
    case 8:
        draw_quads(screen, run, 1, 2);
        break;
    case 12:
        draw_quads(screen, run, 2, 3);
        break;
    case 16:
        draw_quads(screen, run, 2, 4);
        break;
    default:
        draw_quads(screen, run, screen->font.bytes_per_row, screen->font.width / 4);
        break;
    }
}

/* ---- Redrawing ---- */

static inline bool same_cell(const struct terminal_cell *a, const struct terminal_cell *b)
{
    uint32_t left;
    uint32_t right;
    __builtin_memcpy(&left, a, sizeof left);
    __builtin_memcpy(&right, b, sizeof right);
    return left == right;
}

/* Whether `cell` can be drawn in one run with the run's first cell. */
static bool belongs(const struct screen *screen, const struct terminal_cell *first,
                    const struct terminal_cell *cell)
{
    return first->foreground == cell->foreground && first->background == cell->background &&
           is_blank(screen, first) == is_blank(screen, cell);
}

static void redraw_row(struct screen *screen, uint32_t row)
{
    uint32_t columns = screen->terminal.columns;
    const struct terminal_cell *cells = terminal_row(&screen->terminal, row);
    struct terminal_cell *shown = screen->shown + (size_t)row * columns;
    uint32_t column = 0;
    while (column < columns) {
        if (same_cell(&cells[column], &shown[column])) {
            column++;
            continue;
        }
        struct run run = {&cells[column], column, row, 0};
        do {
            shown[column] = cells[column];
            column++;
            run.count++;
        } while (column < columns && !same_cell(&cells[column], &shown[column]) &&
                 belongs(screen, run.cells, &cells[column]));
        draw_run(screen, &run);
    }
}

static void exchange_cursor_colours(struct terminal *terminal)
{
    struct terminal_cell *cell = terminal_row(terminal, terminal->row) + terminal->column;
    uint8_t foreground = cell->foreground;
    cell->foreground = cell->background;
    cell->background = foreground;
}

void screen_flush(struct screen *screen)
{
    struct terminal *terminal = &screen->terminal;
    terminal->changed[screen->cursor_row] = true;
    terminal->changed[terminal->row] = true;
    exchange_cursor_colours(terminal);
    for (uint32_t row = 0; row < terminal->rows; row++) {
        if (terminal->changed[row]) {
            redraw_row(screen, row);
            terminal->changed[row] = false;
        }
    }
    exchange_cursor_colours(terminal);
    screen->cursor_row = terminal->row;
    screen->flushed_at = cpu_ticks();
}

void screen_write(struct screen *screen, const char *text, size_t bytes)
{
    terminal_write(&screen->terminal, text, bytes);
    if (cpu_ticks() - screen->flushed_at >= SCREEN_FLUSH_TICKS) {
        screen_flush(screen);
    }
}

/* ---- Opening ---- */

static bool channel_fits(struct boot_channel channel, uint32_t bytes_per_pixel)
{
    return channel.bits <= 16 && (uint32_t)channel.shift + channel.bits <= bytes_per_pixel * 8;
}

static const char *check_framebuffer(const struct boot_framebuffer *framebuffer)
{
    if (framebuffer->bytes == 0) {
        return "no framebuffer";
    }
    if (framebuffer->bytes_per_pixel < 2 || framebuffer->bytes_per_pixel > 4) {
        return "bytes per pixel out of range";
    }
    if (!channel_fits(framebuffer->red, framebuffer->bytes_per_pixel) ||
        !channel_fits(framebuffer->green, framebuffer->bytes_per_pixel) ||
        !channel_fits(framebuffer->blue, framebuffer->bytes_per_pixel)) {
        return "colour channel outside of the pixel";
    }
    uint64_t line_bytes = (uint64_t)framebuffer->width * framebuffer->bytes_per_pixel;
    if (framebuffer->width == 0 || framebuffer->height == 0 || framebuffer->pitch < line_bytes) {
        return "size or pitch out of range";
    }
    uint64_t last_line = (uint64_t)framebuffer->pitch * (framebuffer->height - 1);
    return framebuffer->bytes < line_bytes || framebuffer->bytes - line_bytes < last_line
               ? "picture beyond the end of the framebuffer"
               : NULL;
}

static void sink_write(struct console_sink *sink, const char *text, size_t bytes)
{
    screen_write((struct screen *)((char *)sink - offsetof(struct screen, sink)), text, bytes);
}

static void sink_flush(struct console_sink *sink)
{
    screen_flush((struct screen *)((char *)sink - offsetof(struct screen, sink)));
}

static void clear(struct screen *screen)
{
    const struct boot_framebuffer *framebuffer = &screen->framebuffer;
    for (uint32_t y = 0; y < framebuffer->height; y++) {
        fill_line(screen, pixel_at(screen, 0, y), framebuffer->width,
                  screen->palette[screen->terminal.blank.background]);
    }
    size_t cells = (size_t)screen->terminal.columns * screen->terminal.rows;
    memcpy(screen->shown, screen->cells, cells * sizeof screen->cells[0]);
}

const char *screen_open(struct screen *screen, const struct boot_framebuffer *framebuffer,
                        const struct screen_memory *memory)
{
    struct screen_grid grid;
    const char *error = check_framebuffer(framebuffer);
    if (error) {
        return error;
    }
    if (memory->font_bytes == 0) {
        return "no font that fits the framebuffer";
    }
    error = psf_open(&screen->font, memory->font, memory->font_bytes);
    if (error) {
        return error;
    }
    if (!screen_grid_of(framebuffer, screen->font.width, screen->font.height, &grid)) {
        return "the font is larger than the framebuffer";
    }
    if (memory->cell_bytes < screen_cell_bytes(grid)) {
        return "too little memory for the cells";
    }
    screen->sink = (struct console_sink){.name = "screen", .write = sink_write, .flush = sink_flush};
    screen->framebuffer = *framebuffer;
    screen->expanded_valid = false;
    screen->cursor_row = 0;
    screen->cells = memory->cells;
    screen->shown = memory->cells + (size_t)grid.columns * grid.rows;
    make_palette(screen);
    terminal_init(&screen->terminal, &screen->font, screen->cells, grid.columns, grid.rows);
    clear(screen);
    screen->flushed_at = cpu_ticks();
    return NULL;
}

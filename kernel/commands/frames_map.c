/*
 * `frames map`: a picture of physical memory, in up to 16 rows of 64 cells, each of as many frames as that
 * takes. A cell is looked at in a bounded number of places (<ashlar/frame_survey.h>), so the picture of
 * 960 GiB costs what that of 256 MiB does.
 */
#include <ashlar/boot.h>
#include <ashlar/frame_survey.h>
#include <ashlar/number.h>

#include "frames.h"

#define COLUMNS         64 /* cells in a row */
#define COLUMNS_SHIFT   6
#define ROWS            16 /* in the whole picture, at most */
#define CELL_ORDER_LAST 30 /* 4 TiB: 64 TiB make one row of 16 such cells */

/* Background colours, of the usual 256, for 0 to 10 tenths in use. */
static const uint8_t heat[] = {22, 28, 34, 70, 106, 142, 178, 172, 166, 160, 124};

_Static_assert(OWNER_COUNT <= 26, "owners are shown as letters");

/* What is drawn: a character and the colour behind it; 0 for none. */
struct dot {
    char character;
    uint8_t colour;
};

/* ---- Which rows there are ---- */

static bool is_memory(enum memory_type type)
{
    return type != MEMORY_MMIO && type != MEMORY_RESERVED && type != MEMORY_UNUSABLE;
}

/*
 * The first row with memory from row number `from` on; UINT64_MAX if there is none. A row is 2^order frames.
 */
static uint64_t next_row(uint64_t from, unsigned order)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    for (size_t i = 0; i < count; i++) {
        uint64_t first = map[i].base.raw >> FRAME_SHIFT >> order;
        uint64_t last = (map[i].base.raw + map[i].bytes - 1) >> FRAME_SHIFT >> order;
        if (is_memory(map[i].type) && last >= from) {
            return max_u64(first, from);
        }
    }
    return UINT64_MAX;
}

/* Whether rows of 2^order frames make a picture that is not too high. */
static bool rows_fit(unsigned order)
{
    uint64_t row = next_row(0, order);
    for (unsigned rows = 0; row != UINT64_MAX; rows++) {
        if (rows == ROWS) {
            return false;
        }
        row = next_row(row + 1, order);
    }
    return true;
}

/* Order of a cell: the smallest with which all memory is in the picture. */
static unsigned cell_order(void)
{
    unsigned order = 0;
    while (order < CELL_ORDER_LAST && !rows_fit(order + COLUMNS_SHIFT)) {
        order++;
    }
    return order;
}

/* ---- What a cell looks like ---- */

/* The dot for how much of the cell is in use; '.' and '#' only for cells that are free or full throughout. */
static struct dot use_dot(const struct frame_survey *survey)
{
    unsigned parts = survey->parts - survey->outside;
    unsigned used = parts - survey->free;
    if (parts == 0) {
        return (struct dot){' ', 0};
    }
    if (survey->exact && used == 0) {
        return (struct dot){'.', heat[0]};
    }
    if (survey->exact && survey->free == 0) {
        return (struct dot){'#', heat[10]};
    }
    unsigned tenths = (used * 10 + parts / 2) / parts;
    tenths = tenths < 1 ? 1 : tenths > 9 ? 9 : tenths;
    return (struct dot){(char)('0' + tenths), heat[tenths]};
}

/* A colour of the 6 x 6 x 6 cube; neighbouring numbers get colours that are far apart. */
static uint8_t owner_colour(unsigned owner)
{
    return (uint8_t)(16 + (owner * 83 + 40) % 216);
}

/* The dot for the owner with most of the cell; a small letter if most of it is free, ':' if none was met. */
static struct dot owner_dot(const struct frame_survey *survey)
{
    unsigned most = 0;
    for (unsigned owner = 1; owner < OWNER_COUNT; owner++) {
        most = survey->owned[owner] > survey->owned[most] ? owner : most;
    }
    if (survey->owned[most] == 0) {
        return survey->free == 0 ? (struct dot){' ', 0} : (struct dot){survey->exact ? '.' : ':', heat[0]};
    }
    bool mostly_free = survey->free * 2 > survey->parts;
    return (struct dot){(char)((mostly_free ? 'a' : 'A') + most), owner_colour(most)};
}

/* Draws a row, and notes which owners are in it. */
static void draw_row(uint64_t row, unsigned order, bool owners, struct dot dots[COLUMNS],
                     bool seen[OWNER_COUNT])
{
    for (uint64_t column = 0; column < COLUMNS; column++) {
        struct frame_survey survey;
        uint64_t frame = (row * COLUMNS + column) << order;
        frame_pool_survey(kernel_frames(), phys_addr(frame << FRAME_SHIFT), order, &survey);
        dots[column] = owners ? owner_dot(&survey) : use_dot(&survey);
        char letter = (char)(dots[column].character & ~0x20);
        if (owners && letter >= 'A') {
            seen[letter - 'A'] = true;
        }
    }
}

/* ---- Output ---- */

/* Switches to a background of the colour cube with text that can be read on it; 0 switches back. */
static void print_colour(unsigned colour)
{
    if (colour == 0) {
        monitor_print("\x1b[m");
        return;
    }
    unsigned red = (colour - 16) / 36;
    unsigned green = (colour - 16) / 6 % 6;
    unsigned blue = (colour - 16) % 6;
    bool bright = 3 * red + 6 * green + blue > 24;
    monitor_print("\x1b[%u;48;5;%um", bright ? 30 : 97, colour);
}

static void print_row(uint64_t base, const struct dot dots[COLUMNS])
{
    uint8_t colour = 0;
    monitor_print("0x%012" PRIx64 "  ", base);
    for (unsigned column = 0; column < COLUMNS; column++) {
        if (dots[column].colour != colour) {
            colour = dots[column].colour;
            print_colour(colour);
        }
        monitor_print("%c", dots[column].character);
    }
    monitor_print("%s\n", colour == 0 ? "" : "\x1b[m");
}

static void print_legend(bool owners, const bool seen[OWNER_COUNT])
{
    if (!owners) {
        monitor_print(". free   1-9 tenths in use   # all in use\n");
        return;
    }
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        if (seen[owner]) {
            print_colour(owner_colour(owner));
            monitor_print("%c\x1b[m %s\n", 'A' + owner, frame_owner_name(owner));
        }
    }
    monitor_print(". free   small letters and : mostly free\n");
}

static void print_map(unsigned order, bool owners)
{
    char size[NUMBER_SIZE_BYTES];
    struct dot dots[COLUMNS];
    bool seen[OWNER_COUNT] = {false};
    unsigned row_order = order + COLUMNS_SHIFT;
    monitor_print("a cell is %s\n", number_format_size(size, FRAME_BYTES << order));
    uint64_t row = next_row(0, row_order);
    while (row != UINT64_MAX && !monitor_interrupted()) {
        draw_row(row, order, owners, dots, seen);
        print_row(row << row_order << FRAME_SHIFT, dots);
        row = next_row(row + 1, row_order);
    }
    print_legend(owners, seen);
}

static void legend_json(struct json *json, const bool seen[OWNER_COUNT])
{
    json_object_begin(json, "owners");
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        if (seen[owner]) {
            json_string(json, (char[]){(char)('A' + owner), '\0'}, frame_owner_name(owner));
        }
    }
    json_object_end(json);
}

static void map_json(unsigned order, bool owners)
{
    struct json json;
    struct dot dots[COLUMNS];
    bool seen[OWNER_COUNT] = {false};
    unsigned row_order = order + COLUMNS_SHIFT;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "cell_bytes", FRAME_BYTES << order);
    json_array_begin(&json, "rows");
    for (uint64_t row = next_row(0, row_order); row != UINT64_MAX; row = next_row(row + 1, row_order)) {
        char cells[COLUMNS + 1] = {0};
        draw_row(row, order, owners, dots, seen);
        for (unsigned column = 0; column < COLUMNS; column++) {
            cells[column] = dots[column].character;
        }
        json_object_begin(&json, NULL);
        json_hex(&json, "base", row << row_order << FRAME_SHIFT);
        json_string(&json, "cells", cells);
        json_object_end(&json);
    }
    json_array_end(&json);
    legend_json(&json, seen);
    json_object_end(&json);
    json_end(&json);
}

void frames_show_map(struct monitor_call *call, bool owners)
{
    unsigned order = cell_order();
    if (call->json) {
        map_json(order, owners);
    } else {
        print_map(order, owners);
    }
}

/* Look-ups in the symbol table; see symbol_table.h for its form. */
#include "symbol_table.h"

#include <ashlar/string.h>

enum { START_BYTES = 4, SIZE_BYTES = 2, NAME_BYTES = 3, ORDER_BYTES = 2, BLOCK_BYTES = 8, FILE_BYTES = 3 };

static uint32_t load(const uint8_t *at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint32_t)at[i] << (8 * i);
    }
    return value;
}

/* Entry `index` of a part whose entries have `bytes` bytes; the caller has checked the index. */
static uint32_t part_entry(const struct symbol_part *part, uint32_t index, unsigned bytes)
{
    return load(part->at + (size_t)index * bytes, bytes);
}

bool symbol_table_open(struct symbol_table *table, const void *data, size_t bytes)
{
    const uint8_t *header = data;
    *table = (struct symbol_table){0};
    if (bytes < SYMBOL_TABLE_HEADER_BYTES || load(header, 4) != SYMBOL_TABLE_MAGIC ||
        load(header + 4, 4) > bytes) {
        return false;
    }
    struct symbol_table opened;
    struct symbol_part *parts[] = {&opened.starts, &opened.sizes, &opened.names, &opened.by_name,
                                   &opened.blocks, &opened.rows,  &opened.files, &opened.text};
    static const uint8_t entry_bytes[] = {START_BYTES, SIZE_BYTES, NAME_BYTES, ORDER_BYTES,
                                          BLOCK_BYTES, 1,          FILE_BYTES, 1};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        uint32_t place = load(header + 8 + 8 * i, 4);
        uint32_t count = load(header + 12 + 8 * i, 4);
        if (place > bytes || (uint64_t)count * entry_bytes[i] > bytes - place) {
            return false;
        }
        *parts[i] = (struct symbol_part){header + place, count};
    }
    uint32_t symbols = opened.starts.count;
    if (opened.sizes.count != symbols || opened.names.count != symbols || opened.by_name.count != symbols ||
        opened.text.count == 0 || opened.text.at[opened.text.count - 1] != '\0') {
        return false;
    }
    *table = opened;
    return true;
}

/* The string at offset `place` of the part `text`, whose last byte is NUL. */
static const char *text_at(const struct symbol_table *table, uint32_t place)
{
    return place < table->text.count ? (const char *)table->text.at + place : "?";
}

/* How many of the ascending u32 keys, `stride` bytes apart, are at most `key`. */
static uint32_t count_up_to(const struct symbol_part *part, unsigned stride, uint32_t key)
{
    uint32_t low = 0;
    uint32_t high = part->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (load(part->at + (size_t)middle * stride, 4) <= key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct symbol_entry entry_of(const struct symbol_table *table, uint32_t index)
{
    uint32_t start = part_entry(&table->starts, index, START_BYTES);
    uint32_t bytes = part_entry(&table->sizes, index, SIZE_BYTES);
    if (bytes == SYMBOL_SIZE_BIG) {
        bool last = index + 1 == table->starts.count;
        bytes = last ? UINT32_MAX - start : part_entry(&table->starts, index + 1, START_BYTES) - start;
    }
    return (struct symbol_entry){text_at(table, part_entry(&table->names, index, NAME_BYTES)), start, bytes};
}

bool symbol_table_find(const struct symbol_table *table, uint32_t offset, struct symbol_entry *entry)
{
    uint32_t after = count_up_to(&table->starts, START_BYTES, offset);
    if (after == 0) {
        return false;
    }
    *entry = entry_of(table, after - 1);
    return entry->bytes == 0 ? entry->start == offset : offset - entry->start < entry->bytes;
}

struct row_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t address; /* of the row last read */
    uint32_t line;
    uint32_t file; /* number plus 1; 0: no line known */
};

static bool next_number(struct row_reader *reader, uint32_t *number)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= shift < 32 ? (uint32_t)(byte & 0x7f) << shift : 0;
        if (!(byte & 0x80)) {
            *number = value;
            return true;
        }
    }
    return false;
}

static bool next_row(struct row_reader *reader)
{
    uint32_t advance;
    uint32_t packed;
    if (!next_number(reader, &advance) || !next_number(reader, &packed)) {
        return false;
    }
    uint32_t zigzag = packed >> 1; /* 0, -1, 1, -2, ... as 0, 1, 2, 3, ... */
    reader->address += advance;
    reader->line += zigzag >> 1 ^ -(zigzag & 1);
    return !(packed & 1) || next_number(reader, &reader->file);
}

bool symbol_table_find_line(const struct symbol_table *table, uint32_t offset, const char **file,
                            unsigned *line)
{
    uint32_t after = count_up_to(&table->blocks, BLOCK_BYTES, offset);
    if (after == 0) {
        return false;
    }
    const uint8_t *block = table->blocks.at + (size_t)(after - 1) * BLOCK_BYTES;
    uint32_t place = load(block + 4, 4);
    if (place > table->rows.count) {
        return false;
    }
    struct row_reader reader = {table->rows.at + place, table->rows.at + table->rows.count, load(block, 4), 0,
                                0};
    struct row_reader found = {0};
    for (unsigned i = 0; i < SYMBOL_BLOCK_ROWS && next_row(&reader) && reader.address <= offset; i++) {
        found = reader;
    }
    if (found.file == 0 || found.file > table->files.count) {
        return false;
    }
    *file = text_at(table, part_entry(&table->files, found.file - 1, FILE_BYTES));
    *line = found.line;
    return true;
}

bool symbol_table_by_name(const struct symbol_table *table, uint32_t position, struct symbol_entry *entry)
{
    if (position >= table->by_name.count) {
        return false;
    }
    uint32_t index = part_entry(&table->by_name, position, ORDER_BYTES);
    if (index >= table->starts.count) {
        return false;
    }
    *entry = entry_of(table, index);
    return true;
}

uint32_t symbol_table_lower_bound(const struct symbol_table *table, const char *name, size_t bytes)
{
    uint32_t low = 0;
    uint32_t high = table->by_name.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct symbol_entry entry;
        if (symbol_table_by_name(table, middle, &entry) && strncmp(entry.name, name, bytes) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

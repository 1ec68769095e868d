/*
 * A symbol table as tools/lib/symbols.py writes it into the image, and look-ups in it. Pure: every read is
 * checked against the table's bounds, so that a corrupted table gives wrong names or none, but never a fault.
 *
 * All numbers are little-endian, and all addresses are offsets from the image's start. A header of
 * SYMBOL_TABLE_HEADER_BYTES has the magic, the bytes of the whole table, and for each part where it
 * begins and how many entries it has. The parts:
 *   starts    u32 per symbol: its address, ascending
 *   sizes     u16 per symbol: its bytes; SYMBOL_SIZE_BIG: as far as the next symbol
 *   names     u24 per symbol: where its name begins in `text`
 *   by_name   u16 per symbol: the symbols' numbers in the order of their names
 *   blocks    {u32 address, u32 place in `rows`} per SYMBOL_BLOCK_ROWS rows: where to begin reading
 *   rows      bytes: the line table, see below
 *   files     u24 per file: where its path begins in `text`
 *   text      NUL-terminated names
 *
 * A row says which source line the code from some address on was made from. It is two or three LEB128
 * numbers: the distance to the address of the row before; the distance to its line, zigzag-coded, times
 * 2, plus 1 if the file is another; and in that case the file's number plus 1, or 0 where no line is
 * known. Each block starts from its own address, line 0 and no file.
 */
#pragma once

#include <ashlar/types.h>

#define SYMBOL_TABLE_MAGIC        0x4d595341u /* "ASYM" */
#define SYMBOL_TABLE_HEADER_BYTES 72
#define SYMBOL_SIZE_BIG           0xffff
#define SYMBOL_BLOCK_ROWS         64

/* A part of the table: checked to lie inside it. */
struct symbol_part {
    const uint8_t *at; /* first byte */
    uint32_t count;    /* entries; bytes for rows and text */
};

struct symbol_table {
    struct symbol_part starts;
    struct symbol_part sizes;
    struct symbol_part names;
    struct symbol_part by_name;
    struct symbol_part blocks;
    struct symbol_part rows;
    struct symbol_part files;
    struct symbol_part text;
};

/* One symbol, as found. */
struct symbol_entry {
    const char *name; /* NUL-terminated, in the table */
    uint32_t start;   /* offset from the image's start */
    uint32_t bytes;   /* 0 for a label */
};

/* Opens the table in `data`; false, and *table empty, when its header does not fit its `bytes`. */
bool symbol_table_open(struct symbol_table *table, const void *data, size_t bytes);

/* The symbol that contains `offset`. */
bool symbol_table_find(const struct symbol_table *table, uint32_t offset, struct symbol_entry *entry);

/* The file and line of the code at `offset`. */
bool symbol_table_find_line(const struct symbol_table *table, uint32_t offset, const char **file,
                            unsigned *line);

/* How many names sort before the `bytes` bytes at `name`: where those that begin with it start. */
uint32_t symbol_table_lower_bound(const struct symbol_table *table, const char *name, size_t bytes);

/* The symbol at place `position` in the order of names; false behind the last. */
bool symbol_table_by_name(const struct symbol_table *table, uint32_t position, struct symbol_entry *entry);

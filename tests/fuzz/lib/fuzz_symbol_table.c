/*
 * Any bytes as a symbol table: look-ups answer or refuse, and never read outside. The input is an address, a
 * name's length, and the table, whose magic and size are set right so that the fuzzer gets past the first
 * check.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/symbol_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void look_up(const struct symbol_table *table, uint32_t address, const char *name, size_t name_bytes)
{
    struct symbol_entry entry;
    const char *file;
    unsigned line;
    size_t total = 0;
    if (symbol_table_find(table, address, &entry)) {
        total += strlen(entry.name);
    }
    if (symbol_table_find_line(table, address, &file, &line)) {
        total += strlen(file) + line;
    }
    uint32_t position = symbol_table_lower_bound(table, name, name_bytes);
    for (uint32_t i = 0; i < 4 && symbol_table_by_name(table, position + i, &entry); i++) {
        total += strlen(entry.name);
    }
    volatile size_t sink = total; /* the reads happen */
    (void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    enum { QUERY_BYTES = 13 };
    if (bytes < QUERY_BYTES) {
        return 0;
    }
    uint32_t address;
    char name[8];
    memcpy(&address, data, sizeof address);
    memcpy(name, data + 4, sizeof name);
    size_t table_bytes = bytes - QUERY_BYTES;
    uint8_t *copy = malloc(table_bytes ? table_bytes : 1);
    memcpy(copy, data + QUERY_BYTES, table_bytes);
    if (table_bytes >= 8) {
        const uint32_t start[] = {SYMBOL_TABLE_MAGIC, (uint32_t)table_bytes};
        memcpy(copy, start, sizeof start);
    }
    struct symbol_table table;
    symbol_table_open(&table, copy, table_bytes);
    look_up(&table, address, name, data[12] % (sizeof name + 1));
    free(copy);
    return 0;
}

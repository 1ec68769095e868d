/*
 * Names for addresses, from compact tables inside the image: functions and objects, and source lines of
 * code. Those of the in-kernel tests are known where these are in memory (<ashlar/test.h>). No locks: the
 * tables are constant. Any context, also while panicking.
 */
#pragma once

#include <ashlar/types.h>

struct symbol {
    const char *name;  /* in the table: stays where it is */
    virt_addr_t start; /* run-time address of its first byte */
    uint64_t bytes;    /* to its end; 0 for a label */
};

struct source_line {
    const char *file; /* path in the source tree */
    unsigned line;    /* from 1 */
};

/* The function or object that `address` lies in; false when it lies in none. */
bool symbol_find(virt_addr_t address, struct symbol *symbol);

/* The source line that the instruction at `address` was compiled from; false when that is not known. */
bool symbol_find_line(virt_addr_t address, struct source_line *source);

/* The address of the symbol whose name is the first `bytes` bytes of `name`; false when there is none. */
bool symbol_find_name(const char *name, size_t bytes, virt_addr_t *address);

/*
 * Calls `visit` for the symbols that begin with the `bytes` bytes at `prefix`, in the order of their names.
 */
void symbol_visit_prefix(const char *prefix, size_t bytes, void (*visit)(void *context, const char *name),
                         void *context);

/*
 * Writes "name+0x10 (file:line)", or as much of it as is known, or the bare number to `buffer`, and returns
 * `buffer`. is_return_address: the address follows a call, and the line is that of the call.
 */
#define SYMBOL_TEXT_BYTES 160
const char *symbol_text(virt_addr_t address, bool is_return_address, char buffer[SYMBOL_TEXT_BYTES]);

/*
 * Names for addresses; see <ashlar/symbols.h>.
 *
 * The kernel is linked twice: tools/lib/symbols.py makes the tables from the first link's ELF, and the second
 * puts them behind everything else, where they move no address. One is the kernel's; the other is that of the
 * in-kernel tests, and only in memory where these are. In both, addresses count from the image's start, so
 * the slide at load time does not matter.
 */
#include <ashlar/format.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <ashlar/test.h>

#include "kernel/lib/symbol_table.h"

extern const uint8_t image_start[];
extern const uint8_t tests_text_start[];
extern const uint8_t symbol_table_start[];
extern const uint8_t symbol_table_end[];
extern const uint8_t tests_symbol_table_start[];
extern const uint8_t tests_symbol_table_end[];

static bool open_table(struct symbol_table *table, bool of_tests)
{
    if (of_tests) {
        return kernel_tests_are_loaded() &&
               symbol_table_open(table, tests_symbol_table_start,
                                 (size_t)(tests_symbol_table_end - tests_symbol_table_start));
    }
    return symbol_table_open(table, symbol_table_start, (size_t)(symbol_table_end - symbol_table_start));
}

/* Opens the table that tells of `address`, at *offset in the image; false when there is none. */
static bool open_table_of(virt_addr_t address, struct symbol_table *table, uint32_t *offset)
{
    uint64_t distance = address.raw - (uintptr_t)image_start;
    *offset = (uint32_t)distance;
    return distance < (uint64_t)(symbol_table_start - image_start) &&
           open_table(table, address.raw >= (uintptr_t)tests_text_start);
}

static struct symbol symbol_of(const struct symbol_entry *entry)
{
    return (struct symbol){entry->name, virt_add(virt_of(image_start), entry->start), entry->bytes};
}

bool symbol_find(virt_addr_t address, struct symbol *symbol)
{
    struct symbol_table table;
    struct symbol_entry entry;
    uint32_t offset;
    if (!open_table_of(address, &table, &offset) || !symbol_table_find(&table, offset, &entry)) {
        return false;
    }
    *symbol = symbol_of(&entry);
    return true;
}

bool symbol_find_line(virt_addr_t address, struct source_line *source)
{
    struct symbol_table table;
    uint32_t offset;
    return open_table_of(address, &table, &offset) &&
           symbol_table_find_line(&table, offset, &source->file, &source->line);
}

static bool find_name(bool of_tests, const char *name, size_t bytes, virt_addr_t *address)
{
    struct symbol_table table;
    struct symbol_entry entry;
    if (!open_table(&table, of_tests) ||
        !symbol_table_by_name(&table, symbol_table_lower_bound(&table, name, bytes), &entry) ||
        strlen(entry.name) != bytes || memcmp(entry.name, name, bytes) != 0) {
        return false;
    }
    *address = symbol_of(&entry).start;
    return true;
}

bool symbol_find_name(const char *name, size_t bytes, virt_addr_t *address)
{
    return bytes != 0 && (find_name(false, name, bytes, address) || find_name(true, name, bytes, address));
}

/* A walk through those symbols of a table that begin with a prefix, by name. */
struct prefix_walk {
    struct symbol_table table;
    struct symbol_entry entry; /* the next one; its name is NULL behind the last */
    uint32_t position;         /* of the one behind it */
};

static void step(struct prefix_walk *walk, const char *prefix, size_t bytes)
{
    if (!symbol_table_by_name(&walk->table, walk->position++, &walk->entry) ||
        strncmp(walk->entry.name, prefix, bytes) != 0) {
        walk->entry.name = NULL;
    }
}

static void begin(struct prefix_walk *walk, bool of_tests, const char *prefix, size_t bytes)
{
    *walk = (struct prefix_walk){0};
    if (open_table(&walk->table, of_tests)) {
        walk->position = symbol_table_lower_bound(&walk->table, prefix, bytes);
        step(walk, prefix, bytes);
    }
}

void symbol_visit_prefix(const char *prefix, size_t bytes, void (*visit)(void *context, const char *name),
                         void *context)
{
    struct prefix_walk kernel;
    struct prefix_walk tests;
    begin(&kernel, false, prefix, bytes);
    begin(&tests, true, prefix, bytes);
    while (kernel.entry.name || tests.entry.name) {
        bool is_kernels =
            !tests.entry.name || (kernel.entry.name && strcmp(kernel.entry.name, tests.entry.name) <= 0);
        struct prefix_walk *next = is_kernels ? &kernel : &tests;
        visit(context, next->entry.name);
        step(next, prefix, bytes);
    }
}

const char *symbol_text(virt_addr_t address, bool is_return_address, char buffer[SYMBOL_TEXT_BYTES])
{
    /* A call that does not return may be a function's last instruction: one byte back is inside the call. */
    virt_addr_t inside = virt_addr(address.raw - (is_return_address ? 1 : 0));
    struct symbol symbol;
    struct source_line source;
    if (!symbol_find(inside, &symbol)) {
        format(buffer, SYMBOL_TEXT_BYTES, "%#" PRIx64, address.raw);
        return buffer;
    }
    size_t used =
        format(buffer, SYMBOL_TEXT_BYTES, "%s+%#" PRIx64, symbol.name, address.raw - symbol.start.raw);
    if (used < SYMBOL_TEXT_BYTES && symbol_find_line(inside, &source)) {
        format(buffer + used, SYMBOL_TEXT_BYTES - used, " (%s:%u)", source.file, source.line);
    }
    return buffer;
}

_Static_assert(CODE_PLACE_BYTES >= SYMBOL_TEXT_BYTES, "a place is the text of a symbol");

const char *code_place(uintptr_t address, char text[CODE_PLACE_BYTES])
{
    return symbol_text(virt_addr(address), true, text);
}

/*
 * The symbol table's look-ups against a model: random symbols and lines, encoded as symbol_table.h says, and
 * every answer compared with a search through the plain arrays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/symbol_table.h"
#include "tests/host/support/random.h"

enum { SYMBOLS_MAX = 300, ROWS_MAX = 1500, FILES = 7, TABLE_BYTES = 1 << 17, PARTS = 8 };

struct model_symbol {
    uint32_t start;
    uint32_t size; /* as encoded: SYMBOL_SIZE_BIG means up to the next */
    char name[24];
    uint32_t name_place;
};

struct model_row {
    uint32_t address;
    uint32_t line;
    unsigned file; /* 0: none */
};

struct model {
    struct model_symbol symbols[SYMBOLS_MAX];
    unsigned symbol_count;
    struct model_row rows[ROWS_MAX];
    unsigned row_count;
    uint32_t file_places[FILES];
    uint8_t bytes[TABLE_BYTES]; /* the encoded table */
    size_t used;
};

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
    return random_number(&random_state) % limit;
}

static void put(struct model *model, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        model->bytes[model->used++] = (uint8_t)(value >> (8 * i));
    }
}

static void put_leb128(struct model *model, uint32_t value)
{
    while (value >= 0x80) {
        put(model, (value & 0x7f) | 0x80, 1);
        value >>= 7;
    }
    put(model, value, 1);
}

/* Writes a part's place into the header; its count follows when the part is complete. */
static void begin_part(struct model *model, unsigned part)
{
    size_t used = model->used;
    model->used = 8 + 8 * (size_t)part;
    put(model, (uint32_t)used, 4);
    model->used = used;
}

static void end_part(struct model *model, unsigned part, uint32_t count)
{
    size_t used = model->used;
    model->used = 12 + 8 * (size_t)part;
    put(model, count, 4);
    model->used = used;
}

static int by_start(const void *a, const void *b)
{
    const struct model_symbol *left = a;
    const struct model_symbol *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

static void invent(struct model *model, unsigned symbols, unsigned rows)
{
    model->symbol_count = symbols;
    model->row_count = rows;
    for (unsigned i = 0; i < symbols; i++) {
        struct model_symbol *symbol = &model->symbols[i];
        symbol->start = below(20000);
        symbol->size = below(4) == 0 ? SYMBOL_SIZE_BIG : below(90);
        snprintf(symbol->name, sizeof symbol->name, "%c%c_%u", 'a' + below(3), 'a' + below(3), below(200));
    }
    qsort(model->symbols, symbols, sizeof *model->symbols, by_start);
    uint32_t address = 16;
    for (unsigned i = 0; i < rows; i++) {
        address += 1 + below(below(50) == 0 ? 5000 : 12);
        model->rows[i] =
            (struct model_row){address, 1 + below(below(9) == 0 ? 100000 : 300), below(FILES + 1)};
    }
}

static const struct model_symbol *sorting;

static int by_name(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a;
    unsigned right = *(const unsigned *)b;
    return strcmp(sorting[left].name, sorting[right].name);
}

static void encode_symbols(struct model *model)
{
    unsigned order[SYMBOLS_MAX];
    begin_part(model, 0);
    for (unsigned i = 0; i < model->symbol_count; i++) {
        put(model, model->symbols[i].start, 4);
        order[i] = i;
    }
    end_part(model, 0, model->symbol_count);
    begin_part(model, 1);
    for (unsigned i = 0; i < model->symbol_count; i++) {
        put(model, model->symbols[i].size, 2);
    }
    end_part(model, 1, model->symbol_count);
    begin_part(model, 2);
    for (unsigned i = 0; i < model->symbol_count; i++) {
        put(model, model->symbols[i].name_place, 3);
    }
    end_part(model, 2, model->symbol_count);
    sorting = model->symbols;
    qsort(order, model->symbol_count, sizeof *order, by_name);
    begin_part(model, 3);
    for (unsigned i = 0; i < model->symbol_count; i++) {
        put(model, order[i], 2);
    }
    end_part(model, 3, model->symbol_count);
}

static void encode_row(struct model *model, const struct model_row *row, const struct model_row *before)
{
    int64_t delta = row->file ? (int64_t)row->line - before->line : 0;
    uint32_t zigzag = (uint32_t)(delta >= 0 ? delta * 2 : -delta * 2 - 1);
    bool changed = row->file != before->file;
    put_leb128(model, row->address - before->address);
    put_leb128(model, zigzag << 1 | changed);
    if (changed) {
        put_leb128(model, row->file);
    }
}

/* The rows go to a scratch model first, as the blocks before them need their places. */
static void encode_rows(struct model *model)
{
    struct model *scratch = calloc(1, sizeof *scratch);
    struct model_row before = {0};
    uint32_t blocks = 0;
    begin_part(model, 4);
    for (unsigned i = 0; i < model->row_count; i++) {
        struct model_row row = model->rows[i];
        if (i % SYMBOL_BLOCK_ROWS == 0) {
            put(model, row.address, 4);
            put(model, (uint32_t)scratch->used, 4);
            blocks++;
            before = (struct model_row){row.address, 0, UINT32_MAX};
        }
        encode_row(scratch, &row, &before);
        row.line = row.file ? row.line : before.line;
        before = row;
    }
    end_part(model, 4, blocks);
    begin_part(model, 5);
    memcpy(model->bytes + model->used, scratch->bytes, scratch->used);
    model->used += scratch->used;
    end_part(model, 5, (uint32_t)scratch->used);
    free(scratch);
}

static void encode(struct model *model)
{
    char text[SYMBOLS_MAX * 24 + 256];
    size_t text_bytes = 0;
    for (unsigned i = 0; i < model->symbol_count; i++) {
        model->symbols[i].name_place = (uint32_t)text_bytes;
        text_bytes += 1 + (size_t)snprintf(text + text_bytes, 24, "%s", model->symbols[i].name);
    }
    for (unsigned i = 0; i < FILES; i++) {
        model->file_places[i] = (uint32_t)text_bytes;
        text_bytes += 1 + (size_t)snprintf(text + text_bytes, 24, "dir/file%u.c", i + 1);
    }
    model->used = SYMBOL_TABLE_HEADER_BYTES;
    encode_symbols(model);
    encode_rows(model);
    begin_part(model, 6);
    for (unsigned i = 0; i < FILES; i++) {
        put(model, model->file_places[i], 3);
    }
    end_part(model, 6, FILES);
    begin_part(model, 7);
    memcpy(model->bytes + model->used, text, text_bytes);
    model->used += text_bytes;
    end_part(model, 7, (uint32_t)text_bytes);
    size_t used = model->used;
    model->used = 0;
    put(model, SYMBOL_TABLE_MAGIC, 4);
    put(model, (uint32_t)used, 4);
    model->used = used;
}

static struct model *make_model(unsigned seed, unsigned symbols, unsigned rows)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    random_state = 0x9e3779b97f4a7c15 * seed;
    invent(model, symbols, rows);
    encode(model);
    return model;
}

/* The last symbol that begins at or before `offset`, if it reaches it; NULL otherwise. */
static const struct model_symbol *model_find(const struct model *model, uint32_t offset)
{
    unsigned after = 0;
    while (after < model->symbol_count && model->symbols[after].start <= offset) {
        after++;
    }
    if (after == 0) {
        return NULL;
    }
    const struct model_symbol *symbol = &model->symbols[after - 1];
    uint32_t end = symbol->start + symbol->size;
    if (symbol->size == SYMBOL_SIZE_BIG) {
        end = after < model->symbol_count ? model->symbols[after].start : UINT32_MAX;
    }
    return offset < end || (symbol->size == 0 && offset == symbol->start) ? symbol : NULL;
}

static void check_address(const struct model *model, const struct symbol_table *table, uint32_t offset)
{
    struct symbol_entry entry;
    const struct model_symbol *expected = model_find(model, offset);
    bool found = symbol_table_find(table, offset, &entry);
    assert_int_equal(found, expected != NULL);
    if (found && expected) {
        assert_int_equal(entry.start, expected->start);
        assert_string_equal(entry.name, expected->name);
    }
}

static void check_line(const struct model *model, const struct symbol_table *table, uint32_t offset)
{
    const struct model_row *expected = NULL;
    for (unsigned i = 0; i < model->row_count && model->rows[i].address <= offset; i++) {
        expected = &model->rows[i];
    }
    const char *file;
    unsigned line;
    bool found = symbol_table_find_line(table, offset, &file, &line);
    assert_int_equal(found, expected && expected->file != 0);
    if (found && expected) {
        char name[24];
        snprintf(name, sizeof name, "dir/file%u.c", expected->file);
        assert_string_equal(file, name);
        assert_int_equal(line, expected->line);
    }
}

static void look_ups_agree_with_the_model(void **state)
{
    (void)state;
    static const unsigned sizes[][2] = {{0, 0}, {1, 1}, {2, 64}, {3, 65}, {300, 1500}, {77, 128}, {200, 640}};
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct model *model = make_model(i + 1, sizes[i][0], sizes[i][1]);
        struct symbol_table table;
        assert_true(symbol_table_open(&table, model->bytes, model->used));
        for (uint32_t offset = 0; offset < 30000; offset += 1 + offset / 4000) {
            check_address(model, &table, offset);
            check_line(model, &table, offset);
        }
        check_address(model, &table, UINT32_MAX);
        free(model);
    }
}

static void names_are_found_in_order(void **state)
{
    (void)state;
    struct model *model = make_model(9, 250, 10);
    struct symbol_table table;
    struct symbol_entry entry;
    assert_true(symbol_table_open(&table, model->bytes, model->used));
    for (unsigned i = 0; i < model->symbol_count; i++) {
        const char *name = model->symbols[i].name;
        assert_true(
            symbol_table_by_name(&table, symbol_table_lower_bound(&table, name, strlen(name)), &entry));
        assert_string_equal(entry.name, name);
    }
    for (uint32_t i = 1; i < model->symbol_count; i++) {
        char before[24];
        assert_true(symbol_table_by_name(&table, i - 1, &entry));
        snprintf(before, sizeof before, "%s", entry.name);
        assert_true(symbol_table_by_name(&table, i, &entry));
        assert_true(strcmp(before, entry.name) <= 0);
    }
    assert_false(symbol_table_by_name(&table, model->symbol_count, &entry));
    assert_int_equal(symbol_table_lower_bound(&table, "", 0), 0);
    assert_int_equal(symbol_table_lower_bound(&table, "zzz", 3), model->symbol_count);
    free(model);
}

/* Each prefix's names are exactly those between its lower bound and the first that does not begin with it. */
static void prefixes_have_their_names(void **state)
{
    (void)state;
    struct model *model = make_model(10, 250, 10);
    struct symbol_table table;
    struct symbol_entry entry;
    assert_true(symbol_table_open(&table, model->bytes, model->used));
    for (const char *prefix = "a\0b\0ab\0cc_\0bb_1\0x\0"; *prefix; prefix += strlen(prefix) + 1) {
        size_t bytes = strlen(prefix);
        unsigned expected = 0;
        for (unsigned i = 0; i < model->symbol_count; i++) {
            expected += strncmp(model->symbols[i].name, prefix, bytes) == 0;
        }
        uint32_t position = symbol_table_lower_bound(&table, prefix, bytes);
        unsigned counted = 0;
        while (symbol_table_by_name(&table, position + counted, &entry) &&
               strncmp(entry.name, prefix, bytes) == 0) {
            counted++;
        }
        assert_int_equal(counted, expected);
    }
    free(model);
}

static void expect_refused(struct model *model, size_t at, uint32_t value)
{
    struct symbol_table table;
    uint8_t kept[4];
    memcpy(kept, model->bytes + at, sizeof kept);
    memcpy(model->bytes + at, &value, sizeof value);
    assert_false(symbol_table_open(&table, model->bytes, model->used));
    assert_int_equal(table.starts.count, 0);
    memcpy(model->bytes + at, kept, sizeof kept);
    assert_true(symbol_table_open(&table, model->bytes, model->used));
}

static void a_header_that_lies_is_refused(void **state)
{
    (void)state;
    struct model *model = make_model(11, 20, 100);
    struct symbol_table table;
    expect_refused(model, 0, SYMBOL_TABLE_MAGIC + 1);
    expect_refused(model, 4, (uint32_t)model->used + 1);
    for (size_t part = 0; part < PARTS; part++) {
        expect_refused(model, 8 + 8 * part, (uint32_t)model->used + 1);
        expect_refused(model, 12 + 8 * part, UINT32_MAX);
        expect_refused(model, 12 + 8 * part, (uint32_t)model->used);
    }
    for (size_t part = 1; part < 4; part++) {
        expect_refused(model, 12 + 8 * part, 19); /* fewer sizes, names or numbers than starts */
    }
    expect_refused(model, 12, 19);        /* fewer starts than sizes */
    expect_refused(model, 12 + 8 * 7, 0); /* no text */
    model->bytes[model->used - 1] = 'x';  /* text without an end */
    assert_false(symbol_table_open(&table, model->bytes, model->used));
    assert_false(symbol_table_open(&table, model->bytes, SYMBOL_TABLE_HEADER_BYTES - 1));
    assert_false(symbol_table_open(&table, model->bytes, 0));
    free(model);
}

/* Look-ups of every kind in an empty table, which is what a refused one leaves. */
static void an_empty_table_knows_nothing(void **state)
{
    (void)state;
    struct symbol_table table;
    struct symbol_entry entry;
    const char *file;
    unsigned line;
    assert_false(symbol_table_open(&table, "", 0));
    assert_false(symbol_table_find(&table, 0, &entry));
    assert_false(symbol_table_find_line(&table, 0, &file, &line));
    assert_false(symbol_table_by_name(&table, 0, &entry));
    assert_int_equal(symbol_table_lower_bound(&table, "a", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups_agree_with_the_model), cmocka_unit_test(names_are_found_in_order),
        cmocka_unit_test(prefixes_have_their_names),     cmocka_unit_test(a_header_that_lies_is_refused),
        cmocka_unit_test(an_empty_table_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A program's ELF file: a sound one, each thing wrong alone, and the file of this very test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/image/elf.h"
#include <ashlar/user_copy.h>

#define FILE_BYTES 0x5000ULL

/* The sound file: its first segment has header and table; then code; then data with a zeroed tail. */
static struct {
    Elf64_Ehdr header;
    Elf64_Phdr table[5];
} file;

enum { FIRST, CODE, DATA, INTERPRETER, EMPTY };

static struct program_elf program;
static struct program_error error;

static Elf64_Phdr load(uint64_t address, uint64_t offset, uint64_t bytes, uint64_t memory, unsigned flags)
{
    return (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_flags = flags,
                        .p_offset = offset,
                        .p_vaddr = address,
                        .p_filesz = bytes,
                        .p_memsz = memory,
                        .p_align = FRAME_BYTES};
}

static int make(void **state)
{
    (void)state;
    memset(&file, 0, sizeof file);
    memcpy(file.header.e_ident, "\177ELF\2\1\1", 7);
    file.header.e_type = ET_EXEC;
    file.header.e_machine = EM_X86_64;
    file.header.e_version = EV_CURRENT;
    file.header.e_entry = 0x401010;
    file.header.e_phoff = sizeof file.header;
    file.header.e_phentsize = sizeof(Elf64_Phdr);
    file.header.e_phnum = 5;
    file.table[FIRST] = load(0x400000, 0, 0x500, 0x500, PF_R);
    file.table[CODE] = load(0x401000, 0x1000, 0x1800, 0x1800, PF_R | PF_X);
    file.table[DATA] = load(0x404ef0, 0x3ef0, 0x210, 0x4000, PF_R | PF_W);
    file.table[EMPTY] = load(0, 0, 0, 0, PF_R);
    return 0;
}

static bool parse(void)
{
    error.text[0] = 0;
    return program_elf_header(&file, sizeof file, FILE_BYTES, &program, &error) &&
           program_elf_segments(file.table, FILE_BYTES, &program, &error);
}

static void a_sound_file_is_described(void **state)
{
    (void)state;
    assert_true(parse());
    assert_false(program.moves);
    assert_false(program.has_interpreter);
    assert_int_equal(program.entry, 0x401010);
    assert_int_equal(program.base, 0x400000);
    assert_int_equal(program.end, 0x409000);
    assert_int_equal(program.alignment, FRAME_BYTES);
    assert_int_equal(program.headers, 0x400000 + sizeof file.header);
    assert_int_equal(program.segment_count, 3);
    const struct program_segment *data = &program.segments[DATA];
    assert_int_equal(data->address, 0x404000);
    assert_int_equal(data->offset, 0x3000);
    assert_int_equal(data->file_bytes, 0x1100);
    assert_int_equal(data->bytes, 0x5000);
    assert_true(data->has_zeros);
    assert_false(program.segments[CODE].has_zeros);
    assert_int_equal(data->access, PF_R | PF_W);
    assert_int_equal(program.segments[CODE].bytes, 0x2000);
}

static void what_a_file_may_have(void **state)
{
    (void)state;
    file.header.e_type = ET_DYN;
    file.table[CODE].p_align = MIB(2);
    file.table[DATA].p_filesz = 0; /* zeros only: the offset means nothing */
    file.table[INTERPRETER] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 0x100, .p_filesz = 28};
    assert_true(parse());
    assert_true(program.moves);
    assert_int_equal(program.alignment, MIB(2));
    assert_int_equal(program.segments[DATA].file_bytes, 0);
    assert_true(program.has_interpreter);
    assert_int_equal(program.interpreter_offset, 0x100);
    assert_int_equal(program.interpreter_bytes, 28);
    file.table[FIRST].p_filesz = 0x60; /* the table is no longer in a segment */
    assert_true(parse());
    assert_int_equal(program.headers, 0);
}

/* Each makes one thing wrong. */
#define WRONG(name, change)                                                                                  \
    static void name(void)                                                                                   \
    {                                                                                                        \
        change;                                                                                              \
    }
WRONG(bad_magic, file.header.e_ident[1] = 'e')
WRONG(bad_class, file.header.e_ident[EI_CLASS] = 1)
WRONG(bad_order, file.header.e_ident[EI_DATA] = 2)
WRONG(bad_machine, file.header.e_machine = 3)
WRONG(bad_version, file.header.e_version = 2)
WRONG(bad_ident_version, file.header.e_ident[EI_VERSION] = 0)
WRONG(bad_type, file.header.e_type = 1)
WRONG(bad_entry_bytes, file.header.e_phentsize = 57)
WRONG(no_headers, file.header.e_phnum = 0)
WRONG(many_headers, file.header.e_phnum = 1171)
WRONG(table_outside, file.header.e_phoff = FILE_BYTES - 5 * sizeof(Elf64_Phdr) + 1)
WRONG(table_wraps, file.header.e_phoff = UINT64_MAX - 8)
WRONG(writable_code, file.table[CODE].p_flags |= PF_W)
WRONG(more_in_file, file.table[CODE].p_filesz++)
WRONG(behind_the_file, file.table[DATA].p_offset += 0x1000)
WRONG(offset_wraps, file.table[DATA].p_offset = UINT64_MAX - 0xf)
WRONG(too_high, file.table[DATA].p_vaddr = USER_END - FRAME_BYTES - 0x110)
WRONG(address_wraps, file.table[DATA].p_vaddr = UINT64_MAX - 0x10f)
WRONG(memory_wraps, file.table[DATA].p_memsz = UINT64_MAX)
WRONG(not_congruent, file.table[DATA].p_vaddr += 8)
WRONG(odd_alignment, file.table[CODE].p_align = 0x3000)
WRONG(huge_alignment, file.table[CODE].p_align = 1ULL << 47)
WRONG(overlap, file.table[DATA].p_vaddr = 0x402ef0)
WRONG(descending, file.table[DATA].p_vaddr = 0x3feef0)
WRONG(entry_in_data, file.header.e_entry = 0x405000)
WRONG(entry_behind, file.header.e_entry = 0x403000)
WRONG(no_segment, memset(file.table, 0, sizeof file.table))
WRONG(name_outside, (file.table[INTERPRETER] = (Elf64_Phdr){
                         .p_type = PT_INTERP, .p_offset = FILE_BYTES - 4, .p_filesz = 5}))
WRONG(name_short, (file.table[INTERPRETER] = (Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 1}))
WRONG(name_long, (file.table[INTERPRETER] = (Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 4097}))
WRONG(two_names, (file.table[EMPTY] = file.table[INTERPRETER] = (Elf64_Phdr){
                      .p_type = PT_INTERP, .p_offset = 0x100, .p_filesz = 5}))

static void each_thing_wrong_is_refused_by_name(void **state)
{
    static const struct {
        void (*change)(void);
        const char *text;
    } wrong[] = {
        {bad_magic, "not an ELF file"},
        {bad_class, "not 64-bit x86-64"},
        {bad_order, "not 64-bit x86-64"},
        {bad_machine, "not 64-bit x86-64"},
        {bad_version, "version"},
        {bad_ident_version, "version"},
        {bad_type, "type 1"},
        {bad_entry_bytes, "of 57 bytes"},
        {no_headers, "0 program headers"},
        {many_headers, "1171 program headers"},
        {table_outside, "pass the file's end"},
        {table_wraps, "pass the file's end"},
        {writable_code, "segment 1 is both writable and executable"},
        {more_in_file, "in memory"},
        {behind_the_file, "passes the file's end"},
        {offset_wraps, "passes the file's end"},
        {too_high, "passes the user half"},
        {address_wraps, "passes the user half"},
        {memory_wraps, "passes the user half"},
        {not_congruent, "not congruent"},
        {odd_alignment, "no power of two"},
        {huge_alignment, "more than there is room for"},
        {overlap, "overlaps"},
        {descending, "overlaps"},
        {entry_in_data, "no executable segment"},
        {entry_behind, "no executable segment"},
        {no_segment, "none of 5"},
        {name_outside, "interpreter's name"},
        {name_short, "interpreter's name"},
        {name_long, "interpreter's name"},
        {two_names, "two interpreters"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        make(state);
        wrong[i].change();
        bool sound = parse();
        assert_int_equal(sound, wrong[i].text == NULL);
        if (!sound && !strstr(error.text, wrong[i].text)) {
            fail_msg("case %zu says: %s", i, error.text);
        }
    }
    make(state);
    assert_false(program_elf_header(&file, sizeof file.header - 1, FILE_BYTES, &program, &error));
}

static void more_segments_than_fit_are_refused(void **state)
{
    (void)state;
    Elf64_Phdr table[PROGRAM_SEGMENTS_MAX + 1];
    for (unsigned i = 0; i <= PROGRAM_SEGMENTS_MAX; i++) {
        table[i] = load(0x400000 + 0x1000 * i, 0, 8, 8, PF_R | PF_X);
    }
    struct program_elf many = {.header_count = PROGRAM_SEGMENTS_MAX, .entry = 0x400000, .alignment = 4096};
    assert_true(program_elf_segments(table, FILE_BYTES, &many, &error));
    many = (struct program_elf){.header_count = PROGRAM_SEGMENTS_MAX + 1, .entry = 0x400000};
    assert_false(program_elf_segments(table, FILE_BYTES, &many, &error));
}

/* What the linker of this machine makes. */
static void this_test_is_a_program(void **state)
{
    (void)state;
    FILE *self = fopen("/proc/self/exe", "rb");
    assert_non_null(self);
    fseek(self, 0, SEEK_END);
    size_t bytes = (size_t)ftell(self);
    uint8_t *contents = malloc(bytes);
    rewind(self);
    assert_int_equal(fread(contents, 1, bytes, self), bytes);
    fclose(self);
    assert_true(program_elf_header(contents, bytes, bytes, &program, &error));
    assert_true(program_elf_segments(contents + program.table_offset, bytes, &program, &error));
    assert_true(program.has_interpreter && program.headers != 0);
    assert_string_equal(contents + program.interpreter_offset, "/lib64/ld-linux-x86-64.so.2");
    free(contents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sound_file_is_described, make),
        cmocka_unit_test_setup(what_a_file_may_have, make),
        cmocka_unit_test(each_thing_wrong_is_refused_by_name),
        cmocka_unit_test(more_segments_than_fit_are_refused),
        cmocka_unit_test(this_test_is_a_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

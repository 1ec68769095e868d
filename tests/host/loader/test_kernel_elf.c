/*
 * Checking and loading the kernel's ELF file: a sound file, then each thing wrong alone, then random damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_sample.h"
#include "tests/host/support/random.h"

static struct loader_error error;
static struct sample sample;

/*
 * Where the segments are loaded: in another order than they are linked in, each at the end of its room, so
 * that a byte outside belongs to nobody.
 */
#define ROOM (SAMPLE_SPAN + FRAME_BYTES)
static _Alignas(4096) uint8_t rooms[SAMPLE_SEGMENTS][ROOM];
static uint8_t *memory[BOOT_SEGMENTS_MAX];

/* Fills all rooms with 0xee and gives each segment its memory. False when one is too large. */
static bool make_room(const struct kernel_elf *elf)
{
    memset(rooms, 0xee, sizeof rooms);
    for (size_t i = 0; i < elf->segment_count; i++) {
        uint64_t bytes = kernel_elf_segment_bytes(&elf->segments[i]);
        if (i >= SAMPLE_SEGMENTS || bytes > SAMPLE_SPAN) {
            return false;
        }
        memory[i] = rooms[SAMPLE_SEGMENTS - 1 - i] + ROOM - bytes;
    }
    return true;
}

/* Nothing was written outside the memory of the segments. */
static void expect_nothing_outside(const struct kernel_elf *elf)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        for (const uint8_t *at = rooms[SAMPLE_SEGMENTS - 1 - i]; at < memory[i]; at++) {
            assert_int_equal(*at, 0xee);
        }
    }
}

static int fresh_sample(void **state)
{
    (void)state;
    sample_make(&sample);
    return 0;
}

static void sound_file_is_described(void **state)
{
    (void)state;
    struct kernel_elf elf;
    assert_true(kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error));
    assert_int_equal(elf.base, IMAGE_BASE);
    assert_int_equal(elf.bytes, SAMPLE_SPAN);
    assert_int_equal(elf.entry, IMAGE_BASE + SAMPLE_CODE + 0x10);
    assert_int_equal(elf.segment_count, SAMPLE_SEGMENTS);
    assert_int_equal(elf.relocation_entries, SAMPLE_RELR);
    assert_int_equal(elf.segments[0].flags, 0);
    assert_int_equal(elf.segments[1].flags, BOOT_SEGMENT_EXECUTE);
    assert_int_equal(elf.segments[2].flags, BOOT_SEGMENT_WRITE);
    assert_int_equal(elf.segments[2].memory_bytes, 0x2010);
    assert_int_equal(elf.segments[2].file_bytes, 0x700);
    assert_int_equal(kernel_elf_segment_bytes(&elf.segments[0]), 0x2000);
    assert_int_equal(kernel_elf_segment_bytes(&elf.segments[1]), 0x1000);
    assert_int_equal(kernel_elf_segment_bytes(&elf.segments[2]), 0x3000);
}

/* All segments, byte for byte, as the specification would have them. */
static void expect_image(const struct kernel_elf *elf, uint64_t slide)
{
    static uint8_t expected[SAMPLE_SPAN];
    memset(expected, 0, sizeof expected);
    memcpy(expected, sample.bytes, 0x1234);
    memcpy(expected + SAMPLE_CODE, sample.bytes + SAMPLE_CODE, 0x900);
    memcpy(expected + SAMPLE_DATA, sample.bytes + SAMPLE_DATA, 0x700);
    for (size_t i = 0; i < SAMPLE_RELOCATIONS; i++) {
        uint64_t value = IMAGE_BASE + 0x2010 + i + slide;
        memcpy(expected + (sample_words[i] - IMAGE_BASE), &value, sizeof value);
    }
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        assert_memory_equal(memory[i], expected + (segment->address - IMAGE_BASE),
                            kernel_elf_segment_bytes(segment));
    }
}

static void loading_copies_zeroes_and_relocates(void **state)
{
    (void)state;
    static const uint64_t slides[] = {0, 0x1000, 0x12345000, IMAGE_END - IMAGE_BASE - SAMPLE_SPAN};
    struct kernel_elf elf;
    assert_true(kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error));
    for (size_t i = 0; i < ARRAY_LENGTH(slides); i++) {
        assert_true(make_room(&elf));
        assert_true(kernel_elf_load(&elf, memory, slides[i], &error));
        expect_image(&elf, slides[i]);
        expect_nothing_outside(&elf);
        uint64_t word;
        memcpy(&word, memory[SAMPLE_LOAD_DATA], sizeof word);
        assert_int_equal(word, IMAGE_BASE + 0x2010 + 1 + slides[i]);
    }
}

static void loading_refuses_before_it_writes(void **state)
{
    (void)state;
    static const uint64_t slides[] = {0x800, IMAGE_END - IMAGE_BASE - SAMPLE_SPAN + 0x1000,
                                      UINT64_MAX - 0xfff};
    struct kernel_elf elf;
    assert_true(kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error));
    assert_true(make_room(&elf));
    for (size_t i = 0; i < ARRAY_LENGTH(slides); i++) {
        assert_false(kernel_elf_load(&elf, memory, slides[i], &error));
        assert_non_null(strstr(error.text, "slide"));
    }
    memory[SAMPLE_LOAD_DATA] += 8;
    assert_false(kernel_elf_load(&elf, memory, 0, &error));
    assert_non_null(strstr(error.text, "memory of segment 2"));
    assert_non_null(strstr(error.text, "page-aligned"));
    for (size_t i = 0; i < SAMPLE_SEGMENTS; i++) {
        for (size_t j = 0; j < ROOM; j++) {
            assert_int_equal(rooms[i][j], 0xee);
        }
    }
}

static void expect_refusal(size_t bytes, const char *text)
{
    struct kernel_elf elf;
    if (kernel_elf_parse(sample.bytes, bytes, &elf, &error)) {
        fail_msg("accepted, though it should say \"%s\"", text);
    }
    if (!strstr(error.text, text)) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
    sample_make(&sample);
}

/* Changes one thing of the sound file and expects the refusal that names it. */
#define REFUSES(change, text)                                                                                \
    do {                                                                                                     \
        change;                                                                                              \
        expect_refusal(SAMPLE_BYTES, text);                                                                  \
    } while (0)

static void header_fields_are_checked(void **state)
{
    (void)state;
    Elf64_Ehdr *header = sample_header(&sample);
    REFUSES(header->e_ident[0] = 'X', "not an ELF file (begins 58 45 4c 46)");
    REFUSES(header->e_ident[3] = 0, "not an ELF file");
    REFUSES(header->e_ident[EI_CLASS] = 1, "class is 1");
    REFUSES(header->e_ident[EI_DATA] = 2, "byte order is 2");
    REFUSES(header->e_ident[EI_VERSION] = 0, "version is 0/1");
    REFUSES(header->e_version = 2, "version is 1/2");
    REFUSES(header->e_ident[EI_OSABI] = 9, "ABI is 9");
    REFUSES(header->e_ident[EI_ABIVERSION] = 1, "version 1");
    REFUSES(header->e_type = 2, "type is 2");
    REFUSES(header->e_machine = 183, "machine is 183");
    REFUSES(header->e_flags = 1, "flags are 0x1");
    REFUSES(header->e_ehsize = 52, "header size is 52");
    REFUSES(header->e_phentsize = 32, "program header size is 32");
    REFUSES(header->e_phoff = SAMPLE_BYTES - 8, "5 program headers at 0x37f8");
    REFUSES(header->e_phoff = UINT64_MAX - 8, "program headers at 0xffff");
    REFUSES(header->e_phnum = 0xffff, "65535 program headers");
    REFUSES(header->e_phnum = 0, "none of 0 program headers");
    REFUSES(header->e_entry = IMAGE_BASE + 0x10, "entry point 0xffffffff80000010");
    REFUSES(header->e_entry = IMAGE_BASE + SAMPLE_CODE + 0x900, "entry point");
    REFUSES(header->e_entry = IMAGE_BASE + SAMPLE_CODE - 1, "entry point");
    REFUSES(header->e_entry = 0, "entry point 0x0");
}

static void segments_are_checked(void **state)
{
    (void)state;
    Elf64_Phdr *code = sample_program(&sample, SAMPLE_LOAD_CODE);
    Elf64_Phdr *data = sample_program(&sample, SAMPLE_LOAD_DATA);
    REFUSES(code->p_align = 0, "segment 1 is aligned to 0");
    REFUSES(code->p_align = 0x200000, "segment 1 is aligned to 2097152");
    REFUSES(code->p_vaddr += 0x10, "segment 1 begins inside a page");
    REFUSES(code->p_offset += 0x10, "segment 1 has offset 0x2010");
    REFUSES(code->p_offset = 0x4000, "segment 1 (0x900 bytes at 0x4000) passes");
    REFUSES(data->p_filesz = 0x801, "segment 2 (0x801 bytes at 0x3000) passes");
    REFUSES(data->p_filesz = UINT64_MAX - 0xfff, "segment 2");
    REFUSES(data->p_memsz = 0x6ff, "0x6ff bytes in memory and 0x700");
    REFUSES((data->p_memsz = 0, data->p_filesz = 0), "0x0 bytes in memory");
    REFUSES(data->p_memsz = UINT64_MAX, "segment 2 (0xffffffffffffffff bytes");
    REFUSES(data->p_memsz = IMAGE_END - IMAGE_BASE - SAMPLE_DATA + 1, "outside");
    REFUSES(data->p_vaddr = IMAGE_END, "outside");
    REFUSES(code->p_vaddr = IMAGE_BASE - 0x1000, "outside");
    REFUSES(code->p_vaddr = 0x2000, "outside");
    REFUSES(code->p_flags = PF_R | PF_W | PF_X, "segment 1 is both writable and executable");
    REFUSES(code->p_flags = PF_X, "segment 1 has flags 0x1");
    REFUSES(code->p_flags = PF_R | PF_X | 8, "segment 1 has flags 0xd");
    REFUSES(code->p_flags |= KERNEL_ELF_OPTIONAL, "is not in an executable segment that is always there");
    REFUSES(code->p_vaddr = IMAGE_BASE + 0x1000, "segment 1 at 0xffffffff80001000 overlaps");
    REFUSES(data->p_vaddr = IMAGE_BASE, "segment 2 at 0xffffffff80000000 overlaps or precedes");
}

/* What is left out is not written, its relocations neither; the others are as they were. */
static void an_optional_segment_may_be_left_out(void **state)
{
    (void)state;
    struct kernel_elf elf;
    sample_program(&sample, SAMPLE_LOAD_DATA)->p_flags |= KERNEL_ELF_OPTIONAL;
    assert_true(kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error));
    assert_true(elf.segments[SAMPLE_LOAD_DATA].optional && !elf.segments[SAMPLE_LOAD_CODE].optional);
    assert_int_equal(elf.segments[SAMPLE_LOAD_DATA].flags, BOOT_SEGMENT_WRITE);
    assert_true(make_room(&elf));
    assert_true(kernel_elf_load(&elf, memory, 0x1000, &error));
    expect_image(&elf, 0x1000);
    assert_true(make_room(&elf));
    const uint8_t *untouched = memory[SAMPLE_LOAD_DATA];
    memory[SAMPLE_LOAD_DATA] = NULL;
    assert_true(kernel_elf_load(&elf, memory, 0x1000, &error));
    assert_int_equal(untouched[0], 0xee);
    elf.segment_count = SAMPLE_LOAD_DATA;
    expect_image(&elf, 0x1000);
}

static void a_segment_without_memory_is_refused(void **state)
{
    (void)state;
    struct kernel_elf elf;
    assert_true(kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error));
    assert_true(make_room(&elf));
    memory[SAMPLE_LOAD_DATA] = NULL;
    assert_false(kernel_elf_load(&elf, memory, 0, &error));
    assert_non_null(strstr(error.text, "segment 2 has no memory"));
    assert_int_equal(memory[SAMPLE_LOAD_CODE][0], 0xee);
}

static void too_many_segments_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i <= BOOT_SEGMENTS_MAX; i++) {
        sample_load(&sample, i, i * FRAME_BYTES, 0, FRAME_BYTES, PF_R);
        sample_program(&sample, i)->p_offset = 0;
    }
    sample_header(&sample)->e_phnum = BOOT_SEGMENTS_MAX + 1;
    expect_refusal(SAMPLE_BYTES, "segment 10 is one more than the 10");
}

static void other_program_headers_are_checked(void **state)
{
    (void)state;
    Elf64_Phdr *dynamic = sample_program(&sample, SAMPLE_PT_DYNAMIC);
    Elf64_Phdr *other = sample_program(&sample, SAMPLE_PT_OTHER);
    REFUSES(other->p_type = PT_INTERP, "program header 4 asks for an interpreter");
    REFUSES(other->p_type = PT_TLS, "thread-local storage");
    REFUSES(other->p_type = PT_DYNAMIC, "program header 4 is a second dynamic table");
    REFUSES(dynamic->p_type = 0, "no dynamic table");
    REFUSES(dynamic->p_offset = SAMPLE_BYTES - 0x4f, "dynamic table (0x50 bytes at 0x37b1)");
    REFUSES(dynamic->p_filesz = UINT64_MAX, "dynamic table");
    REFUSES(dynamic->p_filesz = 0x4f, "no end mark");
}

static void relocations_are_checked(void **state)
{
    (void)state;
    Elf64_Dyn *dynamic = sample_dynamic(&sample, 0);
    REFUSES(dynamic[0].d_tag = 0x6ffffff0, "relocation table at 0x0 of 48 bytes");
    REFUSES(dynamic[0].d_val = IMAGE_BASE + 0x1300, "lies in no segment");
    REFUSES(dynamic[0].d_val = UINT64_MAX, "lies in no segment");
    REFUSES(dynamic[0].d_val = IMAGE_BASE + SAMPLE_DATA + 0x6f8, "lies in no segment"); /* the zeroed tail */
    REFUSES(dynamic[1].d_val = 47, "of 47 bytes");
    REFUSES(dynamic[1].d_val = (uint64_t)8 * 100000, "lies in no segment");
    REFUSES(dynamic[2].d_val = 24, "entries of 24");
    REFUSES(dynamic[2].d_tag = 0x6ffffff0, "entries of 0");
    REFUSES(dynamic[3].d_tag = DT_NEEDED, "shared library");
    REFUSES(dynamic[3].d_tag = DT_REL, "dynamic tag 17");
    REFUSES(dynamic[3].d_tag = DT_RELA, "dynamic tag 7");
    REFUSES(dynamic[3].d_tag = DT_PLTRELSZ, "dynamic tag 2");
    REFUSES(*sample_relr(&sample, 0) = IMAGE_BASE + 0x1800, "targets 0xffffffff80001800, outside");
    REFUSES(*sample_relr(&sample, 0) = IMAGE_BASE - 2, "outside");
    REFUSES(*sample_relr(&sample, 0) = UINT64_MAX - 3, "targets 0xfffffffffffffffc, outside");
    REFUSES(*sample_relr(&sample, 0) = 3, "targets 0x0, outside");      /* a bitmap of words at no address */
    REFUSES(*sample_relr(&sample, 5) = IMAGE_BASE + 0x36fa, "outside"); /* its end is in the zeroed tail */
    REFUSES(*sample_relr(&sample, 1) = IMAGE_BASE + 0x1006, "but the one before ends at 0xffffffff8000100c");
    REFUSES(*sample_relr(&sample, 5) = IMAGE_BASE + 0x3400, "but the one before ends at 0xffffffff80003408");
}

static void a_file_without_relocations_is_sound(void **state)
{
    (void)state;
    struct kernel_elf elf;
    sample_dynamic(&sample, 0)->d_tag = DT_NULL;
    assert_true(kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error));
    assert_int_equal(elf.relocation_entries, 0);
    assert_true(make_room(&elf));
    assert_true(kernel_elf_load(&elf, memory, 0x1000, &error));
    assert_memory_equal(memory[SAMPLE_LOAD_DATA], sample.bytes + SAMPLE_DATA, 0x700);
}

/* Every length short of the last byte that is used is refused, without a byte read past it. */
static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < SAMPLE_DATA + 0x700; bytes += bytes < 0x700 ? 1 : 61) {
        uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
        memcpy(copy, sample.bytes, bytes);
        struct kernel_elf elf;
        assert_false(kernel_elf_parse(copy, bytes, &elf, &error));
        assert_true(error.text[0] != '\0');
        free(copy);
    }
}

/* Damages one to four bytes of the tables: whatever is still accepted loads inside its memory. */
static void random_damage_never_escapes(void **state)
{
    (void)state;
    uint64_t random = 0x454c46;
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        struct kernel_elf elf;
        sample_make(&sample);
        for (uint64_t left = 1 + random_next(&random) % 4; left > 0; left--) {
            sample.bytes[random_next(&random) % 0x660] ^= (uint8_t)(1U << random_next(&random) % 8);
        }
        if (kernel_elf_parse(sample.bytes, SAMPLE_BYTES, &elf, &error) && make_room(&elf)) {
            assert_true(kernel_elf_load(&elf, memory, 0, &error));
            expect_nothing_outside(&elf);
            accepted++;
        }
    }
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sound_file_is_described, fresh_sample),
        cmocka_unit_test_setup(loading_copies_zeroes_and_relocates, fresh_sample),
        cmocka_unit_test_setup(loading_refuses_before_it_writes, fresh_sample),
        cmocka_unit_test_setup(header_fields_are_checked, fresh_sample),
        cmocka_unit_test_setup(segments_are_checked, fresh_sample),
        cmocka_unit_test_setup(an_optional_segment_may_be_left_out, fresh_sample),
        cmocka_unit_test_setup(a_segment_without_memory_is_refused, fresh_sample),
        cmocka_unit_test_setup(too_many_segments_are_refused, fresh_sample),
        cmocka_unit_test_setup(other_program_headers_are_checked, fresh_sample),
        cmocka_unit_test_setup(relocations_are_checked, fresh_sample),
        cmocka_unit_test_setup(a_file_without_relocations_is_sound, fresh_sample),
        cmocka_unit_test_setup(every_truncation_is_refused, fresh_sample),
        cmocka_unit_test_setup(random_damage_never_escapes, fresh_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Checking a program's ELF file; see elf.h. */
#include "elf.h"

#include <ashlar/format.h>
#include <ashlar/string.h>
#include <ashlar/user_copy.h>
#include <stdarg.h>

__attribute__((format(printf, 2, 3))) static bool refuse(struct program_error *error, const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    format_list(error->text, sizeof error->text, text, arguments);
    va_end(arguments);
    return false;
}

/* Whether [offset, offset + bytes) lies inside a thing of `limit` bytes. No sum here can wrap. */
static bool is_within(uint64_t offset, uint64_t bytes, uint64_t limit)
{
    return offset <= limit && bytes <= limit - offset;
}

static bool check_kind(const Elf64_Ehdr *header, struct program_error *error)
{
    const uint8_t *ident = header->e_ident;
    if (memcmp(ident, "\177ELF", 4) != 0) {
        return refuse(error, "not an ELF file (begins %02x %02x %02x %02x)", ident[0], ident[1], ident[2],
                      ident[3]);
    }
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64) {
        return refuse(error, "class %u, byte order %u, machine %u: not 64-bit x86-64", ident[EI_CLASS],
                      ident[EI_DATA], header->e_machine);
    }
    if (ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT) {
        return refuse(error, "ELF version %u/%u, not %d", ident[EI_VERSION], header->e_version, EV_CURRENT);
    }
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN) {
        return refuse(error, "type %u: neither a program (%d) nor position-independent (%d)", header->e_type,
                      ET_EXEC, ET_DYN);
    }
    return true;
}

static bool check_table(const Elf64_Ehdr *header, uint64_t file_bytes, struct program_error *error)
{
    if (header->e_phentsize != sizeof(Elf64_Phdr)) {
        return refuse(error, "program headers of %u bytes, not %zu", header->e_phentsize, sizeof(Elf64_Phdr));
    }
    if (header->e_phnum == 0 || header->e_phnum > PROGRAM_HEADERS_MAX) {
        return refuse(error, "%u program headers", header->e_phnum);
    }
    if (!is_within(header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr), file_bytes)) {
        return refuse(error, "%u program headers at 0x%" PRIx64 " pass the file's end at 0x%" PRIx64,
                      header->e_phnum, header->e_phoff, file_bytes);
    }
    return true;
}

bool program_elf_header(const void *file, size_t bytes, uint64_t file_bytes, struct program_elf *program,
                        struct program_error *error)
{
    Elf64_Ehdr header;
    if (bytes < sizeof header || file_bytes < sizeof header) {
        return refuse(error, "%zu bytes are too few for an ELF header", bytes);
    }
    memcpy(&header, file, sizeof header);
    if (!check_kind(&header, error) || !check_table(&header, file_bytes, error)) {
        return false;
    }
    *program = (struct program_elf){.moves = header.e_type == ET_DYN,
                                    .alignment = FRAME_BYTES,
                                    .entry = header.e_entry,
                                    .header_count = header.e_phnum,
                                    .table_offset = header.e_phoff};
    return true;
}

static bool check_segment(const Elf64_Phdr *header, unsigned index, uint64_t file_bytes,
                          struct program_error *error)
{
    if ((header->p_flags & PF_W) && (header->p_flags & PF_X)) {
        return refuse(error, "segment %u is both writable and executable", index);
    }
    if (header->p_filesz > header->p_memsz) {
        return refuse(error, "segment %u has 0x%" PRIx64 " bytes in the file, 0x%" PRIx64 " in memory", index,
                      header->p_filesz, header->p_memsz);
    }
    if (!is_within(header->p_offset, header->p_filesz, file_bytes)) {
        return refuse(error,
                      "segment %u, 0x%" PRIx64 " bytes at 0x%" PRIx64 ", passes the file's end at 0x%" PRIx64,
                      index, header->p_filesz, header->p_offset, file_bytes);
    }
    if (!is_within(header->p_vaddr, header->p_memsz, USER_END - FRAME_BYTES)) {
        return refuse(error, "segment %u, 0x%" PRIx64 " bytes at 0x%" PRIx64 ", passes the user half", index,
                      header->p_memsz, header->p_vaddr);
    }
    if ((header->p_vaddr - header->p_offset) % FRAME_BYTES != 0) {
        return refuse(error, "segment %u at 0x%" PRIx64 " has offset 0x%" PRIx64 ": not congruent", index,
                      header->p_vaddr, header->p_offset);
    }
    if (header->p_align > 1 && !is_power_of_two(header->p_align)) {
        return refuse(error, "segment %u is aligned to 0x%" PRIx64 ", no power of two", index,
                      header->p_align);
    }
    return true;
}

/* The segment in whole pages: what the file has before its first byte, in the same page, comes along. */
static struct program_segment in_pages(const Elf64_Phdr *header)
{
    uint64_t before = header->p_vaddr % FRAME_BYTES;
    return (struct program_segment){
        .address = header->p_vaddr - before,
        .bytes = align_up(before + header->p_memsz, FRAME_BYTES),
        .offset = header->p_filesz ? header->p_offset - before : 0,
        .file_bytes = header->p_filesz ? before + header->p_filesz : 0,
        .has_zeros = header->p_memsz > header->p_filesz,
        .access = header->p_flags & (PF_R | PF_W | PF_X),
    };
}

static bool add_segment(struct program_elf *program, const Elf64_Phdr *header, unsigned index,
                        uint64_t file_bytes, struct program_error *error)
{
    if (header->p_memsz == 0) {
        return true;
    }
    if (!check_segment(header, index, file_bytes, error)) {
        return false;
    }
    struct program_segment segment = in_pages(header);
    if (program->segment_count == PROGRAM_SEGMENTS_MAX) {
        return refuse(error, "segment %u is one more than %d", index, PROGRAM_SEGMENTS_MAX);
    }
    if (program->segment_count == 0) {
        program->base = segment.address;
    } else if (segment.address < program->end) {
        return refuse(error, "segment %u at 0x%" PRIx64 " overlaps the one before, which ends at 0x%" PRIx64,
                      index, header->p_vaddr, program->end);
    }
    program->segments[program->segment_count++] = segment;
    program->end = segment.address + segment.bytes;
    program->alignment = max_u64(program->alignment, header->p_align);
    return true;
}

static bool note_interpreter(struct program_elf *program, const Elf64_Phdr *header, uint64_t file_bytes,
                             struct program_error *error)
{
    if (program->has_interpreter) {
        return refuse(error, "names two interpreters");
    }
    if (header->p_filesz < 2 || header->p_filesz > PROGRAM_INTERPRETER_BYTES ||
        !is_within(header->p_offset, header->p_filesz, file_bytes)) {
        return refuse(error,
                      "the interpreter's name, 0x%" PRIx64 " bytes at 0x%" PRIx64 ", is not in the file",
                      header->p_filesz, header->p_offset);
    }
    program->has_interpreter = true;
    program->interpreter_offset = header->p_offset;
    program->interpreter_bytes = header->p_filesz;
    return true;
}

/* Where a segment shows what lies at `offset` of the file, for `bytes` bytes; 0 when none does. */
static uint64_t address_of(const struct program_elf *program, uint64_t offset, uint64_t bytes)
{
    for (unsigned i = 0; i < program->segment_count; i++) {
        const struct program_segment *segment = &program->segments[i];
        if (offset >= segment->offset && is_within(offset - segment->offset, bytes, segment->file_bytes)) {
            return segment->address + (offset - segment->offset);
        }
    }
    return 0;
}

/* The first instruction lies in an executable segment; a program that has none would only fault. */
static bool check_whole(const struct program_elf *program, struct program_error *error)
{
    if (program->segment_count == 0) {
        return refuse(error, "none of %u program headers is a segment", program->header_count);
    }
    if (program->alignment > USER_END / 4) {
        return refuse(error, "aligned to 0x%" PRIx64 ", more than there is room for", program->alignment);
    }
    for (unsigned i = 0; i < program->segment_count; i++) {
        const struct program_segment *segment = &program->segments[i];
        if ((segment->access & PF_X) && program->entry >= segment->address &&
            program->entry - segment->address < segment->bytes) {
            return true;
        }
    }
    return refuse(error, "its entry, 0x%" PRIx64 ", is in no executable segment", program->entry);
}

bool program_elf_segments(const void *table, uint64_t file_bytes, struct program_elf *program,
                          struct program_error *error)
{
    for (unsigned i = 0; i < program->header_count; i++) {
        Elf64_Phdr header;
        memcpy(&header, (const uint8_t *)table + i * sizeof header, sizeof header);
        if (header.p_type == PT_LOAD && !add_segment(program, &header, i, file_bytes, error)) {
            return false;
        }
        if (header.p_type == PT_INTERP && !note_interpreter(program, &header, file_bytes, error)) {
            return false;
        }
    }
    program->headers = address_of(program, program->table_offset, program->header_count * sizeof(Elf64_Phdr));
    return check_whole(program, error);
}

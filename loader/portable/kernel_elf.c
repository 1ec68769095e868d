/*
 * Checking and loading the kernel's ELF file.
 *
 * kernel_elf_parse() walks the file from the outside in: header, program headers, segments, dynamic table,
 * relocations. Each step uses only what the steps before it have proved. Structures are copied out of the
 * file before they are looked at, so the file may lie at any address.
 */
#include "kernel_elf.h"

#include <ashlar/elf64.h>
#include <ashlar/layout.h>
#include <ashlar/string.h>

/* What the dynamic table says about relocations: addresses and sizes as they stand in the file. */
struct relocation_table {
    bool present;         /* there is a DT_RELR */
    uint64_t address;     /* DT_RELR: link address of the table */
    uint64_t bytes;       /* DT_RELRSZ */
    uint64_t entry_bytes; /* DT_RELRENT */
};

/* Whether [offset, offset + bytes) lies inside a thing of `limit` bytes. No sum here can wrap. */
static bool is_within(uint64_t offset, uint64_t bytes, uint64_t limit)
{
    return offset <= limit && bytes <= limit - offset;
}

static bool check_ident(const Elf64_Ehdr *header, struct loader_error *error)
{
    const uint8_t *ident = header->e_ident;
    if (memcmp(ident, "\177ELF", 4) != 0) {
        return loader_fail(error, "kernel: not an ELF file (begins %02x %02x %02x %02x)", ident[0], ident[1],
                           ident[2], ident[3]);
    }
    if (ident[EI_CLASS] != ELFCLASS64) {
        return loader_fail(error, "kernel: ELF class is %u, not 64-bit (%d)", ident[EI_CLASS], ELFCLASS64);
    }
    if (ident[EI_DATA] != ELFDATA2LSB) {
        return loader_fail(error, "kernel: byte order is %u, not little-endian (%d)", ident[EI_DATA],
                           ELFDATA2LSB);
    }
    if (ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT) {
        return loader_fail(error, "kernel: ELF version is %u/%u, not %d", ident[EI_VERSION],
                           header->e_version, EV_CURRENT);
    }
    if ((ident[EI_OSABI] != ELFOSABI_SYSV && ident[EI_OSABI] != ELFOSABI_GNU) || ident[EI_ABIVERSION] != 0) {
        return loader_fail(error, "kernel: ABI is %u version %u, not System V or GNU version 0",
                           ident[EI_OSABI], ident[EI_ABIVERSION]);
    }
    return true;
}

static bool check_header(const Elf64_Ehdr *header, size_t file_bytes, struct loader_error *error)
{
    if (!check_ident(header, error)) {
        return false;
    }
    if (header->e_type != ET_DYN) {
        return loader_fail(error, "kernel: type is %u, not position-independent (%d)", header->e_type,
                           ET_DYN);
    }
    if (header->e_machine != EM_X86_64) {
        return loader_fail(error, "kernel: machine is %u, not x86-64 (%d)", header->e_machine, EM_X86_64);
    }
    if (header->e_flags != 0) {
        return loader_fail(error, "kernel: processor flags are 0x%x, not 0", header->e_flags);
    }
    if (header->e_ehsize != sizeof(Elf64_Ehdr)) {
        return loader_fail(error, "kernel: header size is %u, not %zu", header->e_ehsize, sizeof(Elf64_Ehdr));
    }
    if (header->e_phentsize != sizeof(Elf64_Phdr)) {
        return loader_fail(error, "kernel: program header size is %u, not %zu", header->e_phentsize,
                           sizeof(Elf64_Phdr));
    }
    if (!is_within(header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), file_bytes)) {
        return loader_fail(error, "kernel: %u program headers at 0x%" PRIx64 " pass the file's end at 0x%zx",
                           header->e_phnum, header->e_phoff, file_bytes);
    }
    return true;
}

static Elf64_Phdr program_header(const struct kernel_elf *elf, const Elf64_Ehdr *header, size_t index)
{
    Elf64_Phdr program;
    memcpy(&program, elf->file + header->e_phoff + index * sizeof program, sizeof program);
    return program;
}

static bool check_alignment(const Elf64_Phdr *program, size_t index, struct loader_error *error)
{
    if (program->p_align != FRAME_BYTES) {
        return loader_fail(error, "kernel: segment %zu is aligned to %" PRIu64 ", not %" PRIu64, index,
                           program->p_align, FRAME_BYTES);
    }
    if (!is_aligned(program->p_vaddr, FRAME_BYTES)) {
        return loader_fail(error, "kernel: segment %zu begins inside a page, at 0x%" PRIx64, index,
                           program->p_vaddr);
    }
    if (!is_aligned(program->p_offset, FRAME_BYTES)) {
        return loader_fail(error,
                           "kernel: segment %zu has offset 0x%" PRIx64 ", not congruent to its address",
                           index, program->p_offset);
    }
    return true;
}

static bool check_bounds(const struct kernel_elf *elf, const Elf64_Phdr *program, size_t index,
                         struct loader_error *error)
{
    if (!is_within(program->p_offset, program->p_filesz, elf->file_bytes)) {
        return loader_fail(error,
                           "kernel: segment %zu (0x%" PRIx64 " bytes at 0x%" PRIx64
                           ") passes the file's end at 0x%zx",
                           index, program->p_filesz, program->p_offset, elf->file_bytes);
    }
    if (program->p_memsz == 0 || program->p_filesz > program->p_memsz) {
        return loader_fail(
            error, "kernel: segment %zu has 0x%" PRIx64 " bytes in memory and 0x%" PRIx64 " in the file",
            index, program->p_memsz, program->p_filesz);
    }
    if (program->p_vaddr < IMAGE_BASE ||
        !is_within(program->p_vaddr - IMAGE_BASE, program->p_memsz, IMAGE_END - IMAGE_BASE)) {
        return loader_fail(error,
                           "kernel: segment %zu (0x%" PRIx64 " bytes at 0x%" PRIx64
                           ") lies outside 0x%" PRIx64 "-0x%" PRIx64,
                           index, program->p_memsz, program->p_vaddr, IMAGE_BASE, IMAGE_END);
    }
    return true;
}

static bool check_permissions(const Elf64_Phdr *program, size_t index, struct loader_error *error)
{
    if (!(program->p_flags & PF_R) ||
        (program->p_flags & ~(uint32_t)(PF_R | PF_W | PF_X | KERNEL_ELF_OPTIONAL))) {
        return loader_fail(error, "kernel: segment %zu has flags 0x%x, not readable plus write or execute",
                           index, program->p_flags);
    }
    if ((program->p_flags & PF_W) && (program->p_flags & PF_X)) {
        return loader_fail(error, "kernel: segment %zu is both writable and executable", index);
    }
    return true;
}

/* The end of the highest segment so far, in whole pages; IMAGE_BASE when there is none. */
static uint64_t image_end(const struct kernel_elf *elf)
{
    if (elf->segment_count == 0) {
        return IMAGE_BASE;
    }
    const struct kernel_elf_segment *last = &elf->segments[elf->segment_count - 1];
    return last->address + kernel_elf_segment_bytes(last);
}

static bool add_segment(struct kernel_elf *elf, const Elf64_Phdr *program, size_t index,
                        struct loader_error *error)
{
    if (elf->segment_count == BOOT_SEGMENTS_MAX) {
        return loader_fail(error, "kernel: segment %zu is one more than the %d that fit", index,
                           BOOT_SEGMENTS_MAX);
    }
    if (!check_alignment(program, index, error) || !check_bounds(elf, program, index, error) ||
        !check_permissions(program, index, error)) {
        return false;
    }
    if (program->p_vaddr < image_end(elf)) {
        return loader_fail(
            error, "kernel: segment %zu at 0x%" PRIx64 " overlaps or precedes the one before, end 0x%" PRIx64,
            index, program->p_vaddr, image_end(elf));
    }
    elf->segments[elf->segment_count++] = (struct kernel_elf_segment){
        .offset = program->p_offset,
        .file_bytes = program->p_filesz,
        .address = program->p_vaddr,
        .memory_bytes = program->p_memsz,
        .flags = (program->p_flags & PF_W ? BOOT_SEGMENT_WRITE : 0) |
                 (program->p_flags & PF_X ? BOOT_SEGMENT_EXECUTE : 0),
        .optional = program->p_flags & KERNEL_ELF_OPTIONAL,
    };
    return true;
}

/* Adds the loadable segments and finds the dynamic table. */
static bool walk_program_headers(struct kernel_elf *elf, const Elf64_Ehdr *header, Elf64_Phdr *dynamic,
                                 struct loader_error *error)
{
    bool found = false;
    for (size_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr program = program_header(elf, header, i);
        if (program.p_type == PT_LOAD) {
            if (!add_segment(elf, &program, i, error)) {
                return false;
            }
        } else if (program.p_type == PT_INTERP || program.p_type == PT_TLS) {
            return loader_fail(error, "kernel: program header %zu asks for %s", i,
                               program.p_type == PT_TLS ? "thread-local storage" : "an interpreter");
        } else if (program.p_type == PT_DYNAMIC) {
            if (found) {
                return loader_fail(error, "kernel: program header %zu is a second dynamic table", i);
            }
            *dynamic = program;
            found = true;
        }
    }
    if (elf->segment_count == 0) {
        return loader_fail(error, "kernel: none of %u program headers is a loadable segment",
                           header->e_phnum);
    }
    if (!found) {
        return loader_fail(error, "kernel: no dynamic table, so it cannot be relocated");
    }
    return true;
}

static bool check_entry(const struct kernel_elf *elf, struct loader_error *error)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        if ((segment->flags & BOOT_SEGMENT_EXECUTE) && !segment->optional && elf->entry >= segment->address &&
            elf->entry - segment->address < segment->file_bytes) {
            return true;
        }
    }
    return loader_fail(
        error, "kernel: entry point 0x%" PRIx64 " is not in an executable segment that is always there",
        elf->entry);
}

/* Notes what a dynamic entry says; refuses what needs a dynamic linker. */
static bool read_dynamic_entry(const Elf64_Dyn *entry, struct relocation_table *table,
                               struct loader_error *error)
{
    switch (entry->d_tag) {
    case DT_RELR:
        table->present = true;
        table->address = entry->d_val;
        return true;
    case DT_RELRSZ:
        table->bytes = entry->d_val;
        return true;
    case DT_RELRENT:
        table->entry_bytes = entry->d_val;
        return true;
    case DT_NEEDED:
        return loader_fail(error, "kernel: needs a shared library (DT_NEEDED)");
    case DT_REL:
    case DT_RELA:
    case DT_PLTRELSZ:
        return loader_fail(error,
                           "kernel: has relocations of a kind it should not have (dynamic tag %" PRId64 ")",
                           entry->d_tag);
    default:
        return true;
    }
}

static bool read_dynamic(const struct kernel_elf *elf, const Elf64_Phdr *dynamic,
                         struct relocation_table *table, struct loader_error *error)
{
    if (!is_within(dynamic->p_offset, dynamic->p_filesz, elf->file_bytes)) {
        return loader_fail(error,
                           "kernel: dynamic table (0x%" PRIx64 " bytes at 0x%" PRIx64
                           ") passes the file's end at 0x%zx",
                           dynamic->p_filesz, dynamic->p_offset, elf->file_bytes);
    }
    for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic->p_filesz; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, elf->file + dynamic->p_offset + at, sizeof entry);
        if (entry.d_tag == DT_NULL) {
            return true;
        }
        if (!read_dynamic_entry(&entry, table, error)) {
            return false;
        }
    }
    return loader_fail(error, "kernel: dynamic table of 0x%" PRIx64 " bytes has no end mark",
                       dynamic->p_filesz);
}

/* Turns the table's link address into a file offset. */
static bool locate_relocations(struct kernel_elf *elf, const struct relocation_table *table,
                               struct loader_error *error)
{
    if (!table->present && table->bytes == 0) {
        return true; /* nothing to relocate */
    }
    if (!table->present || table->entry_bytes != sizeof(Elf64_Relr) ||
        table->bytes % sizeof(Elf64_Relr) != 0) {
        return loader_fail(error,
                           "kernel: relocation table at 0x%" PRIx64 " of %" PRIu64
                           " bytes in entries of %" PRIu64 ", not %zu",
                           table->address, table->bytes, table->entry_bytes, sizeof(Elf64_Relr));
    }
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        if (table->address >= segment->address &&
            is_within(table->address - segment->address, table->bytes, segment->file_bytes)) {
            elf->relocation_offset = segment->offset + (table->address - segment->address);
            elf->relocation_entries = table->bytes / sizeof(Elf64_Relr);
            return true;
        }
    }
    return loader_fail(error,
                       "kernel: relocation table (0x%" PRIx64 " bytes at 0x%" PRIx64 ") lies in no segment",
                       table->bytes, table->address);
}

/* Where a walk through the table of relocations is; all zero at its start. */
struct relocation_walk {
    uint64_t index;  /* of the next entry of the table */
    uint64_t bitmap; /* what is left of the bitmap under way; 0: none is */
    uint64_t word;   /* link address of the word that its lowest bit stands for */
    uint64_t behind; /* where the words of the next bitmap begin */
};

/*
 * Steps to the next word to relocate. An even entry of the table is the address of one; an odd entry is a
 * bitmap, its lowest bit left out, of the 63 words behind those that the entries before it are about (System
 * V ABI, "Relative Relocation Table"). Returns false at the table's end.
 */
static bool next_relocation(const struct kernel_elf *elf, struct relocation_walk *walk, uint64_t *address)
{
    while (walk->bitmap == 0) {
        if (walk->index == elf->relocation_entries) {
            return false;
        }
        Elf64_Relr entry;
        memcpy(&entry, elf->file + elf->relocation_offset + walk->index++ * sizeof entry, sizeof entry);
        if (!(entry & 1)) {
            *address = entry;
            walk->behind = entry + sizeof(uint64_t);
            return true;
        }
        walk->bitmap = entry >> 1;
        walk->word = walk->behind;
        walk->behind += ELF64_RELR_WORDS * sizeof(uint64_t);
    }
    unsigned skipped = (unsigned)__builtin_ctzll(walk->bitmap);
    *address = walk->word + skipped * sizeof(uint64_t);
    walk->bitmap = walk->bitmap >> skipped >> 1;
    walk->word = *address + sizeof(uint64_t);
    return true;
}

/* The segment whose bytes in the file hold the word at a link address; elf->segment_count when none does. */
static size_t segment_of_word(const struct kernel_elf *elf, uint64_t address)
{
    size_t i = 0;
    for (; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        if (address >= segment->address &&
            is_within(address - segment->address, sizeof(uint64_t), segment->file_bytes)) {
            break;
        }
    }
    return i;
}

/* Each word lies in a segment and behind the one before: so none is relocated twice. */
static bool check_relocations(const struct kernel_elf *elf, struct loader_error *error)
{
    struct relocation_walk walk = {0};
    uint64_t address;
    uint64_t end = 0;
    while (next_relocation(elf, &walk, &address)) {
        if (segment_of_word(elf, address) == elf->segment_count) {
            return loader_fail(error, "kernel: a relocation targets 0x%" PRIx64 ", outside every segment",
                               address);
        }
        if (address < end) {
            return loader_fail(
                error, "kernel: a relocation targets 0x%" PRIx64 ", but the one before ends at 0x%" PRIx64,
                address, end);
        }
        end = address + sizeof(uint64_t);
    }
    return true;
}

bool kernel_elf_parse(const void *file, size_t bytes, struct kernel_elf *elf, struct loader_error *error)
{
    Elf64_Ehdr header;
    if (bytes < sizeof header) {
        return loader_fail(error, "kernel: %zu bytes are too few for an ELF header", bytes);
    }
    memcpy(&header, file, sizeof header);
    if (!check_header(&header, bytes, error)) {
        return false;
    }
    memset(elf, 0, sizeof *elf);
    elf->file = file;
    elf->file_bytes = bytes;
    elf->entry = header.e_entry;
    Elf64_Phdr dynamic = {0};
    struct relocation_table table = {0};
    if (!walk_program_headers(elf, &header, &dynamic, error)) {
        return false;
    }
    elf->base = elf->segments[0].address;
    elf->bytes = image_end(elf) - elf->base;
    return check_entry(elf, error) && read_dynamic(elf, &dynamic, &table, error) &&
           locate_relocations(elf, &table, error) && check_relocations(elf, error);
}

/* Each word to relocate is the link address of something; the kernel runs `slide` above that. */
static void relocate(const struct kernel_elf *elf, uint8_t *const memory[], uint64_t slide)
{
    struct relocation_walk walk = {0};
    uint64_t address;
    while (next_relocation(elf, &walk, &address)) {
        size_t target = segment_of_word(elf, address);
        if (!memory[target]) {
            continue;
        }
        uint8_t *word = memory[target] + (address - elf->segments[target].address);
        uint64_t value;
        memcpy(&value, word, sizeof value);
        value += slide;
        memcpy(word, &value, sizeof value);
    }
}

bool kernel_elf_load(const struct kernel_elf *elf, uint8_t *const memory[], uint64_t slide,
                     struct loader_error *error)
{
    if (!is_aligned(slide, FRAME_BYTES) || slide > IMAGE_END - (elf->base + elf->bytes)) {
        return loader_fail(
            error, "kernel: slide 0x%" PRIx64 " moves 0x%" PRIx64 " bytes at 0x%" PRIx64 " past 0x%" PRIx64,
            slide, elf->bytes, elf->base, IMAGE_END);
    }
    for (size_t i = 0; i < elf->segment_count; i++) {
        if (!memory[i] && !elf->segments[i].optional) {
            return loader_fail(error, "kernel: segment %zu has no memory", i);
        }
        if (!is_aligned((uintptr_t)memory[i], FRAME_BYTES)) {
            return loader_fail(error, "kernel: memory of segment %zu at %p is not page-aligned", i,
                               (void *)memory[i]);
        }
    }
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        if (memory[i]) {
            memcpy(memory[i], elf->file + segment->offset, segment->file_bytes);
            memset(memory[i] + segment->file_bytes, 0,
                   kernel_elf_segment_bytes(segment) - segment->file_bytes);
        }
    }
    relocate(elf, memory, slide);
    return true;
}

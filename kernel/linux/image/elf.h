/*
 * What a program's ELF file says: checked, and in the form in which it is mapped. Pure: no memory is touched
 * but the header and the table that are handed in, and nothing is believed before it is checked.
 *
 * Accepted are static and position-independent x86-64 programs, with or without an interpreter, as Linux has
 * them. What Linux would map in a way that no linker means (segments that overlap, that reach behind the
 * file's end, or whose pages do) is refused, as is a segment that is writable and executable.
 */
#pragma once

#include <ashlar/elf64.h>
#include <ashlar/types.h>

#define PROGRAM_SEGMENTS_MAX      16
#define PROGRAM_HEADERS_MAX       (65536 / sizeof(Elf64_Phdr)) /* Linux's limit */
#define PROGRAM_INTERPRETER_BYTES 4096                         /* the longest name, with its terminator */
#define PROGRAM_ERROR_BYTES       112

/* Why a file is no program for us, for people. */
struct program_error {
    char text[PROGRAM_ERROR_BYTES];
};

/* One segment, in whole pages: [address, address + bytes) shows the file from `offset` on, as far as
 * file_bytes reaches, and zeros behind. Addresses are those of the file, before it is moved. */
struct program_segment {
    uint64_t address;    /* page-aligned */
    uint64_t bytes;      /* page-aligned, not 0 */
    uint64_t offset;     /* in the file, page-aligned */
    uint64_t file_bytes; /* from `address` on, not rounded; 0: zeros only */
    bool has_zeros;      /* there are zeros behind file_bytes: in the same page the file's bytes must go */
    unsigned access;     /* PF_R, PF_W, PF_X; never the last two together */
};

struct program_elf {
    bool moves;                  /* position-independent: goes to an address that is chosen */
    uint64_t alignment;          /* what it may be moved by: a multiple of this, a power of two */
    uint64_t entry;              /* first instruction */
    uint64_t base;               /* of the first segment */
    uint64_t end;                /* behind the last one, in whole pages */
    uint64_t headers;            /* where the table of program headers lies in memory; 0: nowhere */
    uint16_t header_count;       /* its length */
    uint64_t table_offset;       /* the same in the file */
    bool has_interpreter;        /* it wants to be started by the program named at: */
    uint64_t interpreter_offset; /* in the file */
    uint64_t interpreter_bytes;  /* with the terminator; 2 .. PROGRAM_INTERPRETER_BYTES */
    unsigned segment_count;      /* at least 1; in ascending order */
    struct program_segment segments[PROGRAM_SEGMENTS_MAX];
};

/*
 * Reads the header: the file's first bytes, at least sizeof(Elf64_Ehdr) of them if it has so many. Fills in
 * what the header tells, header_count and table_offset among it, for program_elf_segments(). On failure
 * returns false with the reason.
 */
bool program_elf_header(const void *file, size_t bytes, uint64_t file_bytes, struct program_elf *program,
                        struct program_error *error);

/* Reads the table: header_count entries of the file at table_offset. On failure the same. */
bool program_elf_segments(const void *table, uint64_t file_bytes, struct program_elf *program,
                          struct program_error *error);

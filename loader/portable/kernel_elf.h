/*
 * The kernel's ELF file: checked in full, then loaded. Nothing in the file is believed before it is checked,
 * the relocations included, so that loading cannot fail half way. Pure functions: no state, no allocation.
 *
 * What is accepted is what the kernel's link produces (a static position-independent ELF-64 for x86-64,
 * linked in [IMAGE_BASE, IMAGE_END) of <ashlar/layout.h>), and nothing beyond it.
 */
#pragma once

#include "loader_error.h"

#include <ashlar/boot_info.h>

/* In a segment's p_flags, in the bits that are an operating system's own: the kernel runs without it, too. */
#define KERNEL_ELF_OPTIONAL 0x00100000u

/* One PT_LOAD segment. */
struct kernel_elf_segment {
    uint64_t offset;       /* first byte in the file */
    uint64_t file_bytes;   /* length in the file */
    uint64_t address;      /* link address, FRAME_BYTES aligned */
    uint64_t memory_bytes; /* length in memory, at least file_bytes and not 0; not rounded */
    uint32_t flags;        /* enum boot_segment_flags; never both */
    bool optional;         /* may be left out of memory; the entry is not in it */
};

/* A checked kernel file; refers to the file, which must stay as it is. */
struct kernel_elf {
    const uint8_t *file;  /* the file's bytes */
    size_t file_bytes;    /* its length */
    uint64_t base;        /* lowest link address, FRAME_BYTES aligned */
    uint64_t bytes;       /* from base to the end of the highest segment, in whole pages */
    uint64_t entry;       /* link address of the first instruction */
    size_t segment_count; /* entries used in `segments`, at least 1 */
    struct kernel_elf_segment segments[BOOT_SEGMENTS_MAX]; /* ascending, no two in one page */
    uint64_t relocation_offset;                            /* of the Elf64_Relr table in the file */
    uint64_t relocation_entries; /* of that table; all words they are about lie inside segments, ascending */
};

/*
 * Checks the whole file of `bytes` bytes at `file` (any alignment) and describes it in `*elf`.
 *
 * Checked: identification, type, machine, header sizes; every table within the file; per PT_LOAD: alignment
 * of 4096, bounds in file and address space, ascending order, no page shared, readable, never writable and
 * executable; entry inside the bytes of an executable segment that is not optional; no interpreter, no
 * thread-local storage, one PT_DYNAMIC; no needed libraries and no relocations of other kinds than DT_RELR's;
 * each relocation's target.
 *
 * Returns true, or false with the reason in `error`; `*elf` then means nothing.
 */
bool kernel_elf_parse(const void *file, size_t bytes, struct kernel_elf *elf, struct loader_error *error);

/* What a segment takes in memory: whole pages, in bytes. */
static inline uint64_t kernel_elf_segment_bytes(const struct kernel_elf_segment *segment)
{
    return align_up(segment->memory_bytes, FRAME_BYTES);
}

/*
 * Loads the kernel: copies each segment to its memory, zeroes the rest of that memory, and applies the
 * relocations for running at link address + `slide`.
 *
 * elf:    from kernel_elf_parse().
 * memory: for each segment kernel_elf_segment_bytes() bytes, FRAME_BYTES aligned; none overlaps another or
 *         the file. NULL for an optional one that is left out.
 * slide:  a multiple of FRAME_BYTES with which the image still ends by IMAGE_END.
 *
 * Fails, before anything is written, only when `slide` or a segment's memory is wrong.
 */
bool kernel_elf_load(const struct kernel_elf *elf, uint8_t *const memory[], uint64_t slide,
                     struct loader_error *error);

/*
 * A small kernel file made in memory: read-only data (with relocation and dynamic tables), code, and data
 * with a zeroed tail. Tests change it in one place and look at what is said; the fuzz target mutates it.
 */
#pragma once

#include "loader/portable/kernel_elf.h"
#include <ashlar/elf64.h>
#include <ashlar/layout.h>

#define SAMPLE_BYTES       0x3800
#define SAMPLE_CODE        0x2000
#define SAMPLE_DATA        0x3000
#define SAMPLE_RELOCATIONS 6 /* words */
#define SAMPLE_RELR        6 /* entries of the table that say so */
#define SAMPLE_SEGMENTS    3
#define SAMPLE_SPAN        0x6000 /* bytes in memory: data goes on to 0x5010 */

enum {
    SAMPLE_LOAD_RODATA,
    SAMPLE_LOAD_CODE,
    SAMPLE_LOAD_DATA,
    SAMPLE_PT_DYNAMIC,
    SAMPLE_PT_OTHER,
    SAMPLE_HEADERS
};

struct sample {
    _Alignas(8) uint8_t bytes[SAMPLE_BYTES];
};

Elf64_Ehdr *sample_header(struct sample *sample);
Elf64_Phdr *sample_program(struct sample *sample, size_t index);
/* An entry of the table of relocations, which has room for one more. */
Elf64_Relr *sample_relr(struct sample *sample, size_t index);
/* Link addresses of the words to relocate, ascending; the last one ends where the data in the file ends. */
extern const uint64_t sample_words[SAMPLE_RELOCATIONS];
Elf64_Dyn *sample_dynamic(struct sample *sample, size_t index);
void sample_load(struct sample *sample, size_t index, uint64_t at, uint64_t file, uint64_t memory,
                 uint32_t flags);
void sample_make(struct sample *sample);

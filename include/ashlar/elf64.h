/*
 * ELF-64 structures: the part that loading the kernel and programs needs, on x86-64. Names are those of the
 * specification (System V ABI, "Object Files" and "Program Loading").
 */
#pragma once

#include <ashlar/types.h>

#define EI_NIDENT 16

/* Indices and values of e_ident. */
enum {
    EI_CLASS = 4,
    EI_DATA = 5,
    EI_VERSION = 6,
    EI_OSABI = 7,
    EI_ABIVERSION = 8,

    ELFCLASS64 = 2,
    ELFDATA2LSB = 1,
    EV_CURRENT = 1,
    ELFOSABI_SYSV = 0,
    ELFOSABI_GNU = 3
};

enum {
    ET_EXEC = 2,
    ET_DYN = 3,
    EM_X86_64 = 62,

    PT_LOAD = 1,
    PT_DYNAMIC = 2,
    PT_INTERP = 3,
    PT_PHDR = 6,
    PT_TLS = 7,

    PF_X = 1,
    PF_W = 2,
    PF_R = 4,

    DT_NULL = 0,
    DT_NEEDED = 1,
    DT_PLTRELSZ = 2,
    DT_RELA = 7,
    DT_REL = 17,
    DT_RELRSZ = 35,
    DT_RELR = 36,
    DT_RELRENT = 37
};

typedef struct {
    uint8_t e_ident[EI_NIDENT]; /* magic, class, byte order, version, ABI */
    uint16_t e_type;            /* ET_... */
    uint16_t e_machine;         /* EM_... */
    uint32_t e_version;         /* EV_CURRENT */
    uint64_t e_entry;           /* virtual address where it starts */
    uint64_t e_phoff;           /* file offset of the program headers */
    uint64_t e_shoff;           /* file offset of the section headers; not needed for loading */
    uint32_t e_flags;           /* none are defined for x86-64 */
    uint16_t e_ehsize;          /* bytes of this header */
    uint16_t e_phentsize;       /* bytes of a program header */
    uint16_t e_phnum;           /* program headers */
    uint16_t e_shentsize;       /* bytes of a section header */
    uint16_t e_shnum;           /* section headers */
    uint16_t e_shstrndx;        /* section that holds the section names */
} Elf64_Ehdr;

typedef struct {
    uint32_t p_type;   /* PT_... */
    uint32_t p_flags;  /* PF_... */
    uint64_t p_offset; /* in the file */
    uint64_t p_vaddr;  /* where it is linked to run */
    uint64_t p_paddr;  /* not used here */
    uint64_t p_filesz; /* bytes in the file */
    uint64_t p_memsz;  /* bytes in memory; the rest is zero */
    uint64_t p_align;  /* a power of two */
} Elf64_Phdr;

typedef struct {
    int64_t d_tag;  /* DT_... */
    uint64_t d_val; /* number or address */
} Elf64_Dyn;

typedef uint64_t Elf64_Relr; /* an even address, or a bitmap whose lowest bit is 1 */

#define ELF64_RELR_WORDS 63 /* that a bitmap is about */

_Static_assert(sizeof(Elf64_Ehdr) == 64, "ELF specification");
_Static_assert(sizeof(Elf64_Phdr) == 56, "ELF specification");
_Static_assert(sizeof(Elf64_Dyn) == 16, "ELF specification");

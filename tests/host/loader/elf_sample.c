#include "elf_sample.h"

#include <string.h>

#define SAMPLE_RODATA  0x0000 /* file offsets; the link address is IMAGE_BASE plus these */
#define SAMPLE_RELR_AT 0x0400
#define SAMPLE_DYNAMIC 0x0600

Elf64_Ehdr *sample_header(struct sample *sample)
{
    return (Elf64_Ehdr *)(void *)sample->bytes;
}

Elf64_Phdr *sample_program(struct sample *sample, size_t index)
{
    return (Elf64_Phdr *)(void *)(sample->bytes + sizeof(Elf64_Ehdr)) + index;
}

const uint64_t sample_words[SAMPLE_RELOCATIONS] = {
    IMAGE_BASE + 0x1004, IMAGE_BASE + 0x3000, IMAGE_BASE + 0x3008,
    IMAGE_BASE + 0x31f8, IMAGE_BASE + 0x3400, IMAGE_BASE + 0x36f8,
};

Elf64_Relr *sample_relr(struct sample *sample, size_t index)
{
    return (Elf64_Relr *)(void *)(sample->bytes + SAMPLE_RELR_AT) + index;
}

Elf64_Dyn *sample_dynamic(struct sample *sample, size_t index)
{
    return (Elf64_Dyn *)(void *)(sample->bytes + SAMPLE_DYNAMIC) + index;
}

void sample_load(struct sample *sample, size_t index, uint64_t at, uint64_t file, uint64_t memory,
                 uint32_t flags)
{
    *sample_program(sample, index) =
        (Elf64_Phdr){PT_LOAD, flags, at, IMAGE_BASE + at, IMAGE_BASE + at, file, memory, FRAME_BYTES};
}

void sample_make(struct sample *sample)
{
    for (size_t i = 0; i < SAMPLE_BYTES; i++) {
        sample->bytes[i] = (uint8_t)(i * 7 + 1);
    }
    *sample_header(sample) = (Elf64_Ehdr){
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = IMAGE_BASE + SAMPLE_CODE + 0x10,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = SAMPLE_HEADERS,
    };
    sample_load(sample, SAMPLE_LOAD_RODATA, SAMPLE_RODATA, 0x1234, 0x1234, PF_R);
    sample_load(sample, SAMPLE_LOAD_CODE, SAMPLE_CODE, 0x900, 0x900, PF_R | PF_X);
    sample_load(sample, SAMPLE_LOAD_DATA, SAMPLE_DATA, 0x700, 0x2010, PF_R | PF_W);
    *sample_program(sample, SAMPLE_PT_DYNAMIC) =
        (Elf64_Phdr){PT_DYNAMIC, PF_R, SAMPLE_DYNAMIC, IMAGE_BASE + SAMPLE_DYNAMIC, 0, 0x50, 0x50, 8};
    *sample_program(sample, SAMPLE_PT_OTHER) = (Elf64_Phdr){0x6474e551, PF_R | PF_W, 0, 0, 0, 0, 0, 0};
    const Elf64_Relr relocations[SAMPLE_RELR] = {
        IMAGE_BASE + 0x1004, /* not aligned */
        IMAGE_BASE + 0x3000,
        (uint64_t)1 << 63 | 1 << 1 | 1, /* the words at 0x3008 and 0x31f8: first and last of a bitmap's 63 */
        1,                              /* none of the 63 from 0x3200 on */
        1 << 2 | 1,                     /* the one at 0x3400: the second of those from 0x33f8 on */
        IMAGE_BASE + 0x36f8,
    };
    for (size_t i = 0; i < SAMPLE_RELOCATIONS; i++) {
        uint64_t value = IMAGE_BASE + 0x2010 + i;
        memcpy(sample->bytes + (sample_words[i] - IMAGE_BASE), &value, sizeof value);
    }
    const Elf64_Dyn dynamic[] = {{DT_RELR, IMAGE_BASE + SAMPLE_RELR_AT},
                                 {DT_RELRSZ, sizeof relocations},
                                 {DT_RELRENT, sizeof(Elf64_Relr)},
                                 {0x6ffffffb, 0x08000000}, /* DT_FLAGS_1: of no interest here */
                                 {DT_NULL, 0}};
    memcpy(sample_relr(sample, 0), relocations, sizeof relocations);
    memcpy(sample_dynamic(sample, 0), dynamic, sizeof dynamic);
}

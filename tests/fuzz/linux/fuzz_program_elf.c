/*
 * Program files that libFuzzer makes: the input's bytes are the file's beginning, and what a file needs
 * beyond is zeros. Nothing outside is read, and what is accepted can be mapped: segments in ascending order
 * that do not touch, none writable and executable, all within the user half and the file.
 */
#include "kernel/linux/image/elf.h"
#include <ashlar/user_copy.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

#define FILE_BYTES KIB(64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_promises(const struct program_elf *program)
{
    bool entry_found = false;
    uint64_t end = program->base;
    require(program->segment_count > 0 && program->segment_count <= PROGRAM_SEGMENTS_MAX);
    for (unsigned i = 0; i < program->segment_count; i++) {
        const struct program_segment *segment = &program->segments[i];
        require(segment->address >= end && segment->address % FRAME_BYTES == 0);
        require(segment->bytes > 0 && segment->bytes % FRAME_BYTES == 0);
        require(segment->bytes <= USER_END && segment->address <= USER_END - segment->bytes);
        require(segment->offset % FRAME_BYTES == 0 && segment->file_bytes <= segment->bytes);
        require(segment->file_bytes <= FILE_BYTES && segment->offset <= FILE_BYTES - segment->file_bytes);
        require((segment->access & (PF_W | PF_X)) != (PF_W | PF_X));
        end = segment->address + segment->bytes;
        entry_found |= (segment->access & PF_X) && program->entry >= segment->address && program->entry < end;
    }
    require(entry_found && end == program->end);
    require(program->alignment >= FRAME_BYTES && (program->alignment & (program->alignment - 1)) == 0);
    if (program->has_interpreter) {
        require(program->interpreter_bytes >= 2 && program->interpreter_bytes <= PROGRAM_INTERPRETER_BYTES);
        require(program->interpreter_offset <= FILE_BYTES - program->interpreter_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program_error error = {""};
    struct program_elf program;
    size_t bytes = size < FILE_BYTES ? size : FILE_BYTES;
    if (!program_elf_header(data, bytes, bytes < sizeof(Elf64_Ehdr) ? bytes : FILE_BYTES, &program, &error)) {
        require(strlen(error.text) > 0);
        return 0;
    }
    size_t length = program.header_count * sizeof(Elf64_Phdr);
    uint8_t *table = calloc(1, length); /* of that size exactly: the sanitizer sees a byte read behind it */
    require(table != NULL);
    if (program.table_offset < bytes) {
        size_t there = bytes - program.table_offset;
        memcpy(table, data + program.table_offset, there < length ? there : length);
    }
    bool sound = program_elf_segments(table, FILE_BYTES, &program, &error);
    free(table);
    if (!sound) {
        require(strlen(error.text) > 0);
        return 0;
    }
    check_promises(&program);
    return 0;
}

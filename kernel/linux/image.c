/* From a program's file to a process that can begin; see process.h. image/ has what is pure. */
#define LOG_SUBSYSTEM "program"
#include <ashlar/heap.h>
#include <ashlar/log.h>
#include <ashlar/random.h>
#include <ashlar/string.h>
#include <x86/cpuid.h>
#include <x86/user_mode.h>

#include "image/elf.h"
#include "process.h"
#include "vdso.h"

#define AROUND_PAGES       16     /* of the file, that one fault brings in */
#define STACK_GUARD        MIB(1) /* below the stack, as Linux keeps free */
#define STACK_LARGEST      GIB(1) /* whatever the limit says */
#define ARGUMENTS_LARGEST  MIB(6) /* of strings and pointers together (Linux: 3/4 of 8 MiB) */
#define TICKS_EACH_SECOND  100    /* AT_CLKTCK: of times() */
#define SIGNAL_STACK_BYTES 2048   /* AT_MINSIGSTKSZ without XSAVE */

static unsigned access_of(const struct program_segment *segment)
{
    return (segment->access ? VM_READ : VM_NONE) | (segment->access & PF_W ? VM_WRITE : 0) |
           (segment->access & PF_X ? VM_EXECUTE : 0);
}

static enum vm_error map_at(struct memory *memory, struct vm_request request, uint64_t address)
{
    virt_addr_t got;
    if (request.bytes == 0) {
        return VM_OK;
    }
    request.fixed = true;
    request.address = virt_addr(address);
    return vm_space_map(&memory->space, &request, &got);
}

/* The file's pages are the pager's, copied when they are written; what lies behind them is zeros. */
static enum vm_error map_segment(struct memory *memory, const struct program_file *file,
                                 const struct program_segment *segment, uint64_t move)
{
    uint64_t shown = align_up(segment->file_bytes, FRAME_BYTES);
    uint64_t address = segment->address + move;
    enum vm_error error = map_at(memory,
                                 (struct vm_request){.name = "program",
                                                     .source = VM_PAGER,
                                                     .bytes = shown,
                                                     .access = access_of(segment),
                                                     .pager = file->pager,
                                                     .offset = segment->offset,
                                                     .around = AROUND_PAGES},
                                 address);
    if (error != VM_OK) {
        return error;
    }
    return map_at(memory,
                  (struct vm_request){.name = "program data",
                                      .source = VM_ZERO,
                                      .bytes = segment->bytes - shown,
                                      .access = access_of(segment)},
                  address + shown);
}

/* The rest of the page in which the file's part ends shows what follows in the file: zeros belong there. In a
 * segment that cannot be written nobody can tell, and Linux leaves it so, too. */
static bool clear_tail(const struct program_segment *segment, uint64_t move)
{
    uint64_t end = segment->address + move + segment->file_bytes;
    return !segment->has_zeros || !(segment->access & PF_W) ||
           clear_user(user_addr(end), align_up(end, FRAME_BYTES) - end);
}

/* Makes [*base, *end) hold [from, to) as well. */
static void extend(uint64_t *base, uint64_t *end, uint64_t from, uint64_t to)
{
    *base = *base != 0 ? min_u64(*base, from) : from;
    *end = max_u64(*end, to);
}

static void note_segment(struct memory_layout *layout, const struct program_segment *segment, uint64_t move)
{
    uint64_t base = segment->address + move;
    uint64_t end = base + segment->file_bytes;
    if (segment->access & PF_X) {
        extend(&layout->code, &layout->code_end, base, end);
    } else if (segment->access & PF_W) {
        extend(&layout->data, &layout->data_end, base, end);
    }
}

static int map_segments(struct memory *memory, const struct program_file *file,
                        const struct program_elf *program, uint64_t move)
{
    for (unsigned i = 0; i < program->segment_count; i++) {
        const struct program_segment *segment = &program->segments[i];
        enum vm_error error = map_segment(memory, file, segment, move);
        if (error == VM_OK && !clear_tail(segment, move)) {
            error = VM_NO_MEMORY;
        }
        if (error != VM_OK) {
            log_warning("%s: segment at 0x%" PRIx64 ": %s", memory->space.name, segment->address + move,
                        vm_error_name(error));
            return error == VM_NO_MEMORY ? -ENOMEM : -ENOEXEC;
        }
    }
    return 0;
}

static int map_program(struct memory *memory, const struct program_file *file,
                       const struct program_elf *program, uint64_t move)
{
    int error = map_segments(memory, file, program, move);
    for (unsigned i = 0; i < program->segment_count; i++) {
        note_segment(&memory->layout, &program->segments[i], move);
    }
    memory->image_base = program->base + move;
    memory->image_end = program->end + move;
    return error;
}

static int refuse(const struct program_file *file, const struct program_error *error)
{
    log_warning("%s: %s", file->name, error->text);
    return -ENOEXEC;
}

static int read_program(struct program_file *file, struct program_elf *program)
{
    struct program_error error = {"cannot be read"};
    uint8_t header[sizeof(Elf64_Ehdr)];
    size_t bytes = (size_t)min_u64(sizeof header, file->bytes);
    if (!program_file_read(file, header, 0, bytes) ||
        !program_elf_header(header, bytes, file->bytes, program, &error)) {
        return refuse(file, &error);
    }
    size_t table_bytes = program->header_count * sizeof(Elf64_Phdr);
    void *table = heap_alloc(&kernel_heap, table_bytes);
    if (!table) {
        return -ENOMEM;
    }
    bool sound = program_file_read(file, table, program->table_offset, table_bytes) &&
                 program_elf_segments(table, file->bytes, program, &error);
    heap_free(&kernel_heap, table);
    return sound ? 0 : refuse(file, &error);
}

/* ---- The interpreter ---- */

/* Where the program begins, and what else its stack tells of. */
struct start {
    uint64_t move;        /* of the program */
    uint64_t entry;       /* of the program, too */
    uint64_t interpreter; /* by how much that was moved, AT_BASE; 0: there is none */
    uint64_t first_instruction;
};

/* It lies where mmap() begins, and that begins behind it. */
static int map_interpreter(struct memory *memory, struct program_file *file, struct placement *placement,
                           struct start *start)
{
    struct program_elf interpreter;
    int error = file->bytes < sizeof(Elf64_Ehdr) ? -EIO : read_program(file, &interpreter);
    if (!error) {
        uint64_t base = align_up(placement->map_base, interpreter.alignment);
        start->interpreter =
            interpreter.moves ? base - align_down(interpreter.base, interpreter.alignment) : 0;
        start->first_instruction = interpreter.entry + start->interpreter;
        error = map_segments(memory, file, &interpreter, start->interpreter);
        if (interpreter.moves) {
            placement->map_base = interpreter.end + start->interpreter;
        }
    }
    return error == -ENOEXEC ? -ELIBBAD : error;
}

static int load_named(struct memory *memory, const struct fs_view *view, const char *name,
                      struct placement *placement, struct start *start)
{
    struct program_file file;
    int error = program_file_open(view, NULL, name, 0, &file);
    if (error) {
        log_warning("%s: its interpreter %s cannot be opened: error %d", memory->space.name, name, -error);
        return error;
    }
    error = map_interpreter(memory, &file, placement, start);
    program_file_close(&file);
    return error;
}

/* The program that the file names is mapped besides, and begins in its place: of a dynamic one ld.so. */
static int load_interpreter(struct memory *memory, const struct fs_view *view, struct program_file *file,
                            const struct program_elf *program, struct placement *placement,
                            struct start *start)
{
    if (!program->has_interpreter) {
        return 0;
    }
    char *name = heap_alloc(&kernel_heap, program->interpreter_bytes);
    if (!name) {
        return -ENOMEM;
    }
    int error = -ENOEXEC;
    if (program_file_read(file, name, program->interpreter_offset, program->interpreter_bytes) &&
        name[program->interpreter_bytes - 1] == 0) {
        error = load_named(memory, view, name, placement, start);
    }
    heap_free(&kernel_heap, name);
    return error;
}

/* ---- The stack ---- */

static bool write_stack(void *context, uint64_t address, const void *bytes, uint64_t length)
{
    (void)context;
    return copy_to_user(user_addr(address), bytes, length);
}

static int map_stack(struct memory *memory, const struct placement *placement, uint64_t bytes)
{
    struct vm_request request = {.name = "stack",
                                 .source = VM_STACK,
                                 .bytes = bytes,
                                 .access = VM_READ | VM_WRITE,
                                 .guard = STACK_GUARD};
    return map_at(memory, request, placement->stack_top - bytes) == VM_OK ? 0 : -ENOMEM;
}

static int fill_stack(struct memory *memory, const struct program_elf *program, const struct start *start,
                      const struct placement *placement, const struct program_request *request,
                      uint64_t bytes, uint64_t *pointer)
{
    const struct rights *rights = request->rights;
    const struct auxiliary vector[] = {
        {AT_HWCAP, cpuid(1, 0).edx},
        {AT_PAGESZ, FRAME_BYTES},
        {AT_CLKTCK, TICKS_EACH_SECOND},
        {AT_PHDR, program->headers ? program->headers + start->move : 0},
        {AT_PHENT, sizeof(Elf64_Phdr)},
        {AT_PHNUM, program->header_count},
        {AT_BASE, start->interpreter},
        {AT_FLAGS, 0},
        {AT_ENTRY, start->entry},
        {AT_UID, rights->user.real},
        {AT_EUID, rights->user.effective},
        {AT_GID, rights->group.real},
        {AT_EGID, rights->group.effective},
        {AT_SECURE, request->secure},
        {AT_HWCAP2, 0},
        {AT_MINSIGSTKSZ, SIGNAL_STACK_BYTES},
        {AT_SYSINFO_EHDR, vdso_map(memory, placement->map_base)},
    };
    struct program_stack stack = {.top = placement->stack_top,
                                  .lowest = placement->stack_top - min_u64(bytes / 4, ARGUMENTS_LARGEST),
                                  .strings = *request->strings,
                                  .vector = vector,
                                  .vector_count = ARRAY_LENGTH(vector),
                                  .write = write_stack};
    random_bytes(stack.random, sizeof stack.random);
    switch (program_stack_build(&stack, pointer)) {
    case PROGRAM_STACK_OK:
        memory->layout.stack = *pointer;
        memory->layout.strings = program_stack_places(&stack, *pointer);
        return 0;
    case PROGRAM_STACK_TOO_LONG:
        return -E2BIG;
    case PROGRAM_STACK_NOT_WRITTEN:
        break;
    }
    return -ENOMEM;
}

int program_load(struct memory *memory, struct program_file *file, const struct program_request *request,
                 struct trap_frame *frame)
{
    struct program_elf program;
    uint64_t pointer;
    uint64_t stack_bytes = align_down(min_u64(request->stack_bytes, STACK_LARGEST), FRAME_BYTES);
    int error = read_program(file, &program);
    if (error) {
        return error;
    }
    struct placement placement = placement_choose(program.alignment);
    struct start start = {.move = 0};
    start.move = program.moves ? placement.program - align_down(program.base, program.alignment) : 0;
    start.entry = start.first_instruction = program.entry + start.move;
    error = map_program(memory, file, &program, start.move);
    error = error ? error : load_interpreter(memory, request->view, file, &program, &placement, &start);
    error = error ? error : map_stack(memory, &placement, stack_bytes);
    error = error ? error : fill_stack(memory, &program, &start, &placement, request, stack_bytes, &pointer);
    if (error) {
        return error;
    }
    program_file_hold(file->file);
    memory->file = file->file;
    memory->heap_base = memory->heap_end = memory->image_end + placement.heap_gap;
    memory->map_base = placement.map_base;
    *frame = user_mode_frame(start.first_instruction, pointer);
    return 0;
}

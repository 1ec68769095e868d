/* Running a user program in an address space of its own. */
#include "program.h"

#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <x86/interrupt.h>
#include <x86/user_mode.h>

static struct user_program *running;

static bool go_home(struct trap_frame *frame)
{
    running->from_user = trap_from_user(frame);
    user_mode_end(frame->rax);
}

static bool map(struct vm_space *space, struct vm_request request, uint64_t base)
{
    virt_addr_t address;
    request.fixed = true;
    request.address = virt_addr(base);
    return vm_space_map(space, &request, &address) == VM_OK;
}

static bool map_all(struct user_program *program)
{
    struct vm_request text = {
        .source = VM_FRAMES, .bytes = FRAME_BYTES, .access = VM_READ | VM_EXECUTE, .frames = &program->code};
    struct vm_request data = {.source = VM_ZERO, .bytes = MIB(2), .access = VM_READ | VM_WRITE};
    struct vm_request stack = {.source = VM_STACK,
                               .bytes = USER_PROGRAM_STACK_BYTES,
                               .access = VM_READ | VM_WRITE,
                               .guard = FRAME_BYTES};
    return map(&program->space, text, USER_PROGRAM_CODE) && map(&program->space, data, USER_PROGRAM_DATA) &&
           map(&program->space, stack, USER_PROGRAM_STACK_TOP - USER_PROGRAM_STACK_BYTES);
}

bool user_program_make(struct user_program *program, const uint8_t *code, size_t bytes)
{
    struct frame_pool *frames = kernel_frames();
    program->code = frame_alloc_zeroed(frames, OWNER_TEST);
    if (program->code.raw == 0) {
        return false;
    }
    frame_note_clear(frame_descriptor(frames, program->code));
    memcpy(frame_pointer(frames, program->code), code, bytes);
    if (user_space_create(&program->space, "program") != VM_OK) {
        frame_free(frames, program->code, 0);
        return false;
    }
    if (!map_all(program)) {
        user_program_drop(program);
        return false;
    }
    return true;
}

void user_program_run(struct user_program *program)
{
    exception_handler *before = exception_set_handler(EXCEPTION_BREAKPOINT, go_home);
    struct trap_frame frame = user_mode_frame(USER_PROGRAM_CODE, USER_PROGRAM_STACK_TOP);
    running = program;
    space_load(&program->space);
    program->result = user_mode_run(&frame);
    space_load(NULL);
    exception_set_handler(EXCEPTION_BREAKPOINT, before);
}

void user_program_drop(struct user_program *program)
{
    vm_space_destroy(&program->space);
    frame_free(kernel_frames(), program->code, 0);
}

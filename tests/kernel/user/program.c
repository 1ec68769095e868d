/* Running a user program in an address space of its own. */
#include "program.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

#define FLAGS_FIXED 0x2

/* test_user_mode.c: enters user mode; comes back when a handler sends the frame to user_mode_leave. */
void user_mode_run(uint64_t rip, uint64_t rsp, uint64_t rflags);
extern const uint8_t user_mode_leave[];
extern uint64_t user_mode_stack;

static struct user_program *running;

static bool go_home(struct trap_frame *frame)
{
    running->from_user = trap_from_user(frame);
    running->result = frame->rax;
    frame->rip = (uintptr_t)user_mode_leave;
    frame->rsp = user_mode_stack;
    frame->cs = SELECTOR_KERNEL_CODE;
    frame->ss = SELECTOR_KERNEL_DATA;
    frame->rflags = FLAGS_FIXED;
    return true;
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
    program->kernel_stack = heap_alloc_aligned(&kernel_heap, USER_KERNEL_STACK_BYTES, 16);
    if (!program->kernel_stack || user_space_create(&program->space, "program") != VM_OK) {
        heap_free(&kernel_heap, program->kernel_stack);
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
    bool were_enabled = interrupts_disable();
    uint64_t stack_before = per_cpu()->tss.rsp0;
    per_cpu()->tss.rsp0 = (uintptr_t)program->kernel_stack + USER_KERNEL_STACK_BYTES;
    running = program;
    space_load(&program->space);
    user_mode_run(USER_PROGRAM_CODE, USER_PROGRAM_STACK_TOP, FLAGS_FIXED | RFLAGS_INTERRUPT);
    space_load(NULL);
    per_cpu()->tss.rsp0 = stack_before;
    interrupts_restore(were_enabled);
    exception_set_handler(EXCEPTION_BREAKPOINT, before);
}

void user_program_drop(struct user_program *program)
{
    vm_space_destroy(&program->space);
    heap_free(&kernel_heap, program->kernel_stack);
    frame_free(kernel_frames(), program->code, 0);
}

/*
 * A user program in an address space of its own: its code is a given frame, its data and its stack are
 * delivered by the page faults it takes.
 */
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/vm_kernel.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

#define CODE        0x400000ULL
#define DATA        0x600000ULL
#define STACK_TOP   0x7ffff0000000ULL
#define STACK_BYTES KIB(64)
#define FLAGS_FIXED 0x2

/* user_mode_test.c: enters user mode; comes back when a handler sends the frame to user_mode_leave. */
void user_mode_run(uint64_t rip, uint64_t rsp, uint64_t rflags);
extern const uint8_t user_mode_leave[];
extern uint64_t user_mode_stack;

static const uint8_t program[] = {
    0x48, 0xc7, 0x04, 0x25, 0x00, 0x00, 0x60, 0x00, 0x2a, 0, 0, 0, /* movq $42, 0x600000: a zeroed frame */
    0x48, 0x8b, 0x04, 0x25, 0x00, 0x10, 0x60, 0x00,                /* movq 0x601000, %rax: the zero page */
    0x50,                                                          /* pushq %rax: the stack grows */
    0xcc,                                                          /* int3: home */
};

static struct vm_space user;
static uint8_t kernel_stack[8192] __attribute__((aligned(16)));
static uint64_t seen_rax;
static bool seen_from_user;

static bool go_home(struct trap_frame *frame)
{
    seen_from_user = trap_from_user(frame);
    seen_rax = frame->rax;
    frame->rip = (uintptr_t)user_mode_leave;
    frame->rsp = user_mode_stack;
    frame->cs = SELECTOR_KERNEL_CODE;
    frame->ss = SELECTOR_KERNEL_DATA;
    frame->rflags = FLAGS_FIXED;
    return true;
}

static bool map_all(const phys_addr_t *code)
{
    virt_addr_t address;
    struct vm_request text = {.source = VM_FRAMES,
                              .bytes = FRAME_BYTES,
                              .access = VM_READ | VM_EXECUTE,
                              .fixed = true,
                              .address = virt_addr(CODE),
                              .frames = code};
    struct vm_request data = {.source = VM_ZERO,
                              .bytes = MIB(1),
                              .access = VM_READ | VM_WRITE,
                              .fixed = true,
                              .address = virt_addr(DATA)};
    struct vm_request stack = {.source = VM_STACK,
                               .bytes = STACK_BYTES,
                               .access = VM_READ | VM_WRITE,
                               .fixed = true,
                               .address = virt_addr(STACK_TOP - STACK_BYTES),
                               .guard = FRAME_BYTES};
    return vm_space_map(&user, &text, &address) == VM_OK && vm_space_map(&user, &data, &address) == VM_OK &&
           vm_space_map(&user, &stack, &address) == VM_OK;
}

static void run_program(void)
{
    exception_handler *before = exception_set_handler(EXCEPTION_BREAKPOINT, go_home);
    uint64_t stack_before = per_cpu()->tss.rsp0;
    bool were_enabled = interrupts_disable();
    per_cpu()->tss.rsp0 = (uintptr_t)kernel_stack + sizeof kernel_stack;
    space_load(&user);
    user_mode_run(CODE, STACK_TOP, FLAGS_FIXED);
    space_load(NULL);
    per_cpu()->tss.rsp0 = stack_before;
    interrupts_restore(were_enabled);
    exception_set_handler(EXCEPTION_BREAKPOINT, before);
}

KERNEL_TEST(vm_a_user_program_runs_on_what_its_faults_deliver)
{
    phys_addr_t code = frame_alloc_zeroed(kernel_frames(), OWNER_TEST);
    EXPECT(code.raw != 0);
    frame_descriptor(kernel_frames(), code)->object = NULL;
    memcpy(frame_pointer(kernel_frames(), code), program, sizeof program);
    EXPECT(user_space_create(&user, "program") == VM_OK);
    EXPECT(map_all(&code));
    seen_rax = 1;
    run_program();
    EXPECT(seen_from_user);
    EXPECT_EQUAL(seen_rax, 0);
    EXPECT_EQUAL(user.faults[VM_FAULT_ZERO], 1);
    EXPECT_EQUAL(user.faults[VM_FAULT_ZERO_READ], 1);
    EXPECT_EQUAL(user.faults[VM_FAULT_STACK], 1);
    struct page_translation data = page_table_translate(user.table, virt_addr(DATA));
    EXPECT(data.mapped);
    EXPECT_EQUAL(*(const uint64_t *)frame_pointer(kernel_frames(), data.target), 42);
    vm_space_destroy(&user);
    frame_free(kernel_frames(), code, 0);
}

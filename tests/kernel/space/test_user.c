/* A user program in an address space of its own, and what its faults deliver. */
#include <ashlar/memory.h>
#include <ashlar/test.h>

#include "tests/kernel/user/program.h"

static struct user_program program;

static const uint8_t code[] = {
    0x48, 0xc7, 0x04, 0x25, 0x00, 0x00, 0x60, 0x00, 0x2a, 0, 0, 0, /* movq $42, 0x600000: a zeroed frame */
    0x48, 0x8b, 0x04, 0x25, 0x00, 0x10, 0x60, 0x00,                /* movq 0x601000, %rax: the zero page */
    0x50,                                                          /* pushq %rax: the stack grows */
    0xcc,                                                          /* int3: home */
};

KERNEL_TEST(vm_a_user_program_runs_on_what_its_faults_deliver)
{
    EXPECT(user_program_make(&program, code, sizeof code));
    program.result = 1;
    user_program_run(&program);
    const struct vm_space *user = &program.space;
    EXPECT(program.from_user);
    EXPECT_EQUAL(program.result, 0);
    EXPECT_EQUAL(user->faults[VM_FAULT_ZERO], 1);
    EXPECT_EQUAL(user->faults[VM_FAULT_ZERO_READ], 1);
    EXPECT_EQUAL(user->faults[VM_FAULT_STACK], 1);
    struct page_translation data = page_table_translate(user->table, virt_addr(USER_PROGRAM_DATA));
    EXPECT(data.mapped);
    EXPECT_EQUAL(*(const uint64_t *)frame_pointer(kernel_frames(), data.target), 42);
    user_program_drop(&program);
}

/* A user program's memory that somebody else empties, marks and looks into, in the running kernel. */
#include <ashlar/memory.h>
#include <ashlar/test.h>
#include <ashlar/vm_advice.h>
#include <ashlar/vm_peek.h>

#include "tests/kernel/user/program.h"

static struct user_program program;

static const uint8_t code[] = {
    0x48, 0xff, 0x04, 0x25, 0x00, 0x00, 0x60, 0x00, /* incq 0x600000 */
    0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x60, 0x00, /* movq 0x600000, %rax */
    0xcc,                                           /* int3: home */
};

static uint64_t data_word(void)
{
    uint64_t word = UINT64_MAX;
    vm_space_read(&program.space, virt_addr(USER_PROGRAM_DATA), &word, sizeof word);
    return word;
}

KERNEL_TEST(vm_a_program_counts_from_zero_when_its_page_was_emptied)
{
    EXPECT(user_program_make(&program, code, sizeof code));
    struct vm_space *user = &program.space;
    virt_addr_t data = virt_addr(USER_PROGRAM_DATA);
    uint8_t present = 2;
    user_program_run(&program);
    EXPECT_EQUAL(program.result, 1);
    EXPECT_EQUAL(data_word(), 1);
    EXPECT_EQUAL(vm_space_residency(user, data, 1, &present), 1);
    EXPECT_EQUAL(present, 1);
    EXPECT_EQUAL(vm_space_mark(user, data, FRAME_BYTES, VM_LOCKED, 0), VM_OK);
    EXPECT_EQUAL(vm_space_discard(user, data, FRAME_BYTES, false), VM_OK);
    EXPECT_EQUAL(data_word(), 1); /* what is locked stays */
    EXPECT_EQUAL(vm_space_discard(user, data, FRAME_BYTES, true), VM_OK);
    EXPECT_EQUAL(vm_space_residency(user, data, 1, &present), 1);
    EXPECT_EQUAL(present, 0);
    user_program_run(&program);
    EXPECT_EQUAL(program.result, 1);
    uint64_t word = 41;
    EXPECT_EQUAL(vm_space_write(user, data, &word, sizeof word), sizeof word);
    user_program_run(&program);
    EXPECT_EQUAL(program.result, 42);
    EXPECT_EQUAL(vm_space_mark(user, data, FRAME_BYTES, 0, VM_LOCKED), VM_OK);
    user_program_drop(&program);
}

/* UEFI runtime services: what they answer, and that a fault in firmware ends the call and nothing else. */
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <x86/control_registers.h>
#include <x86/firmware_call.h>
#include <x86/interrupt.h>

static bool services_are_there(void)
{
    if (!efi_runtime_available()) {
        kernel_test_skip("no UEFI runtime services");
    }
    return efi_runtime_available();
}

KERNEL_TEST(efi_clock_shows_a_possible_date)
{
    struct clock_date date;
    if (!services_are_there()) {
        return;
    }
    EXPECT_EQUAL(efi_get_time(&date), EFI_STATUS_SUCCESS);
    EXPECT(clock_date_is_valid(&date));
    EXPECT(clock_date_now(&date));
    EXPECT_EQUAL(date.zone, 0);
}

#define DATA_ORDER 3 /* frames for the data of the largest variable */
_Static_assert((FRAME_BYTES << DATA_ORDER) >= EFI_VARIABLE_BYTES_MAX, "it fits");

/* Runs `check` with room for a variable's data. */
static void with_data(void (*check)(uint8_t *data))
{
    phys_addr_t block =
        services_are_there() ? frame_alloc(kernel_frames(), DATA_ORDER, OWNER_TEST) : FRAME_NONE;
    if (block.raw != 0) {
        check(physmap_pointer(block));
        frame_free(kernel_frames(), block, DATA_ORDER);
    } else if (efi_runtime_available()) {
        kernel_test_skip("not enough memory");
    }
}

/* The list has an end, names no variable twice in a row, and each can be read. */
static void list_and_read(uint8_t *data)
{
    static struct efi_variable_name name;
    memset(&name, 0, sizeof name);
    unsigned count = 0;
    efi_status_t status;
    while ((status = efi_next_variable(&name)) == EFI_STATUS_SUCCESS && count < 10000) {
        uint64_t bytes = EFI_VARIABLE_BYTES_MAX;
        uint32_t attributes = 0;
        EXPECT_EQUAL(efi_get_variable(&name, data, &bytes, &attributes), EFI_STATUS_SUCCESS);
        EXPECT(attributes != 0);
        count++;
    }
    EXPECT_EQUAL(status, EFI_STATUS_NOT_FOUND);
    EXPECT(count > 0);
}

KERNEL_TEST(efi_variables_are_listed_and_read)
{
    with_data(list_and_read);
}

static void read_without_room(uint8_t *data)
{
    static struct efi_variable_name name;
    memset(&name, 0, sizeof name);
    EXPECT_EQUAL(efi_next_variable(&name), EFI_STATUS_SUCCESS);
    uint64_t bytes = 0;
    uint32_t attributes = 0;
    EXPECT_EQUAL(efi_get_variable(&name, data, &bytes, &attributes), EFI_STATUS_BUFFER_TOO_SMALL);
    EXPECT(bytes > 0);
    EXPECT_EQUAL(efi_get_variable(&name, data, &bytes, &attributes), EFI_STATUS_SUCCESS);
    name.name[0] ^= 0x100;
    EXPECT_EQUAL(efi_get_variable(&name, data, &bytes, &attributes), EFI_STATUS_NOT_FOUND);
}

KERNEL_TEST(efi_variable_that_does_not_fit_says_how_long_it_is)
{
    with_data(read_without_room);
}

/* A "service" at an address that nothing is mapped at, called as the real ones are. */
KERNEL_TEST(efi_fault_in_firmware_ends_the_call_alone)
{
    static uint64_t stack[512] __attribute__((aligned(16)));
    if (!address_space_runtime()) {
        kernel_test_skip("no page table for UEFI runtime services");
        return;
    }
    const uint64_t nowhere = 0x1000;
    struct firmware_call call = {.function = nowhere,
                                 .root = address_space_runtime()->root.raw,
                                 .stack_top = (uintptr_t)stack + sizeof stack};
    struct trap_frame fault = {0};
    uint64_t root = cr3_read();
    bool enabled = interrupts_enabled();
    bool returned = firmware_call(&call, &fault);
    EXPECT(!returned);
    EXPECT_EQUAL(fault.vector, EXCEPTION_PAGE_FAULT);
    EXPECT_EQUAL(fault.rip, nowhere);
    EXPECT_EQUAL(cr3_read(), root);
    EXPECT_EQUAL(interrupts_enabled(), enabled);
    EXPECT(!firmware_call_active());
}

/* What controls SSE and x87 instructions, and one register of each. */
struct float_state {
    uint32_t mxcsr;
    uint16_t control;
    uint16_t status;
    uint64_t sse;
};

#define EMPTY_CONTROL 0x037f /* what UEFI promises (2.3.4.1): nothing traps */
#define EMPTY_MXCSR   0x1f80

static void float_read(struct float_state *state)
{
    __asm__ volatile("stmxcsr %0; fnstcw %1; fnstsw %2; movq %%xmm3, %3"
                     : "=m"(state->mxcsr), "=m"(state->control), "=m"(state->status), "=r"(state->sse));
}

/* The status is left to the x87: no value is on its stack. */
static void float_write(const struct float_state *state)
{
    __asm__ volatile("fninit; ldmxcsr %0; fldcw %1; movq %2, %%xmm3"
                     :
                     : "m"(state->mxcsr), "m"(state->control), "r"(state->sse));
}

/* A service: tells what it was called with, and leaves something else. */
__attribute__((ms_abi)) static uint64_t look_at_floats(struct float_state *seen)
{
    const struct float_state other = {.mxcsr = 0x9f80, .control = 0x0f7f, .sse = 1};
    float_read(seen);
    float_write(&other);
    return 7;
}

/* A program may have unmasked every exception, and have a value on the x87's stack. */
KERNEL_TEST(efi_call_finds_float_registers_as_promised_and_keeps_them)
{
    static uint64_t stack[512] __attribute__((aligned(16)));
    static struct float_state seen;
    const struct float_state program = {.mxcsr = 0x0000, .control = 0x0000, .sse = 0x0123456789abcdef};
    struct float_state before;
    struct float_state after;
    struct trap_frame fault = {0};
    struct firmware_call call = {.function = (uintptr_t)look_at_floats,
                                 .arguments = {(uintptr_t)&seen},
                                 .root = kernel_page_table()->root.raw,
                                 .stack_top = (uintptr_t)stack + sizeof stack};
    float_write(&program);
    __asm__ volatile("fld1");
    float_read(&before);
    bool returned = firmware_call(&call, &fault);
    float_read(&after);
    float_write(&(struct float_state){.mxcsr = EMPTY_MXCSR, .control = EMPTY_CONTROL});
    EXPECT(returned);
    EXPECT_EQUAL(call.result, 7);
    EXPECT_EQUAL(seen.mxcsr, EMPTY_MXCSR);
    EXPECT_EQUAL(seen.control, EMPTY_CONTROL);
    EXPECT_EQUAL(seen.status, 0);
    EXPECT_EQUAL(after.mxcsr, before.mxcsr);
    EXPECT_EQUAL(after.control, before.control);
    EXPECT_EQUAL(after.status, before.status);
    EXPECT_EQUAL(after.sse, program.sse);
}

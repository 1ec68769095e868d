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

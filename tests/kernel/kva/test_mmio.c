/* Device memory on the real machine: found again, cached as asked for, refused where it must be. */
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/log.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/test.h>

static const struct kva_purpose purpose = KVA_PURPOSE("test device");

static enum mmio_error try_map(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                               void **pointer)
{
    const struct mmio_request request = {phys_addr(address), bytes, access, cache, &purpose, false};
    *pointer = NULL;
    return mmio_map(&kernel_mmio, &request, pointer);
}

static bool mmio_is_sound(void)
{
    struct mmio_problem problem;
    return mmio_check(&kernel_mmio, &problem);
}

/* The first IO-APIC's registers, or 0. */
static uint64_t io_apic(void)
{
    const struct acpi_madt *madt = &acpi_info()->madt;
    return madt->present && madt->io_apic_count > 0 ? madt->io_apics[0].address.raw : 0;
}

KERNEL_TEST(mmio_is_sound_after_boot)
{
    EXPECT(mmio_is_sound());
}

KERNEL_TEST(mmio_finds_a_mapping_again)
{
    if (io_apic() == 0) {
        kernel_test_skip("no IO-APIC to map");
        return;
    }
    phys_addr_t address = phys_addr(io_apic());
    uint8_t *first = device_map(address, 32, PAGE_WRITE, CACHE_UNCACHED, &purpose);
    EXPECT(first != NULL);
    EXPECT(device_map(address, 16, PAGE_WRITE, CACHE_UNCACHED, &purpose) == first);
    EXPECT(device_map(phys_add(address, 16), 16, PAGE_WRITE, CACHE_UNCACHED, &purpose) == first + 16);
    void *other;
    EXPECT_EQUAL(try_map(address.raw, 32, PAGE_READ, CACHE_UNCACHED, &other), MMIO_OK);
    EXPECT(other != first);
    EXPECT(mmio_is_sound());
    struct page_translation found = page_table_translate(kernel_page_table(), virt_of(other));
    EXPECT(found.mapped);
    EXPECT_EQUAL(found.target.raw, address.raw);
    EXPECT_EQUAL(found.cache, CACHE_UNCACHED);
    EXPECT_EQUAL(found.access & (PAGE_WRITE | PAGE_EXECUTE | PAGE_USER), 0);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, other), MMIO_OK);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, other), MMIO_NOT_MAPPED);
    EXPECT(!page_table_translate(kernel_page_table(), virt_of(other)).mapped);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, first), MMIO_NOT_MAPPED); /* it stays */
}

KERNEL_TEST(mmio_refuses_a_second_cache_kind)
{
    void *pointer;
    if (io_apic() == 0) {
        kernel_test_skip("no IO-APIC to map");
        return;
    }
    EXPECT_EQUAL(try_map(io_apic(), 16, PAGE_WRITE, CACHE_WRITE_COMBINING, &pointer), MMIO_CONFLICT);
    EXPECT_EQUAL(try_map(io_apic(), 16, PAGE_READ, CACHE_WRITE_BACK, &pointer), MMIO_CONFLICT);
    const struct boot_framebuffer *video = &boot_info()->framebuffer;
    if (video->bytes != 0) {
        EXPECT_EQUAL(try_map(video->physical_base.raw, 16, PAGE_WRITE, CACHE_UNCACHED, &pointer),
                     MMIO_CONFLICT);
    }
}

/* The first device that the tables for UEFI runtime calls show; false when there is none. */
static bool firmware_device(struct page_run *run)
{
    struct page_runs walk;
    if (!address_space_runtime()) {
        return false;
    }
    page_runs_start(&walk, address_space_runtime(), virt_addr(0), page_table_lower_end(kernel_page_table()));
    while (page_runs_next(&walk, run)) {
        if (run->cache != CACHE_WRITE_BACK) {
            return true;
        }
    }
    return false;
}

/* What the firmware's services use stays theirs, also when others have used it in the same way meanwhile. */
KERNEL_TEST(mmio_agrees_with_the_firmware_on_its_devices)
{
    struct page_run run;
    void *pointer;
    if (!firmware_device(&run)) {
        kernel_test_skip("the firmware's services use no device");
        return;
    }
    uint64_t last = run.target.raw + run.bytes - 16;
    EXPECT_EQUAL(run.cache, CACHE_UNCACHED);
    EXPECT_EQUAL(try_map(last, 16, PAGE_WRITE, CACHE_WRITE_COMBINING, &pointer), MMIO_CONFLICT);
    EXPECT_EQUAL(try_map(last, 16, PAGE_READ, CACHE_WRITE_BACK, &pointer), MMIO_CONFLICT);
    EXPECT_EQUAL(try_map(last, 16, PAGE_WRITE, CACHE_UNCACHED, &pointer), MMIO_OK);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, pointer), MMIO_OK);
    EXPECT_EQUAL(try_map(run.target.raw, 16, PAGE_WRITE, CACHE_WRITE_COMBINING, &pointer), MMIO_CONFLICT);
    EXPECT(mmio_is_sound());
}

KERNEL_TEST(mmio_refuses_ram)
{
    void *pointer;
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    EXPECT(frame.raw != 0);
    EXPECT_EQUAL(try_map(frame.raw, 16, PAGE_WRITE, CACHE_UNCACHED, &pointer), MMIO_RAM);
    EXPECT_EQUAL(try_map(frame.raw, 16, PAGE_WRITE, CACHE_WRITE_BACK, &pointer), MMIO_RAM);
    EXPECT_EQUAL(try_map(boot_info()->kernel.segments[0].physical_base.raw, 16, PAGE_WRITE, CACHE_WRITE_BACK,
                         &pointer),
                 MMIO_RAM);
    EXPECT_EQUAL(try_map(frame.raw, 16, PAGE_READ, CACHE_WRITE_BACK, &pointer), MMIO_OK);
    *(uint64_t *)frame_pointer(kernel_frames(), frame) = 0x1122334455667788;
    EXPECT_EQUAL(*(volatile uint64_t *)pointer, 0x1122334455667788);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, pointer), MMIO_OK);
    frame_free(kernel_frames(), frame, 0);
}

KERNEL_TEST(mmio_refuses_what_cannot_be)
{
    void *pointer;
    EXPECT_EQUAL(try_map(0xfee00000, 0, PAGE_WRITE, CACHE_UNCACHED, &pointer), MMIO_EMPTY);
    EXPECT_EQUAL(try_map(0xfee00000, UINT64_MAX, PAGE_WRITE, CACHE_UNCACHED, &pointer), MMIO_BEYOND);
    EXPECT_EQUAL(try_map(UINT64_MAX - 1, 16, PAGE_WRITE, CACHE_UNCACHED, &pointer), MMIO_BEYOND);
    EXPECT_EQUAL(try_map(0xfee00000, 16, PAGE_EXECUTE, CACHE_UNCACHED, &pointer), MMIO_BAD_ACCESS);
    log_set_provoked(true);
    pointer = device_map(phys_addr(0xfee00000), 0, PAGE_WRITE, CACHE_UNCACHED, &purpose);
    log_set_provoked(false);
    EXPECT(pointer == NULL);
    EXPECT(mmio_is_sound());
}

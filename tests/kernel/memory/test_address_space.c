/* The kernel's own page tables, as they are in force. */
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/sealed.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <x86/control_registers.h>

KERNEL_TEST(address_space_is_the_kernels_own)
{
    struct page_table_problem problem = {0};
    EXPECT_EQUAL(cr3_read() & CR3_ADDRESS_MASK, kernel_page_table()->root.raw);
    EXPECT(kernel_page_table()->root.raw != boot_info()->paging.root.raw);
    EXPECT(page_table_check(kernel_page_table(), &problem));
    EXPECT(problem.what == NULL);
}

KERNEL_TEST(address_space_gave_the_loaders_tables_back)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    for (size_t i = 0; i < count; i++) {
        if (map[i].type == MEMORY_PAGE_TABLES) {
            struct frame_facts facts;
            frame_pool_look(kernel_frames(), map[i].base, &facts);
            EXPECT(facts.managed);
        }
    }
}

static void count_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    (void)base;
    (void)entry;
    (void)level;
    ++*(uint64_t *)context;
}

KERNEL_TEST(address_space_has_no_identity_map)
{
    uint64_t leaves = 0;
    page_table_each(kernel_page_table(), virt_addr(0), (uint64_t)1 << 47, count_leaf, &leaves);
    EXPECT_EQUAL(leaves, 0);
}

/* What is constant or code has no writable alias in the physmap, and what is data has. */
KERNEL_TEST(address_space_protects_the_image_at_every_address)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    for (uint32_t i = 0; i < kernel->segment_count; i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        for (uint64_t at = 0; at < segment->bytes; at += FRAME_BYTES) {
            virt_addr_t page = virt_add(segment->virtual_base, at);
            virt_addr_t alias = virt_of(physmap_pointer(phys_add(segment->physical_base, at)));
            struct page_translation direct = page_table_translate(kernel_page_table(), page);
            struct page_translation through = page_table_translate(kernel_page_table(), alias);
            EXPECT(!direct.mapped || direct.target.raw == segment->physical_base.raw + at);
            EXPECT(direct.mapped || (segment->flags & BOOT_SEGMENT_WRITE)); /* guards lie in the data */
            EXPECT(through.mapped && !(through.access & PAGE_EXECUTE));
            bool writable = (segment->flags & BOOT_SEGMENT_WRITE) && !is_sealed(segment->virtual_base);
            EXPECT_EQUAL(!(through.access & PAGE_WRITE), !writable);
            EXPECT(!direct.mapped || !(direct.access & PAGE_WRITE) == !writable);
        }
    }
}

/* The interrupt table is what the next fault will read. */
KERNEL_TEST(address_space_seals_what_is_never_written_again)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table;
    uint64_t entry;
    __asm__ volatile("sidt %0" : "=m"(table));
    EXPECT(table.base >= (uintptr_t)sealed_start && table.base + table.limit < (uintptr_t)sealed_end);
    EXPECT(memory_try_read(&entry, virt_addr(table.base), sizeof entry));
    EXPECT(!memory_try_write(virt_addr(table.base), &entry, sizeof entry));
}

KERNEL_TEST(address_space_shares_the_frame_pools_descriptors)
{
    phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    ASSERT(frame.raw != FRAME_NONE.raw);
    struct frame_descriptor *descriptor = frame_descriptor(kernel_frames(), frame);
    struct page_translation found = page_table_translate(kernel_page_table(), virt_of(descriptor));
    EXPECT(found.mapped && (found.access & PAGE_WRITE));
    /* Nobody else may map or unmap there. */
    virt_addr_t page = virt_addr(align_down(virt_of(descriptor).raw, FRAME_BYTES));
    EXPECT_EQUAL(page_table_map(kernel_page_table(), page, frame, FRAME_BYTES, PAGE_WRITE, CACHE_WRITE_BACK,
                                PAGE_LEVEL_4K),
                 PAGE_TABLE_OCCUPIED);
    frame_free(kernel_frames(), frame, 0);
}

/* A user page for provocations and tests; see page.h. */
#include "page.h"

#include <ashlar/arch/page_table_entry.h>
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <x86/control_registers.h>

#define USER_PAGE_ADDRESS 0x0000123456789000ULL /* a different index at every level */

static phys_addr_t tables[PAGE_LEVEL_PML4]; /* levels 1 .. 3, and 4 when it is not the root; while mapped */
static phys_addr_t page;

/* Who maps twice has the same frames. */
static void take(phys_addr_t *frame)
{
    if (frame->raw == 0) {
        *frame = frame_alloc_zeroed(kernel_frames(), OWNER_TEST);
        ASSERT(frame->raw != 0);
    }
}

static void give_back(phys_addr_t *frame)
{
    if (frame->raw != 0) {
        frame_free(kernel_frames(), *frame, 0);
        *frame = phys_addr(0);
    }
}

static unsigned root_level(void)
{
    return cr4_read() & CR4_LA57 ? PAGE_LEVEL_PML5 : PAGE_LEVEL_PML4;
}

static uint64_t *root_entry(void)
{
    uint64_t *root = physmap_pointer(phys_addr(cr3_read() & CR3_ADDRESS_MASK));
    return &root[page_table_index(virt_addr(USER_PAGE_ADDRESS), root_level())];
}

virt_addr_t user_page_map(enum user_page_kind kind)
{
    virt_addr_t address = virt_addr(USER_PAGE_ADDRESS);
    unsigned access = PAGE_USER | (kind == USER_PAGE_CODE ? PAGE_EXECUTE : PAGE_WRITE);
    take(&page);
    uint64_t entry = page_entry_leaf(page, PAGE_LEVEL_4K, access, CACHE_WRITE_BACK).raw;
    for (unsigned level = PAGE_LEVEL_4K; level < root_level(); level++) {
        phys_addr_t *table = &tables[level - PAGE_LEVEL_4K];
        take(table);
        uint64_t *entries = physmap_pointer(*table);
        entries[page_table_index(address, level)] = entry;
        entry = page_entry_table(*table, true).raw;
    }
    *root_entry() = entry | (kind == USER_PAGE_CORRUPT ? PAGE_ENTRY_LARGE : 0);
    tlb_drop_page(address);
    return address;
}

uint8_t *user_page_contents(void)
{
    return physmap_pointer(page);
}

void user_page_unmap(void)
{
    *root_entry() = 0;
    tlb_drop_page(virt_addr(USER_PAGE_ADDRESS));
    give_back(&page);
    for (unsigned i = 0; i < ARRAY_LENGTH(tables); i++) {
        give_back(&tables[i]);
    }
}

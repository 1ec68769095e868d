/* A user page for provocations and tests; see <x86/user_page.h>. */
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <x86/control_registers.h>
#include <x86/user_page.h>

#include "arch/x86_64/fault/probe.h"

#define USER_PAGE_ADDRESS 0x0000123456789000ULL /* a different index at every level */

struct __attribute__((aligned(4096))) frame {
    union {
        uint64_t entries[PAGE_TABLE_ENTRIES];
        uint8_t bytes[FRAME_BYTES];
    };
};

static struct frame tables[PAGE_LEVEL_PML4]; /* levels 1 .. 3, and 4 when it is not the root */
static struct frame page;

static phys_addr_t physical(const struct frame *frame)
{
    struct page_walk walk = page_walk_current(virt_of(frame));
    ASSERT(walk.end == WALK_MAPPED);
    return walk.target;
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
    uint64_t entry = page_entry_leaf(physical(&page), PAGE_LEVEL_4K, access, CACHE_WRITE_BACK).raw;
    for (unsigned level = PAGE_LEVEL_4K; level < root_level(); level++) {
        struct frame *table = &tables[level - PAGE_LEVEL_4K];
        table->entries[page_table_index(address, level)] = entry;
        entry = page_entry_table(physical(table), true).raw;
    }
    *root_entry() = entry | (kind == USER_PAGE_CORRUPT ? PAGE_ENTRY_LARGE : 0);
    tlb_drop_page(address);
    return address;
}

uint8_t *user_page_contents(void)
{
    return page.bytes;
}

void user_page_unmap(void)
{
    *root_entry() = 0;
    tlb_drop_page(virt_addr(USER_PAGE_ADDRESS));
}

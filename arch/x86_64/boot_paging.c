/* Taking leave of the loader's page tables: see <ashlar/boot_info.h>. */
#include <ashlar/arch/page_table_entry.h>
#include <ashlar/boot.h>
#include <x86/boot_paging.h>
#include <x86/control_registers.h>

/* The entry of the smallest page that maps `address`. */
static page_table_entry_t *leaf_of(page_table_entry_t *root, virt_addr_t address, unsigned *level)
{
    page_table_entry_t *entry = root;
    for (*level = boot_info()->paging.levels;; (*level)--) {
        entry += page_table_index(address, *level);
        if (!page_entry_present(*entry) || page_entry_is_leaf(*entry, *level)) {
            return entry;
        }
        entry = physmap_pointer(page_entry_table_address(*entry));
    }
}

/*
 * Makes the loader's code writable in the physmap: it was read-only there because it was executable in the
 * identity map, and it is ordinary memory now.
 */
static void loader_code_open(page_table_entry_t *root)
{
    const struct boot_info *info = boot_info();
    for (uint64_t offset = 0; offset < info->loader_bytes; offset += FRAME_BYTES) {
        virt_addr_t alias = virt_add(info->paging.physmap, info->loader_base.raw + offset);
        unsigned level;
        page_table_entry_t *entry = leaf_of(root, alias, &level);
        if (level == PAGE_LEVEL_4K && page_entry_present(*entry)) {
            entry->raw |= PAGE_ENTRY_WRITE;
            tlb_drop_page(alias);
        }
    }
}

/*
 * Empties the user half of the root. The entries were not global, so loading CR3 drops them from the TLB
 * (SDM volume 3, 4.10.4.1); the loader's tables below them are returned with the rest of its memory.
 */
void identity_map_drop(void)
{
    page_table_entry_t *root = physmap_pointer(boot_info()->paging.root);
    for (unsigned i = 0; i < PAGE_TABLE_ENTRIES / 2; i++) {
        root[i].raw = 0;
    }
    cr3_write(cr3_read());
    loader_code_open(root);
}

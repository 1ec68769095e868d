/* Dropping the identity map of the loader's page tables; see <x86/boot_paging.h>. */
#include <ashlar/arch/page_table_entry.h>
#include <ashlar/boot.h>
#include <x86/boot_paging.h>
#include <x86/control_registers.h>

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
}

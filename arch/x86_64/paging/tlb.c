/*
 * Dropping translations on this CPU: see <ashlar/arch/tlb.h>.
 *
 * The numbers of <ashlar/arch/tlb.h> are PCIDs. INVLPG acts on global pages and on the loaded PCID, and so
 * does loading CR3 without bit 63. What is cached under other PCIDs is dropped when it is loaded next: so of
 * INVPCID no more is needed than to drop everything. Sources: SDM volume 3, 4.10.4.1; volume 2, INVPCID.
 *
 * The emulated CPU of the boot tests has no PCIDs, so the host test host.arch.tlb runs this file over a model
 * of CPUs that have them.
 */
#include <ashlar/arch/tlb.h>
#include <x86/cpuid.h>
#include <x86/tlb_instructions.h>

#define CR3_KEEP ((uint64_t)1 << 63) /* loading CR3 keeps what the TLB holds under its PCID */

bool tlb_has_numbers(void)
{
    return cpu_has(CPU_FEATURE_PCID);
}

void tlb_drop_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    uint64_t end = base.raw + count * page_bytes;
    uint64_t at = base.raw;
    do {
        invlpg(at);
        at += page_bytes;
    } while (at != end);
}

void tlb_drop_loaded(void)
{
    write_cr3(read_cr3());
}

/* Without INVPCID: changing CR4.PGE drops everything, global or not, of all PCIDs. */
void tlb_drop_everything(void)
{
    uint64_t cr4 = read_cr4();
    if (cpu_has(CPU_FEATURE_INVPCID)) {
        invpcid_everything();
    } else if (cr4 & CR4_GLOBAL_PAGES) {
        write_cr4(cr4 & ~CR4_GLOBAL_PAGES);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
}

void tlb_load_root(phys_addr_t root, unsigned number, bool keep)
{
    write_cr3(root.raw | number | (keep ? CR3_KEEP : 0));
}

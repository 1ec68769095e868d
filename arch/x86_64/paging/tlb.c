/*
 * Dropping translations on this CPU, and the numbers of address spaces: see <ashlar/arch/tlb.h>.
 *
 * INVLPG acts on global pages and on the space whose PCID is loaded. Of another space everything is dropped:
 * by INVPCID where the CPU has it, else by a note that loading the space next must drop its translations.
 * Rejected: to drop its pages one by one, which INVPCID can do, because that leaves entries for other
 * addresses in the paging-structure caches. Sources: SDM volume 3, 4.10.4.1; volume 2, INVPCID.
 *
 * The emulated CPU of the boot tests has no PCIDs, so the host test host.arch.tlb runs this file over a model
 * of a CPU that has them.
 */
#include <ashlar/arch/tlb.h>
#include <x86/cpuid.h>
#include <x86/tlb_instructions.h>
#include <x86/tlb_spaces.h>

#define CR3_KEEP ((uint64_t)1 << 63) /* loading CR3 keeps what the TLB holds under its PCID */

static struct tlb_stale stale; /* of the boot CPU, which is the only one that loads tables */
static struct tlb_spaces spaces = {
    .lock = SPINLOCK_INITIALIZER(LOCK_TLB_NUMBERS), .cpus = 1, .stale = &stale};

/* The space whose tables are loaded; without PCIDs the low bits of CR3 are 0. */
static tlb_space_t current_space(void)
{
    return (tlb_space_t)(read_cr3() & CR3_PCID_MASK);
}

static void drop_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        invlpg(base.raw + i * page_bytes);
    }
}

/* Drops all of a space that is not loaded. */
static void drop_other(tlb_space_t space)
{
    if (cpu_has(CPU_FEATURE_INVPCID)) {
        invpcid(INVPCID_SPACE, space);
    } else {
        tlb_spaces_mark(&spaces, cpu_number(), space);
    }
}

void tlb_flush_pages(tlb_space_t space, virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    preempt_disable();
    tlb_space_t current = current_space();
    if (space == TLB_SPACE_KERNEL || space == current) {
        drop_pages(base, page_bytes, count);
        if (space == TLB_SPACE_KERNEL && cpu_has(CPU_FEATURE_PCID)) {
            tlb_spaces_mark_others(&spaces, cpu_number(), current);
        }
    } else {
        drop_other(space);
    }
    preempt_enable();
}

void tlb_flush_global_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    drop_pages(base, page_bytes, count);
}

void tlb_flush_space(tlb_space_t space)
{
    preempt_disable();
    if (space == current_space()) {
        write_cr3(read_cr3());
    } else {
        drop_other(space);
    }
    preempt_enable();
}

/* Without INVPCID: changing CR4.PGE drops everything, global or not, of all spaces. */
void tlb_flush_everything(void)
{
    preempt_disable();
    uint64_t cr4 = read_cr4();
    if (cpu_has(CPU_FEATURE_INVPCID)) {
        invpcid(INVPCID_EVERYTHING, TLB_SPACE_KERNEL);
    } else if (cr4 & CR4_GLOBAL_PAGES) {
        write_cr4(cr4 & ~CR4_GLOBAL_PAGES);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
    preempt_enable();
}

/* ---- Spaces ---- */

tlb_space_t tlb_space_alloc(void)
{
    return cpu_has(CPU_FEATURE_PCID) ? tlb_spaces_alloc(&spaces) : TLB_SPACE_KERNEL;
}

void tlb_space_free(tlb_space_t space)
{
    tlb_spaces_free(&spaces, space);
}

void tlb_space_load(phys_addr_t root, tlb_space_t space)
{
    preempt_disable();
    bool drop = tlb_spaces_take_stale(&spaces, cpu_number(), space);
    write_cr3(root.raw | space | (drop ? 0 : CR3_KEEP));
    preempt_enable();
}

/*
 * Dropping translations on this CPU, and the numbers of address spaces: see <ashlar/arch/tlb.h>.
 *
 * INVLPG acts on global pages and on the space whose PCID is loaded. Other spaces are reached by INVPCID
 * where the CPU has it; where it has not, the space is noted, and dropped as it is loaded next. Sources: SDM
 * volume 3, 4.10.4.1; volume 2, INVPCID.
 */
#include <ashlar/arch/tlb.h>
#include <x86/control_registers.h>
#include <x86/cpuid.h>
#include <x86/tlb_spaces.h>

enum invpcid_kind { INVPCID_ADDRESS, INVPCID_SPACE, INVPCID_EVERYTHING };

#define CR3_KEEP ((uint64_t)1 << 63) /* loading CR3 keeps what the TLB holds under its PCID */

static struct tlb_spaces spaces;

static void invpcid(enum invpcid_kind kind, tlb_space_t space, virt_addr_t address)
{
    const struct {
        uint64_t pcid;
        uint64_t address;
    } descriptor = {space, address.raw};
    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"((uint64_t)kind) : "memory");
}

/* The space whose tables are loaded; without PCIDs the low bits of CR3 are 0. */
static tlb_space_t current_space(void)
{
    return (tlb_space_t)(cr3_read() & CR3_PCID_MASK);
}

static void drop_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        tlb_drop_page(virt_add(base, i * page_bytes));
    }
}

/* Drops pages of a space that is not loaded. */
static void drop_other(tlb_space_t space, virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    if (!cpu_has(CPU_FEATURE_INVPCID)) {
        tlb_spaces_mark(&spaces, cpu_number(), space);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        invpcid(INVPCID_ADDRESS, space, virt_add(base, i * page_bytes));
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
        drop_other(space, base, page_bytes, count);
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
        cr3_write(cr3_read());
    } else if (cpu_has(CPU_FEATURE_INVPCID)) {
        invpcid(INVPCID_SPACE, space, virt_addr(0));
    } else {
        tlb_spaces_mark(&spaces, cpu_number(), space);
    }
    preempt_enable();
}

/* Without INVPCID: changing CR4.PGE drops everything, global or not, of all spaces. */
void tlb_flush_everything(void)
{
    preempt_disable();
    uint64_t cr4 = cr4_read();
    if (cpu_has(CPU_FEATURE_INVPCID)) {
        invpcid(INVPCID_EVERYTHING, TLB_SPACE_KERNEL, virt_addr(0));
    } else if (cr4 & CR4_GLOBAL_PAGES) {
        cr4_write(cr4 & ~CR4_GLOBAL_PAGES);
        cr4_write(cr4);
    } else {
        cr3_write(cr3_read());
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
    cr3_write(root.raw | space | (drop ? 0 : CR3_KEEP));
    preempt_enable();
}

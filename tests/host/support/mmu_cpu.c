/* The CPU around the model of the MMU; see mmu_cpu.h. */
#include <string.h>
#include <x86/cpuid.h>
#include <x86/tlb_instructions.h>

#include "mmu_cpu.h"
#include "mmu_internal.h"

#define KEEP ((uint64_t)1 << 63)

static struct {
    bool pcid, invpcid; /* what it has */
    uint64_t cr3, cr4;
    struct page_table *known[MMU_SPACES_MAX];
} cpu;

static struct page_table *known_at(uint64_t root)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (cpu.known[i] && cpu.known[i]->root.raw == root) {
            return cpu.known[i];
        }
    }
    mmu_model_fail("no tables lie at the address in CR3", root, 0);
}

void mmu_cpu_start(struct page_table *kernel, bool pcid, bool invpcid)
{
    memset(&cpu, 0, sizeof cpu);
    cpu.pcid = pcid;
    cpu.invpcid = invpcid;
    cpu.cr3 = kernel->root.raw;
    cpu.cr4 = CR4_GLOBAL_PAGES | (pcid ? CR4_PCID : 0);
    mmu_cpu_know(kernel);
    memset(mmu.spaces, 0, sizeof mmu.spaces);
    mmu.spaces[0] = kernel;
}

void mmu_cpu_without_global_pages(void)
{
    cpu.cr4 &= ~(uint64_t)CR4_GLOBAL_PAGES;
}

void mmu_cpu_know(struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (!cpu.known[i]) {
            cpu.known[i] = table;
            return;
        }
    }
    mmu_model_fail("too many spaces", 0, MMU_SPACES_MAX);
}

void mmu_cpu_forget(struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        cpu.known[i] = cpu.known[i] == table ? NULL : cpu.known[i];
    }
}

struct page_table *mmu_cpu_loaded(void)
{
    return mmu.spaces[0];
}

bool cpu_has(enum cpu_feature feature)
{
    return (feature == CPU_FEATURE_PCID && cpu.pcid) || (feature == CPU_FEATURE_INVPCID && cpu.invpcid);
}

/* ---- What instructions drop ---- */

static void drop(bool (*which)(const struct cached *, const void *), uint64_t operand)
{
    mmu_cache_drop(which, &operand);
}

static bool of_pcid(const struct cached *entry, const void *pcid)
{
    return !entry->global && entry->space == *(const uint64_t *)pcid;
}

static bool any(const struct cached *entry, const void *unused)
{
    (void)entry;
    (void)unused;
    return true;
}

/* Translations of the address, global ones too, and all paging-structure entries of the PCID. */
static bool by_invlpg(const struct cached *entry, const void *address)
{
    bool mine = entry->space == (cpu.cr3 & CR3_PCID_MASK);
    if (entry->table) {
        return mine;
    }
    return (entry->global || mine) && *(const uint64_t *)address - entry->base < SPAN(entry->level);
}

/* ---- Instructions ---- */

uint64_t read_cr3(void)
{
    return cpu.cr3;
}

void write_cr3(uint64_t value)
{
    uint64_t pcid = value & CR3_PCID_MASK;
    struct page_table *table = known_at(value & CR3_ADDRESS_MASK);
    if (!cpu.pcid && (pcid != 0 || (value & KEEP))) {
        mmu_model_fail("CR3 has a PCID on a CPU without", value, 0);
    }
    if (table->space != pcid) {
        mmu_model_fail("tables are loaded under another number", table->space, pcid);
    }
    if (!(value & KEEP)) {
        drop(of_pcid, pcid);
    }
    cpu.cr3 = value & ~KEEP;
    mmu.spaces[0] = table;
    mmu_model_check();
}

uint64_t read_cr4(void)
{
    return cpu.cr4;
}

void write_cr4(uint64_t value)
{
    if ((value ^ cpu.cr4) & CR4_GLOBAL_PAGES) {
        drop(any, 0);
    }
    cpu.cr4 = value;
}

void invlpg(uint64_t address)
{
    drop(by_invlpg, address);
}

void invpcid(enum invpcid_kind kind, uint64_t pcid)
{
    if (!cpu.invpcid || (pcid != 0 && !cpu.pcid)) {
        mmu_model_fail("INVPCID on a CPU without", kind, pcid);
    }
    drop(kind == INVPCID_SPACE ? of_pcid : any, pcid);
}

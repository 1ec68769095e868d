/* The CPUs around the model of the MMU; see mmu_cpu.h. */
#include <ashlar/cpu_request.h>
#include <stdlib.h>
#include <string.h>
#include <x86/cpuid.h>
#include <x86/tlb_instructions.h>

#include "host.h"
#include "mmu_cpu.h"
#include "mmu_internal.h"

#define KEEP ((uint64_t)1 << 63)

struct cpu {
    uint64_t cr3, cr4;
    struct page_table *loaded;
    struct mmu_tlb tlb;
};

static struct {
    bool pcid, invpcid; /* what they have */
    unsigned count;
    uint64_t interrupts;
    struct page_table *known[MMU_SPACES_MAX];
} cpus;
static void *mailboxes, *remembered; /* memory that the code under test uses, since the last start */
static struct cpu all[MMU_CPUS_MAX];

static struct cpu *here(void)
{
    return &all[host_cpu];
}

static struct page_table *known_at(uint64_t root)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (cpus.known[i] && cpus.known[i]->root.raw == root) {
            return cpus.known[i];
        }
    }
    mmu_model_fail("no tables lie at the address in CR3", root, 0);
}

/* Shows the model what is loaded on the CPU at work, its PCID and its TLB. */
static void look(void)
{
    memset(mmu.spaces, 0, sizeof mmu.spaces);
    mmu.spaces[0] = here()->loaded;
    mmu.tags[0] = here()->cr3 & CR3_PCID_MASK;
    mmu.tlb = &here()->tlb;
}

/* The CPU that is interrupted answers before the one that interrupts it goes on. */
static void interrupt(unsigned number)
{
    cpus.interrupts++;
    struct host_cpu left = host_play(number);
    look();
    cpu_serve_requests();
    host_play_end(left);
    look();
}

static void start_mailboxes(void)
{
    static const struct cpu_request_calls calls = {.interrupt = interrupt};
    void *before[] = {mailboxes, remembered};
    mailboxes = malloc(cpu_requests_bytes(cpus.count));
    remembered = malloc(tlb_cpus_bytes(cpus.count));
    cpu_requests_start(mailboxes, cpus.count, &calls);
    tlb_cpus_start(remembered, cpus.count);
    free(before[0]);
    free(before[1]);
    for (unsigned number = 1; number < cpus.count; number++) {
        mmu_cpu_play(number);
        tlb_cpu_enter();
    }
    mmu_cpu_play(0);
}

void mmu_cpu_start(struct page_table *kernel, unsigned count, bool pcid, bool invpcid)
{
    cpus.pcid = pcid;
    cpus.invpcid = invpcid;
    cpus.count = count;
    cpus.interrupts = 0;
    memset(cpus.known, 0, sizeof cpus.known);
    for (unsigned number = 0; number < count; number++) {
        mmu_tlb_start(&all[number].tlb);
        all[number].loaded = kernel;
        all[number].cr3 = kernel->root.raw;
        all[number].cr4 = CR4_GLOBAL_PAGES | (pcid ? CR4_PCID : 0);
    }
    mmu_cpu_know(kernel);
    mmu_cpu_play(0);
    start_mailboxes();
}

void mmu_cpu_play(unsigned number)
{
    host_cpu = number;
    look();
}

uint64_t mmu_cpu_interrupts(void)
{
    return cpus.interrupts;
}

static void on_all(void (*what)(void))
{
    unsigned at = host_cpu;
    for (unsigned number = 0; number < cpus.count; number++) {
        mmu_cpu_play(number);
        what();
    }
    mmu_cpu_play(at);
}

void mmu_cpu_fill_all(void)
{
    on_all(mmu_model_fill);
}

void mmu_cpu_check_all(void)
{
    on_all(mmu_model_check);
}

void mmu_cpu_without_global_pages(void)
{
    here()->cr4 &= ~(uint64_t)CR4_GLOBAL_PAGES;
}

void mmu_cpu_know(struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (!cpus.known[i]) {
            cpus.known[i] = table;
            return;
        }
    }
    mmu_model_fail("too many spaces", 0, MMU_SPACES_MAX);
}

void mmu_cpu_forget(struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        cpus.known[i] = cpus.known[i] == table ? NULL : cpus.known[i];
    }
}

struct page_table *mmu_cpu_loaded(void)
{
    return here()->loaded;
}

bool cpu_has(enum cpu_feature feature)
{
    return (feature == CPU_FEATURE_PCID && cpus.pcid) || (feature == CPU_FEATURE_INVPCID && cpus.invpcid);
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
    bool mine = entry->space == (here()->cr3 & CR3_PCID_MASK);
    if (entry->table) {
        return mine;
    }
    return (entry->global || mine) && *(const uint64_t *)address - entry->base < SPAN(entry->level);
}

/* ---- Instructions ---- */

uint64_t read_cr3(void)
{
    return here()->cr3;
}

void write_cr3(uint64_t value)
{
    uint64_t pcid = value & CR3_PCID_MASK;
    struct page_table *table = known_at(value & CR3_ADDRESS_MASK);
    if (!cpus.pcid && (pcid != 0 || (value & KEEP))) {
        mmu_model_fail("CR3 has a PCID on a CPU without", value, 0);
    }
    if (!(value & KEEP)) {
        drop(of_pcid, pcid);
    }
    here()->cr3 = value & ~KEEP;
    here()->loaded = table;
    look();
    mmu_model_check();
}

uint64_t read_cr4(void)
{
    return here()->cr4;
}

void write_cr4(uint64_t value)
{
    if ((value ^ here()->cr4) & CR4_GLOBAL_PAGES) {
        drop(any, 0);
    }
    here()->cr4 = value;
}

void invlpg(uint64_t address)
{
    drop(by_invlpg, address);
}

void invpcid_everything(void)
{
    if (!cpus.invpcid) {
        mmu_model_fail("INVPCID on a CPU without", 0, 0);
    }
    drop(any, 0);
}

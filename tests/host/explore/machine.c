/* The explorer's machine: memory with store buffers, TLBs, and the instructions that drop what is in them. */
#include "machine.h"

#include <ashlar/cpu_request.h>
#include <string.h>
#include <x86/cpuid.h>
#include <x86/tlb_instructions.h>

#define KEEP ((uint64_t)1 << 63)

static bool pcid, global;
static unsigned cpus;

/* ---- Memory ---- */

/* Who waits looks again. */
static void tell_others(void)
{
    for (unsigned i = 0; i < cpus; i++) {
        world.cpu[i].news = true;
    }
}

static void write_memory(uint64_t *word, uint64_t value)
{
    if (*word != value) {
        *word = value;
        tell_others();
    }
}

void explore_drain_one(struct explore_cpu *cpu)
{
    struct explore_store oldest = cpu->buffer[0];
    cpu->stores--;
    memmove(cpu->buffer, cpu->buffer + 1, sizeof cpu->buffer - sizeof cpu->buffer[0]);
    write_memory(oldest.word, oldest.value);
}

static void drain(void)
{
    while (explore_here()->stores != 0) {
        explore_drain_one(explore_here());
    }
}

/* A CPU sees its own stores before others do. */
static uint64_t read_memory(const uint64_t *word)
{
    const struct explore_cpu *cpu = explore_here();
    for (uint64_t i = cpu->stores; i-- > 0;) {
        if (cpu->buffer[i].word == word) {
            return cpu->buffer[i].value;
        }
    }
    return *word;
}

static void store(uint64_t *word, uint64_t value)
{
    struct explore_cpu *cpu = explore_here();
    if (cpu->stores == EXPLORE_STORES) {
        explore_drain_one(cpu);
    }
    cpu->buffer[cpu->stores++] = (struct explore_store){word, value};
}

uint64_t explore_load(const void *word)
{
    explore_step("load");
    return read_memory(word);
}

/* No step: others notice nothing until it leaves the buffer. */
void explore_store(void *word, uint64_t value)
{
    store(word, value);
}

/* A locked instruction: all earlier stores are in memory before it, and it is itself at once. */
static uint64_t locked(const char *what, uint64_t *word)
{
    explore_step(what);
    drain();
    return *word;
}

uint64_t explore_add(void *word, uint64_t value)
{
    uint64_t before = locked("locked add", word);
    write_memory(word, before + value);
    return before;
}

uint64_t explore_or(void *word, uint64_t value)
{
    uint64_t before = locked("locked or", word);
    write_memory(word, before | value);
    return before;
}

uint64_t explore_and(void *word, uint64_t value)
{
    uint64_t before = locked("locked and", word);
    write_memory(word, before & value);
    return before;
}

uint64_t explore_add_unlocked(void *word, uint64_t value)
{
    explore_step("add without lock");
    uint64_t before = read_memory(word);
    store(word, before + value);
    return before;
}

uint64_t explore_or_unlocked(void *word, uint64_t value)
{
    explore_step("or without lock");
    uint64_t before = read_memory(word);
    store(word, before | value);
    return before;
}

/* ---- What there is ---- */

virt_addr_t explore_address(unsigned page)
{
    return virt_addr(page == EXPLORE_KERNEL_PAGE ? 0xffffd00000000000 : MIB(1) + page * FRAME_BYTES);
}

static unsigned page_at(uint64_t address)
{
    unsigned page = 0;
    while (explore_address(page).raw != address) {
        page++;
    }
    return page;
}

struct page_table *explore_tables(enum explore_table table)
{
    return &world.tables[table];
}

static uint64_t frame_of(enum explore_table table, unsigned page)
{
    return 1ULL << (table * EXPLORE_PAGES + page);
}

void explore_clear(enum explore_table table, unsigned page)
{
    explore_store(&world.entries[table][page], 0);
}

void explore_free(enum explore_table table, unsigned page)
{
    world.freed |= frame_of(table, page);
}

static void interrupt(unsigned number)
{
    explore_step("interrupt");
    world.cpu[number].interrupted = true;
}

static void make_tables(void)
{
    for (unsigned i = 0; i < EXPLORE_TABLES; i++) {
        struct page_table *table = &world.tables[i];
        table->root = phys_addr((i + 1) * FRAME_BYTES);
        table->space = i;
        table->kernel = i == EXPLORE_KERNEL ? NULL : &world.tables[EXPLORE_KERNEL];
        cpu_set_init(&table->loaded, &table->loaded_word, cpus);
        for (unsigned page = 0; page < EXPLORE_PAGES; page++) {
            bool has = (page == EXPLORE_KERNEL_PAGE) == (i == EXPLORE_KERNEL);
            world.entries[i][page] = has ? frame_of((enum explore_table)i, page) : 0;
        }
    }
}

void explore_make_world(const struct explore_scenario *scenario)
{
    static const struct cpu_request_calls calls = {.interrupt = interrupt};
    memset(&world, 0, sizeof world);
    pcid = scenario->pcid;
    global = scenario->global;
    cpus = scenario->cpus;
    make_tables();
    for (unsigned i = 0; i < cpus; i++) {
        world.cpu[i].cr3 = world.tables[EXPLORE_KERNEL].root.raw;
        world.cpu[i].cr4 = CR4_GLOBAL_PAGES;
        world.cpu[i].interrupts_on = true;
    }
    cpu_requests_start(world.memory, cpus, &calls);
    tlb_cpus_start((char *)world.memory + cpu_requests_bytes(cpus), cpus);
    for (unsigned i = 0; i < cpus; i++) {
        world.at = i;
        world.cpu[i].careful = scenario->prepare[i] == NULL;
        if (scenario->prepare[i]) {
            scenario->prepare[i]();
        }
    }
}

void explore_is_online(void)
{
    explore_here()->careful = false;
}

/* ---- TLBs ---- */

static unsigned number_of(const struct explore_cpu *cpu)
{
    return (unsigned)(cpu->cr3 & CR3_PCID_MASK);
}

static enum explore_table loaded_on(const struct explore_cpu *cpu)
{
    return (enum explore_table)((cpu->cr3 & CR3_ADDRESS_MASK) / FRAME_BYTES - 1);
}

void explore_read_ahead(void)
{
    for (unsigned i = 0; i < cpus; i++) {
        struct explore_cpu *cpu = &world.cpu[i];
        uint64_t *tlb = cpu->tlb[number_of(cpu)];
        for (unsigned page = 0; page < EXPLORE_KERNEL_PAGE; page++) {
            tlb[page] |= world.entries[loaded_on(cpu)][page];
        }
        uint64_t kernel = world.entries[EXPLORE_KERNEL][EXPLORE_KERNEL_PAGE];
        if (global) {
            cpu->global |= kernel;
        } else {
            tlb[EXPLORE_KERNEL_PAGE] |= kernel;
        }
    }
}

void explore_check(void)
{
    for (unsigned i = 0; i < cpus; i++) {
        const struct explore_cpu *cpu = &world.cpu[i];
        if (cpu->careful) {
            continue;
        }
        const uint64_t *tlb = cpu->tlb[number_of(cpu)];
        uint64_t usable = cpu->global | tlb[EXPLORE_KERNEL_PAGE];
        uint64_t own = 0;
        for (unsigned page = 0; page < EXPLORE_KERNEL_PAGE; page++) {
            usable |= tlb[page];
            own |= frame_of(loaded_on(cpu), page);
        }
        if (usable & world.freed) {
            explore_fail("a CPU can use a frame that is free");
        }
        if (usable & ~own & ~frame_of(EXPLORE_KERNEL, EXPLORE_KERNEL_PAGE)) {
            explore_fail("a CPU can use a frame of other tables");
        }
    }
}

static void drop_number(struct explore_cpu *cpu, unsigned number)
{
    memset(cpu->tlb[number], 0, sizeof cpu->tlb[number]);
}

static void drop_all(struct explore_cpu *cpu)
{
    memset(cpu->tlb, 0, sizeof cpu->tlb);
    cpu->global = 0;
}

/* ---- Instructions. All of them wait for earlier stores, as serializing ones do ---- */

bool cpu_has(enum cpu_feature feature)
{
    return feature == CPU_FEATURE_PCID && pcid;
}

uint64_t read_cr3(void)
{
    return explore_here()->cr3;
}

void write_cr3(uint64_t value)
{
    struct explore_cpu *cpu = explore_here();
    explore_step("load CR3");
    drain();
    cpu->cr3 = value & ~KEEP;
    if (!(value & KEEP)) {
        drop_number(cpu, number_of(cpu));
    }
    explore_read_ahead();
}

uint64_t read_cr4(void)
{
    return explore_here()->cr4;
}

void write_cr4(uint64_t value)
{
    explore_step("load CR4");
    drain();
    if ((value ^ explore_here()->cr4) & CR4_GLOBAL_PAGES) {
        drop_all(explore_here());
    }
    explore_here()->cr4 = value;
}

void invlpg(uint64_t address)
{
    struct explore_cpu *cpu = explore_here();
    explore_step("INVLPG");
    drain();
    unsigned page = page_at(address);
    cpu->tlb[number_of(cpu)][page] = 0;
    cpu->global &= page == EXPLORE_KERNEL_PAGE ? 0 : UINT64_MAX;
}

void invpcid_everything(void)
{
    explore_step("INVPCID");
    drain();
    drop_all(explore_here());
}

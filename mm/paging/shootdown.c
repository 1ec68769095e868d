/*
 * Shootdown: how CPUs drop translations together, by generations.
 *
 * What: the CPU that has taken something out of page tables (the sender) makes all others forget it before
 * the frame behind it is used again. Interrupts are what that costs, so nobody is interrupted who need not
 * be.
 *
 * How: tables count their flushes (`generation`) and know which CPUs have them loaded (`loaded`). A CPU
 * remembers for a few tables, those whose translations its TLB keeps apart by a number, up to which
 * generation it is clean of what was flushed.
 *
 *   sender     writes the entries; adds 1 to the generation, which is a full fence; reads the set; asks those
 *              in it; flushes here; waits for all answers; frees
 *   loading    enters the set, which is a full fence; reads the generation; keeps what the TLB has only if it
 *              is clean up to just this; loads; leaves the set of the tables before. Interrupts are off
 *   receiver   has the tables loaded, or nothing to do. It flushes the range only if it was clean up to the
 *              generation before, else everything of the tables, and then remembers the generation
 *
 * Of the two fences one comes first: either the sender sees the loading CPU in the set, or that one sees the
 * new generation, and with it the new entries.
 *
 * A request says what its sender took away, and several senders are not served in the order of their
 * generations: who was clean up to 4 and is asked for the range of 6 has missed 5, which may be in its
 * mailbox still. So it drops everything, is clean up to 6, and 5 finds nothing to do.
 *
 * The kernel's tables are part of all spaces. Every CPU that is online is asked for them, so nobody misses
 * any. What is not global is cached under each number that was loaded meanwhile, and INVLPG reaches one: the
 * others are remembered as nobody's. A CPU that comes online is in the set before it drops everything.
 *
 * Locks: none. What a CPU remembers is its own, touched with interrupts off.
 *
 * Seeing inside: host.arch.shootdown runs this file in every interleaving of two and three CPUs.
 */
#include <ashlar/cpu_request.h>
#include <ashlar/page_table.h>

#define NUMBERS 7 /* of a CPU's TLB: 0 is the kernel's, or everybody's */

/* Whose translations a number of the TLB stands for, and how true they are. */
struct number {
    tlb_space_t space; /* TLB_SPACE_KERNEL: nobody's, what is cached under it is dropped when it is loaded */
    uint64_t clean;    /* nothing is cached that was flushed up to this generation */
};

/* What a CPU remembers. */
struct tlb_cpu {
    struct page_table *loaded; /* what CR3 names; NULL: the kernel's, or what was there before them */
    unsigned number;           /* what it is loaded under */
    unsigned taken;            /* the number that was given away last */
    struct number numbers[NUMBERS];
};

static struct tlb_cpu boot_cpu;
static struct tlb_cpu *cpus = &boot_cpu; /* by number */

static struct tlb_cpu *this_cpu(void)
{
    return &cpus[cpu_number()];
}

/* ---- Dropping ---- */

static void drop_ranges(const struct tlb_flush *flush)
{
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct tlb_range *range = &flush->ranges[i];
        tlb_drop_pages(range->base, page_level_bytes(range->level),
                       range->bytes >> page_level_shift(range->level));
    }
}

/* What is cached of the kernel's under numbers that are not loaded is dropped when they are. */
static void forget_others(struct tlb_cpu *cpu)
{
    for (unsigned i = 1; i < NUMBERS; i++) {
        if (i != cpu->number) {
            cpu->numbers[i].space = TLB_SPACE_KERNEL;
        }
    }
}

static void drop_of_kernel(struct tlb_cpu *cpu, const struct tlb_flush *flush)
{
    if (flush->range_count == 0) {
        tlb_drop_everything();
        return;
    }
    drop_ranges(flush);
    if (!flush->only_global) {
        forget_others(cpu);
    }
}

/* What a CPU is asked for. */
struct request {
    const struct tlb_flush *flush;
    uint64_t generation; /* that it makes */
};

/* The generation is read before everything is dropped: what it stands for is cached no more afterwards. */
static void drop_of_space(struct tlb_cpu *cpu, const struct request *request)
{
    const struct tlb_flush *flush = request->flush;
    struct number *number = &cpu->numbers[cpu->number];
    if (cpu->loaded != flush->table || number->clean >= request->generation) {
        return;
    }
    if (flush->range_count != 0 && number->clean + 1 == request->generation) {
        drop_ranges(flush);
        number->clean = request->generation;
    } else {
        uint64_t generation = atomic_load(&flush->table->generation);
        tlb_drop_loaded();
        number->clean = generation;
    }
}

/* The receiver's part, which is the sender's own, too. Interrupts are off. */
static void serve(const void *context)
{
    const struct request *request = context;
    if (request->flush->table->kernel) {
        drop_of_space(this_cpu(), request);
    } else {
        drop_of_kernel(this_cpu(), request->flush);
    }
}

/* Tables without a set are those that every CPU is asked about. */
static const struct cpu_set *loaded_on(const struct page_table *table)
{
    return table->kernel && table->loaded.words ? &table->loaded : NULL;
}

void tlb_flush(const struct tlb_flush *flush)
{
    preempt_disable();
    struct request request = {flush, atomic_fetch_add(&flush->table->generation, 1) + 1};
    cpu_request_send(loaded_on(flush->table), serve, &request);
    bool were_on = interrupts_disable();
    serve(&request);
    interrupts_restore(were_on);
    cpu_request_wait();
    preempt_enable();
}

/* ---- Loading ---- */

/* The number that the space has on this CPU, or the one that was taken longest ago, now its. */
static unsigned number_for(struct tlb_cpu *cpu, tlb_space_t space)
{
    if (!tlb_has_numbers()) {
        return 0;
    }
    for (unsigned i = 1; i < NUMBERS; i++) {
        if (cpu->numbers[i].space == space) {
            return i;
        }
    }
    cpu->taken = cpu->taken % (NUMBERS - 1) + 1;
    cpu->numbers[cpu->taken].space = TLB_SPACE_KERNEL;
    return cpu->taken;
}

static void load_kernel(struct tlb_cpu *cpu, const struct page_table *table)
{
    tlb_load_root(table->root, 0, false);
    cpu->number = 0;
    cpu->loaded = NULL;
}

static void load_space(struct tlb_cpu *cpu, struct page_table *table)
{
    if (table->loaded.words) {
        cpu_set_add(&table->loaded, cpu_number());
    }
    uint64_t generation = atomic_load(&table->generation);
    unsigned number = number_for(cpu, table->space);
    struct number *kept = &cpu->numbers[number];
    bool keep = number != 0 && kept->space == table->space && kept->clean == generation;
    tlb_load_root(table->root, number, keep);
    *kept = (struct number){number != 0 ? table->space : TLB_SPACE_KERNEL, generation};
    cpu->number = number;
    cpu->loaded = table;
}

void tlb_load(struct page_table *table)
{
    bool were_on = interrupts_disable();
    struct tlb_cpu *cpu = this_cpu();
    struct page_table *before = cpu->loaded;
    if (table->kernel) {
        load_space(cpu, table);
    } else {
        load_kernel(cpu, table);
    }
    if (before && before != table && before->loaded.words) {
        cpu_set_remove(&before->loaded, cpu_number());
    }
    interrupts_restore(were_on);
}

/* ---- CPUs ---- */

size_t tlb_cpus_bytes(unsigned count)
{
    return count * sizeof(struct tlb_cpu);
}

void tlb_cpus_start(void *memory, unsigned count)
{
    struct tlb_cpu *all = memory;
    for (unsigned cpu = 0; cpu < count; cpu++) {
        all[cpu] = (struct tlb_cpu){.loaded = NULL};
    }
    all[cpu_number()] = *this_cpu();
    cpus = all;
}

void tlb_cpu_enter(void)
{
    cpu_enter_online();
    tlb_drop_everything();
}

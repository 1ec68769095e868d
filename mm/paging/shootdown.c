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

/* What is to be dropped: what tlb_flush() was told, and the generation that it made. */
struct request {
    struct page_table *table;
    const struct tlb_range *ranges;
    unsigned range_count;
    bool only_global;
    uint64_t generation;
};

/* At least one. */
static __attribute__((noinline)) void drop_ranges(const struct tlb_range *ranges, unsigned count)
{
    const struct tlb_range *range = ranges;
    do {
        tlb_drop_pages(range->base, page_level_bytes(range->level),
                       range->bytes >> page_level_shift(range->level));
    } while (++range != ranges + count);
}

/* What is cached of the kernel's under numbers that are not loaded is dropped when they are. The loaded one,
 * for which INVLPG was enough, is not told apart: this is rare. */
static void forget_numbers(void)
{
    struct tlb_cpu *cpu = this_cpu();
    for (unsigned i = 1; i < NUMBERS; i++) {
        cpu->numbers[i].space = TLB_SPACE_KERNEL;
    }
}

static __attribute__((noinline)) void drop_all_copies(const struct tlb_range *ranges, unsigned count)
{
    drop_ranges(ranges, count);
    forget_numbers();
}

/* Ends in calls of functions that are not inline, so that it needs no stack of its own: a flush of vmalloc's
 * costs as much as its pages, and little more. */
static inline void drop_of_kernel(const struct tlb_range *ranges, unsigned count, bool only_global)
{
    if (count == 0) {
        tlb_drop_everything();
    } else if (only_global) {
        drop_ranges(ranges, count);
    } else {
        drop_all_copies(ranges, count);
    }
}

/*
 * The generation is read before everything is dropped: what it stands for is cached no more afterwards. The
 * sender does its own part with interrupts on: if another request comes in between, it may remember an older
 * generation than it could, and drops more the next time.
 */
static __attribute__((noinline)) void
drop_of_space(const struct page_table *table, const struct tlb_range *ranges, unsigned count, uint64_t made)
{
    struct tlb_cpu *cpu = this_cpu();
    struct number *number = &cpu->numbers[cpu->number];
    if (cpu->loaded != table || number->clean >= made) {
        return;
    }
    if (count != 0 && number->clean + 1 == made) {
        drop_ranges(ranges, count);
        number->clean = made;
    } else {
        uint64_t generation = atomic_load(&table->generation);
        tlb_drop_loaded();
        number->clean = generation;
    }
}

/* The receiver's part. */
static void serve(const void *context)
{
    const struct request *request = context;
    if (request->table->kernel) {
        drop_of_space(request->table, request->ranges, request->range_count, request->generation);
    } else {
        drop_of_kernel(request->ranges, request->range_count, request->only_global);
    }
}

/* Tables without a set are those that every CPU is asked about. */
static const struct cpu_set *loaded_on(const struct page_table *table)
{
    return table->kernel ? &table->loaded : NULL;
}

static void drop_everywhere(const struct request *request)
{
    cpu_request_send(loaded_on(request->table), serve, request);
    serve(request);
    cpu_request_wait();
}

static __attribute__((noinline)) void flush_by_generation(struct page_table *table,
                                                          const struct tlb_range *ranges, unsigned count,
                                                          bool only_global)
{
    preempt_disable();
    cpu_interleave();
    uint64_t made = atomic_fetch_add(&table->generation, 1) + 1;
    cpu_interleave();
    if (cpus_are_several()) {
        drop_everywhere(&(struct request){table, ranges, count, only_global, made});
    } else {
        drop_of_space(table, ranges, count, made);
    }
    preempt_enable();
}

/* One CPU alone has the kernel's tables loaded at all times, and misses nothing. */
void tlb_flush(struct page_table *table, const struct tlb_range *ranges, unsigned range_count,
               bool only_global)
{
    if (table->kernel || cpus_are_several()) {
        flush_by_generation(table, ranges, range_count, only_global);
    } else {
        drop_of_kernel(ranges, range_count, only_global);
    }
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
    return cpu->taken;
}

static void load_kernel(struct tlb_cpu *cpu, const struct page_table *table)
{
    tlb_load_root(table->root, 0, false);
    cpu->number = 0;
    cpu->loaded = NULL;
}

/* A full fence, where there is somebody who could look. */
static void enter_set(struct page_table *table)
{
    if (cpus_are_several()) {
        cpu_set_add(&table->loaded, cpu_number());
        cpu_interleave();
    }
}

static void leave_set(struct page_table *table)
{
    if (cpus_are_several()) {
        cpu_interleave();
        cpu_set_remove(&table->loaded, cpu_number());
    }
}

static void load_space(struct tlb_cpu *cpu, struct page_table *table)
{
    enter_set(table);
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
    if (before && before != table) {
        leave_set(before);
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

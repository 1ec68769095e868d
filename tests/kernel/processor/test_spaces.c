/*
 * Address spaces on all processors at once: one space that all fault into, a space for each, regions that go
 * while others read them, forks beside writes.
 */
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/world.h>
#include <stdatomic.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

#define PAGES  32
#define ROUNDS 8
#define RW     (VM_READ | VM_WRITE)
#define POISON 0xbadbadbadbadbad0ULL

static _Atomic(unsigned) wrong;

static bool spaces_are_sound(void)
{
    struct vm_problem problem;
    struct frame_problem frame_problem;
    struct frame_ledger ledger;
    world_stop();
    bool sound =
        vm_manager_check(kernel_vm_manager(), &problem) && frame_pool_check(kernel_frames(), &frame_problem);
    memory_ledger(&ledger);
    world_resume();
    return sound && ledger.difference == 0;
}

static volatile uint64_t *map_lazy(uint64_t pages)
{
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = pages * FRAME_BYTES};
    return vm_space_map(kernel_lazy_space(), &request, &address) == VM_OK ? virt_pointer(address) : NULL;
}

static bool unmap_lazy(volatile uint64_t *words, uint64_t pages)
{
    return vm_space_unmap(kernel_lazy_space(), virt_of((void *)words), pages * FRAME_BYTES) == VM_OK;
}

static volatile uint64_t *word_of(volatile uint64_t *words, uint64_t page, unsigned cpu)
{
    return &words[page * (FRAME_BYTES / sizeof *words) + cpu];
}

/* ---- One space: all touch the same pages, each its own word in them ---- */

static void touch_all_pages(void *context, unsigned cpu)
{
    volatile uint64_t *words = context;
    for (uint64_t page = 0; page < PAGES; page++) {
        cpu_interleave();
        *word_of(words, page, cpu) = page << 32 | cpu;
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        atomic_fetch_add(&wrong, *word_of(words, page, cpu) != (page << 32 | cpu));
    }
}

KERNEL_TEST(together_one_space_is_faulted_by_all)
{
    volatile uint64_t *words = map_lazy(PAGES);
    EXPECT(words != NULL);
    atomic_store(&wrong, 0);
    EXPECT(processors_run(touch_all_pages, (void *)words));
    bool sound = spaces_are_sound();
    EXPECT(unmap_lazy(words, PAGES));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(sound);
    EXPECT(spaces_are_sound());
}

/* ---- A space for each, forked while its pages are written ---- */

static bool write_user(uint64_t address, uint64_t value)
{
    return memory_try_write(virt_addr(address), &value, sizeof value);
}

static bool user_holds(uint64_t address, uint64_t value)
{
    uint64_t found;
    return memory_try_read(&found, virt_addr(address), sizeof found) && found == value;
}

/* Loads the space and writes to each page of a region, or looks whether each holds what was written. */
static void visit_pages(struct vm_space *space, uint64_t base, uint64_t value, bool write)
{
    preempt_disable();
    struct vm_space *before = space_load(space);
    preempt_enable();
    user_access_begin();
    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t address = base + page * FRAME_BYTES;
        cpu_interleave();
        bool right = write ? write_user(address, value + page) : user_holds(address, value + page);
        atomic_fetch_add(&wrong, !right);
    }
    user_access_end();
    preempt_disable();
    space_load(before);
    preempt_enable();
}

static void fork_and_write(void *context, unsigned cpu)
{
    struct vm_space parent;
    struct vm_space child;
    virt_addr_t base;
    struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = PAGES * FRAME_BYTES};
    (void)context;
    if (user_space_create(&parent, "together") != VM_OK) {
        atomic_fetch_add(&wrong, 1);
        return;
    }
    if (vm_space_map(&parent, &request, &base) == VM_OK) {
        visit_pages(&parent, base.raw, 1000ULL * cpu, true);
        if (vm_space_clone(&parent, &child, "child") == VM_OK) {
            visit_pages(&parent, base.raw, 1000000ULL + cpu, true);
            visit_pages(&child, base.raw, 1000ULL * cpu, false);
            visit_pages(&parent, base.raw, 1000000ULL + cpu, false);
            vm_space_destroy(&child);
        } else {
            atomic_fetch_add(&wrong, 1);
        }
    }
    vm_space_destroy(&parent);
}

KERNEL_TEST(together_spaces_fork_beside_writes)
{
    atomic_store(&wrong, 0);
    EXPECT(processors_run(fork_and_write, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(spaces_are_sound());
}

/* ---- Readers beside an unmapper never read what came later ---- */

static _Atomic(uint64_t) shown; /* where the region lies, or lay a moment ago; 0: not yet */
static _Atomic(bool) over;

/* What was freed last comes first: these are the frames that the region had. */
static void poison_freed_frames(void)
{
    phys_addr_t frames[PAGES];
    for (unsigned i = 0; i < PAGES; i++) {
        frames[i] = frame_alloc(kernel_frames(), 0, OWNER_TEST);
        if (frames[i].raw != FRAME_NONE.raw) {
            uint64_t *words = physmap_pointer(frames[i]);
            for (unsigned j = 0; j < FRAME_BYTES / sizeof *words; j++) {
                words[j] = POISON;
            }
        }
    }
    for (unsigned i = 0; i < PAGES; i++) {
        if (frames[i].raw != FRAME_NONE.raw) {
            frame_free(kernel_frames(), frames[i], 0);
        }
    }
}

static void map_and_unmap(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        volatile uint64_t *words = map_lazy(PAGES);
        if (!words) {
            atomic_fetch_add(&wrong, 1);
            break;
        }
        for (uint64_t page = 0; page < PAGES; page++) {
            *word_of(words, page, 0) = page + 1;
        }
        atomic_store(&shown, (uintptr_t)words);
        atomic_fetch_add(&wrong, !unmap_lazy(words, PAGES));
        poison_freed_frames();
    }
    atomic_store(&over, true);
}

static void unmap_or_read(void *context, unsigned cpu)
{
    (void)context;
    if (cpu == 0) {
        map_and_unmap();
        return;
    }
    for (uint64_t page = 0; !atomic_load(&over); page = (page + 1) % PAGES) {
        uint64_t base = atomic_load(&shown);
        cpu_interleave();
        uint64_t value = 0;
        if (base != 0 && memory_try_read(&value, virt_addr(base + page * FRAME_BYTES), sizeof value)) {
            atomic_fetch_add(&wrong, value != 0 && value != page + 1);
        }
    }
}

KERNEL_TEST(together_nobody_reads_what_came_later)
{
    atomic_store(&wrong, 0);
    atomic_store(&over, false);
    atomic_store(&shown, 0);
    EXPECT(processors_run(unmap_or_read, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(spaces_are_sound());
}

/* ---- A long stretch that all use goes in a few rounds of interrupts ---- */

#define LONG_BYTES  MIB(64)
#define LONG_CPUS   4 /* that use it */
#define ROUNDS_MOST 4

static struct vm_space long_space;
static virt_addr_t long_base;
static _Atomic(unsigned) users;  /* CPUs that have touched their part, and have the space loaded */
static uint64_t rounds;          /* flushes of the space while it went */
static uint64_t interrupts_seen; /* by the one of the others that saw fewest */

/* Loads the space and touches this CPU's part of it. */
static void use_part(unsigned cpu)
{
    uint64_t bytes = LONG_BYTES / LONG_CPUS;
    for (uint64_t at = cpu * bytes; at < (cpu + 1) * bytes; at += FRAME_BYTES) {
        atomic_fetch_add(&wrong, !write_user(long_base.raw + at, at));
    }
    atomic_fetch_add(&users, 1);
    while (atomic_load(&users) < LONG_CPUS) {
        cpu_relax();
    }
}

static uint64_t fewest_interrupts(void)
{
    uint64_t fewest = UINT64_MAX;
    for (unsigned cpu = 1; cpu < LONG_CPUS; cpu++) {
        fewest = min_u64(fewest, interrupt_count_of(processor_at(cpu)->cpu, VECTOR_MAILBOX));
    }
    return fewest;
}

static void unmap_what_others_use(void)
{
    uint64_t generation = atomic_load(&long_space.own.generation);
    uint64_t interrupts = fewest_interrupts();
    atomic_fetch_add(&wrong, vm_space_unmap(&long_space, long_base, LONG_BYTES) != VM_OK);
    rounds = atomic_load(&long_space.own.generation) - generation;
    interrupts_seen = fewest_interrupts() - interrupts;
    atomic_store(&over, true);
}

static void use_and_unmap(void *context, unsigned cpu)
{
    (void)context;
    if (cpu >= LONG_CPUS) {
        return;
    }
    preempt_disable();
    struct vm_space *before = space_load(&long_space);
    preempt_enable();
    user_access_begin();
    use_part(cpu);
    if (cpu == 0) {
        unmap_what_others_use();
    }
    while (!atomic_load(&over)) {
        cpu_relax();
    }
    atomic_fetch_add(&wrong, write_user(long_base.raw + cpu * FRAME_BYTES, 1));
    user_access_end();
    preempt_disable();
    space_load(before);
    preempt_enable();
}

KERNEL_TEST(together_a_long_stretch_goes_in_four_rounds)
{
    struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = LONG_BYTES, .alignment = MIB(2)};
    if (processors_online() < LONG_CPUS || memory_free_frames() < 2 * LONG_BYTES / FRAME_BYTES) {
        kernel_test_skip("fewer than 4 processors, or less than 128 MiB free");
        return;
    }
    EXPECT_EQUAL(user_space_create(&long_space, "long"), VM_OK);
    EXPECT_EQUAL(vm_space_map(&long_space, &request, &long_base), VM_OK);
    atomic_store(&wrong, 0);
    atomic_store(&users, 0);
    atomic_store(&over, false);
    EXPECT(processors_run(use_and_unmap, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(rounds >= 1 && rounds <= ROUNDS_MOST);
    EXPECT(interrupts_seen >= 1);
    EXPECT_EQUAL(long_space.resident, 0);
    vm_space_destroy(&long_space);
    EXPECT(spaces_are_sound());
}

/* ---- Map, unmap and protect by all, each its own regions of the one space ---- */

static void change_regions(void *context, unsigned cpu)
{
    (void)context;
    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        cpu_interleave();
        volatile uint64_t *words = map_lazy(8);
        if (!words) {
            atomic_fetch_add(&wrong, 1);
            return;
        }
        *word_of(words, 3, 0) = cpu + 1;
        atomic_fetch_add(&wrong, vm_space_protect(kernel_lazy_space(), virt_of((void *)words),
                                                  8 * FRAME_BYTES, VM_READ) != VM_OK);
        uint64_t value = 5;
        atomic_fetch_add(&wrong, memory_try_write(virt_of((void *)words), &value, sizeof value));
        atomic_fetch_add(&wrong, *word_of(words, 3, 0) != cpu + 1);
        atomic_fetch_add(&wrong, !unmap_lazy(words, 8));
    }
}

KERNEL_TEST(together_regions_come_and_go)
{
    atomic_store(&wrong, 0);
    EXPECT(processors_run(change_regions, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(spaces_are_sound());
}

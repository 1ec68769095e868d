/*
 * Translations that must die on all processors, seen by what a processor does whose translation has stayed:
 * it writes to a page that a child shares by now, to one that may only be read, or reads a frame of somebody
 * else.
 */
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/world.h>
#include <stdatomic.h>

#define PAGES  8
#define LOOKED 8 /* CPUs that are looked at, from 0 on: others do the same */
#define FORKS  20
#define ROUNDS 8
#define RW     (VM_READ | VM_WRITE)
#define POISON 0xbadbadbadbadbad0ULL

static struct vm_space shared; /* that all use */
static _Atomic(uint64_t) base; /* where its region lies, or lay a moment ago; 0: not yet */
static _Atomic(unsigned) loaded;
static _Atomic(bool) over;
static _Atomic(unsigned) passes[LOOKED]; /* of each CPU's loop */
static _Atomic(unsigned) wrong;

static bool spaces_are_sound(void)
{
    struct vm_problem problem;
    struct frame_problem frame_problem;
    world_stop();
    bool sound =
        vm_manager_check(kernel_vm_manager(), &problem) && frame_pool_check(kernel_frames(), &frame_problem);
    world_resume();
    return sound;
}

static struct vm_space *enter(struct vm_space *space)
{
    preempt_disable();
    struct vm_space *before = space_load(space);
    preempt_enable();
    user_access_begin();
    return before;
}

static void leave(struct vm_space *before)
{
    user_access_end();
    preempt_disable();
    space_load(before);
    preempt_enable();
}

/* The word of a CPU in a page of the region. */
static virt_addr_t word_of(uint64_t page, unsigned cpu)
{
    return virt_addr(atomic_load(&base) + page * FRAME_BYTES + cpu * sizeof(uint64_t));
}

static bool read_word(uint64_t page, unsigned cpu, uint64_t *value)
{
    return memory_try_read(value, word_of(page, cpu), sizeof *value);
}

static bool write_word(uint64_t page, unsigned cpu, uint64_t value)
{
    return memory_try_write(word_of(page, cpu), &value, sizeof value);
}

static bool map_region(void)
{
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = PAGES * FRAME_BYTES};
    if (vm_space_map(&shared, &request, &address) != VM_OK) {
        return false;
    }
    atomic_store(&base, address.raw);
    return true;
}

/* Makes the space, with its region if that is wanted, and has all do `work`. */
static void run_all(processor_work *work, bool with_region)
{
    EXPECT_EQUAL(user_space_create(&shared, "flushes"), VM_OK);
    atomic_store(&base, 0);
    EXPECT(!with_region || map_region());
    atomic_store(&loaded, 0);
    atomic_store(&over, false);
    atomic_store(&wrong, 0);
    EXPECT(processors_run(work, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    vm_space_destroy(&shared);
    EXPECT(spaces_are_sound());
}

static unsigned looked_at(void)
{
    return (unsigned)min_u64(processors_online(), LOOKED);
}

static void pass(unsigned cpu)
{
    if (cpu < LOOKED) {
        atomic_fetch_add(&passes[cpu], 1);
    }
    cpu_relax();
}

/* Until each other CPU has gone through its loop. */
static void give_others_time(void)
{
    unsigned before[LOOKED] = {0};
    for (unsigned cpu = 1; cpu < looked_at(); cpu++) {
        before[cpu] = atomic_load(&passes[cpu]);
    }
    for (unsigned cpu = 1; cpu < looked_at(); cpu++) {
        while (atomic_load(&passes[cpu]) - before[cpu] < 2) {
            cpu_relax();
        }
    }
}

static void wait_for_all(void)
{
    atomic_fetch_add(&loaded, 1);
    while (atomic_load(&loaded) < processors_online()) {
        cpu_relax();
    }
}

/* Counts in each page's word of this CPU's until that is over. Where the page may only be read it waits. */
static void count_up(unsigned cpu)
{
    for (uint64_t count = 1; !atomic_load(&over); count++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            cpu_interleave();
            write_word(page, cpu, count);
        }
        pass(cpu);
    }
}

typedef uint64_t words[PAGES][LOOKED]; /* of some CPUs, as they were read */

static void read_all(words found)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        for (unsigned cpu = 1; cpu < looked_at(); cpu++) {
            atomic_fetch_add(&wrong, !read_word(page, cpu, &found[page][cpu]));
        }
    }
}

/* How many words differ, or are greater than what came after them. */
static unsigned count_changed(words first, words second, bool may_grow)
{
    unsigned changed = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        for (unsigned cpu = 1; cpu < looked_at(); cpu++) {
            changed +=
                may_grow ? first[page][cpu] > second[page][cpu] : first[page][cpu] != second[page][cpu];
        }
    }
    return changed;
}

/* ---- A child has its parent's words of one moment, and keeps them ---- */

static void look_at_child(struct vm_space *child)
{
    static words first;
    static words second;
    static words parents;
    struct vm_space *before = enter(child);
    read_all(first);
    give_others_time();
    read_all(second);
    leave(before);
    before = enter(&shared);
    read_all(parents);
    leave(before);
    atomic_fetch_add(&wrong, count_changed(first, second, false) + count_changed(second, parents, true));
}

static void fork_beside_writes(void)
{
    for (unsigned i = 0; i < FORKS; i++) {
        static struct vm_space child;
        give_others_time();
        if (vm_space_clone(&shared, &child, "child") != VM_OK) {
            atomic_fetch_add(&wrong, 1);
            return;
        }
        look_at_child(&child);
        vm_space_destroy(&child);
    }
}

static void fork_or_count(void *context, unsigned cpu)
{
    (void)context;
    if (cpu == 0) {
        wait_for_all();
        fork_beside_writes();
        atomic_store(&over, true);
        return;
    }
    struct vm_space *before = enter(&shared);
    wait_for_all();
    count_up(cpu);
    leave(before);
}

KERNEL_TEST(together_a_child_keeps_what_it_was_given)
{
    run_all(fork_or_count, true);
}

/* ---- What may only be read does not change ---- */

static void protect_to_and_fro(void)
{
    static words first;
    static words second;
    virt_addr_t region = virt_addr(atomic_load(&base));
    for (unsigned i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&wrong, vm_space_protect(&shared, region, PAGES * FRAME_BYTES, VM_READ) != VM_OK);
        read_all(first);
        give_others_time();
        read_all(second);
        atomic_fetch_add(&wrong, count_changed(first, second, false));
        atomic_fetch_add(&wrong, vm_space_protect(&shared, region, PAGES * FRAME_BYTES, RW) != VM_OK);
        give_others_time(); /* all fault in the one region */
    }
}

static void protect_or_count(void *context, unsigned cpu)
{
    (void)context;
    struct vm_space *before = enter(&shared);
    wait_for_all();
    if (cpu == 0) {
        protect_to_and_fro();
        atomic_store(&over, true);
    } else {
        count_up(cpu);
    }
    leave(before);
}

KERNEL_TEST(together_what_is_read_only_stays_as_it_is)
{
    run_all(protect_or_count, true);
}

/* ---- Readers of a user space, which they load and leave, beside an unmapper ---- */

/* What was freed last comes first: these are the frames that the region had. */
static void poison_freed_frames(void)
{
    phys_addr_t frames[PAGES];
    for (unsigned i = 0; i < PAGES; i++) {
        frames[i] = frame_alloc(kernel_frames(), 0, OWNER_TEST);
        uint64_t *at = frames[i].raw != FRAME_NONE.raw ? physmap_pointer(frames[i]) : NULL;
        for (unsigned j = 0; at && j < FRAME_BYTES / sizeof *at; j++) {
            at[j] = POISON;
        }
    }
    give_others_time();
    for (unsigned i = 0; i < PAGES; i++) {
        if (frames[i].raw != FRAME_NONE.raw) {
            frame_free(kernel_frames(), frames[i], 0);
        }
    }
}

static void map_and_unmap(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vm_space *before = enter(&shared);
        bool right = map_region();
        for (uint64_t page = 0; page < PAGES && right; page++) {
            right = write_word(page, 0, page + 1);
        }
        give_others_time();
        right = right && vm_space_unmap(&shared, virt_addr(atomic_load(&base)), PAGES * FRAME_BYTES) == VM_OK;
        leave(before);
        atomic_fetch_add(&wrong, !right);
        poison_freed_frames();
    }
    atomic_store(&over, true);
}

/* Leaves the space after a while, and comes back: others then skip this CPU when they flush, or do not. */
static void load_read_and_leave(unsigned cpu)
{
    struct vm_space *before = enter(&shared);
    for (uint64_t i = 0; i < 16UL * PAGES; i++) {
        uint64_t page = i % PAGES;
        uint64_t value = 0;
        cpu_interleave();
        if (atomic_load(&base) != 0 && read_word(page, 0, &value)) {
            atomic_fetch_add(&wrong, value != 0 && value != page + 1);
        }
    }
    leave(before);
    pass(cpu);
}

static void unmap_or_read(void *context, unsigned cpu)
{
    (void)context;
    if (cpu == 0) {
        map_and_unmap();
        return;
    }
    while (!atomic_load(&over)) {
        load_read_and_leave(cpu);
    }
}

KERNEL_TEST(together_who_leaves_a_space_keeps_nothing_of_it)
{
    run_all(unmap_or_read, false);
}

/*
 * A shortage while other processors have memory in their magazines: faults, forks and small blocks, which
 * allocate where nobody can wait, get it, be the others idle or busy.
 */
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/test.h>
#include <ashlar/thread.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/world.h>
#include <stdatomic.h>

#define FRAMES_MOST 200000 /* of a machine on which taking all memory takes no minute */
#define KEPT        16     /* frames, or blocks of each size, that a CPU keeps: two magazines hold them */
#define BLOCKS      200    /* more than one slab of the smallest has */
#define BASE        GIB(1)
#define NAP         20000000 /* nanoseconds */

static const size_t sizes[] = {1000, 2000, 4000};

/* How the others keep memory. */
struct way {
    bool objects; /* blocks of the heap, not frames */
    bool busy;    /* they run on, and do not rest */
};

enum phase { TAKING, KEEPING, OVER };

static _Atomic(unsigned) phase;
static _Atomic(unsigned) arrived; /* processors that are through with a phase, in all */

/* What the processor that runs short got. */
static struct outcome {
    enum vm_fault fault;
    enum vm_error fork;
    unsigned blocks;
} outcome;

static struct vm_space space;
static struct vm_space child;

/* ---- The others ---- */

static void wait_for(enum phase which, bool busy)
{
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&phase) < which) {
        if (busy) {
            cpu_relax();
        } else {
            thread_sleep(NAP, false);
        }
    }
}

/* Gives up what this processor has beside what it holds. */
static void empty_magazines(void)
{
    preempt_disable();
    slab_drain_cpu(&kernel_heap.slabs, cpu_number());
    frame_pool_drain_cpu(kernel_frames(), cpu_number());
    preempt_enable();
}

static void keep_frames(bool busy)
{
    phys_addr_t held[KEPT];
    for (unsigned i = 0; i < KEPT; i++) {
        held[i] = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    }
    empty_magazines();
    wait_for(KEEPING, true);
    for (unsigned i = 0; i < KEPT; i++) {
        if (held[i].raw != FRAME_NONE.raw) {
            frame_free(kernel_frames(), held[i], 0);
        }
    }
    wait_for(OVER, busy);
}

static void keep_objects(bool busy)
{
    void *held[ARRAY_LENGTH(sizes) * KEPT];
    for (unsigned i = 0; i < ARRAY_LENGTH(held); i++) {
        held[i] = heap_alloc(&kernel_heap, sizes[i / KEPT]);
    }
    empty_magazines();
    wait_for(KEEPING, true);
    empty_magazines(); /* it was asked to, and would do it in the midst of what follows */
    for (unsigned i = 0; i < ARRAY_LENGTH(held); i++) {
        heap_free(&kernel_heap, held[i]);
    }
    preempt_disable();
    frame_pool_drain_cpu(kernel_frames(), cpu_number());
    preempt_enable();
    wait_for(OVER, busy);
}

/* ---- The one that runs short ---- */

/* Takes all frames that can be had without waiting for others, each the next one's link; the first of them
 * and of those taken before. */
static phys_addr_t take_all_frames(phys_addr_t first)
{
    phys_addr_t frame;
    preempt_disable();
    while ((frame = frame_alloc(kernel_frames(), 0, OWNER_TEST)).raw != FRAME_NONE.raw) {
        *(uint64_t *)physmap_pointer(frame) = first.raw;
        first = frame;
        preempt_enable();
        preempt_disable();
    }
    preempt_enable();
    return first;
}

static void give_frames_back(phys_addr_t first)
{
    while (first.raw != FRAME_NONE.raw) {
        phys_addr_t next = phys_addr(*(uint64_t *)physmap_pointer(first));
        frame_free(kernel_frames(), first, 0);
        first = next;
    }
}

static void wait_for_others(unsigned phases)
{
    while (atomic_load(&arrived) < phases * (processors_online() - 1)) {
        cpu_relax();
    }
}

static void use_small_blocks(void)
{
    void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = heap_alloc(&kernel_heap, 64);
        outcome.blocks += blocks[i] != NULL;
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
}

static void run_short(void)
{
    wait_for_others(1);
    phys_addr_t first = take_all_frames(FRAME_NONE);
    atomic_store(&phase, KEEPING);
    wait_for_others(2);
    first = take_all_frames(first);
    outcome.fault = vm_space_fault(&space, virt_addr(BASE), VM_WRITE);
    outcome.fork = vm_space_clone(&space, &child, "child");
    use_small_blocks();
    atomic_store(&phase, OVER);
    give_frames_back(first);
}

static void play(void *context, unsigned cpu)
{
    const struct way *way = context;
    if (cpu == 0) {
        run_short();
    } else if (way->objects) {
        keep_objects(way->busy);
    } else {
        keep_frames(way->busy);
    }
}

static bool make_space(void)
{
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO,
                                 .access = VM_READ | VM_WRITE,
                                 .bytes = MIB(2),
                                 .fixed = true,
                                 .address = virt_addr(BASE)};
    return user_space_create(&space, "short") == VM_OK && vm_space_map(&space, &request, &address) == VM_OK;
}

static bool all_is_sound(void)
{
    struct frame_problem frame_problem;
    struct slab_problem heap_problem;
    struct vm_problem space_problem;
    struct frame_ledger ledger;
    world_stop();
    bool sound = frame_pool_check(kernel_frames(), &frame_problem) &&
                 heap_check(&kernel_heap, &heap_problem) &&
                 vm_manager_check(kernel_vm_manager(), &space_problem);
    memory_ledger(&ledger);
    world_resume();
    return sound && ledger.difference == 0 && ledger.owner_bytes[OWNER_TEST] == 0;
}

static void expect_all_served(struct way way)
{
    if (memory_free_frames() > FRAMES_MOST || processors_online() == 1) {
        kernel_test_skip("more memory than is taken in a short time, or one processor alone");
        return;
    }
    EXPECT(make_space());
    outcome = (struct outcome){.fork = VM_NO_MEMORY};
    atomic_store(&phase, TAKING);
    atomic_store(&arrived, 0);
    bool done = processors_run(play, &way);
    if (outcome.fork == VM_OK) {
        vm_space_destroy(&child);
    }
    vm_space_destroy(&space);
    EXPECT(done);
    EXPECT_EQUAL(outcome.fault, VM_FAULT_ZERO);
    EXPECT_EQUAL(outcome.fork, VM_OK);
    EXPECT_EQUAL(outcome.blocks, BLOCKS);
    EXPECT(all_is_sound());
}

KERNEL_TEST(together_shortage_reaches_frames_of_idle_processors)
{
    expect_all_served((struct way){.objects = false, .busy = false});
}

KERNEL_TEST(together_shortage_reaches_frames_of_busy_processors)
{
    expect_all_served((struct way){.objects = false, .busy = true});
}

KERNEL_TEST(together_shortage_reaches_objects_of_idle_processors)
{
    expect_all_served((struct way){.objects = true, .busy = false});
}

KERNEL_TEST(together_shortage_reaches_objects_of_busy_processors)
{
    expect_all_served((struct way){.objects = true, .busy = true});
}

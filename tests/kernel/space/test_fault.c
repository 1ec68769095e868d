/*
 * Page faults in the running kernel, kind by kind: those that only a pager brings about, those that end as
 * errors of fallible accesses, faults that are spurious, and what interrupts do meanwhile.
 */
#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <x86/interrupt.h>

#include "kernel/memory/page_fault.h"
#include "tests/kernel/space/tests.h"

#define PAGE         FRAME_BYTES
#define RW           (VM_READ | VM_WRITE)
#define MILLISECOND  1000000ULL
#define ROUNDS_MAX   20000000 /* of waiting, however slow the machine */
#define SPURIOUS_MAX 64       /* kernel/memory/page_fault.c */

static uint64_t faults(enum vm_fault fault)
{
    return kernel_lazy_space()->faults[fault];
}

static virt_addr_t lazy(struct vm_request request)
{
    virt_addr_t address = virt_addr(0);
    request.access = request.access ? request.access : RW;
    return vm_space_map(kernel_lazy_space(), &request, &address) == VM_OK ? address : virt_addr(0);
}

static bool drop(virt_addr_t base, uint64_t bytes)
{
    return vm_space_unmap(kernel_lazy_space(), base, bytes) == VM_OK;
}

/* Whether reading fails at `address`, and as that kind of fault. */
static bool refused(virt_addr_t address, enum vm_fault fault)
{
    uint64_t word;
    uint64_t before = faults(fault);
    return !memory_try_read(&word, address, sizeof word) && faults(fault) == before + 1;
}

KERNEL_TEST(vm_what_is_not_promised_is_refused_by_name)
{
    virt_addr_t reserved = lazy((struct vm_request){.source = VM_NOTHING, .bytes = PAGE});
    virt_addr_t guarded = lazy((struct vm_request){.source = VM_ZERO, .bytes = PAGE, .guard = 2 * PAGE});
    EXPECT(reserved.raw != 0 && guarded.raw != 0);
    EXPECT(refused(reserved, VM_FAULT_RESERVED));
    EXPECT(refused(virt_addr(guarded.raw - 1), VM_FAULT_GUARD));
    EXPECT(refused(virt_addr(guarded.raw - 2 * PAGE), VM_FAULT_GUARD));
    EXPECT(drop(guarded, PAGE));
    EXPECT(drop(reserved, PAGE));
    EXPECT(refused(reserved, VM_FAULT_NO_REGION));
}

static bool user_try_read(virt_addr_t address, uint64_t *word)
{
    user_access_begin();
    bool read = memory_try_read(word, address, sizeof *word);
    user_access_end();
    return read;
}

/* What a region hides, it hides from the kernel as well; the contents are kept. */
KERNEL_TEST(vm_inaccessible_pages_are_inaccessible_from_the_kernel)
{
    static struct vm_space user;
    uint64_t word = 0;
    virt_addr_t words = lazy((struct vm_request){.source = VM_ZERO, .bytes = PAGE});
    struct vm_request request = {
        .source = VM_ZERO, .bytes = PAGE, .access = RW, .fixed = true, .address = virt_addr(MIB(4))};
    virt_addr_t address;
    EXPECT(words.raw != 0);
    *(volatile uint64_t *)virt_pointer(words) = 42;
    EXPECT(vm_space_protect(kernel_lazy_space(), words, PAGE, VM_NONE) == VM_OK);
    EXPECT(refused(words, VM_FAULT_DENIED));
    EXPECT(vm_space_protect(kernel_lazy_space(), words, PAGE, VM_READ) == VM_OK);
    EXPECT_EQUAL(*(volatile uint64_t *)virt_pointer(words), 42);
    EXPECT(drop(words, PAGE));

    EXPECT(tests_space_create(&user, "hiding") == VM_OK);
    EXPECT(vm_space_map(&user, &request, &address) == VM_OK);
    space_load(&user);
    user_access_begin();
    *(volatile uint64_t *)virt_pointer(address) = 43;
    user_access_end();
    bool inaccessible = vm_space_protect(&user, address, PAGE, VM_NONE) == VM_OK;
    bool read = user_try_read(address, &word);
    bool shown = vm_space_protect(&user, address, PAGE, VM_READ) == VM_OK;
    bool read_again = user_try_read(address, &word);
    space_load(NULL);
    EXPECT(inaccessible && shown);
    EXPECT(!read);
    EXPECT(read_again);
    EXPECT_EQUAL(word, 43);
    tests_space_destroy(&user);
}

/* ---- A pager ---- */

/* One page, which it makes, keeps and gives to all; it rests for a timer's tick if it may. */
static struct {
    struct vm_pager pager;
    struct timer timer;
    phys_addr_t frame;     /* none: it gives nothing */
    bool rests;            /* get() waits for the timer */
    volatile bool expired; /* the timer has */
    bool were_on;          /* interrupts, in get() */
    unsigned depth;        /* preempt_disable()s in force, in get() */
} backing;

static void expire(struct timer *timer)
{
    (void)timer;
    backing.expired = true;
}

static phys_addr_t get(struct vm_pager *pager, uint64_t offset, bool wait)
{
    (void)pager;
    (void)offset;
    backing.were_on = interrupts_enabled();
    backing.depth = preempt_count() & ~PREEMPT_NO_WISH;
    if (wait && backing.rests) {
        timer_start(&backing.timer, clock_nanoseconds() + MILLISECOND);
        for (unsigned i = 0; i < ROUNDS_MAX && !backing.expired; i++) {
            cpu_relax();
        }
        timer_cancel(&backing.timer);
    }
    bool got = backing.frame.raw != 0 && frame_try_get(kernel_frames(), backing.frame) == FRAME_OK;
    return got ? backing.frame : FRAME_NONE;
}

static bool start_backing(bool rests)
{
    backing = (typeof(backing)){.pager = {.get = get, .references = 1}, .timer.expired = expire};
    backing.rests = rests;
    backing.frame = frame_alloc_zeroed(kernel_frames(), OWNER_TEST);
    if (backing.frame.raw == 0) {
        return false;
    }
    frame_note_clear(frame_descriptor(kernel_frames(), backing.frame));
    *(uint64_t *)frame_pointer(kernel_frames(), backing.frame) = 77;
    return true;
}

/* The last references to the pager and its page are ours. */
static void stop_backing(void)
{
    vm_pager_put(&backing.pager);
    frame_free(kernel_frames(), backing.frame, 0);
}

static virt_addr_t map_backing(void)
{
    return lazy(
        (struct vm_request){.source = VM_PAGER, .bytes = PAGE, .shared = true, .pager = &backing.pager});
}

KERNEL_TEST(vm_a_pager_gives_or_fails)
{
    EXPECT(start_backing(false));
    virt_addr_t words = map_backing();
    EXPECT(words.raw != 0);
    phys_addr_t frame = backing.frame;
    backing.frame = FRAME_NONE;
    EXPECT(refused(words, VM_FAULT_PAGER_FAILED));
    backing.frame = frame;
    uint64_t paged = faults(VM_FAULT_PAGED);
    EXPECT_EQUAL(*(volatile uint64_t *)virt_pointer(words), 77);
    EXPECT_EQUAL(faults(VM_FAULT_PAGED), paged + 1);
    EXPECT(drop(words, PAGE));
    EXPECT_EQUAL(backing.pager.references, 1);
    stop_backing();
}

/* One more page that shows a frame takes no record; a region takes one, without which nothing is mapped. */
KERNEL_TEST(vm_a_page_takes_no_record)
{
    uint64_t word = 0;
    EXPECT(start_backing(false));
    virt_addr_t first = map_backing();
    virt_addr_t second = map_backing();
    EXPECT(first.raw != 0 && second.raw != 0);
    EXPECT(memory_try_read(&word, first, sizeof word));
    slab_fail_every(&kernel_heap.slabs, 1);
    bool read = memory_try_read(&word, second, sizeof word);
    virt_addr_t third = map_backing();
    slab_fail_every(&kernel_heap.slabs, 0);
    EXPECT(read);
    EXPECT_EQUAL(third.raw, 0);
    EXPECT_EQUAL(word, 77);
    EXPECT(drop(second, PAGE));
    EXPECT(drop(first, PAGE));
    stop_backing();
}

KERNEL_TEST(vm_a_pager_may_wait_for_an_interrupt)
{
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    EXPECT(start_backing(true));
    virt_addr_t words = map_backing();
    EXPECT(words.raw != 0);
    EXPECT_EQUAL(*(volatile uint64_t *)virt_pointer(words), 77);
    bool off_after = !interrupts_enabled();
    EXPECT(drop(words, PAGE));
    stop_backing();
    EXPECT(backing.were_on);
    EXPECT_EQUAL(backing.depth, 0);
    EXPECT(backing.expired);
    EXPECT(!off_after);
}

/* Who has interrupts off cannot wait: no fault is resolved then. */
KERNEL_TEST(vm_lazy_memory_is_not_for_code_with_interrupts_off)
{
    uint64_t word;
    virt_addr_t words = lazy((struct vm_request){.source = VM_ZERO, .bytes = PAGE});
    EXPECT(words.raw != 0);
    bool were_on = interrupts_disable();
    bool read = memory_try_read(&word, words, sizeof word);
    interrupts_restore(were_on);
    EXPECT(were_on);
    EXPECT(!read);
    EXPECT(memory_try_read(&word, words, sizeof word));
    EXPECT(drop(words, PAGE));
}

/* ---- Spurious faults ---- */

/* A fault that another CPU was faster to resolve looks so: the page is there. */
static bool fault_again(virt_addr_t address, uint64_t rip)
{
    struct trap_frame frame = {.vector = EXCEPTION_PAGE_FAULT, .rip = rip, .rflags = RFLAGS_INTERRUPT};
    bool were_on = interrupts_disable();
    bool resolved = kernel_page_fault(&frame, address);
    interrupts_restore(were_on);
    return resolved;
}

static unsigned resolved_in_a_row(virt_addr_t address, uint64_t rip, unsigned limit)
{
    unsigned count = 0;
    while (count < limit && fault_again(address, rip)) {
        count++;
    }
    return count;
}

KERNEL_TEST(vm_spurious_faults_end_only_without_end)
{
    virt_addr_t words = lazy((struct vm_request){.source = VM_ZERO, .bytes = 2 * PAGE});
    EXPECT(words.raw != 0);
    *(volatile uint64_t *)virt_pointer(words) = 1;
    uint64_t before = faults(VM_FAULT_SPURIOUS);
    EXPECT_EQUAL(resolved_in_a_row(words, 1000, SPURIOUS_MAX), SPURIOUS_MAX);
    EXPECT_EQUAL(faults(VM_FAULT_SPURIOUS), before + SPURIOUS_MAX);
    EXPECT(fault_again(words, 1001)); /* another instruction */
    EXPECT_EQUAL(resolved_in_a_row(words, 1000, SPURIOUS_MAX), SPURIOUS_MAX);
    *(volatile uint64_t *)virt_pointer(virt_add(words, PAGE)) = 1; /* a fault that is resolved between */
    EXPECT_EQUAL(resolved_in_a_row(words, 1000, 2 * SPURIOUS_MAX), SPURIOUS_MAX);
    EXPECT(drop(words, 2 * PAGE));
}

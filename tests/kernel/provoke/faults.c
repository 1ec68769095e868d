/*
 * Faults on purpose; see <ashlar/provoke.h>.
 *
 * Each is a function of its own, never inlined and named after its kind, so that a test can demand the name
 * and the line in the backtrace. Pointers go through volatile, so that the compiler does not see what is
 * wrong with them.
 */
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/console.h>
#include <ashlar/heap.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/lock.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/provoke.h>
#include <ashlar/slab_guard.h>
#include <ashlar/start.h>
#include <ashlar/string.h>
#include <ashlar/trap.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

#include "internal.h"
#include "tests/kernel/user/page.h"

#define PROVOCATION __attribute__((noinline)) static void

static const volatile uint64_t constant = 1;
static volatile uint64_t sink;
static volatile uint32_t zero;
static void (*volatile no_function)(void);

PROVOCATION provoke_null(void)
{
    sink = READ_AT(zero + 0x18);
}

PROVOCATION provoke_unmapped(void)
{
    sink = READ_AT(0xffffdfff00001000ULL); /* near the end of the kernel address arena */
}

PROVOCATION provoke_guard(void)
{
    WRITE_AT(boot_info()->kernel.stack_bottom.raw - sizeof(uint64_t));
}

__attribute__((noinline)) static void free_frame(uint64_t address)
{
    frame_free(kernel_frames(), phys_addr(address), 0);
}

/* Of a frame so far from all that was ever given out that its descriptor is not even mapped. */
PROVOCATION provoke_foreign_free(void)
{
    uint64_t address = 0;
    for (struct frame_facts facts = {.descriptor_backed = true}; !facts.managed || facts.descriptor_backed;) {
        address += MIB(1);
        frame_pool_look(kernel_frames(), phys_addr(address), &facts);
    }
    free_frame(address);
}

PROVOCATION provoke_read_only(void)
{
    WRITE_AT((uintptr_t)&constant);
}

PROVOCATION provoke_execute_data(void)
{
    static uint8_t data[] = {0xc3}; /* RET, where nothing may be executed */
    void (*volatile function)(void) = (void (*)(void))(uintptr_t)data;
    function();
}

PROVOCATION provoke_jump_null(void)
{
    no_function();
}

PROVOCATION provoke_smep(void)
{
    void (*volatile function)(void) = (void (*)(void))(uintptr_t)user_page_map(USER_PAGE_CODE).raw;
    function();
}

PROVOCATION provoke_smap(void)
{
    sink = READ_AT(user_page_map(USER_PAGE_DATA).raw);
}

PROVOCATION provoke_corrupt_table(void)
{
    sink = READ_AT(user_page_map(USER_PAGE_CORRUPT).raw);
}

PROVOCATION provoke_non_canonical(void)
{
    sink = READ_AT(0x8000000000000000ULL);
}

PROVOCATION provoke_selector(void)
{
    __asm__ volatile("movl %0, %%ds" : : "r"(0xff8)); /* beyond the table */
}

PROVOCATION provoke_divide(void)
{
    sink = 100 / zero;
}

PROVOCATION provoke_invalid_opcode(void)
{
    __asm__ volatile("ud2");
}

/* Each level keeps a buffer in use over the call, so that no optimisation makes a loop of it. */
__attribute__((noinline)) static uint64_t recurse_for_ever(volatile uint64_t *outer, uint64_t level)
{
    volatile uint64_t local[64];
    local[level % 64] = *outer + level;
    if (level == UINT64_MAX) {
        return local[0];
    }
    return recurse_for_ever(&local[level % 64], level + 1) + local[level % 64];
}

PROVOCATION provoke_stack_overflow(void)
{
    volatile uint64_t start = 0;
    sink = recurse_for_ever(&start, 0);
}

static void overflow_here(void *argument)
{
    volatile uint64_t start = 0;
    (void)argument;
    sink = recurse_for_ever(&start, 0);
}

/* The same on a stack in the kernel's arena, as threads have. */
PROVOCATION provoke_kernel_stack(void)
{
    static struct kernel_stack stack;
    if (!kernel_stack_alloc(&kernel_vmalloc, &stack, "a provocation", KERNEL_STACK_BYTES)) {
        console_print("no memory for a stack\n");
        return;
    }
    call_on_stack(overflow_here, NULL, virt_pointer(kernel_stack_top(&stack)));
}

/* With no stack for page faults either, the overflow's page fault cannot be delivered: a double fault. */
PROVOCATION provoke_double_fault(void)
{
    volatile uint64_t start = 0;
    per_cpu()->tss.ist[IST_PAGE_FAULT - 1] = boot_info()->kernel.stack_bottom.raw;
    sink = recurse_for_ever(&start, 0);
}

__attribute__((noinline)) static void smash_stack(void)
{
    char buffer[16];
    volatile size_t too_many = 48;
    memset(buffer, 'A', too_many);
    sink = (uint64_t)buffer[sink % sizeof buffer];
}

/* Between the buffer and the command's frame, in which earlier calls have left much that looks like callers.
 */
PROVOCATION provoke_stack_smash(void)
{
    smash_stack();
    sink++;
}

/* RBP and RSP lead nowhere: the report has to do without frames. */
PROVOCATION provoke_lost_stack(void)
{
    __asm__ volatile("movq $0x1000, %rsp; movq $0x2000, %rbp; ud2");
}

PROVOCATION provoke_assertion(void)
{
    ASSERT(sink == constant + 1);
}

/* Another CPU, it seems, has taken the lock and does not release it. A second has to do. */
PROVOCATION provoke_deadlock(void) NO_LOCK_ANALYSIS
{
    static struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_CONSOLE);
    lock.gate.held = 1;
    lock_set_patience(clock_nanoseconds_to_ticks(1000000000));
    spinlock_acquire(&lock);
}

PROVOCATION provoke_panic(void)
{
    panic("provoked on purpose, with the number %d", 42);
}

static void handle_and_panic(void *context)
{
    (void)context;
    panic("provoked inside the handler of vector %u", (unsigned)per_cpu()->frame->vector);
}

PROVOCATION provoke_panic_in_interrupt(void)
{
    interrupt_register(PROVOKED_VECTOR, handle_and_panic, NULL, "provoked");
    __asm__ volatile("int %0" : : "i"(PROVOKED_VECTOR) : "memory");
}

/* The report asks every resolver what the address belongs to; this one faults itself. */
__attribute__((noinline)) static bool resolve_by_faulting(virt_addr_t address, struct memory_region *region)
{
    (void)address;
    region->bytes = READ_AT(0x10);
    return false;
}

PROVOCATION provoke_panic_in_panic(void)
{
    static struct region_resolver resolver = {.resolve = resolve_by_faulting};
    region_resolver_add(&resolver);
    provoke_null();
}

PROVOCATION provoke_nmi(void)
{
    console_print("waiting for an NMI (in QEMU's monitor: nmi); any key gives up\n");
    console_flush();
    while (console_read() < 0) {
        cpu_relax();
    }
}

PROVOCATION provoke_breakpoint(void)
{
    __asm__ volatile("int3");
}

/* ---- Mistakes with the heap ---- */

/* A block that the compiler knows nothing about. */
static uint8_t *volatile block;

/* After a mistake that only a debug policy notices. */
static void say_unnoticed(void)
{
    console_print("nobody noticed: boot with debug=slab:*:all\n");
}

PROVOCATION provoke_heap_double_free(void)
{
    block = heap_alloc(&kernel_heap, 100);
    heap_free(&kernel_heap, block);
    heap_free(&kernel_heap, block);
}

PROVOCATION provoke_heap_interior(void)
{
    block = heap_alloc(&kernel_heap, 100000);
    heap_free(&kernel_heap, block + 5000);
}

PROVOCATION provoke_heap_foreign(void)
{
    uint64_t local[4] = {0};
    block = (uint8_t *)&local[1];
    heap_free(&kernel_heap, block);
    block = NULL;
}

PROVOCATION provoke_heap_overrun(void)
{
    block = heap_alloc(&kernel_heap, 33);
    block[33] = 0x5a;
    heap_free(&kernel_heap, block);
    say_unnoticed();
}

PROVOCATION provoke_heap_underrun(void)
{
    block = heap_alloc(&kernel_heap, 33);
    block[-1] = 0x5a;
    heap_free(&kernel_heap, block);
    say_unnoticed();
}

PROVOCATION provoke_heap_large_overrun(void)
{
    block = heap_alloc(&kernel_heap, 100000);
    block[100000] = 0x5a;
    heap_free(&kernel_heap, block);
    say_unnoticed();
}

PROVOCATION provoke_heap_write_after_free(void)
{
    block = heap_alloc(&kernel_heap, 33);
    heap_free(&kernel_heap, block);
    block[5] = 0x5a;
    slab_reap(&kernel_heap.slabs); /* it leaves the quarantine */
    say_unnoticed();
}

/* A cache of the provocations' own; false when it cannot be made. */
static bool make_cache(struct slab_cache *cache)
{
    const struct slab_cache_config config = {.name = "provoked", .bytes = 200};
    return slab_cache_init(&kernel_heap.slabs, cache, &config) == SLAB_OK;
}

PROVOCATION provoke_heap_wrong_cache(void)
{
    static struct slab_cache cache;
    block = make_cache(&cache) ? slab_cache_alloc(&cache) : NULL;
    heap_free(&kernel_heap, block);
}

/* An address where the physmap has a hole, below the last frame; 0 when it has none. */
static uint64_t find_hole(void)
{
    uint8_t byte;
    for (uint64_t at = 0; at < kernel_heap.slabs.limit; at += FRAME_BYTES) {
        if (!memory_try_read(&byte, virt_addr(kernel_heap.slabs.base + at), 1)) {
            return kernel_heap.slabs.base + at;
        }
    }
    return 0;
}

/* What was never memory has no header to look at: a page fault, with the physical address named. */
PROVOCATION provoke_heap_hole(void)
{
    static struct slab_cache cache;
    block = (uint8_t *)find_hole();
    if (!block || !make_cache(&cache)) {
        console_print("the physmap has no hole here\n");
        return;
    }
    slab_cache_free(&cache, block + 64);
}

#define GUARDED_ATTEMPTS 10000 /* many times as often as one is due */

/* A block at the end of a guarded slot: with empty magazines, each allocation is a slow one. */
static uint8_t *guarded_block(void)
{
    const struct slab_guard *guard = kernel_heap.slabs.guard;
    for (unsigned i = 0; guard && i < GUARDED_ATTEMPTS; i++) {
        slab_drain_cpu(&kernel_heap.slabs, cpu_number());
        uint8_t *found = heap_alloc(&kernel_heap, 64);
        uint64_t offset = (uintptr_t)found - (uintptr_t)guard->config.base;
        if (offset < (2ULL * guard->config.slots + 1) * FRAME_BYTES && offset % FRAME_BYTES != 0) {
            return found;
        }
        heap_free(&kernel_heap, found);
    }
    panic("no block came to a guarded slot: is there a debug policy?");
}

PROVOCATION provoke_heap_guarded_overrun(void)
{
    block = guarded_block();
    block[64] = 0x5a;
}

PROVOCATION provoke_heap_guarded_use(void)
{
    block = guarded_block();
    heap_free(&kernel_heap, block);
    sink = block[5];
}

/* Pretends that start-up has come no further than the heap. */
PROVOCATION provoke_too_early(void)
{
    start_stage_in_force = START_HEAP;
    device_map(phys_addr(0), FRAME_BYTES, PAGE_READ, CACHE_UNCACHED, NULL);
}

static const struct provocation all[] = {
    {"null", "reads a member of a null pointer: null dereference", provoke_null},
    {"jump-null", "calls a null function pointer: null dereference", provoke_jump_null},
    {"unmapped", "reads where nothing is mapped", provoke_unmapped},
    {"guard", "writes below the boot stack: guard page", provoke_guard},
    {"foreign-free", "frees a frame that was never given out: a named panic", provoke_foreign_free},
    {"read-only", "writes to a constant: write to read-only memory", provoke_read_only},
    {"execute-data", "calls into a variable: execution of data", provoke_execute_data},
    {"smep", "calls a user page: SMEP violation", provoke_smep},
    {"smap", "reads a user page: SMAP violation", provoke_smap},
    {"corrupt-table", "reads through an entry with a reserved bit: corrupted page table",
     provoke_corrupt_table},
    {"non-canonical", "reads address 2^63: non-canonical address", provoke_non_canonical},
    {"selector", "loads a selector beyond the table: general protection fault", provoke_selector},
    {"divide", "divides by zero: divide error", provoke_divide},
    {"invalid-opcode", "executes UD2: invalid opcode", provoke_invalid_opcode},
    {"breakpoint", "executes INT3 without a debugger: breakpoint", provoke_breakpoint},
    {"stack-overflow", "recurses for ever: guard page, reported from another stack", provoke_stack_overflow},
    {"kernel-stack", "the same on a stack of its own: its guard page, by name", provoke_kernel_stack},
    {"double-fault", "the same without a stack for page faults: double fault", provoke_double_fault},
    {"stack-smash", "overruns a buffer on the stack: stack smashing", provoke_stack_smash},
    {"lost-stack", "faults with a stack pointer that leads nowhere", provoke_lost_stack},
    {"assertion", "fails an assertion", provoke_assertion},
    {"deadlock", "waits for a lock that nobody releases: a panic, not a machine that hangs",
     provoke_deadlock},
    {"deadlock-of-two", "two CPUs, each of which holds the lock that the other one waits for",
     provoke_deadlock_of_two},
    {"deaf-cpu", "flushes translations on a CPU that answers nobody: it is named, and where it is",
     provoke_deaf_cpu},
    {"nmi-storm", "another CPU sends NMIs without end: the first is reported", provoke_nmi_storm},
    {"panic-of-two", "two CPUs panic at the same time: one of them reports", provoke_panic_of_two},
    {"alloc-in-handler", "allocates in an interrupt handler (builds with all assertions)",
     provoke_alloc_in_handler},
    {"alloc-locked", "allocates under an irq_spinlock (builds with all assertions)", provoke_alloc_locked},
    {"log-locked", "logs under an irq_spinlock (builds with all assertions)", provoke_log_locked},
    {"lock-order", "takes two locks in the wrong order (builds with all assertions)", provoke_lock_order},
    {"lock-in-handler", "takes a plain spinlock in an interrupt handler (the same builds)",
     provoke_lock_in_handler},
    {"wait-forbidden", "waits for a mutex while it holds a spinlock (the same builds)",
     provoke_wait_forbidden},
    {"timer-twice", "starts a timer that waits to expire already", provoke_timer_twice},
    {"handler-twice", "gives a second handler to an interrupt vector", provoke_handler_twice},
    {"too-early", "maps a device before there are kernel addresses: a named panic", provoke_too_early},
    {"panic", "panics", provoke_panic},
    {"panic-in-interrupt", "panics inside an interrupt handler", provoke_panic_in_interrupt},
    {"panic-in-panic", "faults inside the report: a short second one", provoke_panic_in_panic},
    {"nmi", "waits for an NMI from outside", provoke_nmi},
    {"heap-double-free", "frees a block twice: double free", provoke_heap_double_free},
    {"heap-interior", "frees a pointer into a block: pointer into an object", provoke_heap_interior},
    {"heap-foreign", "frees a variable on the stack: not heap memory", provoke_heap_foreign},
    {"heap-overrun", "writes one byte past a block (debug=slab:*:all): write past the end",
     provoke_heap_overrun},
    {"heap-underrun", "writes one byte before a block (debug=slab:*:all): write before the start",
     provoke_heap_underrun},
    {"heap-large-overrun", "writes one byte past a block of frames (debug=slab:*:all): write past the end",
     provoke_heap_large_overrun},
    {"heap-write-after-free", "writes to a freed block (debug=slab:*:all): write after free",
     provoke_heap_write_after_free},
    {"heap-wrong-cache", "frees a cache's object to the heap: wrong cache", provoke_heap_wrong_cache},
    {"heap-hole", "frees an address where no RAM is to a cache: page fault in a hole of the physmap",
     provoke_heap_hole},
    {"heap-guarded-overrun", "writes one byte past a guarded block: guard page",
     provoke_heap_guarded_overrun},
    {"heap-guarded-use", "reads a guarded block after its free: page fault, freed object",
     provoke_heap_guarded_use},
    {"lazy-guard", "reads below lazily filled memory: guard page", provoke_lazy_guard},
    {"lazy-reserved", "reads where addresses are only reserved, and is told so", provoke_lazy_reserved},
    {"lazy-denied", "writes to lazily filled memory that is read-only", provoke_lazy_denied},
    {"lazy-no-memory", "touches lazily filled memory when all frames are taken", provoke_lazy_no_memory},
    {"lazy-preempt", "touches lazily filled memory with preemption off", provoke_lazy_preempt},
    {"user-forbidden", "reads user memory without having said so", provoke_user_forbidden},
    {"null-forbidden", "reads address 0 after a space has refused another", provoke_null_forbidden},
};

const struct provocation *provocations(size_t *count)
{
    *count = ARRAY_LENGTH(all);
    return all;
}

const struct provocation *provocation_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

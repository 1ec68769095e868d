/*
 * Address spaces in the running kernel: faults taken by real accesses, in the kernel's lazily filled range
 * and in a user space that is loaded; the reverse map; 100,000 random rounds with a balanced ledger.
 */
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/world.h>
#include <x86/cpu.h>
#include <x86/cpuid.h>

#include "tests/host/support/random.h"
#include "tests/kernel/space/tests.h"

#define PAGE     FRAME_BYTES
#define RW       (VM_READ | VM_WRITE)
#define DEADBEEF 0xdeadbeef000ULL

static bool spaces_are_sound(void)
{
    struct vm_problem problem;
    struct frame_problem frame_problem;
    return WORLD_STOPPED(vm_manager_check(kernel_vm_manager(), &problem)) &&
           WORLD_STOPPED(frame_pool_check(kernel_frames(), &frame_problem));
}

static uint64_t owned(enum frame_owner owner)
{
    struct frame_ledger ledger;
    memory_ledger(&ledger);
    return ledger.difference == 0 ? ledger.owner_bytes[owner] : UINT64_MAX;
}

static uint64_t faults(enum vm_fault fault)
{
    return kernel_lazy_space()->faults[fault];
}

/* A region of the kernel's lazy range; NULL if it cannot be made. */
static volatile uint64_t *lazy(struct vm_request request)
{
    virt_addr_t address;
    request.access = request.access ? request.access : RW;
    return vm_space_map(kernel_lazy_space(), &request, &address) == VM_OK ? virt_pointer(address) : NULL;
}

static bool drop(volatile uint64_t *base, uint64_t bytes)
{
    return vm_space_unmap(kernel_lazy_space(), virt_addr((uintptr_t)base), bytes) == VM_OK;
}

KERNEL_TEST(vm_memory_arrives_when_it_is_touched)
{
    uint64_t before = owned(OWNER_VMALLOC);
    uint64_t zero_reads = faults(VM_FAULT_ZERO_READ);
    uint64_t zeros = faults(VM_FAULT_ZERO);
    volatile uint64_t *words = lazy((struct vm_request){.source = VM_ZERO, .bytes = GIB(1)});
    EXPECT(words);
    EXPECT_EQUAL(words[0], 0);
    EXPECT_EQUAL(owned(OWNER_VMALLOC), before);
    words[1] = 77;
    EXPECT_EQUAL(words[1], 77);
    EXPECT_EQUAL(words[0], 0);
    words[GIB(1) / 16] = 5;
    EXPECT_EQUAL(owned(OWNER_VMALLOC), before + 2 * PAGE);
    EXPECT_EQUAL(faults(VM_FAULT_ZERO_READ), zero_reads + 1);
    EXPECT_EQUAL(faults(VM_FAULT_ZERO), zeros + 2);
    EXPECT(spaces_are_sound());
    EXPECT(drop(words, GIB(1)));
    EXPECT_EQUAL(owned(OWNER_VMALLOC), before);
    EXPECT(spaces_are_sound());
}

KERNEL_TEST(vm_large_pages_arrive_whole)
{
    uint64_t before = owned(OWNER_VMALLOC);
    uint64_t large = faults(VM_FAULT_LARGE);
    volatile uint64_t *words =
        lazy((struct vm_request){.source = VM_ZERO, .bytes = MIB(4), .large = true, .alignment = MIB(2)});
    EXPECT(words);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < MIB(2) / 8; i += 32) {
        sum += words[i];
    }
    EXPECT_EQUAL(sum, 0);
    EXPECT_EQUAL(faults(VM_FAULT_LARGE), large + 1);
    EXPECT_EQUAL(owned(OWNER_VMALLOC), before + MIB(2));
    words[5 * PAGE / 8] = 9;
    EXPECT(drop(words, 5 * PAGE)); /* the 2 MiB page is cut */
    EXPECT_EQUAL(words[5 * PAGE / 8], 9);
    EXPECT_EQUAL(owned(OWNER_VMALLOC), before + MIB(2) - 5 * PAGE);
    EXPECT(spaces_are_sound());
    EXPECT(drop(words, MIB(4)));
    EXPECT_EQUAL(owned(OWNER_VMALLOC), before);
}

/* What the space refuses ends at the fixup of an access that was declared fallible. */
KERNEL_TEST(vm_refused_faults_are_errors_of_fallible_accesses)
{
    uint64_t word = 1;
    struct memory_region region;
    volatile uint64_t *words =
        lazy((struct vm_request){.source = VM_STACK, .bytes = 4 * PAGE, .guard = 2 * PAGE});
    EXPECT(words);
    virt_addr_t base = virt_addr((uintptr_t)words);
    EXPECT(memory_try_read(&word, base, sizeof word));
    EXPECT_EQUAL(word, 0);
    uint64_t limits = faults(VM_FAULT_STACK_LIMIT);
    EXPECT(!memory_try_read(&word, virt_addr(base.raw - 8), sizeof word));
    EXPECT_EQUAL(faults(VM_FAULT_STACK_LIMIT), limits + 1);
    EXPECT(region_find(virt_addr(base.raw - 8), &region));
    EXPECT(region.guard);
    EXPECT(!memory_try_read(&word, virt_addr(base.raw - 3 * PAGE), sizeof word));
    EXPECT(vm_space_protect(kernel_lazy_space(), base, PAGE, VM_READ) == VM_OK);
    EXPECT(!memory_try_write(base, &word, sizeof word));
    EXPECT(memory_try_write(virt_add(base, PAGE), &word, sizeof word));
    EXPECT(drop(words, 4 * PAGE));
    EXPECT(!memory_try_read(&word, base, sizeof word));
}

/* With preemption off a lock may be held: no fault is resolved then. */
KERNEL_TEST(vm_lazy_memory_is_not_for_holders_of_locks)
{
    uint64_t word;
    volatile uint64_t *words = lazy((struct vm_request){.source = VM_ZERO, .bytes = PAGE});
    EXPECT(words);
    preempt_disable();
    bool read = memory_try_read(&word, virt_addr((uintptr_t)words), sizeof word);
    preempt_enable();
    EXPECT(!read);
    EXPECT(memory_try_read(&word, virt_addr((uintptr_t)words), sizeof word));
    EXPECT(drop(words, PAGE));
}

KERNEL_TEST(vm_a_stack_grows_under_its_user)
{
    uint64_t grown = faults(VM_FAULT_STACK);
    volatile uint64_t *words =
        lazy((struct vm_request){.source = VM_STACK, .bytes = 16 * PAGE, .guard = PAGE});
    EXPECT(words);
    for (uint64_t i = 16 * PAGE / 8; i-- > 10 * PAGE / 8;) {
        words[i] = i;
    }
    EXPECT_EQUAL(faults(VM_FAULT_STACK), grown + 6);
    EXPECT_EQUAL(words[11 * PAGE / 8], 11 * PAGE / 8);
    EXPECT(drop(words, 16 * PAGE));
}

/* ---- A user space that is loaded ---- */

static struct vm_space user;
static struct vm_space child;

static void user_write(uint64_t address, uint64_t value)
{
    user_access_begin();
    *(volatile uint64_t *)(uintptr_t)address = value;
    user_access_end();
}

static uint64_t user_read(uint64_t address)
{
    user_access_begin();
    uint64_t value = *(volatile uint64_t *)(uintptr_t)address;
    user_access_end();
    return value;
}

static enum vm_error map_user(struct vm_request request)
{
    virt_addr_t address;
    request.fixed = true;
    request.access = RW;
    return vm_space_map(&user, &request, &address);
}

/*
 * The classic: a virtual address of one's choice on any frame; written through one, read through the other.
 */
KERNEL_TEST(vm_deadbeef)
{
    struct vm_place place;
    phys_addr_t frame = frame_alloc_zeroed(kernel_frames(), OWNER_TEST);
    EXPECT(frame.raw != 0);
    frame_note_clear(frame_descriptor(kernel_frames(), frame));
    volatile uint64_t *physmap = frame_pointer(kernel_frames(), frame);
    EXPECT(tests_space_create(&user, "deadbeef") == VM_OK);
    EXPECT(map_user((struct vm_request){
               .source = VM_FRAMES, .bytes = PAGE, .frames = &frame, .address = virt_addr(DEADBEEF)}) ==
           VM_OK);
    space_load(&user);
    user_write(DEADBEEF + 24, 0x0123456789abcdef);
    physmap[4] = 42;
    uint64_t seen = user_read(DEADBEEF + 32);
    uint64_t word;
    bool without_leave = memory_try_read(&word, virt_addr(DEADBEEF), sizeof word);
    space_load(NULL);
    EXPECT_EQUAL(physmap[3], 0x0123456789abcdef);
    EXPECT_EQUAL(seen, 42);
    EXPECT(!without_leave || !cpu_has(CPU_FEATURE_SMAP));
    EXPECT_EQUAL(vm_frame_places(kernel_vm_manager(), frame, &place, 1), 1);
    EXPECT_EQUAL(place.number, user.number);
    EXPECT_EQUAL(place.address.raw, DEADBEEF);
    tests_space_destroy(&user);
    EXPECT_EQUAL(vm_frame_places(kernel_vm_manager(), frame, &place, 1), 0);
    frame_free(kernel_frames(), frame, 0);
}

KERNEL_TEST(vm_a_fork_copies_what_is_written)
{
    uint64_t before = owned(OWNER_USER);
    EXPECT(tests_space_create(&user, "parent") == VM_OK);
    EXPECT(map_user((struct vm_request){
               .source = VM_ZERO, .bytes = 16 * PAGE, .address = virt_addr(MIB(4))}) == VM_OK);
    space_load(&user);
    for (uint64_t i = 0; i < 8; i++) {
        user_write(MIB(4) + i * PAGE, i);
    }
    EXPECT(tests_space_clone(&user, &child, "child") == VM_OK);
    EXPECT_EQUAL(owned(OWNER_USER), before + 8 * PAGE);
    user_write(MIB(4) + PAGE, 100); /* the stale translation said "writable" */
    space_load(&child);
    bool kept = true;
    for (uint64_t i = 0; i < 8; i++) {
        kept = kept && user_read(MIB(4) + i * PAGE) == i;
    }
    user_write(MIB(4) + PAGE, 200);
    user_write(MIB(4) + 2 * PAGE, 200);
    space_load(&user);
    uint64_t first = user_read(MIB(4) + PAGE);
    uint64_t second = user_read(MIB(4) + 2 * PAGE);
    user_write(MIB(4) + 2 * PAGE, 3);
    space_load(NULL);
    EXPECT(kept);
    EXPECT_EQUAL(first, 100);
    EXPECT_EQUAL(second, 2);
    EXPECT_EQUAL(user.faults[VM_FAULT_COPIED], 1);
    EXPECT_EQUAL(user.faults[VM_FAULT_REUSED], 1);
    EXPECT_EQUAL(child.faults[VM_FAULT_REUSED], 1);
    EXPECT_EQUAL(child.faults[VM_FAULT_COPIED], 1);
    EXPECT(spaces_are_sound());
    tests_space_destroy(&child);
    tests_space_destroy(&user);
    EXPECT_EQUAL(owned(OWNER_USER), before);
}

KERNEL_TEST(vm_a_tebibyte_costs_a_table_for_each_level)
{
    uint64_t before = owned(OWNER_USER) + owned(OWNER_PAGE_TABLES);
    EXPECT(tests_space_create(&user, "large") == VM_OK);
    EXPECT(map_user((struct vm_request){.source = VM_ZERO, .bytes = TIB(1), .address = virt_addr(TIB(2))}) ==
           VM_OK);
    for (uint64_t i = 0; i < 3; i++) {
        EXPECT_EQUAL(vm_space_fault(&user, virt_addr(TIB(2) + i * PAGE), VM_WRITE), VM_FAULT_ZERO);
    }
    EXPECT_EQUAL(user.own.table_frames, user.own.levels); /* beside the frames of the pages */
    EXPECT_EQUAL(owned(OWNER_USER) + owned(OWNER_PAGE_TABLES), before + (user.own.table_frames + 3) * PAGE);
    tests_space_destroy(&user);
    EXPECT_EQUAL(owned(OWNER_USER) + owned(OWNER_PAGE_TABLES), before);
}

KERNEL_TEST(vm_device_memory_is_read)
{
    const struct boot_segment *segment = &boot_info()->kernel.segments[0];
    uint64_t device = faults(VM_FAULT_DEVICE);
    volatile uint64_t *words = lazy((struct vm_request){
        .source = VM_DEVICE, .bytes = PAGE, .target = segment->physical_base, .access = VM_READ});
    EXPECT(words);
    EXPECT_EQUAL(words[3], *(const uint64_t *)virt_pointer(virt_add(segment->virtual_base, 24)));
    EXPECT_EQUAL(faults(VM_FAULT_DEVICE), device + 1);
    EXPECT(drop(words, PAGE));
}

static enum vm_error show(phys_addr_t target, unsigned access, enum page_cache cache, virt_addr_t *where)
{
    const struct vm_request request = {
        .source = VM_DEVICE, .bytes = PAGE, .target = target, .access = access, .cache = cache};
    return vm_space_map(kernel_lazy_space(), &request, where);
}

KERNEL_TEST(vm_device_regions_agree_with_all_other_mappings)
{
    phys_addr_t code = boot_info()->kernel.segments[0].physical_base;
    phys_addr_t nowhere = phys_addr((1ULL << cpu_physical_address_bits()) - PAGE); /* no RAM, no device */
    const struct mmio_request uncached = {nowhere, PAGE, PAGE_READ, CACHE_UNCACHED, NULL, false};
    virt_addr_t where;
    void *pointer;
    EXPECT_EQUAL(show(code, RW, CACHE_WRITE_BACK, &where), VM_CONFLICT);
    EXPECT_EQUAL(show(code, VM_READ, CACHE_UNCACHED, &where), VM_CONFLICT);
    EXPECT_EQUAL(show(nowhere, RW, CACHE_WRITE_COMBINING, &where), VM_OK);
    EXPECT_EQUAL(mmio_map(&kernel_mmio, &uncached, &pointer), MMIO_CONFLICT);
    EXPECT_EQUAL(vm_space_unmap(kernel_lazy_space(), where, PAGE), VM_OK);
    EXPECT_EQUAL(mmio_map(&kernel_mmio, &uncached, &pointer), MMIO_OK);
    EXPECT_EQUAL(show(nowhere, RW, CACHE_WRITE_COMBINING, &where), VM_CONFLICT);
    EXPECT_EQUAL(mmio_unmap(&kernel_mmio, pointer), MMIO_OK);
    EXPECT(spaces_are_sound());
}

/* ---- Random rounds ---- */

#define ROUNDS 100000
#define WINDOW 512

/* One random operation; what is there may be in the way, but memory may not lack. */
static bool random_round(uint64_t *random)
{
    uint64_t what = random_next(random);
    virt_addr_t address = virt_addr(MIB(4) + what / 8 % WINDOW * PAGE);
    uint64_t bytes = (1 + what / 8 / WINDOW % 16) * PAGE;
    enum vm_error error = VM_OK;
    enum vm_fault fault = VM_FAULT_SPURIOUS;
    if (what % 8 == 0) {
        error = vm_space_unmap(&user, address, bytes);
    } else if (what % 8 == 1) {
        error = vm_space_protect(&user, address, bytes, what >> 60 & 1 ? VM_READ : RW);
    } else if (what % 8 < 4) {
        error = map_user((struct vm_request){.source = what % 8 == 2 ? VM_ZERO : VM_STACK,
                                             .bytes = bytes,
                                             .guard = what >> 61 & 1 ? PAGE : 0,
                                             .address = address});
    } else {
        fault = vm_space_fault(&user, address, what >> 59 & 1 ? VM_READ : VM_WRITE);
    }
    return error != VM_NO_MEMORY && fault != VM_FAULT_NO_MEMORY;
}

KERNEL_TEST(vm_random_rounds_leave_the_ledger_balanced)
{
    uint64_t before = owned(OWNER_USER) + owned(OWNER_PAGE_TABLES);
    uint64_t random = 0x123456789;
    bool well = true;
    EXPECT(tests_space_create(&user, "random") == VM_OK);
    for (unsigned round = 0; round < ROUNDS && well; round++) {
        well = random_round(&random);
        if (round % 10000 == 0) {
            well = well && spaces_are_sound();
        }
    }
    EXPECT(well);
    EXPECT(user.faults[VM_FAULT_ZERO] > 1000);
    EXPECT(user.faults[VM_FAULT_REUSED] > 0);
    EXPECT_EQUAL(owned(OWNER_USER), user.resident * PAGE);
    EXPECT(spaces_are_sound());
    tests_space_destroy(&user);
    EXPECT_EQUAL(owned(OWNER_USER) + owned(OWNER_PAGE_TABLES), before);
}

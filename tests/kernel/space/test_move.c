/* Memory that is replaced and moved in the running kernel, by real accesses: frames and page tables are where
 * they should be, and all come back. */
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/vm_move.h>
#include <ashlar/world.h>

#include "tests/kernel/space/tests.h"

#define PAGE  FRAME_BYTES
#define PAGES 600
#define RW    (VM_READ | VM_WRITE)

static bool spaces_are_sound(void)
{
    struct vm_problem problem;
    return WORLD_STOPPED(vm_manager_check(kernel_vm_manager(), &problem));
}

static volatile uint64_t *lazy(uint64_t pages)
{
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO, .bytes = pages * PAGE, .access = RW};
    return vm_space_map(kernel_lazy_space(), &request, &address) == VM_OK ? virt_pointer(address) : NULL;
}

static void fill(volatile uint64_t *memory, uint64_t pages, uint64_t first)
{
    for (uint64_t i = 0; i < pages; i++) {
        memory[i * PAGE / sizeof *memory] = first + i;
    }
}

static bool holds(const volatile uint64_t *memory, uint64_t pages, uint64_t first)
{
    for (uint64_t i = 0; i < pages; i++) {
        if (memory[i * PAGE / sizeof *memory] != first + i) {
            return false;
        }
    }
    return true;
}

/* There and back, over what was there, and a part that leaves an empty region behind. */
KERNEL_TEST(vm_pages_move_with_what_is_in_them)
{
    struct vm_space *space = kernel_lazy_space();
    volatile uint64_t *memory = lazy(PAGES);
    volatile uint64_t *other = lazy(PAGES + 8);
    EXPECT(memory && other);
    fill(memory, PAGES, 1);
    fill(other, PAGES + 8, 5000);
    uint64_t resident = space->resident;
    virt_addr_t address;
    struct vm_move there = {.from = virt_addr((uintptr_t)memory),
                            .bytes = PAGES * PAGE,
                            .new_bytes = PAGES * PAGE,
                            .fixed = true,
                            .replace = true,
                            .address = virt_addr((uintptr_t)other + 3 * PAGE)};
    EXPECT(vm_space_move(space, &there, &address) == VM_OK);
    EXPECT(space->resident == resident - PAGES);
    EXPECT(holds(other, 3, 5000) && holds(other + 3 * PAGE / sizeof *other, PAGES, 1));
    EXPECT(holds(other + (PAGES + 3) * PAGE / sizeof *other, 5, 5000 + PAGES + 3));
    struct vm_move away = {
        .from = there.address, .bytes = PAGES * PAGE, .new_bytes = (PAGES + 5) * PAGE, .keep = true};
    EXPECT(vm_space_move(space, &away, &address) == VM_OK);
    EXPECT(holds(virt_pointer(address), PAGES, 1));
    EXPECT(other[3 * PAGE / sizeof *other] == 0);
    EXPECT(spaces_are_sound());
    EXPECT(vm_space_unmap(space, address, (PAGES + 5) * PAGE) == VM_OK);
    EXPECT(vm_space_unmap(space, virt_addr((uintptr_t)other), (PAGES + 8) * PAGE) == VM_OK);
    EXPECT(spaces_are_sound());
}

KERNEL_TEST(vm_memory_is_replaced_by_new_one)
{
    struct vm_space *space = kernel_lazy_space();
    volatile uint64_t *memory = lazy(PAGES);
    EXPECT(memory);
    fill(memory, PAGES, 1);
    virt_addr_t address;
    struct vm_request over = {.source = VM_ZERO,
                              .bytes = 300 * PAGE,
                              .access = RW,
                              .fixed = true,
                              .replace = true,
                              .address = virt_addr((uintptr_t)memory + 100 * PAGE)};
    EXPECT(vm_space_map(space, &over, &address) == VM_OK);
    EXPECT(holds(memory, 100, 1) && memory[100 * PAGE / sizeof *memory] == 0);
    EXPECT(holds(memory + 400 * PAGE / sizeof *memory, 200, 401));
    EXPECT(vm_space_extend(space, virt_addr((uintptr_t)memory + PAGES * PAGE), PAGE) == VM_OK);
    memory[PAGES * PAGE / sizeof *memory] = 7;
    EXPECT(spaces_are_sound());
    EXPECT(vm_space_unmap(space, virt_addr((uintptr_t)memory), (PAGES + 1) * PAGE) == VM_OK);
}

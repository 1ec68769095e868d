/* vmalloc and kernel stacks on the real machine: real memory behind real page tables. */
#include <ashlar/heap.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/vmalloc.h>
#include <ashlar/world.h>

#define BLOCKS 64
#define ROUNDS 3000

static bool all_is_sound(void)
{
    struct vmalloc_problem problem;
    struct kva_problem kva_problem;
    struct frame_ledger ledger;
    memory_ledger(&ledger);
    return WORLD_STOPPED(vmalloc_check(&kernel_vmalloc, &problem)) &&
           WORLD_STOPPED(kva_check(kernel_kva(), &kva_problem)) && ledger.difference == 0;
}

static bool readable(virt_addr_t address)
{
    uint8_t byte;
    return memory_try_read(&byte, address, 1);
}

/* Each word of a block holds its own address, more or less. */
static void fill(uint64_t *block, uint64_t words, uint64_t mark)
{
    for (uint64_t i = 0; i < words; i++) {
        block[i] = mark ^ i;
    }
}

static bool intact(const uint64_t *block, uint64_t words, uint64_t mark)
{
    for (uint64_t i = 0; i < words; i++) {
        if (block[i] != (mark ^ i)) {
            return false;
        }
    }
    return true;
}

KERNEL_TEST(vmalloc_blocks_are_memory_between_guards)
{
    uint64_t *block = vmalloc(5 * FRAME_BYTES - 100);
    EXPECT(block != NULL);
    fill(block, 5 * FRAME_BYTES / 8, 0x1234);
    EXPECT(intact(block, 5 * FRAME_BYTES / 8, 0x1234));
    EXPECT_EQUAL(vmalloc_bytes(&kernel_vmalloc, block), 5 * FRAME_BYTES);
    EXPECT(!readable(virt_addr(virt_of(block).raw - 1)));
    EXPECT(!readable(virt_add(virt_of(block), 5 * FRAME_BYTES)));
    EXPECT(all_is_sound());
    vmalloc_flush(&kernel_vmalloc); /* else this may be the block with which it flushes all that were freed */
    vfree(block);
    EXPECT(!page_table_translate(kernel_page_table(), virt_of(block)).mapped);
    struct memory_region region;
    EXPECT(region_find(virt_of(block), &region));
    EXPECT(strcmp(region.name, "freed virtual block") == 0);
    EXPECT_EQUAL(vmalloc_try_free(&kernel_vmalloc, block, NULL), KVA_WRONG_PURPOSE);
    vmalloc_flush(&kernel_vmalloc);
    EXPECT(!readable(virt_of(block)));
    EXPECT(all_is_sound());
}

KERNEL_TEST(vmalloc_long_blocks_have_large_pages)
{
    struct vmalloc_statistics before;
    struct vmalloc_statistics after;
    vmalloc_statistics(&kernel_vmalloc, &before);
    uint8_t *block = vzalloc(MIB(5));
    EXPECT(block != NULL);
    vmalloc_statistics(&kernel_vmalloc, &after);
    EXPECT_EQUAL(after.large_pages - before.large_pages, 2);
    bool zero = true;
    for (uint64_t at = 0; at < MIB(5); at += 8) {
        zero = zero && *(uint64_t *)(block + at) == 0;
    }
    EXPECT(zero);
    fill((uint64_t *)block, MIB(5) / 8, 0x77);
    EXPECT(intact((uint64_t *)block, MIB(5) / 8, 0x77));
    vfree(block);
    EXPECT(all_is_sound());
}

/* A freed block waits for a flush, its page table does not: validators, which know of no such wait, agree. */
KERNEL_TEST(vmalloc_gives_empty_tables_back_at_once)
{
    const struct page_table *table = kernel_page_table();
    void **last = NULL; /* each block has the address of the one before */
    bool grown = false;
    vmalloc_flush(&kernel_vmalloc);
    for (unsigned count = 0; !grown && count <= PAGE_TABLE_ENTRIES; count++) {
        uint64_t tables = table->table_frames;
        void **block = vmalloc(FRAME_BYTES);
        EXPECT(block != NULL);
        *block = last;
        last = block;
        grown = table->table_frames > tables; /* so it is the first one of its page table */
    }
    uint64_t tables = table->table_frames;
    void **rest = *last;
    vfree(last);
    bool dropped = table->table_frames < tables;
    struct vm_problem problem;
    bool sound = WORLD_STOPPED(vm_manager_check(kernel_vm_manager(), &problem)) && all_is_sound();
    while (rest) {
        last = rest;
        rest = *last;
        vfree(last);
    }
    vmalloc_flush(&kernel_vmalloc);
    EXPECT(grown);
    EXPECT(dropped);
    EXPECT(sound);
}

/* The tables a range leaves behind are empty and gone; frames and addresses are all back. */
KERNEL_TEST(vmalloc_random_rounds_leave_nothing)
{
    static struct {
        uint64_t *block;
        uint64_t pages;
    } slots[BLOCKS];
    struct vmalloc_statistics before;
    struct vmalloc_statistics after;
    struct frame_ledger ledger;
    struct frame_ledger ledger_after;
    uint64_t random = 88172645463325252ULL;
    bool good = true;
    vmalloc_flush(&kernel_vmalloc);
    vmalloc_statistics(&kernel_vmalloc, &before);
    memory_ledger(&ledger);
    memset(slots, 0, sizeof slots);
    for (unsigned i = 0; i < ROUNDS && good; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        unsigned slot = (random >> 40) % BLOCKS;
        if (slots[slot].block) {
            good = intact(slots[slot].block, slots[slot].pages * 512, slot);
            vfree(slots[slot].block);
            slots[slot].block = NULL;
        } else {
            slots[slot].pages = 1 + (random >> 30) % 12;
            slots[slot].block = vmalloc(slots[slot].pages * FRAME_BYTES);
            good = slots[slot].block != NULL;
            if (good) {
                fill(slots[slot].block, slots[slot].pages * 512, slot);
            }
        }
    }
    EXPECT(good);
    EXPECT(all_is_sound());
    for (unsigned slot = 0; slot < BLOCKS; slot++) {
        vfree(slots[slot].block);
    }
    vmalloc_flush(&kernel_vmalloc);
    vmalloc_statistics(&kernel_vmalloc, &after);
    memory_ledger(&ledger_after);
    EXPECT_EQUAL(after.blocks, before.blocks);
    EXPECT_EQUAL(after.retired_ranges, 0);
    EXPECT_EQUAL(ledger_after.owner_bytes[OWNER_VMALLOC], ledger.owner_bytes[OWNER_VMALLOC]);
    EXPECT(ledger_after.owner_bytes[OWNER_PAGE_TABLES] <=
           ledger.owner_bytes[OWNER_PAGE_TABLES] + 4 * FRAME_BYTES);
    EXPECT(all_is_sound());
}

KERNEL_TEST(vmalloc_refuses_what_cannot_be)
{
    vmalloc_flush(&kernel_vmalloc); /* a request that fails gives back what others have retired */
    uint64_t free = memory_free_frames();
    EXPECT(vmalloc(0) == NULL);
    EXPECT(vmalloc(UINT64_MAX) == NULL);
    EXPECT(vmalloc(TIB(8)) == NULL);
    EXPECT_EQUAL(vmalloc_try_free(&kernel_vmalloc, &free, NULL), KVA_FOREIGN);
    EXPECT(memory_free_frames() + 8 >= free);
    vfree(NULL);
    EXPECT(all_is_sound());
}

KERNEL_TEST(kernel_stacks_have_guards_with_names)
{
    struct kernel_stack stack;
    struct memory_region region;
    EXPECT(kernel_stack_alloc(&kernel_vmalloc, &stack, "a test", KERNEL_STACK_BYTES));
    memset(virt_pointer(stack.bottom), 0x5a, stack.bytes);
    EXPECT(!readable(virt_addr(stack.bottom.raw - 1)));
    EXPECT(!readable(kernel_stack_top(&stack)));
    EXPECT(region_find(stack.bottom, &region));
    EXPECT(strcmp(region.name, "kernel stack of a test") == 0 && !region.guard);
    EXPECT(region_find(virt_addr(stack.bottom.raw - 8), &region));
    EXPECT(strcmp(region.name, "guard page below kernel stack of a test") == 0 && region.guard);
    EXPECT(region_find(kernel_stack_top(&stack), &region));
    EXPECT(strcmp(region.name, "guard page above kernel stack of a test") == 0 && region.guard);
    EXPECT(all_is_sound());
    kernel_stack_free(&kernel_vmalloc, &stack);
    EXPECT(all_is_sound());
}

/* The heap turns to virtual blocks where no run is long enough; its pointers are freed like all others. */
KERNEL_TEST(heap_frees_virtual_blocks)
{
    void *block = kernel_heap.virtually.alloc(kernel_heap.virtually.context, KIB(100));
    EXPECT(block != NULL);
    EXPECT_EQUAL(heap_usable_size(&kernel_heap, block), KIB(100));
    heap_free(&kernel_heap, block);
    vmalloc_flush(&kernel_vmalloc);
    EXPECT(!readable(virt_of(block)));
    EXPECT(all_is_sound());
}

/*
 * Virtually contiguous memory.
 *
 * Concept. A block is a range of an arena (arena.c) with frames mapped into it: one by one, or 512 at a time
 * where block, address and free memory allow. Nothing else is kept for it: the page table knows its frames,
 * and the descriptor of each frame leads back to the range.
 *
 * Freeing. Unmapped pages may still be in a TLB, and flushing them is the expensive part, so many frees share
 * a flush. A freed block is *retired*: unmapped at once, while its range waits in one list, its frames in
 * another (linked through their descriptors, so that no memory is needed to free memory), and the stale
 * translations in a batch. When enough has come together, or when memory or addresses are short, the batch is
 * flushed, and only then frames and addresses go back. An access to a retired block faults, unless a TLB
 * still has the translation, and the panic report says what the block was.
 *
 * A long block is flushed on its own: it would fill the lists, and the lock would be held for long. Its range
 * is retired, so nobody else looks at its pages, and it is unmapped piece by piece: the page table's lock,
 * which all of the kernel needs, is let go after each FRAME_BATCH pages.
 *
 * What is whole. Mapping and unmapping a block takes no lock for long, so others may look in their midst. Two
 * stores say when a block is whole: its range has an owner (`object`) from when its last page is mapped, and
 * the purpose of a retired block from before its first page is unmapped. What has no owner yet is not looked
 * at by the validator, and of what is retired it asks only when it is in the list that nothing is mapped.
 *
 * Locks. One spinlock guards the retired lists. Under it: the arena's, the page table's, the frame pool's,
 * and the flush itself, which waits for other CPUs: they answer by an interrupt, which spinlocks let in.
 *
 * To see inside: vmalloc_statistics(), and vmalloc_check(), which verifies all of it (vmalloc_check.c); the
 * ranges with kva_next().
 */
#include <ashlar/assert.h>
#include <ashlar/string.h>

#include "valid.h"
#include "vmalloc_internal.h"

const struct kva_purpose vmalloc_purpose = KVA_PURPOSE("virtual block");
const struct kva_purpose vmalloc_purpose_retired = KVA_PURPOSE("freed virtual block");

void vmalloc_init(struct vmalloc *vmalloc, struct kva_arena *arena, struct page_table *table,
                  struct frame_pool *frames)
{
    memset(vmalloc, 0, sizeof *vmalloc);
    spinlock_init(&vmalloc->lock, LOCK_VMALLOC, 0);
    vmalloc->arena = arena;
    vmalloc->table = table;
    vmalloc->frames = frames;
    tlb_batch_start(&vmalloc->batch, table);
}

/* ---- Freeing ---- */

/* Retired blocks whose translations are gone from every TLB. */
struct remains {
    struct kva_range *ranges; /* linked by `next` */
    phys_addr_t frames;       /* chained through their descriptors' notes */
};

/* Puts a frame to the list of what is retired. */
static void retire_frame(struct vmalloc *vmalloc, phys_addr_t frame) REQUIRES(vmalloc->lock)
{
    frame_note_set_next(frame_descriptor(vmalloc->frames, frame), vmalloc->frames_head);
    vmalloc->frames_head = frame;
}

/* Unmaps the only page of a range. */
static void unmap_one(struct vmalloc *vmalloc, const struct kva_range *range) REQUIRES(vmalloc->lock)
{
    phys_addr_t frame;
    enum page_table_error error =
        page_table_unmap_frames(vmalloc->table, range->base, 1, &vmalloc->batch, &frame);
    if (error != PAGE_TABLE_OK) {
        vmalloc_unmap_failed(range, error);
    }
    retire_frame(vmalloc, frame);
}

/* Unmaps the first `count` pages of a range, all small; the frames to the list of what is retired. */
static __attribute__((noinline)) void unmap_small(struct vmalloc *vmalloc, const struct kva_range *range,
                                                  uint64_t count) REQUIRES(vmalloc->lock)
{
    phys_addr_t frames[VMALLOC_RETIRED_PAGES];
    enum page_table_error error =
        page_table_unmap_frames(vmalloc->table, range->base, count, &vmalloc->batch, frames);
    if (error != PAGE_TABLE_OK) {
        vmalloc_unmap_failed(range, error);
    }
    phys_addr_t head = vmalloc->frames_head;
    for (uint64_t i = 0; i < count; i++) {
        frame_note_set_next(frame_descriptor(vmalloc->frames, frames[i]), head);
        head = frames[i];
    }
    vmalloc->frames_head = head;
}

/* The orders are constants, so that the compiler inlines the fast path for each. */
void vmalloc_free_frames(struct frame_pool *frames, phys_addr_t frame)
{
    while (frame.raw != 0) {
        const struct frame_descriptor *descriptor = frame_descriptor(frames, frame);
        uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
        phys_addr_t next = frame_note_next(descriptor);
        if (frame_tag_order(tag) == 0) {
            frame_free(frames, frame, 0);
        } else {
            frame_free(frames, frame, FRAME_ORDER_2M);
        }
        frame = next;
    }
}

/* Gives back what was retired and flushed. */
static void give_back(struct vmalloc *vmalloc, const struct remains *remains)
{
    vmalloc_free_frames(vmalloc->frames, remains->frames);
    for (struct kva_range *range = remains->ranges, *next; range; range = next) {
        next = range->next;
        kva_release(vmalloc->arena, range);
    }
}

/* Flushes all that is retired and returns it: the caller gives it back when it has released the lock. */
static struct remains flush_locked(struct vmalloc *vmalloc) REQUIRES(vmalloc->lock)
{
    struct remains remains = {vmalloc->retired, vmalloc->frames_head};
    tlb_batch_finish(&vmalloc->batch);
    vmalloc->retired = NULL;
    vmalloc->frames_head = FRAME_NONE;
    vmalloc->retired_ranges = 0;
    vmalloc->retired_pages = 0;
    vmalloc->flushes++;
    return remains;
}

/* Retires a block of less than VMALLOC_RETIRED_PAGES pages. */
static void retire(struct vmalloc *vmalloc, struct kva_range *range, uint64_t mapped)
{
    struct remains remains;
    spinlock_acquire(&vmalloc->lock);
    DEBUG_ASSERT(vmalloc_retired_is_valid(vmalloc));
    if (mapped == FRAME_BYTES) {
        unmap_one(vmalloc, range);
    } else if (mapped != 0) {
        unmap_small(vmalloc, range, mapped >> FRAME_SHIFT);
    }
    range->next = vmalloc->retired;
    vmalloc->retired = range;
    vmalloc->retired_ranges++;
    vmalloc->retired_pages += mapped >> FRAME_SHIFT;
    bool enough =
        vmalloc->retired_ranges >= VMALLOC_RETIRED_RANGES || vmalloc->retired_pages >= VMALLOC_RETIRED_PAGES;
    if (enough) {
        remains = flush_locked(vmalloc);
    }
    spinlock_release(&vmalloc->lock);
    if (enough) {
        give_back(vmalloc, &remains);
    }
}

/* Unmaps, flushes and gives back a long block. */
static __attribute__((noinline)) void retire_alone(struct vmalloc *vmalloc, struct kva_range *range,
                                                   uint64_t mapped)
{
    struct tlb_batch batch;
    struct remains remains = {range, FRAME_NONE};
    range->next = NULL;
    tlb_batch_start(&batch, vmalloc->table);
    vmalloc_unmap(vmalloc, range, (struct vmalloc_part){0, mapped}, &batch, &remains.frames);
    tlb_batch_finish(&batch);
    give_back(vmalloc, &remains);
}

/* Undoes a range that nobody else uses any more; its first `mapped` bytes are mapped. */
static void take_apart(struct vmalloc *vmalloc, struct kva_range *range, uint64_t mapped)
{
    if (mapped >> FRAME_SHIFT < VMALLOC_RETIRED_PAGES) {
        retire(vmalloc, range, mapped);
    } else {
        retire_alone(vmalloc, range, mapped);
    }
}

enum kva_error vmalloc_try_free(struct vmalloc *vmalloc, void *block, const struct kva_purpose *purpose)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    VALIDATE_AT_RANDOM(vmalloc, vmalloc_check, vmalloc);
    struct kva_range *range;
    enum kva_error error = kva_claim(vmalloc->arena, virt_of(block), purpose ? purpose : &vmalloc_purpose,
                                     &vmalloc_purpose_retired, &range);
    if (error == KVA_OK) {
        take_apart(vmalloc, range, range->bytes);
    }
    return error;
}

void vmalloc_free(struct vmalloc *vmalloc, void *block)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    enum kva_error error = block ? vmalloc_try_free(vmalloc, block, NULL) : KVA_OK;
    if (error != KVA_OK) {
        struct kva_facts facts = {.purpose = NULL};
        kva_look(vmalloc->arena, virt_of(block), &facts);
        panic("vfree of %p: %s (%s)", block, kva_error_name(error),
              facts.purpose ? facts.purpose->name : "nobody's address");
    }
}

void vmalloc_flush(struct vmalloc *vmalloc)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    spinlock_acquire(&vmalloc->lock);
    struct remains remains = flush_locked(vmalloc);
    spinlock_release(&vmalloc->lock);
    give_back(vmalloc, &remains);
}

uint64_t vmalloc_bytes(struct vmalloc *vmalloc, const void *block)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    struct kva_facts facts;
    if (!kva_look(vmalloc->arena, virt_of(block), &facts) || facts.purpose != &vmalloc_purpose ||
        facts.object != vmalloc || facts.base.raw != virt_of(block).raw) {
        return 0;
    }
    return facts.bytes;
}

/* ---- Allocating ---- */

/* Makes a frame's descriptor lead to the block, and fills it with zeros if that is wanted. */
static void prepare(struct vmalloc *vmalloc, const struct vmalloc_request *request, struct kva_range *range,
                    phys_addr_t frame, uint64_t bytes)
{
    frame_note_set_range(frame_descriptor(vmalloc->frames, frame), range);
    if (request->zeroed) {
        memset(frame_pointer(vmalloc->frames, frame), 0, bytes);
    }
}

/* Puts one 2 MiB page at `at`; false when there is none, or no memory for the page table. */
static bool map_large(struct vmalloc *vmalloc, const struct vmalloc_request *request, struct kva_range *range,
                      uint64_t at)
{
    uint64_t bytes = page_level_bytes(PAGE_LEVEL_2M);
    phys_addr_t block = frame_alloc(vmalloc->frames, FRAME_ORDER_2M, request->owner);
    if (block.raw == 0) {
        return false;
    }
    prepare(vmalloc, request, range, block, bytes);
    enum page_table_error error = page_table_map(vmalloc->table, virt_add(range->base, at), block, bytes,
                                                 PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, PAGE_LEVEL_2M);
    if (error != PAGE_TABLE_OK) {
        frame_free(vmalloc->frames, block, FRAME_ORDER_2M);
    }
    return error == PAGE_TABLE_OK;
}

/* Takes and prepares single frames; returns how many, fewer than `count` when there are no more. Takes them
 * one by one from the CPU's magazine, which is cheaper than a request for all. */
static uint64_t take_frames(struct vmalloc *vmalloc, const struct vmalloc_request *request,
                            struct kva_range *range, uint64_t count, phys_addr_t *frames)
{
    for (uint64_t i = 0; i < count; i++) {
        frames[i] = frame_alloc(vmalloc->frames, 0, request->owner);
        if (frames[i].raw == 0) {
            return i;
        }
        prepare(vmalloc, request, range, frames[i], FRAME_BYTES);
    }
    return count;
}

/* Maps a range of one page; returns how much of it is mapped: nothing when there is no memory. */
static uint64_t fill_one(struct vmalloc *vmalloc, const struct vmalloc_request *request,
                         struct kva_range *range)
{
    phys_addr_t frame = frame_alloc(vmalloc->frames, 0, request->owner);
    if (frame.raw == 0) {
        return 0;
    }
    prepare(vmalloc, request, range, frame, FRAME_BYTES);
    enum page_table_error error = page_table_map(vmalloc->table, range->base, frame, FRAME_BYTES,
                                                 PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    if (error != PAGE_TABLE_OK) {
        frame_free(vmalloc->frames, frame, 0);
        return 0;
    }
    return FRAME_BYTES;
}

/* Puts `count` (at most FRAME_BATCH) single frames at `at`; false, and none there, without memory. */
static __attribute__((noinline)) bool map_small(struct vmalloc *vmalloc,
                                                const struct vmalloc_request *request,
                                                struct kva_range *range, uint64_t at, uint64_t count)
{
    phys_addr_t frames[FRAME_BATCH];
    uint64_t got = take_frames(vmalloc, request, range, count, frames);
    bool mapped =
        got == count && page_table_map_frames(vmalloc->table, virt_add(range->base, at), frames, count,
                                              PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK) == PAGE_TABLE_OK;
    if (!mapped) {
        frame_free_batch(vmalloc->frames, got, frames);
    }
    return mapped;
}

bool vmalloc_wants_large(const struct vmalloc *vmalloc, const struct vmalloc_request *request)
{
    return request->bytes >= page_level_bytes(PAGE_LEVEL_2M) && !request->small_pages &&
           vmalloc->table->largest_level >= PAGE_LEVEL_2M;
}

_Static_assert((1 << FRAME_ORDER_2M) % FRAME_BATCH == 0, "batches end where a large page may start");

__attribute__((noinline)) uint64_t vmalloc_fill(struct vmalloc *vmalloc,
                                                const struct vmalloc_request *request,
                                                struct kva_range *range, uint64_t at)
{
    uint64_t large_bytes = page_level_bytes(PAGE_LEVEL_2M);
    bool large = vmalloc_wants_large(vmalloc, request);
    while (at < range->bytes) {
        if (large && is_aligned(at, large_bytes) && range->bytes - at >= large_bytes &&
            map_large(vmalloc, request, range, at)) {
            at += large_bytes;
            continue;
        }
        uint64_t count =
            min_u64((range->bytes - at) >> FRAME_SHIFT, FRAME_BATCH - (at >> FRAME_SHIFT) % FRAME_BATCH);
        if (!map_small(vmalloc, request, range, at, count)) {
            break;
        }
        at += count << FRAME_SHIFT;
    }
    return at;
}

bool vmalloc_has_hope(const struct vmalloc *vmalloc, uint64_t bytes)
{
    uint64_t pages = bytes >> FRAME_SHIFT;
    return pages < VMALLOC_RETIRED_PAGES || pages <= frame_pool_free(vmalloc->frames);
}

/* Gives up a range of which the first `mapped` bytes are mapped. */
static __attribute__((noinline)) void abandon(struct vmalloc *vmalloc, struct kva_range *range,
                                              uint64_t mapped)
{
    struct kva_range *claimed;
    enum kva_error error =
        kva_claim(vmalloc->arena, range->base, range->purpose, &vmalloc_purpose_retired, &claimed);
    ASSERT(error == KVA_OK);
    take_apart(vmalloc, claimed, mapped);
}

/* One attempt. KVA_NO_SPACE and KVA_NO_MEMORY may go away when what is retired is given back. */
static enum kva_error try_request(struct vmalloc *vmalloc, const struct vmalloc_request *request,
                                  void **block)
{
    struct kva_request wanted = {.bytes = request->bytes,
                                 .alignment = request->alignment,
                                 .guard_pages = 1,
                                 .purpose = request->purpose ? request->purpose : &vmalloc_purpose};
    struct kva_range *range;
    if (vmalloc_wants_large(vmalloc, request)) {
        wanted.alignment = max_u64(wanted.alignment, page_level_bytes(PAGE_LEVEL_2M));
    }
    enum kva_error error = kva_alloc(vmalloc->arena, &wanted, &range);
    if (error != KVA_OK) {
        return error;
    }
    uint64_t mapped = 0;
    if (range->bytes == FRAME_BYTES) {
        mapped = fill_one(vmalloc, request, range);
    } else if (vmalloc_has_hope(vmalloc, range->bytes)) {
        mapped = vmalloc_fill(vmalloc, request, range, 0);
    }
    if (mapped < range->bytes) {
        abandon(vmalloc, range, mapped);
        return KVA_NO_MEMORY;
    }
    kva_range_set_object(range, vmalloc);
    *block = virt_pointer(range->base);
    return KVA_OK;
}

/* Tries again after giving back what is retired: a request fails only when that does not help. */
static __attribute__((noinline)) void *try_again(struct vmalloc *vmalloc,
                                                 const struct vmalloc_request *request)
{
    void *block = NULL;
    vmalloc_flush(vmalloc);
    if (try_request(vmalloc, request, &block) != KVA_OK) {
        vmalloc_flush(vmalloc); /* the part of the block that could be mapped */
    }
    return block;
}

void *vmalloc_request(struct vmalloc *vmalloc, const struct vmalloc_request *request)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    VALIDATE_AT_RANDOM(vmalloc, vmalloc_check, vmalloc);
    void *block = NULL;
    enum kva_error error = try_request(vmalloc, request, &block);
    if (error == KVA_NO_SPACE || error == KVA_NO_MEMORY) {
        block = try_again(vmalloc, request);
    }
    return block;
}

void *vmalloc_alloc(struct vmalloc *vmalloc, uint64_t bytes)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    struct vmalloc_request request = {.bytes = bytes, .owner = OWNER_VMALLOC};
    return vmalloc_request(vmalloc, &request);
}

void *vmalloc_alloc_zeroed(struct vmalloc *vmalloc, uint64_t bytes)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    struct vmalloc_request request = {.bytes = bytes, .owner = OWNER_VMALLOC, .zeroed = true};
    return vmalloc_request(vmalloc, &request);
}
